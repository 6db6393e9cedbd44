"""The classes of the data set: how many images each has, and their average."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mlrun import Picture, View
from mlrun_visualisers.canvas.captions import shortened, slanted, write_below
from mlrun_visualisers.canvas.figures import captioned, tile_size
from mlrun_visualisers.canvas.grids import tile
from mlrun_visualisers.canvas.scales import colour_map

MOST_NAMES = 30  # classes up to which names can be read
LONGEST_NAME = 130  # pixels of a class's name beside an axis
CHUNK = 8 * 2**20  # bytes of images that are in memory together


def draw_class_distribution(view: View) -> Picture:
    """Returns one panel of bars for each part, the classes below each other."""
    classes = len(view.classes)
    with_names = classes <= MOST_NAMES
    names = [shortened(name, LONGEST_NAME) for name in view.classes] if with_names else []
    longest = max(map(len, names)) if slanted(names) else 0
    width = min(12.0, 4.0 + 0.3 * classes) if with_names else 12.0
    parts = view.parts
    height = 0.6 + 1.7 * len(parts) + 0.06 * longest
    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    panels = figure.subplots(len(parts), sharex=True, squeeze=False)[:, 0]
    values = {f"counts-{part}": counts_of(view, part) for part in parts}
    for axes, part, counts in zip(panels, parts, values.values(), strict=True):
        if with_names:
            axes.bar(range(classes), counts)
        else:
            axes.stairs(counts, np.arange(classes + 1) - 0.5, fill=True, antialiased=False)
        axes.set_title(f"{part}: {summary(counts, view.classes)}", fontsize=10, parse_math=False)
        axes.set_ylabel("images")
        axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
        axes.set_xlim(-0.6, classes - 0.4)
    if with_names:
        write_below(panels[-1], names)
    else:
        panels[-1].set_xlabel("class (number)")
    return Picture(figure, values)


def counts_of(view: View, part: str) -> NDArray[np.int64]:
    """Returns how many images of each class a part has, int64 (K,)."""
    return np.asarray(view.labels(part).bincount(minlength=len(view.classes)).numpy())


def summary(counts: NDArray[np.int64], classes: tuple[str, ...]) -> str:
    """Returns the number of images, and the fewest and the most of a class."""
    fewest, most = int(counts.argmin()), int(counts.argmax())
    texts = [f"{counts[place]:,} ({shortened(classes[place], 80)})" for place in (fewest, most)]
    total = f"{counts.sum():,} images"
    if counts[fewest] == counts[most]:
        return f"{total}, {counts[most]:,} of each class"
    return f"{total}, {texts[0]} to {texts[1]} of a class"


def draw_class_means(view: View, *, columns: int | None, cmap: str, most: int) -> Picture:
    """Returns the average training image of each class."""
    colour_map(cmap)
    count = min(most, len(view.classes))
    across = columns or math.ceil(math.sqrt(count))
    means = class_means_of(view, "train", count)
    present = counts_of(view, "train")[:count] > 0
    extent = f", first {count} drawn" if count < len(view.classes) else ""
    size = tile_size(across)
    tiles = [tile(mean.round().astype(np.uint8), size, cmap) for mean in means]
    blank = np.full_like(tiles[0], 235)
    figure = captioned(
        [image if there else blank for image, there in zip(tiles, present, strict=True)],
        [
            name if there else f"{name}: none"
            for name, there in zip(view.classes[:count], present, strict=True)
        ],
        columns=across,
        title=f"average training image of each class, {len(view.classes):,} classes{extent}",
    )
    return Picture(figure, {"means": means})


def class_means_of(view: View, part: str, classes: int) -> NDArray[np.float64]:
    """Returns the mean image of each of the first `classes`, float64 (classes, C, H, W), 0–255.

    That of a class without images is zero. Only some MiB of images are in memory at a time.
    """
    import torch

    labels = view.labels(part)
    rows = (labels < classes).nonzero()[:, 0]
    sums = torch.zeros(classes, *view.shape, dtype=torch.int64)
    for places in rows.split(max(1, CHUNK // math.prod(view.shape))):
        sums.index_add_(0, labels[places], view.images(part, places.tolist()).long())
    counts = labels.bincount(minlength=classes)[:classes].clamp(min=1)
    return np.asarray((sums.double() / counts.view(-1, 1, 1, 1)).numpy())
