"""Folders of image files: which file is in which part and class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlrun import MlrunError
from mlrun.plugin import files_below, is_image, is_left_out, unread_types
from mlrun_datasets.folder_parts import part_folders, subfolders, warn_beside


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
    unread: of how many more, images of types that cannot be read, and what reads them, in words.
    """

    folder: Path
    classes: tuple[str, ...]
    parts: dict[str, list[ImageFile]]
    ignored: int
    tables: tuple[Path, ...] = ()
    unread: str = ""

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

    What is left out of it is said.

    Raises:
        MlrunError: the folder is laid out otherwise or cannot be read, or a class has no images.
    """
    if not folder.is_dir():
        raise MlrunError(f"{folder} is a file; expected a folder with one folder for each class")
    try:
        return listing_of(folder)
    except OSError as error:
        raise MlrunError(f"cannot read {error.filename}: {error.strerror}") from error


def listing_of(folder: Path) -> Listing:
    """Returns the images below `folder`; see `list_images`, which also knows of OSError."""
    places = part_folders(folder)
    classes = tuple(subfolders(places["train"]))
    if len(classes) < 2:
        contents = f"only the folder {classes[0]}" if classes else "no folders"
        raise MlrunError(
            f"{places['train']} has {contents}; expected a folder for each class, or the folders "
            "train, val and test with those"
        )
    for place in sorted({folder, *places.values()}):
        warn_beside(place)
    parts: dict[str, list[ImageFile]] = {}
    ignored = 0
    unread: list[Path] = []
    for part, place in places.items():
        parts[part] = []
        for name in subfolders(place):
            if name not in classes:
                raise MlrunError(
                    f"{place} has the class {name}, which {places['train']} has not; rename or "
                    "remove it"
                )
            paths = list(files_below(place / name))
            visible = [path for path in paths if not is_left_out(path.name)]
            images = sorted(path for path in visible if is_image(path))
            odd = [path for path in visible if not is_image(path) and unread_types([path])]
            if not images:
                what = f" that can be read, but {unread_types(odd)}" if odd else ""
                raise MlrunError(
                    f"no images in {place / name}{what}; add some or remove the folder"
                )
            ignored += len(paths) - len(images) - len(odd)
            unread += odd
            label = classes.index(name)
            parts[part] += [image_file(path, folder, label) for path in images]
    return Listing(folder, classes, parts, ignored, unread=unread_types(unread))


def image_file(path: Path, folder: Path, label: int, place: str = "") -> ImageFile:
    """Returns the entry of one file; one that is not there has the size -1."""
    name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
    try:
        status = path.stat()
    except (OSError, ValueError):
        return ImageFile(name, label, -1, 0, place)
    return ImageFile(name, label, status.st_size, status.st_mtime_ns, place)
