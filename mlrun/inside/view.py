"""View: the model, data, metrics and predictions of a run, for visualisers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mlrun.errors import MlrunError, one_line, unknown

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from mlrun.data.probe import Probe
    from mlrun.data.splits import Selection
    from mlrun.inside.forward import Pass
    from mlrun.settings.changes import Variant
    from mlrun.training.evaluation import Evaluation


@dataclass
class View:
    """The model, data, metrics and predictions of a run: copies, which a visualiser may change.

    model: a copy in evaluation mode, on the run's device, without hooks.
    epoch: epochs trained so far; in a picture of the end, those of the best weights.
    shape: of one image, (C, H, W).
    classes: the name of each class.
    history: (epoch, value) pairs of each metric: `train/loss`, `val/accuracy`, …
    steps: (step, value) pairs of each figure by optimiser step, where the run logs such:
        `step/loss`, `step/val-accuracy`, …
    final: whether it is the call at the end, of a visualiser that is called each epoch too.
    kept: the values of this visualiser's pictures in earlier epochs: by epoch, by the picture's
        name, by the array's name.
    """

    model: nn.Module
    epoch: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    history: Mapping[str, Sequence[tuple[int, float]]]
    _selections: Mapping[str, Selection]
    _normalise: Callable[[Tensor], Tensor]
    _evaluate: Callable[..., Evaluation]
    _default_part: str
    _device: torch.device
    steps: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)
    final: bool = False
    kept: Mapping[int, Mapping[str, Mapping[str, NDArray[Any]]]] = field(default_factory=dict)
    _probe: Probe | None = None
    notes: list[str] = field(default_factory=list)
    _evaluations: dict[str, Evaluation] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """The device of the model; its copy and `inputs` are there."""
        return self._device

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of the parts: `train`, `val`, and `test` if the data set has one."""
        return tuple(self._selections)

    def images(self, part: str, places: Iterable[int] | None = None) -> Tensor:
        """Returns a copy of the images of a part, uint8 (N, C, H, W), 0–255, on the CPU.

        Args:
            part: one of `parts`, which may be larger than memory: then ask for some places.
            places: which images, from 0 to the part's length - 1; all by default.
        """
        selection = self._selection(part)
        indices = selection.indices if places is None else selection.indices[list(places)]
        return selection.images[indices]  # indexed, and so a copy

    def labels(self, part: str) -> Tensor:
        """Returns a copy of the labels of a part, int64 (N,), on the CPU."""
        selection = self._selection(part)
        return selection.labels[selection.indices].clone()

    def _selection(self, part: str) -> Selection:
        if part not in self._selections:
            raise unknown("part", part, self._selections)
        return self._selections[part]

    @property
    def probe_name(self) -> str | None:
        """The name of the image that the setting `probe` gives, or None."""
        return None if self._probe is None else self._probe.name

    @property
    def probe_labels(self) -> Tensor:
        """The labels of the probe images, int64 (P,); -1 for the image of the setting `probe`."""
        if self._probe is not None:
            import torch

            return torch.tensor([-1])
        return self._selection("val").labels[self._probe_places]

    @property
    def probes(self) -> Tensor:
        """The probe images, uint8 (P, C, H, W): that of the setting `probe`, or one of each class.

        Without it, they are the first image of each class, of ten at most, in the data set's
        part that validation images are from: the same in every epoch and in every run with the
        same data, whatever its seed; so some may be trained on. With it, P is 1, and H and W
        are the image's own, not those of `shape`.
        """
        if self._probe is not None:
            return self._probe.image.clone()
        return self._selection("val").images[self._probe_places]  # indexed, and so a copy

    @property
    def _probe_places(self) -> Tensor:
        labels = self._selection("val").labels
        classes = labels.unique()[:10]
        places: Tensor = (labels == classes[:, None]).byte().argmax(1)  # of equal ones the first
        return places

    def inputs(self, images: Tensor) -> Tensor:
        """Returns the model's inputs for raw images (N, C, H, W), 0–255.

        They are standardised, float32 of the same shape, on the model's device. Gradients reach
        `images` that are floats and require them.
        """
        return self._normalise(images)

    def evaluation(self, part: str) -> Evaluation:
        """Returns the predictions of the model for a part: an `Evaluation`.

        It has logits, labels, predicted classes, probabilities, losses, accuracy, confusion.
        """
        self._selection(part)
        if part not in self._evaluations:
            self._evaluations[part] = self._evaluate(self.model, part)
        return copy.deepcopy(self._evaluations[part])

    def evaluation_of(
        self,
        part: str,
        places: Sequence[int] | None = None,
        *,
        variant: Variant | None = None,
        seed: int = 0,
    ) -> Evaluation:
        """Returns the predictions of the model for some images of a part, as they are or changed.

        Changed images are those of `mlrun evaluate --rotate 25` with the same images and seed.

        Args:
            part: one of `parts`.
            places: which images, from 0 to the part's length - 1; all by default.
            variant: how they are changed, such as `mlrun.plugin.Variant(rotate=25)`.
            seed: of the variant's draws, which go by place in the batch.
        """
        self._selection(part)
        return self._evaluate(self.model, part, places=places, variant=variant, seed=seed)

    @property
    def predictions(self) -> Evaluation:
        """The evaluation of the test part at the end, of the validation part before."""
        return self.evaluation(self._default_part)

    def activations(
        self,
        layers: Iterable[str],
        images: Tensor,
        *,
        side: Literal["output", "input"] = "output",
        required: bool = True,
    ) -> dict[str, list[Tensor]]:
        """Returns the outputs of the named layers for raw `images`, or their inputs, by call.

        A layer that is used several times in one pass has one tensor, (N, …) on the CPU, for
        each call. Tensors are copied at once, since an in-place layer overwrites them.

        A model may fail on images of another size than `shape`. Then the calls before the failure
        count; a layer without any was not reached.

        Args:
            layers: names as `model.named_modules()` gives them.
            images: raw, (N, C, H, W), 0–255.
            side: their outputs, or their inputs (the first tensor, if there are several).
            required: whether a layer that is not reached is an error; else it is left out, and
                the user gets a message.

        Raises:
            MlrunError: there is no such layer, or one that is required is not reached.
            Exception: the model's own, on images of `shape`.
        """
        from mlrun.inside.forward import forward

        result = forward(self.model, layers, self.inputs(images), side=side)
        if result.failure is None:
            return result.tensors
        if tuple(images.shape[1:]) == tuple(self.shape):
            raise result.failure
        missing = [name for name, calls in result.tensors.items() if not calls]
        if missing:
            reason = self._failure(result, images)
            if required:
                raise MlrunError(f"layer {missing[0]} is not reached: {reason}") from result.failure
            self.note(f"left out {', '.join(missing)}: {reason}")
        return {name: calls for name, calls in result.tensors.items() if calls}

    def _failure(self, result: Pass, images: Tensor) -> str:
        """Returns the reason why the model fails on images of another size than the data set's."""
        actual, expected = (
            " × ".join(map(str, size)) for size in (images.shape[2:], self.shape[1:])
        )
        place = f" in layer {result.failed_in}" if result.failed_in else ""
        reason = "" if result.failure is None else one_line(result.failure)
        return f"the model takes {expected} pixels and fails on {actual}{place} ({reason})"

    def note(self, text: str) -> None:
        """Shows the user a message about the picture, such as what was left out; each once."""
        if text not in self.notes:
            self.notes.append(text)
