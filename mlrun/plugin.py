"""What a plugin may use beside the names that `mlrun` itself exports.

Importing this module loads next to nothing: each name is looked up when it is first asked for.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlrun.data.decoding import RULE as DECODING_RULE
    from mlrun.data.decoding import decode, is_image
    from mlrun.data.decoding import quiet as quiet_decoding
    from mlrun.data.variants import Variant
    from mlrun.errors import one_line, unknown
    from mlrun.record.folders import cache_folder
    from mlrun.statistics import Calibration, calibration, interval
    from mlrun.training.evaluation import Evaluation, criterion
    from mlrun.training.parts import is_named, top_layers

PLACES = {
    "DECODING_RULE": ("mlrun.data.decoding", "RULE"),
    "Calibration": ("mlrun.statistics", "Calibration"),
    "Evaluation": ("mlrun.training.evaluation", "Evaluation"),
    "Variant": ("mlrun.data.variants", "Variant"),
    "cache_folder": ("mlrun.record.folders", "cache_folder"),
    "calibration": ("mlrun.statistics", "calibration"),
    "criterion": ("mlrun.training.evaluation", "criterion"),
    "decode": ("mlrun.data.decoding", "decode"),
    "interval": ("mlrun.statistics", "interval"),
    "is_image": ("mlrun.data.decoding", "is_image"),
    "is_named": ("mlrun.training.parts", "is_named"),
    "one_line": ("mlrun.errors", "one_line"),
    "quiet_decoding": ("mlrun.data.decoding", "quiet"),
    "top_layers": ("mlrun.training.parts", "top_layers"),
    "unknown": ("mlrun.errors", "unknown"),
}

__all__ = [
    "DECODING_RULE",
    "Calibration",
    "Evaluation",
    "Variant",
    "cache_folder",
    "calibration",
    "criterion",
    "decode",
    "interval",
    "is_image",
    "is_named",
    "one_line",
    "quiet_decoding",
    "top_layers",
    "unknown",
]


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'mlrun.plugin' has no attribute {name!r}")
    module, attribute = PLACES[name]
    value = globals()[name] = getattr(importlib.import_module(module), attribute)
    return value
