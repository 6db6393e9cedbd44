"""PNG files as data URIs in a page, and which epochs of them fit into it."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

BUDGET = 20_000_000  # bytes of PNG files: more of them are thinned; in the page they take half
PLAIN = 2_500_000  # bytes of PNG files, up to which they go into a page as they are

Files = Mapping[str, Mapping[int, Path]]  # PNG files by key and epoch


@dataclass(frozen=True)
class Still:
    """One picture in a page.

    address: its data URI. width, height: in pixels.
    """

    address: str
    width: int
    height: int


def still(path: Path, *, smaller: bool = True) -> Still:
    """Returns a PNG file as it stands in a page, with the same pixels.

    Args:
        path: of the file.
        smaller: whether to encode it as lossless WebP, half the size, in some 25 ms.

    Raises:
        OSError: there is no such file, or it is no picture.
    """
    with Image.open(path) as image:
        if not smaller:
            return Still(data_uri(path.read_bytes(), "png"), *image.size)
        image.load()
    buffer = io.BytesIO()
    colours = image if image.mode in ("L", "RGB", "RGBA") else image.convert("RGBA")
    colours.save(buffer, "WEBP", lossless=True, method=3, quality=50)
    return Still(data_uri(buffer.getvalue(), "webp"), *image.size)


def data_uri(content: bytes, kind: str) -> str:
    """Returns an image file of that kind, `png` or `webp`, as an address that holds it."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def stills(files: Files, epochs: Iterable[int]) -> dict[str, dict[int, Still]]:
    """Returns the pictures under a slider, by key and epoch, of these epochs.

    A few files are taken as they are, so that the end of a run does not wait for them.
    """
    epoch_set = set(epochs)
    files = {
        key: {epoch: path for epoch, path in sorted(by_epoch.items()) if epoch in epoch_set}
        for key, by_epoch in files.items()
    }
    smaller = size(files) > PLAIN
    return {
        key: {epoch: still(path, smaller=smaller) for epoch, path in by_epoch.items()}
        for key, by_epoch in files.items()
        if by_epoch
    }


def size(files: Files) -> int:
    """Returns how many bytes the files have."""
    return sum(path.stat().st_size for by_epoch in files.values() for path in by_epoch.values())


def frames(pictures: Mapping[str, Mapping[int, Still]]) -> dict[str, list[list[object]]]:
    """Returns what `slider.js` reads as `DATA.frames`: [epoch, address] pairs by key."""
    return {
        key: [[epoch, still.address] for epoch, still in by_epoch.items()]
        for key, by_epoch in pictures.items()
    }


def epochs_of(files: Files) -> list[int]:
    """Returns the epochs that any picture is of, ascending."""
    return sorted({epoch for by_epoch in files.values() for epoch in by_epoch})


def kept_epochs(files: Files, best: int | None, budget: int = BUDGET) -> list[int]:
    """Returns the epochs whose pictures fit the budget, spread evenly, ascending.

    The first, the best and the last are kept, whatever they take.

    Args:
        files: by key and epoch.
        best: the best epoch, where there is one.
        budget: bytes of files.
    """
    epochs = epochs_of(files)
    sizes = {
        epoch: sum(paths[epoch].stat().st_size for paths in files.values() if epoch in paths)
        for epoch in epochs
    }
    for count in range(len(epochs), 2, -1):
        selection = spread(epochs, count, best)
        if sum(sizes[epoch] for epoch in selection) <= budget:
            return selection
    return spread(epochs, min(2, len(epochs)), best)


def spread(epochs: list[int], count: int, best: int | None) -> list[int]:
    """Returns `count` of ascending `epochs`, evenly, with the best one among or besides them.

    >>> spread([0, 1, 2, 3, 4, 5, 6, 7, 8], 3, 7)
    [0, 4, 7, 8]
    """
    if not epochs:
        return []
    last = len(epochs) - 1
    places = [round(k * last / (count - 1)) for k in range(count)] if count > 1 else [0]
    selection = {epochs[place] for place in places}
    if best in epochs:
        selection.add(best)
    return sorted(selection)
