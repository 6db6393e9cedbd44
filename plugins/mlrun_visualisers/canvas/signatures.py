"""What the numbers among the visualisers' options may be; held to before a run is opened."""

from __future__ import annotations

import math
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt

Count = Annotated[int, Ge(1)]
Natural = Annotated[int, Ge(0)]
Points = Annotated[int, Ge(3)]  # images of which there is a picture: `embeddings.projection.FEWEST`
Positive = Annotated[float, Gt(0), Lt(math.inf)]
Amount = Annotated[float, Ge(0), Lt(math.inf)]
Degrees = Annotated[float, Ge(0), Le(180)]
