"""What the tests of runs share: settings of quick runs, and reading a run back from MLflow."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Run as MlflowRun

if TYPE_CHECKING:
    from mlrun.training.state import TrainingState

TIMES = ("examples_per_second", "epoch_seconds")  # figures that a clock decides

QUICK: dict[str, object] = {
    "model": "mlp",
    "model.widths": "8",
    "epochs": 1,
    "visualisers": "none",
    "log_model": False,
}

TRAINED: dict[str, object] = {  # the run that the fixture `finished` is
    "model": "cnn",
    "model.channels": "4",
    "model.batch_norm": "true",
    "epochs": 2,
    "lr": 0.01,
    "visualisers": "none",
    "log_model": "false",
}

OTHERS = """
import mlrun

def others(root, *, names: str = "0,1,2,3,4,5,6,7,8,9", size: int = 8):
    import torch

    classes = tuple(names.split(","))
    images = (torch.arange(60 * size * size) % 251).to(torch.uint8).view(60, 1, size, size)
    part = mlrun.Part(images, torch.arange(60) % len(classes))
    return mlrun.ImageData(part, classes, test=mlrun.Part(*(tensor[:30] for tensor in part)))

@mlrun.hookimpl
def register_datasets(register):
    register(others)
"""


class Recorder:
    """Keeps the lines that a user would see."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    warn = note

    def start(self, *_: object) -> None: ...

    def step(self, state: TrainingState, tally: object) -> None: ...

    def epoch(self, number: int, metrics: object) -> None: ...

    def finish(self) -> None: ...


def logged(run_id: str) -> MlflowRun:
    return MlflowClient().get_run(run_id)


def only_run() -> MlflowRun:
    (run,) = MlflowClient().search_runs(["0"])
    return run


def artifacts(run_id: str, folder: str = "") -> list[str]:
    return sorted(Path(item.path).name for item in MlflowClient().list_artifacts(run_id, folder))


def read(run_id: str, path: str) -> bytes:
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=path)).read_bytes()


def steps(run_id: str, name: str) -> list[int]:
    return [metric.step for metric in MlflowClient().get_metric_history(run_id, name)]


def plugin(tmp_path: Path, code: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(f"import mlrun\n{code}\n")
    return str(path)


def without(settings: dict[str, object], name: str) -> dict[str, object]:
    return {key: value for key, value in settings.items() if key != name}


def artifacts_of(run_id: str) -> Path:
    """The folder of a run's artifacts."""
    return Path(mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path=""))


def history(run_id: str, name: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in MlflowClient().get_metric_history(run_id, name)]


def heed_interrupts() -> None:
    """In a child before it starts: signals as a terminal would give them.

    A shell without job control has its background jobs ignore SIGINT, and `nohup` SIGHUP; theirs
    inherit that.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
