"""Checkpoints: the weights of the best epochs."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mlrun.data.images import is_range
from mlrun.errors import MlrunError, one_line
from mlrun.training.checkpoint_files import WEIGHTS, rank, weights_file
from mlrun.training.plain_files import read_plain
from mlrun.training.state import TrainingState

MOST_VALUES = 2**28  # of one image


@dataclass
class Checkpoints:
    """Keeps the weights of the best epochs in a folder of the run's own.

    folder: made when the first file is written.
    keep: how many of the best epochs to keep, at least 1.
    monitor: the metric that ranks them; losses by the lowest, all else by the highest.
    about: saved with the weights of each epoch: the model they belong to, as plain values.
    ranking: (value, epoch) of the epochs on disk, the best first.
    """

    folder: Path
    keep: int
    monitor: str
    about: Mapping[str, Any] = field(default_factory=dict)
    ranking: list[tuple[float, int]] = field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch with the best value of the monitored metric; the earlier of equals."""
        return self.ranking[0][1]

    def path(self, epoch: int) -> Path:
        """Returns the path of the weights of `epoch`."""
        return self.folder / weights_file(epoch)

    @property
    def epochs(self) -> set[int]:
        """The best epochs."""
        return {epoch for _, epoch in self.ranking}

    @property
    def on_disk(self) -> set[int]:
        """The epochs whose weights are on disk."""
        names = (WEIGHTS.fullmatch(path.name) for path in self.folder.glob("*.pt"))
        return {int(name[1]) for name in names if name is not None}

    def files(self) -> list[Path]:
        """Returns the files of the best epochs, the best first."""
        return [self.path(epoch) for _, epoch in self.ranking]

    def save(self, state: TrainingState, value: float) -> None:
        """Writes the weights if this epoch is among the best `keep`; a second time as the first.

        Args:
            state: where training stands.
            value: of the monitored metric.
        """
        others = [entry for entry in self.ranking if entry[1] != state.epoch]
        ranking = sorted([*others, (value, state.epoch)], key=self.order)[: self.keep]
        if state.epoch in {epoch for _, epoch in ranking}:
            weights = {"epoch": state.epoch, "model": state.evaluated.state_dict(), **self.about}
            write(self.path(state.epoch), {**weights, "sha256": content_digest(weights)})
        self.ranking = ranking

    def remove_others(self, wanted: Collection[int]) -> None:
        """Removes the weights of epochs that are neither among the best nor `wanted`."""
        for epoch in self.on_disk.difference(self.epochs, wanted):
            self.path(epoch).unlink(missing_ok=True)

    def order(self, entry: tuple[float, int]) -> tuple[bool, float, int]:
        """Returns the sort key of (value, epoch), the best first."""
        return rank(self.monitor, *entry)

    def load_best(self, model: nn.Module) -> None:
        """Puts the weights of the best epoch into `model`.

        Raises:
            MlrunError: they are not as they were written.
        """
        path = self.path(self.best_epoch)
        try:
            content = read_plain(path, mmap=True)
            whole = content.get("sha256") == content_digest(content)
        except Exception as error:  # what torch raises for a damaged file, of many kinds
            raise MlrunError(f"the weights {path} are damaged ({one_line(error)})") from error
        if not whole:
            raise MlrunError(f"the weights {path} are damaged (their SHA-256 is another)")
        model.load_state_dict(content["model"])


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Writes `content` so that after a crash `path` holds either the old or the new, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_weights(path: Path) -> dict[str, Any]:
    """Returns the weights of an epoch, with what they are of, on the CPU, mapped from the file.

    Whoever wrote the store wrote the file: nothing is unpickled but tensors and plain values, and
    those are held to their kinds and sizes before anything is computed with them.

    Raises:
        MlrunError: the file holds something else, or is not what the run wrote.
        Exception: it is none of torch's files, or was cut short; of many kinds.
    """
    content = read_plain(path, mmap=True)
    for name, holds in HELD.items():
        if not holds(content.get(name)):
            raise MlrunError(f"its {name} is missing, or no {name} of a run's weights")
    if math.prod(content["shape"]) > MOST_VALUES:
        raise MlrunError(f"its images are {tuple(content['shape'])}")
    actual = content_digest(content)
    if content.get("sha256", actual) != actual:  # older runs kept none
        raise MlrunError("it is not what the run wrote: its SHA-256 is another")
    return content


def is_model(value: object) -> bool:
    """Whether a value is a state dict of plain tensors on the CPU."""
    return isinstance(value, dict) and all(
        isinstance(name, str)
        and isinstance(tensor, Tensor)
        and (tensor.layout, tensor.device.type) == (torch.strided, "cpu")
        for name, tensor in value.items()
    )


def all_of(kind: type | tuple[type, ...]) -> Callable[[object], bool]:
    """Returns whether a value is a list of that kind, of at least one."""

    def holds(value: object) -> bool:
        return (
            isinstance(value, list)
            and len(value) >= 1
            and all(isinstance(item, kind) for item in value)
        )

    return holds


def is_shape(value: object) -> bool:
    """Whether a value is the shape of an image, (C, H, W)."""
    return isinstance(value, list) and len(value) == 3 and all(map(is_positive, value))


def is_positive(value: object) -> bool:
    """Whether a value is a whole number of at least 1."""
    return type(value) is int and value >= 1


HELD: dict[str, Callable[[object], bool]] = {
    "epoch": lambda value: type(value) is int and value >= 0,
    "model": is_model,
    "classes": all_of(str),
    "shape": is_shape,
    "mean": all_of((int, float)),
    "std": all_of((int, float)),
    "value_range": lambda value: value is None or is_range(value),
}


def digest(weights: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 of the weights: names, dtypes, shapes and bytes, in order of name."""
    sha = hashlib.sha256()
    for name in sorted(weights):
        tensor = weights[name].detach().cpu().contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()


def content_digest(content: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of a checkpoint of weights: of the weights, and of what they are of."""
    rest = {name: value for name, value in content.items() if name not in ("model", "sha256")}
    text = f"{digest(content['model'])} {json.dumps(rest, sort_keys=True)}"
    return hashlib.sha256(text.encode()).hexdigest()
