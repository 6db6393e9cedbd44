"""Pickled NumPy arrays, as CIFAR comes in, read without running code of the pickle."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from mlrun import MlrunError
from mlrun_datasets.files import reading

RECONSTRUCT = np.empty(0).__reduce__()[0]  # where it is kept differs between NumPy's versions
ALLOWED = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): RECONSTRUCT,
}


class ArrayUnpickler(pickle.Unpickler):
    """Builds lists, dictionaries, numbers, text and NumPy arrays; refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns one of the few functions that make an array."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is never run")
        return ALLOWED[module, name]


def read_pickle(path: Path) -> dict[str, Any]:
    """Returns the dictionary of arrays and lists in a pickle, of Python 2's text too.

    Raises:
        MlrunError: it is no such file, or asks for more than arrays.
    """
    with reading(path), path.open("rb") as file:
        content = ArrayUnpickler(file, encoding="latin1").load()
    if not isinstance(content, dict):
        raise MlrunError(f"cannot read {path}: it holds {type(content).__name__}, expected dict")
    return content
