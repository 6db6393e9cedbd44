"""View: what a visualiser sees."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlrun.errors import unknown

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from mlrun.data.splits import Selection
    from mlrun.training.evaluation import Evaluation


@dataclass
class View:
    """What a visualiser sees of a run: copies, which it may change without harm.

    model: a copy in evaluation mode, on the run's device, without hooks.
    epoch: epochs trained so far; in a picture of the end, those of the best weights.
    shape: of one image, (C, H, W).
    classes: the name of each class.
    history: (epoch, value) pairs of each metric: `train/loss`, `val/accuracy`, …
    """

    model: nn.Module
    epoch: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    history: Mapping[str, Sequence[tuple[int, float]]]
    _selections: Mapping[str, Selection]
    _normalise: Callable[[Tensor], Tensor]
    _evaluate: Callable[[nn.Module, str], Evaluation]
    _default_part: str
    _device: torch.device
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
    def probe_labels(self) -> Tensor:
        """The labels of the probe images, int64 (P,)."""
        return self.labels("val")[self._probe_places]

    @property
    def probes(self) -> Tensor:
        """The first validation image of each class, of ten at most, uint8 (P, C, H, W).

        They are the same in every epoch, and in every run with the same data and seed.
        """
        return self.images("val", self._probe_places)

    @property
    def _probe_places(self) -> list[int]:
        labels = self.labels("val").tolist()
        first = {label: place for place, label in reversed(list(enumerate(labels)))}
        return [first[label] for label in sorted(first)][:10]

    def inputs(self, images: Tensor) -> Tensor:
        """Returns raw images (N, C, H, W), 0–255, as the model wants them.

        That is standardised float32 of the same shape, on the model's device.
        """
        return self._normalise(images)

    def evaluation(self, part: str) -> Evaluation:
        """Returns what the model says of a part: logits, labels, loss, accuracy, confusion."""
        self._selection(part)
        if part not in self._evaluations:
            self._evaluations[part] = self._evaluate(self.model, part)
        return copy.deepcopy(self._evaluations[part])

    @property
    def predictions(self) -> Evaluation:
        """The evaluation of the test part at the end, of the validation part before."""
        return self.evaluation(self._default_part)

    def activations(self, layers: Iterable[str], images: Tensor) -> dict[str, list[Tensor]]:
        """Returns what the named layers put out for raw `images`, in the order of the calls.

        Args:
            layers: names as `model.named_modules()` gives them.
            images: raw, (N, C, H, W), 0–255.

        A layer that is used several times in one pass has one tensor, (N, …) on the CPU, for
        each call. Outputs are copied at once, since a later in-place layer overwrites them.
        """
        import torch

        modules = dict(self.model.named_modules())
        outputs: dict[str, list[Tensor]] = {}
        handles = []
        for name in layers:
            if name not in modules:
                raise unknown("layer", name, [n for n in modules if n])
            kept = outputs.setdefault(name, [])
            handles.append(modules[name].register_forward_hook(_keeper(kept)))
        try:
            with torch.no_grad():
                self.model(self.inputs(images))
        finally:
            for handle in handles:
                handle.remove()
        return outputs

    def note(self, text: str) -> None:
        """Tells the user something about the picture, such as what was left out; said once."""
        if text not in self.notes:
            self.notes.append(text)


def _keeper(kept: list[Tensor]) -> Callable[[nn.Module, object, object], None]:
    def keep(module: nn.Module, inputs: object, output: object) -> None:
        import torch

        if isinstance(output, torch.Tensor):
            kept.append(output.detach().to("cpu", copy=True))

    return keep
