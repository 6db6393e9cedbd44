"""A finished run's best weights on a part of a data set, as it is or changed; logged once."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from mlrun.data.batches import Batches, Batching
from mlrun.data.checked import checked_file_of
from mlrun.data.classes import classes_in, warn_of_absent
from mlrun.data.digests import data_digest, digest_like
from mlrun.data.examples import ExampleStore
from mlrun.data.images import ImageData
from mlrun.data.splits import Selection, select, split
from mlrun.data.variants import change_batches
from mlrun.errors import MlrunError
from mlrun.finished.evaluation_request import (
    EvaluationRequest,
    dataset_of,
    evaluated_images,
    name_of,
    seed_of,
)
from mlrun.finished.likeness import check_like, warn_of_range
from mlrun.machine import devices
from mlrun.preparing.contracts import load_data, named
from mlrun.preparing.inputs import evaluated_at_once
from mlrun.preparing.threads import use_threads
from mlrun.preparing.weights import Restored, configure, configure_again, restore
from mlrun.record.evaluations import digest_in, evaluation_tag, predictions_file
from mlrun.record.logged import LoggedRun, find_run
from mlrun.record.trust import data_folder
from mlrun.settings import Settings
from mlrun.settings.run import setting_traits
from mlrun.training.evaluation import Evaluation
from mlrun.training.evaluation import evaluate as evaluate_batches

__all__ = ["EvaluationRequest", "LoggedEvaluation", "evaluate"]

LOG = logging.getLogger("mlrun.data")


@dataclass(frozen=True)
class LoggedEvaluation:
    """The figures of one evaluation, and where they are logged.

    name: `test-rotated-25`; the metrics are `<name>/loss` and `<name>/accuracy`.
    loss: the mean over the examples. accuracy: the fraction that is right, 0–1.
    fresh: whether they were computed now; else they had been logged before.
    why_not: why they are not logged; empty where they are.
    """

    run_id: str
    name: str
    loss: float
    accuracy: float
    fresh: bool
    link: str
    why_not: str = ""


def evaluate(reference: str, request: EvaluationRequest) -> LoggedEvaluation:
    """Evaluates a run's best weights and logs the figures and logits to that run, once.

    Nothing is logged to a run that is not finished: when it goes on its best weights may be others,
    and MLflow takes no row back.

    Args:
        reference: the run's id, or a unique start of it.
        request: on what.

    Raises:
        MlrunError: there is no such run, it has no weights, the data cannot be had or have
            other classes, or something else is logged under the name.
    """
    run = find_run(reference)
    name = name_of(run, request)
    logged = figures(run, name)
    if logged and evaluation_tag(name) not in run.tags:
        return logged  # of a part whose images an older version did not tag
    device = devices.resolve(request.device)
    settings = run.settings()
    with devices.torch_settings(device, settings.threads, deterministic=settings.deterministic):
        try:
            restored = restore(run, device, request.plugins, request.model_options)
            selection = select_part(restored, request)
        except MlrunError as error:
            if logged is None or not request.as_trained(run):
                raise
            LOG.warning("whether its images are as they were cannot be told: %s", error)
            return logged
        if logged:
            check_same(run, name, request, selection)
            return logged
        use_threads(settings, restored.model, restored.weights.shape, device)
        images = evaluated_images(run, request, data_digest(selection))
        evaluation = evaluate_on(restored, selection, request)
    found = LoggedEvaluation(run.run_id, name, evaluation.loss, evaluation.accuracy, True, run.link)
    if run.status != "FINISHED":
        return replace(found, why_not=f"run {run.run_id} is {run.status}, and may go on")
    run.add(
        evaluation.figures(name),
        step=restored.weights.epoch,
        tags={evaluation_tag(name): images},
        files={predictions_file(name): evaluation.arrays.archive()},
    )
    return found


def figures(run: LoggedRun, name: str) -> LoggedEvaluation | None:
    """Returns what is logged under `name`, of the best epoch, or None."""
    if f"{name}/accuracy" not in run.metrics or f"{name}/loss" not in run.metrics:
        return None
    loss, accuracy = (run.metric(f"{name}/{what}", run.best_epoch) for what in ("loss", "accuracy"))
    if loss is None or accuracy is None:
        return None
    return LoggedEvaluation(run.run_id, name, loss, accuracy, False, run.link)


def select_part(restored: Restored, request: EvaluationRequest) -> Selection:
    """Returns the images to evaluate on: of the run's data set, split as then, or of another.

    Raises:
        MlrunError: the data cannot be had, lack the part, or do not fit the run.
    """
    run = restored.run
    selecting = [name for name, traits in setting_traits().items() if traits.selects]
    settings = run.settings(*(() if request.part == "test" else selecting))
    component = restored.registry.find("dataset", dataset_of(run, request))
    options = dict(request.options)
    if restored.weights.value_range and "range" in {option.name for option in component.options}:
        options.setdefault("range", restored.weights.value_range)
    if request.dataset is None:
        dataset = configure_again(run, "dataset", component, options)
    else:
        dataset = configure("dataset", component, options)
    data = load_data(dataset, data_folder(run, request.data_dir))
    with named(f"data set {dataset.component.name}"):
        check_like(data, restored)
        warn_of_range(data, restored)
        selection = selected(data, request, settings, elsewhere=request.elsewhere(run))
        if request.elsewhere(run):  # of its own data, the run has been told
            warn_of_absent(request.part, data, classes_in(selection), set(range(len(data.classes))))
    return selection


def selected(
    data: ImageData, request: EvaluationRequest, settings: Settings, *, elsewhere: bool
) -> Selection:
    """Returns the images of the part, split by a run's settings; raises MlrunError."""
    if request.part == "test":
        if data.test is None:
            raise MlrunError("it has no test part; add --part val")
        return select(data, "test")
    return split(
        data,
        validation=settings.validation,
        subset="all" if elsewhere else settings.subset,
        seed=settings.seed,
        stratify=settings.stratify,
    )[request.part]


def check_same(run: LoggedRun, name: str, request: EvaluationRequest, selection: Selection) -> None:
    """Raises MlrunError where something else is logged under `name`."""
    before = run.tags[evaluation_tag(name)]
    images = evaluated_images(run, request, digest_like(digest_in(before), selection))
    if before != images:
        raise MlrunError(
            f"run {run.run_id} has {name} of something else: {before}; this is {images}; "
            "give this one a --name"
        )


def evaluate_on(restored: Restored, selection: Selection, request: EvaluationRequest) -> Evaluation:
    """Returns the evaluation of the weights on the images, changed as is asked for.

    Raises:
        MlrunError: the file of the images was changed meanwhile.
    """
    store = ExampleStore.of(selection, restored.normalisation, restored.device)
    batches = Batches(store, Batching(evaluated_at_once(restored.weights.shape)))
    if request.variant.active:
        batches = change_batches(batches, request.variant, seed=seed_of(restored.run, request))
    evaluation = evaluate_batches(
        restored.model, batches, part=request.part, precision=restored.precision
    )
    file = checked_file_of(selection.images)
    if file is not None:
        file.check()
    return evaluation
