"""The view of a run that visualisers get, and how their pictures are rendered.

Importing the package alone loads neither torch nor matplotlib.
"""

from mlrun.inside.picture import Picture
from mlrun.inside.view import View

__all__ = ["Picture", "View"]
