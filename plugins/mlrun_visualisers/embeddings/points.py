"""Images as points in a plane, by the values of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgba_array
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mlrun import MlrunError, Picture, View
from mlrun_visualisers.canvas.captions import shape_text, shortened
from mlrun_visualisers.canvas.choice import random_places
from mlrun_visualisers.canvas.predictions import evaluation_of, names_of, outcomes_of
from mlrun_visualisers.canvas.signatures import PicturesAndTables, Table
from mlrun_visualisers.embeddings.projection import (
    Floats,
    Labels,
    Numbers,
    check_differ,
    neighbour_points,
    principal_basis,
    source_of,
    values_of,
)

LONGEST_NAME = 130  # pixels of a class's name in the legend
NAMES = {"pca": "PCA", "tsne": "t-SNE"}
Limits = tuple[tuple[float, float], tuple[float, float]]  # across, and up
MOST_VALUES = 2**26  # of a layer: 256 MiB, of which PCA makes a copy
MOST_ROWS = 5000  # of the table: MLflow's page shows no more with ease
# P. Green-Armytage, "A colour alphabet and the limits of colour coding" (2010): 26 colours that
# are distinguished as well as can be.
ALPHABET = (
    "#0075DC", "#993F00", "#4C005C", "#191919", "#005C31", "#2BCE48", "#FFCC99", "#808080",
    "#94FFB5", "#8F7C00", "#9DCC00", "#C20088", "#003380", "#FFA405", "#FFA8BB", "#426600",
    "#FF0010", "#5EF1F2", "#00998F", "#E0FF66", "#740AFF", "#990000", "#FFFF80", "#FFFF00",
    "#FF5005", "#F0A3FF",
)  # fmt: skip


@dataclass(frozen=True)
class Points:
    """Images in a plane.

    places: float64 (n, 2).
    labels, predicted: int64 (n,), the true and the predicted classes.
    """

    places: Numbers
    labels: Labels
    predicted: Labels


def draw_embedding(
    view: View,
    *,
    layer: str | None,
    method: str,
    part: str | None,
    images: int,
    seed: int,
    perplexity: float,
) -> PicturesAndTables:
    """Yields the picture, and a table of its points."""
    evaluation = evaluation_of(view, part)
    places = random_places(len(evaluation.labels), images, seed)
    source = source_of(view, layer, "embedding")
    values, shape = values_of(view, source, evaluation.part, places, most=MOST_VALUES)
    check_differ(values, source)
    places = places[: len(values)]
    outcomes = outcomes_of(evaluation, places)
    labels, predicted = outcomes["labels"], outcomes["predicted"]
    where, about = projected(values, labels, method=method, perplexity=perplexity, seed=seed)
    points = Points(where, labels, predicted)
    extent = f"{len(values):,} of {len(evaluation.labels):,} {evaluation.part} images"
    wrong = int((labels != predicted).sum())
    title = (
        f"{source}, {shape_text(shape)} values\n"
        f"{NAMES[method]} of {extent}, epoch {view.epoch}\n{about}; {wrong:,} misclassified"
    )
    yield "", Picture(scatter(points, view.classes, title), {"points": where, **outcomes})
    yield "table", table_of(points, view.classes, outcomes["indices"])


def projected(
    values: Floats, labels: Labels, *, method: str, perplexity: float, seed: int
) -> tuple[Numbers, str]:
    """Returns where values, float32 (n, D), are drawn, float64 (n, 2), and a title's text."""
    if method == "pca":
        basis = principal_basis(values, labels, seed)
        first, second = (f"{share:.1%}" for share in basis.explained)
        return basis.project(values), f"explained variance {first} and {second}"
    if len(values) <= perplexity:
        raise MlrunError(
            f"embedding: perplexity {perplexity:g} needs more than {perplexity:g} images, and "
            f"there are {len(values)}; ask for more with --embedding.images, or for a smaller "
            "--embedding.perplexity"
        )
    points = neighbour_points(values, labels, perplexity=perplexity, seed=seed)
    return points, f"perplexity {perplexity:g}, seed {seed}"


def scatter(
    points: Points, classes: Sequence[str], title: str, limits: Limits | None = None
) -> Figure:
    """Returns points in the colours of their classes, crosses where the model was wrong.

    Both axes have one scale. They end at `limits`, by default those of all points.
    """
    figure = Figure(figsize=(7.6, 6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    colours = colours_of(len(classes))
    area = max(4.0, min(24.0, 12000 / len(points.labels)))
    for wrong, marker, size in ((False, "o", area), (True, "X", 2.5 * area)):
        some = (points.labels != points.predicted) == wrong
        axes.scatter(
            points.places[some, 0],
            points.places[some, 1],
            c=colours[points.labels[some]],
            marker=marker,
            s=size,
            edgecolors="0.2",
            linewidths=area / 60,
        )
    axes.set_aspect("equal", adjustable="datalim")
    if limits is not None:
        axes.set_aspect("equal", adjustable="box", anchor="NW")
        axes.set(xlim=limits[0], ylim=limits[1])
    axes.tick_params(labelsize=8)
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    add_key(figure, axes, classes, colours)
    return figure


def colours_of(classes: int) -> NDArray[np.float64]:
    """Returns the colour of each class, float64 (K, 4), 0–1."""
    if classes <= 10:
        return np.asarray(colormaps["tab10"](range(classes)))
    if classes <= len(ALPHABET):
        return to_rgba_array(ALPHABET[:classes])
    return np.asarray(colormaps["turbo"](np.linspace(0, 1, classes)))


def add_key(
    figure: Figure, axes: Axes, classes: Sequence[str], colours: NDArray[np.float64]
) -> None:
    """Adds a legend with the names of the classes; of more than 26, a colour bar of numbers."""
    cross = Line2D([], [], marker="X", linestyle="", color="white", markeredgecolor="0.2")
    handles, names = [cross], ["misclassified"]
    if len(classes) > len(ALPHABET):
        scale = ScalarMappable(Normalize(0, len(classes) - 1), "turbo")
        figure.colorbar(scale, ax=axes, shrink=0.8, label="class (number)")
    else:
        dots = [Line2D([], [], marker="o", linestyle="", color=colour) for colour in colours]
        handles = [*dots, cross]
        names = [*(shortened(name, LONGEST_NAME) for name in classes), "misclassified"]
    blank = [""] * len(names)  # matplotlib leaves out names that begin with _
    legend = figure.legend(handles, blank, loc="outside right upper", fontsize=8)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
        text.set_parse_math(False)


def table_of(points: Points, classes: Sequence[str], indices: Labels) -> Table:
    """Returns the points as a table, of which `index` is the place in the data set's own part."""
    some = slice(MOST_ROWS)
    return {
        "x": points.places[some, 0].round(4).tolist(),
        "y": points.places[some, 1].round(4).tolist(),
        "class": names_of(classes, points.labels[some]),
        "predicted": names_of(classes, points.predicted[some]),
        "index": indices[some].tolist(),
    }
