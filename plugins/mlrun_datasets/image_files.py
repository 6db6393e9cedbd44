"""Folders of image files: which file is in which part and class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlrun import MlrunError
from mlrun.plugin import is_image

NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class ImageFile:
    """One file: its path below the data set's folder, its class, size and time of modification.

    place: where it is named, if it is in a table.
    """

    path: str
    label: int
    size: int  # bytes
    modified: int  # nanoseconds
    place: str = ""


@dataclass(frozen=True)
class Listing:
    """The image files of a data set: the contents of a folder, or those that tables name.

    folder: what their paths are relative to.
    parts: the files of `train`, and of `validation` and `test` if present, in their order.
    ignored: how many files are hidden or no images.
    tables: the files that name them, or none.
    """

    folder: Path
    classes: tuple[str, ...]
    parts: dict[str, list[ImageFile]]
    ignored: int
    tables: tuple[Path, ...] = ()

    @property
    def dataset(self) -> str:
        """The name of the data set that reads such files."""
        return "csv" if self.tables else "image-folder"

    @property
    def source(self) -> tuple[Path, ...]:
        """The folder, or the tables."""
        return self.tables or (self.folder,)


def list_images(folder: Path) -> Listing:
    """Returns the images below `folder`: one folder a class, or folders of parts with those.

    Raises:
        MlrunError: the folder is laid out otherwise, or a class has no images.
    """
    if not folder.is_dir():
        raise MlrunError(f"{folder} is a file; expected a folder with one folder for each class")
    places = part_folders(folder)
    classes = tuple(subfolders(places["train"]))
    if len(classes) < 2:
        contents = f"only the folder {classes[0]}" if classes else "no folders"
        raise MlrunError(
            f"{places['train']} has {contents}; expected a folder for each class, or the folders "
            "train, val and test with those"
        )
    parts: dict[str, list[ImageFile]] = {}
    ignored = 0
    for part, place in places.items():
        parts[part] = []
        for name in subfolders(place):
            if name not in classes:
                raise MlrunError(
                    f"{place} has the class {name}, which {places['train']} has not; rename or "
                    "remove it"
                )
            paths = list(walk(place / name))
            images = sorted(path for path in paths if not hidden(path) and is_image(path))
            if not images:
                raise MlrunError(f"no images in {place / name}; add some or remove the folder")
            ignored += len(paths) - len(images)
            label = classes.index(name)
            parts[part] += [image_file(path, folder, label) for path in images]
    return Listing(folder, classes, parts, ignored)


def part_folders(folder: Path) -> dict[str, Path]:
    """Returns the folder of each part; `folder` itself as `train` if it is not cut into parts.

    Raises:
        MlrunError: two folders are the same part, or one is of no part.
    """
    folders = subfolders(folder)
    training = [name for name in folders if name.lower() in NAMES["train"]]
    if not training or not any(subfolders(folder / name) for name in training):
        return {"train": folder}  # where `train` is there, it is a class
    parts: dict[str, Path] = {}
    for part, names in NAMES.items():
        matches = [name for name in folders if name.lower() in names]
        if len(matches) > 1:
            raise MlrunError(f"{folder} has {' and '.join(matches)}, which are the same part")
        if matches:
            parts[part] = folder / matches[0]
    odd = sorted(set(folders) - {path.name for path in parts.values()})
    if odd:
        raise MlrunError(
            f"{folder} has {parts['train'].name} and also {odd[0]}, which is no part of a data "
            "set (train, val, test); move it elsewhere"
        )
    return parts


def subfolders(folder: Path) -> list[str]:
    """Returns the names of the folders in `folder`, hidden ones left out, sorted."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not hidden(path))


def hidden(path: Path) -> bool:
    """Whether the file or folder is hidden."""
    return path.name.startswith(".")


def walk(folder: Path) -> Iterator[Path]:
    """Yields every file below `folder`, through links too, but none of hidden folders."""
    visited = set()
    for place, inner, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        inner[:] = [] if real in visited else sorted(n for n in inner if not n.startswith("."))
        if real not in visited:
            yield from (Path(place, name) for name in names)
        visited.add(real)


def image_file(path: Path, folder: Path, label: int, place: str = "") -> ImageFile:
    """Returns the entry of one file; one that is not there has the size -1."""
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ImageFile(name, label, -1, 0, place)
    return ImageFile(name, label, status.st_size, status.st_mtime_ns, place)
