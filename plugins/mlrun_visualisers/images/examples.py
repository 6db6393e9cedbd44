"""Some images of the data set with their classes."""

from __future__ import annotations

from mlrun import Picture, View
from mlrun_visualisers.canvas.choice import random_places
from mlrun_visualisers.canvas.figures import captioned, tile_size
from mlrun_visualisers.canvas.grids import tile
from mlrun_visualisers.canvas.scales import colour_map


def draw_samples(
    view: View, *, rows: int, columns: int, part: str, pick: str, seed: int, cmap: str
) -> Picture:
    """Returns a grid of images of a part with the names of their classes."""
    colour_map(cmap)
    labels = view.labels(part)
    places = list(range(min(len(labels), rows * columns)))
    if pick == "random":
        places = random_places(len(labels), rows * columns, seed)
    images, size = view.images(part, places).numpy(), tile_size(columns)
    figure = captioned(
        [tile(image, size, cmap) for image in images],
        [view.classes[label] for label in labels[places].tolist()],
        columns=columns,
        title=f"{part}: {len(places):,} of {len(labels):,} images, "
        f"{'drawn at random' if pick == 'random' else 'the first'}",
    )
    return Picture(figure, {"images": images, "labels": labels[places].numpy()})
