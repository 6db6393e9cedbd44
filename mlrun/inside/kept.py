"""The raw values behind pictures: written to the run's folder, and read back from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = Mapping[str, NDArray[Any]]  # by name
IN_MEMORY = 2**16  # bytes of one visualiser and epoch that stay in memory
END = -1  # stands for the end where an epoch is meant


class Kept(Mapping[int, Mapping[str, Values]]):
    """The values of one visualiser: by epoch, then by the picture's name, then by the array's.

    Args:
        folder: of the files of `write_values`; large arrays are read from there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._values: dict[int, dict[str, dict[str, NDArray[Any] | None]]] = {}
        self._keys: dict[str, str] = {}

    def add(self, epoch: int, label: str, key: str, values: Values) -> None:
        """Adds the values behind the picture called `label`, whose key is `key`."""
        self._keys[label] = key
        self._values.setdefault(epoch, {})[label] = dict(values)

    def state_dict(self) -> dict[str, Any]:
        """Returns which values there are, as plain values; they are in the files."""
        values = {
            epoch: {label: list(names) for label, names in pictures.items()}
            for epoch, pictures in self._values.items()
        }
        return {"keys": dict(self._keys), "values": values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores what `state_dict` returned, as far as the files are there."""
        self._keys = dict(state["keys"])
        for epoch, pictures in state["values"].items():
            if (self._folder / file_name(epoch)).is_file():
                self._values[epoch] = {
                    label: dict.fromkeys(names) for label, names in pictures.items()
                }

    def written(self, epoch: int) -> None:
        """Drops large arrays from memory, now that they are in a file."""
        pictures = self._values.get(epoch, {})
        arrays = [array for values in pictures.values() for array in values.values()]
        if sum(array.nbytes for array in arrays if array is not None) > IN_MEMORY:
            self._values[epoch] = {
                label: dict.fromkeys(values) for label, values in pictures.items()
            }

    def __getitem__(self, epoch: int) -> Mapping[str, Values]:
        return {
            label: {name: self._array(epoch, label, name, array) for name, array in values.items()}
            for label, values in self._values[epoch].items()
        }

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._values))

    def __len__(self) -> int:
        return len(self._values)

    def _array(self, epoch: int, label: str, name: str, array: NDArray[Any] | None) -> NDArray[Any]:
        if array is not None:
            return array.copy()
        with np.load(self._folder / file_name(epoch), allow_pickle=False) as arrays:
            values: NDArray[Any] = arrays[f"{self._keys[label]}/{name}"]
            return values


def write_values(path: Path, values: Mapping[str, NDArray[Any]]) -> None:
    """Writes arrays, compressed, by `KEY/NAME`; a file that is there is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.savez_compressed(file, **values)  # type: ignore[arg-type]  # no array is called `file`
    temporary.replace(path)


def file_name(epoch: int) -> str:
    """Returns the name of the file with the values of an epoch.

    >>> file_name(3), file_name(END)
    ('epoch-0003.npz', 'end.npz')
    """
    return "end.npz" if epoch == END else f"epoch-{epoch:04}.npz"
