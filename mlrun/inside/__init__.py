"""The view of a run that visualisers get; importing it loads neither torch nor matplotlib."""

from mlrun.inside.picture import Picture
from mlrun.inside.view import View

__all__ = ["Picture", "View"]
