"""Train image classifiers and look inside them.

A plugin author imports `hookimpl`, `ImageData`, `Part`, `View`, `Picture` and `MlrunError`
from here; a user of the library `train`, `train_seeds`, `shared_data`, `Settings` and `Run`.
Importing this package loads next to nothing: each name is looked up when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

from mlrun.version import __version__

if TYPE_CHECKING:
    from mlrun.data.images import ImageData, Part
    from mlrun.data.sharing import shared_data
    from mlrun.errors import MlrunError, RunFailed
    from mlrun.finished.train_or_resume import train
    from mlrun.inside.picture import Picture
    from mlrun.inside.view import View
    from mlrun.running.run import Run
    from mlrun.seam.hookspecs import SEAM_VERSION, hookimpl
    from mlrun.settings import Settings
    from mlrun.sweeps.several import Several, train_folds, train_seeds

PLACES = {
    "SEAM_VERSION": "mlrun.seam.hookspecs",
    "ImageData": "mlrun.data.images",
    "MlrunError": "mlrun.errors",
    "Part": "mlrun.data.images",
    "Picture": "mlrun.inside.picture",
    "Run": "mlrun.running.run",
    "RunFailed": "mlrun.errors",
    "Settings": "mlrun.settings",
    "Several": "mlrun.sweeps.several",
    "View": "mlrun.inside.view",
    "hookimpl": "mlrun.seam.hookspecs",
    "resume": "mlrun.finished.resume",
    "shared_data": "mlrun.data.sharing",
    "train": "mlrun.finished.train_or_resume",
    "train_folds": "mlrun.sweeps.several",
    "train_seeds": "mlrun.sweeps.several",
}

__all__ = [
    "SEAM_VERSION",
    "ImageData",
    "MlrunError",
    "Part",
    "Picture",
    "Run",
    "RunFailed",
    "Settings",
    "Several",
    "View",
    "__version__",
    "hookimpl",
    "resume",
    "shared_data",
    "train",
    "train_folds",
    "train_seeds",
]


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'mlrun' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(PLACES[name]), name)
    return value
