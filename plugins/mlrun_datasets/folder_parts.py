"""Folders of parts in a folder of images: which are there, and what else lies beside them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from mlrun import MlrunError
from mlrun.plugin import is_image, is_left_out
from mlrun_datasets.decoding_progress import LOG

NAMES = {
    "train": ("train", "training"),
    "validation": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
PARTS = {name: part for part, names in NAMES.items() for name in names}
MLFLOW = ("mlruns", "mlartifacts")  # that runs started in the folder make there


def part_folders(folder: Path) -> dict[str, Path]:
    """Returns the folder of each part; `folder` itself as `train` if it is not cut into parts.

    Folders that are no part, and parts without folders of classes, are left out; a warning
    names each.

    Raises:
        MlrunError: two folders are the same part, or the training part is missing.
    """
    folders = subfolders(folder)
    training = [name for name in folders if name.lower() in NAMES["train"]]
    if not training or not any(subfolders(folder / name) for name in training):
        check_uncut(folder, folders)
        return {"train": folder}  # where `train` is there, it is a class
    parts: dict[str, Path] = {}
    for part, names in NAMES.items():
        matches = [name for name in folders if name.lower() in names]
        if len(matches) > 1:
            raise MlrunError(f"{folder} has {' and '.join(matches)}, which are the same part")
        if matches and has_classes(folder / matches[0], part):
            parts[part] = folder / matches[0]
    for name in folders:
        if name.lower() not in PARTS:
            question = meant(name, parts)
            say_left_out(f"{folder / name}, which is no part (train, val, test){question}")
    return parts


def check_uncut(folder: Path, folders: Sequence[str]) -> None:
    """Raises MlrunError where folders look like parts, not classes.

    So they do if they have the names of parts alone; or if there is a part, and what should be
    `train` is misspelt and has a folder, a class, of the same name as one in the part.
    """
    parts = [name for name in folders if name.lower() in PARTS]
    if len(parts) > 1 and parts == folders:
        expected = "expected a folder for each class in it"
        raise MlrunError(f"{folder / parts[0]} has no folders; {expected}")
    classes = {name: set(subfolders(folder / name)) for name in folders}
    for name in folders:
        shared = any(classes[name] & classes[part] for part in parts if part != name)
        if shared and nearest(name) in NAMES["train"]:
            raise MlrunError(f"{folder} has {parts[0]} but no train; did you mean {name} by it?")


def meant(name: str, parts: dict[str, Path]) -> str:
    """Returns a question whether a missing part was meant, or nothing."""
    near = nearest(name)
    return f"; did you mean {near}?" if near and PARTS[near] not in parts else ""


def nearest(name: str) -> str:
    """Returns the name of a part that `name` may be a misspelling of, or nothing."""
    return next(iter(difflib.get_close_matches(name.lower(), PARTS, n=1, cutoff=0.7)), "")


def has_classes(folder: Path, part: str) -> bool:
    """Whether a part's folder has folders in it; warns if not."""
    if subfolders(folder):
        return True
    images = [path for path in entries(folder) if is_image(path)]
    say_left_out(f"{outside(images, folder)}, where there are none; there is no {part} part")
    return False


def subfolders(folder: Path) -> list[str]:
    """Returns the names of the folders in `folder`, sorted, without MLflow's."""
    return [p.name for p in entries(folder) if p.is_dir() and p.name not in MLFLOW]


def warn_beside(folder: Path) -> None:
    """Warns of what lies beside folders of classes or parts: images, MLflow's, broken links."""
    loose = []
    for path in entries(folder):
        if path.is_dir():
            if path.name in MLFLOW:
                say_left_out(f"{path}, which is MLflow's")
        elif is_image(path):
            loose.append(path)
        elif path.is_symlink() and not path.exists():
            say_left_out(f"{path}, a link that leads nowhere")
    if loose:
        say_left_out(outside(loose, folder))


def entries(folder: Path) -> list[Path]:
    """Returns what is in `folder`, without what is hidden or made by systems, sorted."""
    return sorted(path for path in folder.iterdir() if not is_left_out(path.name))


def outside(images: Sequence[Path], folder: Path) -> str:
    """Returns how many images lie in `folder` itself."""
    count = f"{len(images):,} image" + ("" if len(images) == 1 else "s")
    return f"{count} in {folder} outside class folders"


def say_left_out(what: str) -> None:
    """Warns the user of what is left out."""
    LOG.warning("image-folder: left out: %s", what)
