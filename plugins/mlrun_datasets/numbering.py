"""Labels as a table has them, text, to class numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from mlrun import MlrunError
from mlrun_datasets.cells import first_names, shown

WHOLE = re.compile(r"\s*([-+]?\d{1,18})(\.0*)?\s*")
NUMBER = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE)
MOST = 10_000  # classes that a label may imply; a number above is more likely no label

Labels = Mapping[str, Sequence[str]]
Numbered = tuple[tuple[str, ...], dict[str, list[int]]]


def number_labels(
    labels: Labels, place: Callable[[str, int], str], names: tuple[str, ...], count: int | None
) -> Numbered:
    """Returns the name of each class, and each part's labels as numbers, 0 to K-1.

    Labels that are all among `names` are those classes. Labels that are all whole numbers are
    the numbers, gaps kept, and K is `count`, or as many as there are names, or the highest
    label + 1. All others are names themselves: the training part's, sorted, are the classes.

    Args:
        labels: of each part, `train` among them.
        place: where a label comes from, by part and position.
        names: the names of the classes, or none.
        count: K, or None.

    Raises:
        MlrunError: a label is outside the classes, labels mix numbers and names, or `names` and
            `count` disagree.
    """
    if names and count not in (None, len(names)):
        raise MlrunError(f"num_classes is {count}, but classes has {len(names)} names")
    distinct = {label for texts in labels.values() for label in texts}
    if not distinct <= set(names):
        check_kind(labels, distinct, place)
        if any(NUMBER.fullmatch(label) for label in distinct):
            return by_value(labels, place, names, count)
    classes = names or tuple(sorted(set(labels["train"])))
    if count not in (None, len(classes)):
        raise MlrunError(
            f"num_classes is {count}, but the labels are {len(classes)} names "
            f"({first_names(classes)}); leave it out, or name all with --dataset.classes"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    for label in sorted(distinct - set(classes)):
        raise MlrunError(
            f"{first_place(labels, label, place)}: label {shown(label)} is not among the "
            f"{len(classes)} classes ({first_names(classes)})"
        )
    return classes, {part: [numbers[label] for label in texts] for part, texts in labels.items()}


def check_kind(labels: Labels, distinct: set[str], place: Callable[[str, int], str]) -> None:
    """Raises MlrunError unless labels are all names, or all whole numbers."""
    numbers = {label for label in distinct if NUMBER.fullmatch(label)}
    odd = {label for label in numbers if not WHOLE.fullmatch(label)}
    if numbers and numbers != distinct:
        first = min(numbers - odd or odd, key=float), min(distinct - numbers)
        number, name = (f"{shown(one)} ({first_place(labels, one, place)})" for one in first)
        raise MlrunError(
            f"the labels mix numbers and names: {number} and {name}; mend them, or, if all are "
            "names, list them with --dataset.classes"
        )
    if odd:
        label = min(odd)
        raise MlrunError(
            f"{first_place(labels, label, place)}: label {shown(label)}; expected whole numbers "
            "from 0, or names"
        )


def by_value(
    labels: Labels, place: Callable[[str, int], str], names: tuple[str, ...], count: int | None
) -> Numbered:
    """Returns the same as `number_labels`, for labels that are whole numbers."""
    values = {part: [int(label.partition(".")[0]) for label in labels[part]] for part in labels}
    total = count or len(names) or 1 + max(max(numbers) for numbers in values.values())
    for part, numbers in values.items():
        for position, value in enumerate(numbers):
            if not 0 <= value < total:
                expected = f"with {total} classes labels are 0 to {total - 1}"
                raise MlrunError(
                    f"{place(part, position)}: label {value}; "
                    f"{expected if total > 0 else 'expected whole numbers from 0, or names'}"
                )
    if total > MOST and count is None:
        raise MlrunError(
            f"labels run to {total - 1}; if that many classes are meant, say so with "
            f"--dataset.num-classes {total}"
        )
    return names or tuple(str(value) for value in range(total)), values


def first_place(labels: Labels, label: str, place: Callable[[str, int], str]) -> str:
    """Returns where a label is first met."""
    return next(place(part, texts.index(label)) for part, texts in labels.items() if label in texts)
