"""Artifacts of a run read back as data: within bounds, and an ill one costs nothing but itself."""

from __future__ import annotations

import logging
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from mlrun.errors import MlrunError, one_line
from mlrun.machine.helpers import Helpers
from mlrun.record.logged import LoggedRun
from mlrun.record.noise import quiet
from mlrun.record.run_files import Unreadable

LOG = logging.getLogger(__name__)
T = TypeVar("T")
AT_ONCE = 8  # downloads that wait for the store side by side
MOST_BYTES = {
    ".txt": 2**22,
    ".json": 2**26,
    ".png": 2**26,
    ".npz": 2**31,
}  # of one artifact; arrays unpacked too
MOST_PIXELS = 50_000_000  # of a picture
LONGEST_NAME = 255  # bytes, as most file systems have it


class Artifacts:
    """The artifacts of one run, downloaded to be read; whoever wrote the store wrote them.

    unreadable: why an artifact cannot be read, by its path; the user is told as well.
    """

    def __init__(self, run: LoggedRun, folder: Path) -> None:
        """Takes the run, and a folder, in which its files lie in a folder of its own."""
        self.run = run
        self.folder = folder / re.sub(r"[^0-9A-Za-z]", "-", run.run_id)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.unreadable: dict[str, str] = {}

    def listed(self, folder: str, suffix: str) -> list[PurePosixPath]:
        """Returns the paths of the artifacts in `folder` with that suffix; none without a folder.

        One whose name or size is out of bounds is unreadable, and so is a folder that is none, such
        as a link out of the run.
        """
        try:
            with quiet():
                artifacts = self.run.client.list_artifacts(self.run.run_id, folder)
        except Exception as error:  # MLflow's own, and those of each store that it reads from
            self.lose(PurePosixPath(folder), one_line(error))
            return []
        paths = []
        for artifact in artifacts:
            path = PurePosixPath(artifact.path)
            if artifact.is_dir or path.suffix != suffix:
                continue
            problem = self.problem_of(path, folder, artifact.file_size or 0)
            if problem:
                self.lose(path, problem)
            else:
                paths.append(path)
        return paths

    @staticmethod
    def problem_of(path: PurePosixPath, folder: str, size: int) -> str:
        """Returns why an artifact is not to be downloaded, or nothing."""
        if path.parent != PurePosixPath(folder) or len(path.name.encode()) > LONGEST_NAME:
            return "its name is no file's name"
        if not path.name.isprintable() or set("\\\0") & set(path.name):
            return "its name is no file's name"
        most = MOST_BYTES[path.suffix]
        return f"it has {size:,} bytes, expected at most {most:,}" if size > most else ""

    def lose(self, path: PurePosixPath, reason: str) -> None:
        """Files an artifact that cannot be read, and tells the user."""
        self.unreadable[str(path)] = reason
        name = " ".join(str(path).split())  # on one line
        LOG.warning("run %s: its artifact %s cannot be read (%s)", self.run.run_id, name, reason)

    def read(
        self, paths: Iterable[PurePosixPath], reader: Callable[[Path], T]
    ) -> dict[PurePosixPath, T]:
        """Downloads artifacts, and returns what `reader` makes of each file that it can read."""
        artifacts = list(paths)
        for parent in {path.parent for path in artifacts}:  # MLflow puts a file into the folder
            (self.folder / parent).mkdir(parents=True, exist_ok=True)

        def content(path: PurePosixPath) -> T | MlrunError:
            try:
                return reader(self.run.download(str(path), self.folder / path.parent))
            except MlrunError as error:
                return error
            except Exception as error:  # whatever a file can do to a reader, MemoryError too
                return MlrunError(one_line(error))

        contents = {}
        with Helpers(AT_ONCE, "mlrun-read") as pool:
            for path, result in zip(artifacts, pool.map(content, artifacts), strict=True):
                if isinstance(result, MlrunError):
                    self.lose(
                        path, result.reason if isinstance(result, Unreadable) else str(result)
                    )
                else:
                    contents[path] = result
        return contents


def arrays_in(file: Path, names: Sequence[str]) -> Mapping[str, NDArray[Any]]:
    """Returns arrays of an `.npz` file by name; nothing is unpickled.

    Raises:
        MlrunError: it is no such file, lacks one of them, or they are too large unpacked.
    """
    if not zipfile.is_zipfile(file):
        raise MlrunError("it is no .npz file")
    with np.load(file, allow_pickle=False) as archive:
        missing = [name for name in names if name not in archive.files]
        if missing:
            raise MlrunError(f"it has no array {missing[0]}")
        size = sum(archive.zip.getinfo(f"{name}.npy").file_size for name in names)
        if size > MOST_BYTES[".npz"]:
            raise MlrunError(f"it has {size:,} bytes unpacked; expected {MOST_BYTES['.npz']:,}")
        return {name: archive[name] for name in names}


def picture_in(file: Path) -> Path:
    """Returns `file` if it is a PNG that can be drawn.

    Raises:
        MlrunError: it is no PNG, or has too many pixels.
        OSError: it is cut short; Pillow raises others too.
    """
    try:
        opened = Image.open(file, formats=["PNG"])
    except UnidentifiedImageError:
        raise MlrunError("it is no PNG file") from None
    with opened as image:
        width, height = image.size
        if width * height > MOST_PIXELS:
            raise MlrunError(f"it has {width:,} × {height:,} pixels")
        image.load()
    return file
