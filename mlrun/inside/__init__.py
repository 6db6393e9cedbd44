"""What a visualiser sees of a run; importing it loads neither torch nor matplotlib."""

from mlrun.inside.picture import Picture
from mlrun.inside.view import View

__all__ = ["Picture", "View"]
