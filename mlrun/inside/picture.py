"""Picture: an image that a visualiser yields, with the values behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Picture:
    """A picture and the raw values behind it.

    image: a matplotlib Figure, or uint8 (H, W, 3); None to keep values only.
    values: arrays of numbers by name; they are kept compressed in the run's artifacts, in
        `values/epoch-0003.npz`, or `values/end.npz`, under the picture's key, `/` and the name.
    epoch: of a picture that is drawn at the end and stands under a slider, the epoch it is of.
    """

    image: Figure | NDArray[np.uint8] | None
    values: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)
    epoch: int | None = None
