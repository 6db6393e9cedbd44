"""Looking inside; importing it loads neither torch nor matplotlib."""

from mlrun.inside.view import View

__all__ = ["View"]
