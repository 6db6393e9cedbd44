"""Visualisers of metrics and predictions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from mlrun import Picture, View
from mlrun_visualisers.canvas.signatures import (
    Amount,
    Count,
    Degrees,
    PartName,
    PicturesAndTables,
)


def confusion_matrix(view: View, *, cmap: str = "Blues") -> Picture:
    """How often each class was taken for each other: rows true, columns predicted.

    Counts stand in the cells where there are at most 30 classes; the scale ends at the size of
    the largest class. Drawn at the end for the test part on the best weights; without a test
    part, for the validation part.

    Args:
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.results.confusion import draw_confusion_matrix

    return draw_confusion_matrix(view, cmap=cmap)


def confusion_by_epoch(
    view: View, *, parts: tuple[Literal["train", "val"], ...] = ("val",), cmap: str = "Blues"
) -> Iterator[tuple[str, Picture]]:
    """The confusion matrix before training (epoch 0) and after each evaluated epoch.

    One picture a part: rows true, columns predicted, counts in the cells where there are at
    most 30 classes. The scale runs from 0 to the size of the part's largest class, so that
    epochs line up. The test part is evaluated once, at the end: see `confusion-matrix`.

    Args:
        parts: train, val or both. Train is evaluated for it after each evaluated epoch,
            unless `evaluate_train` has done so.
        cmap: matplotlib's name of the colour map.
    """
    from mlrun_visualisers.results.confusion import draw_confusion_by_epoch

    yield from draw_confusion_by_epoch(view, parts=parts, cmap=cmap)


def learning_curves(view: View, *, by: Literal["epoch", "step"] = "epoch") -> Picture:
    """Loss and accuracy of the training and validation part, side by side.

    By step there is what the run logs by step: of each batch as it is trained on
    (`log_every`), of the whole validation part (`evaluate_every` … steps) and of the whole
    training part (`evaluate_train` as well).

    Args:
        by: epoch, or optimiser step.
    """
    from mlrun_visualisers.results.curves import draw_learning_curves

    return draw_learning_curves(view, by=by)


def misclassified(
    view: View,
    *,
    count: Count = 25,
    columns: Count = 5,
    part: PartName | None = None,
    cmap: str = "gray",
) -> PicturesAndTables:
    """The mistakes of which the model was surest, as a picture and as a table with images.

    The surest is the one whose predicted class has the highest probability (softmax of the
    logits). The table's `index` is the image's place in the data set's own part.

    Args:
        count: how many are shown.
        columns: images in a row of the picture.
        part: the part that they are from; by default test, or validation if there is none.
        cmap: matplotlib's name of the colour map for images that are not RGB.
    """
    from mlrun_visualisers.results.mistakes import draw_misclassified

    yield from draw_misclassified(view, count=count, columns=columns, part=part, cmap=cmap)


def top_losses(
    view: View,
    *,
    count: Count = 25,
    columns: Count = 5,
    part: PartName | None = None,
    cmap: str = "gray",
) -> PicturesAndTables:
    """The images with the highest cross-entropy, as a picture and as a table with images.

    They are what the model finds hardest, rightly classified or not; mislabelled images are
    often among them. The table's `index` is the image's place in the data set's own part.

    Args:
        count: how many are shown.
        columns: images in a row of the picture.
        part: the part that they are from; by default test, or validation if there is none.
        cmap: matplotlib's name of the colour map for images that are not RGB.
    """
    from mlrun_visualisers.results.mistakes import draw_top_losses

    yield from draw_top_losses(view, count=count, columns=columns, part=part, cmap=cmap)


def calibration(view: View, *, bins: Count = 15, part: PartName | None = None) -> PicturesAndTables:
    """Accuracy against confidence (reliability diagram), and the expected calibration error.

    Confidence is the probability of the predicted class (softmax of the logits). Images are
    put into bins of it; each bin's accuracy stands over its mean confidence with Wilson's
    95 % interval, the number of its images below. On the diagonal a model is as often right
    as it says. The table has a row for each bin.

    Args:
        bins: of equal width, from 0 to 1.
        part: by default test, or validation if there is none.
    """
    from mlrun_visualisers.results.reliability import draw_calibration

    yield from draw_calibration(view, bins=bins, part=part)


def robustness(
    view: View,
    *,
    changes: tuple[Literal["rotate", "noise", "blur", "shift"], ...] = (
        "rotate",
        "noise",
        "blur",
        "shift",
    ),
    rotate: tuple[Degrees, ...] = (15.0, 30.0, 45.0, 60.0),
    noise: tuple[Amount, ...] = (0.1, 0.2, 0.3, 0.4),
    blur: tuple[Amount, ...] = (),
    shift: tuple[Amount, ...] = (),
    images: Count = 500,
    part: PartName | None = None,
    seed: int = 0,
) -> PicturesAndTables:
    """Accuracy against the amount of rotation, noise, blur and shift, a panel each.

    The same images are changed by each amount as `mlrun evaluate` would; amount 0 are the
    images as they are. Bars are Wilson's 95 % intervals. The table has a row for each amount.

    Args:
        changes: those that are drawn.
        rotate: degrees; each image by an angle uniform in ± that.
        noise: standard deviation of Gaussian noise, pixels as 0–1.
        blur: standard deviation of a Gaussian blur, pixels; by default 2.5, 5, 7.5 and 10 % of
            the shorter side.
        shift: pixels; each image along each axis by an amount uniform in ± that; by default
            5, 10, 15 and 20 % of the shorter side.
        images: how many, drawn at random; the same in every run with the same data and split.
        part: the part that they are from; by default test, or validation if there is none.
        seed: of the random choice, and of the changes.
    """
    from mlrun_visualisers.results.perturbations import draw_robustness

    amounts = {"rotate": rotate, "noise": noise, "blur": blur, "shift": shift}
    yield from draw_robustness(
        view,
        amounts={change: amounts[change] for change in dict.fromkeys(changes)},
        images=images,
        part=part,
        seed=seed,
    )
