"""Classes that have no images, or names that look alike: said before anything is trained."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Mapping, Sequence

from torch import Tensor

from mlrun.data.images import ImageData
from mlrun.data.splits import Selection
from mlrun.errors import MlrunError

LOG = logging.getLogger("mlrun.data")
NAMED = 5  # classes that are named one by one
PARTS = {  # what a selection is called, and what decides what is in it
    "train": ("training", "--subset and --validation"),
    "val": ("validation", "--validation"),
    "test": ("test", ""),
}


def check_classes(data: ImageData, selections: Mapping[str, Selection]) -> None:
    """Warns of classes without images, in all parts or in one, and of names that look alike.

    Raises:
        MlrunError: all training images are of one class.
    """
    present = {name: classes_in(selection) for name, selection in selections.items()}
    check_two(data, selections["train"])
    warn_of_alike(data.classes)
    anywhere = {label for part in data.parts.values() for label in part.labels.unique().tolist()}
    warn_of_empty(data.classes, anywhere)
    for name in selections:
        warn_of_absent(name, data, present[name], anywhere)


def check_two(data: ImageData, train: Selection) -> None:
    """Raises MlrunError where all training images are of one class."""
    first, *others = classes_in(train)
    if not others:
        options = PARTS["train"][1]
        left_out = len(data.train.labels.unique()) > 1
        count = len(train)
        images = "the only training image is" if count == 1 else f"all {count} training images are"
        raise MlrunError(
            f"{images} of class {shown(data.classes[first])}; "
            f"expected images of at least two classes{f'; see {options}' if left_out else ''}"
        )


def classes_in(selection: Selection) -> set[int]:
    """Returns the classes that have an image in a selection."""
    labels: Tensor = selection.labels[selection.indices]
    return set(labels.unique().tolist())


def warn_of_absent(name: str, data: ImageData, present: set[int], expected: set[int]) -> None:
    """Warns of classes that are expected in a selection and have no image there."""
    absent = sorted(expected - present)
    if not absent:
        return
    part, options = PARTS[name]
    if name == "train" and not any((data.train.labels == label).any() for label in absent):
        options = ""  # none of them would bring one
    LOG.warning(
        "the %s part has no image of %d of %d classes: %s%s",
        *(part, len(absent), len(data.classes)),
        first_of([data.classes[label] for label in absent]),
        f"; see {options}" if options else "",
    )


def warn_of_empty(classes: Sequence[str], anywhere: set[int]) -> None:
    """Warns of classes that have no image in any part of a data set."""
    empty = sorted(set(range(len(classes))) - anywhere)
    if empty:
        numbered = (
            f"; labels run from {min(anywhere)} to {max(anywhere)}, where the first class is 0"
            if empty == list(range(min(anywhere)))
            else ""
        )
        LOG.warning(
            "no part has an image of %d of %d classes: %s%s",
            len(empty),
            len(classes),
            first_of([classes[label] for label in empty]),
            numbered,
        )


def warn_of_alike(classes: Sequence[str]) -> None:
    """Warns of classes whose names differ in spaces, case or the form of their characters only.

    Single letters may be classes in both cases.
    """
    alike: dict[str, list[str]] = {}
    for name in classes:
        plain = " ".join(unicodedata.normalize("NFKC", name).split())
        alike.setdefault(plain if len(plain) < 2 else plain.casefold(), []).append(name)
    groups = [" and ".join(map(repr, names)) for names in alike.values() if len(names) > 1]
    if groups:
        LOG.warning("classes whose names look alike are told apart: %s", first_of(groups))


def first_of(names: Sequence[str]) -> str:
    """Returns the first of these names, with commas between, and whether there are more.

    >>> first_of("abcdefg"), first_of(["cat", " cat"])
    ('a, b, c, d, e, …', "cat, ' cat'")
    """
    more = ["…"] if len(names) > NAMED else []
    return ", ".join([*map(shown, names[:NAMED]), *more])


def shown(name: str) -> str:
    """Returns a class's name, in quotes where it begins or ends with a space."""
    return name if name and name == name.strip() else repr(name)
