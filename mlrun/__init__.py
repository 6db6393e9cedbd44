"""Train image classifiers and look inside them.

A plugin author imports `hookimpl`, `ImageData`, `Part`, `View`, `Picture` and `MlrunError`
from here; a user of the library `train`, `shared_data`, `Settings` and `Run`. Importing this
package loads neither torch nor MLflow: `train`, `Settings` and `Run` are looked up when they are
first asked for.
"""

from typing import TYPE_CHECKING, Any

from mlrun.data.images import ImageData, Part
from mlrun.errors import MlrunError, RunFailed
from mlrun.inside.picture import Picture
from mlrun.inside.view import View
from mlrun.seam.hookspecs import SEAM_VERSION, hookimpl
from mlrun.sharing import shared_data
from mlrun.version import __version__

if TYPE_CHECKING:
    from mlrun.runner import Run, train
    from mlrun.settings import Settings

__all__ = [
    "SEAM_VERSION",
    "ImageData",
    "MlrunError",
    "Part",
    "Picture",
    "Run",
    "RunFailed",
    "Settings",
    "View",
    "__version__",
    "hookimpl",
    "shared_data",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in ("Run", "train"):
        import mlrun.runner

        return getattr(mlrun.runner, name)
    if name == "Settings":
        from mlrun.settings import Settings

        return Settings
    raise AttributeError(f"module 'mlrun' has no attribute {name!r}")
