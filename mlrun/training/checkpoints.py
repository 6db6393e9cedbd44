"""Checkpoints: the whole state of the last epoch, and the weights of the best k."""

from __future__ import annotations

import hashlib
import json
import math
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mlrun.training.state import TrainingState


@dataclass
class Checkpoints:
    """Keeps `last.pt` and the weights of the best epochs in a folder of the run's own.

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
        return self.folder / f"epoch-{epoch}.pt"

    @property
    def last(self) -> Path:
        """The path of the whole state of the last epoch."""
        return self.folder / "last.pt"

    def files(self) -> list[Path]:
        """Returns the files that are on disk now: the best first, the last state last."""
        best = [self.path(epoch) for _, epoch in self.ranking]
        return [path for path in [*best, self.last] if path.exists()]

    def save(self, state: TrainingState, value: float | None) -> None:
        """Writes the state, and the weights if this epoch is among the best `keep`.

        Args:
            state: where training stands.
            value: of the monitored metric; None if this epoch was not evaluated.
        """
        ranking = self.ranking
        if value is not None:
            ranking = sorted([*ranking, (value, state.epoch)], key=self.order)
        surplus = [epoch for _, epoch in ranking[self.keep :]]
        if value is not None and state.epoch not in surplus:
            weights = {"epoch": state.epoch, "model": state.evaluated.state_dict(), **self.about}
            write(self.path(state.epoch), {**weights, "sha256": content_digest(weights)})
        write(self.last, state.state_dict())
        self.ranking = ranking[: self.keep]
        for epoch in surplus:
            self.path(epoch).unlink(missing_ok=True)

    def order(self, entry: tuple[float, int]) -> tuple[bool, float, int]:
        """Returns the sort key of (value, epoch): numbers before NaN, then better, then earlier."""
        value, epoch = entry
        return math.isnan(value), value if self.monitor.endswith("loss") else -value, epoch

    def load_best(self, model: nn.Module) -> None:
        """Puts the weights of the best epoch into `model`."""
        device = next((p.device for p in model.parameters()), torch.device("cpu"))
        model.load_state_dict(read(self.path(self.best_epoch), device)["model"])

    def clear(self) -> None:
        """Deletes the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


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


def read(path: Path, device: torch.device) -> dict[str, Any]:
    """Returns what `write` wrote; tensors and plain values only, nothing is unpickled."""
    content: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    return content


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
