"""The test of a run: its best weights on the test part, as it is and changed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from mlrun.data.folds import is_fold
from mlrun.record.evaluations import evaluated_on, evaluation_tag, predictions_file
from mlrun.record.per_class import per_class, with_dashes
from mlrun.running.context import RunContext
from mlrun.settings.changes import Variant
from mlrun.training.evaluation import Evaluation


@dataclass(frozen=True)
class Test:
    """The result of a test.

    best_epoch: of the weights that were tested.
    tested: the evaluation of the test part as it is, or of `val` where there is no test part.
    images: which those are: the part, the data set and its digest.
    metrics: of the test part and its variants; none where there is no test part, since those of
        `val` are the epoch's.
    """

    best_epoch: int
    tested: Evaluation
    images: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Tester:
    """Tests a run's best weights, and logs figures and predictions."""

    context: RunContext

    def test(self, model: nn.Module, best_epoch: int) -> Test:
        """Evaluates the test part and its variants; `model` has the weights of the best epoch.

        Raises:
            MlrunError: a file of images is not as it was written.
        """
        context = self.context
        part = "test" if "test" in context.prepared.parts else "val"
        tested = context.prepared.evaluate(model, part)
        context.digests.confirm()
        table = per_class(tested.arrays, context.prepared.data.classes)
        context.tracker.table("per-class", with_dashes(table))
        self.log_predictions(tested, part, Variant())
        metrics: dict[str, float] = {}
        if part == "test":
            metrics |= self.log_metrics(tested, best_epoch)
            for variant in map(Variant.parse, context.plan.settings.test_variants):
                changed = context.prepared.evaluate(model, variant.called(part))
                self.log_predictions(changed, part, variant)
                metrics |= self.log_metrics(changed, best_epoch)
            if is_fold(context.plan.settings.validation):
                self.log_predictions(context.prepared.evaluate(model, "val"), "val", Variant())
        return Test(best_epoch, tested, self.images(part, Variant()), metrics)

    def log_metrics(self, evaluation: Evaluation, best_epoch: int) -> dict[str, float]:
        """Logs the figures of an evaluation at the best epoch, and returns them."""
        metrics = evaluation.figures()
        self.context.tracker.metrics(metrics, best_epoch)
        self.context.progress.note(
            f"{evaluation.part} (best weights, epoch {best_epoch}): loss {evaluation.loss:.4f}, "
            f"accuracy {evaluation.accuracy:.4f}"
        )
        return metrics

    def log_predictions(self, evaluation: Evaluation, part: str, variant: Variant) -> None:
        """Logs the logits of a part, changed as `variant` says, and of which images they are."""
        self.context.tracker.artifact(
            predictions_file(evaluation.part), evaluation.arrays.archive()
        )
        self.context.tracker.tags({evaluation_tag(evaluation.part): self.images(part, variant)})

    def images(self, part: str, variant: Variant) -> str:
        """Returns what decides the figures of a part, changed as `variant` says."""
        settings, digest = self.context.plan.settings, self.context.digests.of(part)
        return evaluated_on(part, settings.dataset, digest, variant, settings.seed)
