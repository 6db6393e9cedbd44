"""Labels as a table has them, text, to class numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlrun import MlrunError

WHOLE = re.compile(r"\s*(-?\d+)(\.0*)?\s*")
MOST = 10_000  # classes that a label may imply; a number above is more likely no label


def number_labels(
    labels: Mapping[str, Sequence[str]],
    files: Mapping[str, Path],
    names: tuple[str, ...],
    count: int | None,
) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Returns the name of each class, and each part's labels as numbers, 0 to K-1.

    Labels that are all among `names` are those classes. Labels that are all whole numbers are
    the numbers, gaps kept, and K is `count`, or as many as there are names, or the highest
    label + 1. All others are names themselves: the training part's, sorted, are the classes.

    Args:
        labels: of each part, `train` among them, by row.
        files: where each part comes from.
        names: the names of the classes, or none.
        count: K, or None.

    Raises:
        MlrunError: a label is outside the classes, or `names` and `count` disagree.
    """
    if names and count not in (None, len(names)):
        raise MlrunError(f"num_classes is {count}, but classes has {len(names)} names")
    distinct = {label for texts in labels.values() for label in texts}
    if not distinct <= set(names) and all(WHOLE.fullmatch(label) for label in distinct):
        return by_value(labels, files, names, count)
    classes = names or tuple(sorted(set(labels["train"])))
    if count not in (None, len(classes)):
        raise MlrunError(
            f"num_classes is {count}, but the labels are {len(classes)} names "
            f"({first_names(classes)}); leave it out, or name all with --dataset.classes"
        )
    places = {name: place for place, name in enumerate(classes)}
    for part, texts in labels.items():
        for row, label in enumerate(texts, start=1):
            if label not in places:
                raise MlrunError(
                    f"{files[part]}, row {row}: label {label} is not among the "
                    f"{len(classes)} classes ({first_names(classes)})"
                )
    return classes, {part: [places[label] for label in texts] for part, texts in labels.items()}


def by_value(
    labels: Mapping[str, Sequence[str]],
    files: Mapping[str, Path],
    names: tuple[str, ...],
    count: int | None,
) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Returns the same as `number_labels`, for labels that are whole numbers."""
    values = {part: [int(label.partition(".")[0]) for label in labels[part]] for part in labels}
    total = count or len(names) or 1 + max(max(numbers) for numbers in values.values())
    for part, numbers in values.items():
        for row, value in enumerate(numbers, start=1):
            if not 0 <= value < total:
                raise MlrunError(
                    f"{files[part]}, row {row}: label {value}; with {total} classes labels are "
                    f"0 to {total - 1}"
                )
    if total > MOST and count is None:
        raise MlrunError(
            f"labels run to {total - 1}; if that many classes are meant, say so with "
            f"--dataset.num-classes {total}"
        )
    return names or tuple(str(value) for value in range(total)), values


def first_names(names: Sequence[str]) -> str:
    """Returns the first names."""
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
