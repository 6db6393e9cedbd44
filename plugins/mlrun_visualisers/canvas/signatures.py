"""Bounds and types of options that the signatures of the visualisers share.

The bounds are checked before a run is opened.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from mlrun import Picture

Count = Annotated[int, Ge(1)]
Natural = Annotated[int, Ge(0)]
Points = Annotated[int, Ge(3)]  # images: `embeddings.projection.FEWEST`
Positive = Annotated[float, Gt(0), Lt(math.inf)]
Amount = Annotated[float, Ge(0), Lt(math.inf)]
Degrees = Annotated[float, Ge(0), Le(180)]
PartName = Literal["train", "val", "test"]
Table = dict[str, list[Any]]
PicturesAndTables = Iterator[tuple[str, Picture | Table]]
