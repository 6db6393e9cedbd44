"""What a plugin may use besides what `mlrun` itself exports.

Everything here keeps its name, arguments and meaning as long as the seam has its version
(`mlrun.SEAM_VERSION`); all else in mlrun may move. Importing this module loads next to nothing:
each name is looked up when it is first asked for. The first-party plugins use nothing else.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlrun.data.block_sums import BlockSums
    from mlrun.data.checked import map_checked
    from mlrun.data.decoding import (
        DECODING_RULE,
        decode,
        decode_with_levels,
        decoders_added,
        is_image,
        quiet_decoding,
        values_of,
    )
    from mlrun.data.image_paths import files_below, is_left_out
    from mlrun.data.unread import unread_types
    from mlrun.errors import one_line, unknown
    from mlrun.inside.layers import Layer, layers_of
    from mlrun.machine.helpers import Helpers
    from mlrun.machine.workers import Worker, WorkerEnded
    from mlrun.record.folders import cache_folder
    from mlrun.seam.files import at_home, fault_of_file
    from mlrun.settings.changes import Variant
    from mlrun.training.evaluation import Evaluation
    from mlrun.training.losses import criterion
    from mlrun.training.optimisation.parts import is_named, top_layers
    from mlrun.training.statistics import Calibration, calibration, interval

PLACES = {
    "DECODING_RULE": "mlrun.data.decoding",
    "BlockSums": "mlrun.data.block_sums",
    "Calibration": "mlrun.training.statistics",
    "Evaluation": "mlrun.training.evaluation",
    "Layer": "mlrun.inside.layers",
    "Variant": "mlrun.settings.changes",
    "Helpers": "mlrun.machine.helpers",
    "Worker": "mlrun.machine.workers",
    "WorkerEnded": "mlrun.machine.workers",
    "at_home": "mlrun.seam.files",
    "cache_folder": "mlrun.record.folders",
    "calibration": "mlrun.training.statistics",
    "criterion": "mlrun.training.losses",
    "decode": "mlrun.data.decoding",
    "decode_with_levels": "mlrun.data.decoding",
    "decoders_added": "mlrun.data.decoding",
    "fault_of_file": "mlrun.seam.files",
    "files_below": "mlrun.data.image_paths",
    "interval": "mlrun.training.statistics",
    "is_image": "mlrun.data.decoding",
    "is_left_out": "mlrun.data.image_paths",
    "is_named": "mlrun.training.optimisation.parts",
    "layers_of": "mlrun.inside.layers",
    "map_checked": "mlrun.data.checked",
    "one_line": "mlrun.errors",
    "quiet_decoding": "mlrun.data.decoding",
    "top_layers": "mlrun.training.optimisation.parts",
    "unknown": "mlrun.errors",
    "unread_types": "mlrun.data.unread",
    "values_of": "mlrun.data.decoding",
}

__all__ = [
    "DECODING_RULE",
    "BlockSums",
    "Calibration",
    "Evaluation",
    "Helpers",
    "Layer",
    "Variant",
    "Worker",
    "WorkerEnded",
    "at_home",
    "cache_folder",
    "calibration",
    "criterion",
    "decode",
    "decode_with_levels",
    "decoders_added",
    "fault_of_file",
    "files_below",
    "interval",
    "is_image",
    "is_left_out",
    "is_named",
    "layers_of",
    "map_checked",
    "one_line",
    "quiet_decoding",
    "top_layers",
    "unknown",
    "unread_types",
    "values_of",
]


def __getattr__(name: str) -> Any:
    if name not in PLACES:
        raise AttributeError(f"module 'mlrun.plugin' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(PLACES[name]), name)
    return value
