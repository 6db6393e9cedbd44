"""Artifacts of a run in the store: downloaded to be read, and added."""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePosixPath

from mlflow import MlflowClient

from mlrun.errors import MlrunError, one_line
from mlrun.record.noise import quiet


class Unreadable(MlrunError):
    """Something of a run cannot be read.

    reason: why, without the name of the run or of what it is.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


def download(client: MlflowClient, run_id: str, path: str, folder: Path) -> Path:
    """Downloads an artifact of a run into `folder`, returns its file; raises Unreadable."""
    try:
        with quiet():
            return Path(client.download_artifacts(run_id, path, str(folder)))
    except Exception as error:
        reason = one_line(error)
        message = f"run {run_id}: its artifact {path} cannot be had ({reason})"
        raise Unreadable(message, reason) from None


def add_file(client: MlflowClient, run_id: str, path: PurePosixPath, content: bytes) -> None:
    """Logs `content` as the artifact `path`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, path.name)
        file.write_bytes(content)
        client.log_artifact(run_id, str(file), None if path.parent.name == "" else str(path.parent))
