"""Files of weights that somebody else wrote: only those that hold what a run writes are used."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
import torch

from mlrun.training.checkpoints import read_weights

WELL: dict[str, object] = {
    "epoch": 1,
    "model": {"weight": torch.arange(64.0).view(1, 64)},
    "classes": ["a"],
    "shape": [1, 8, 8],
    "mean": [0.5],
    "std": [0.5],
}


def laughs() -> list[object]:
    """A list of a few values, which is larger than any memory once it is written out."""
    value: list[object] = ["ha"]
    for _ in range(60):
        value = [value, value]
    return value


def endless() -> torch.Tensor:
    """A terabyte, of which one number is stored."""
    return torch.zeros(1).expand(2**20, 2**18)


def sparse() -> torch.Tensor:
    return torch.sparse_coo_tensor(size=(2**20, 2**20), check_invariants=True)


ILL: dict[str, tuple[dict[str, object], str]] = {
    "no epoch": ({"epoch": None}, "its epoch is missing, or no epoch of a run's weights"),
    "an epoch below 0": ({"epoch": -1}, "its epoch is missing"),
    "no classes": ({"classes": None}, "its classes is missing"),
    "numbers as classes": ({"classes": [1, 2]}, "its classes is missing"),
    "a flat shape": ({"shape": [64]}, "its shape is missing"),
    "a shape below 1": ({"shape": [1, -8, 8]}, "its shape is missing"),
    "texts as the mean": ({"mean": ["0.5"]}, "its mean is missing"),
    "a range of one": ({"value_range": [0.0]}, "its value_range is missing"),
    "a range without a width": ({"value_range": [5.0, 5.0]}, "its value_range is missing"),
    "an endless range": ({"value_range": [0.0, float("inf")]}, "its value_range is missing"),
    "vast images": ({"shape": [3, 10**6, 10**6]}, "its images are (3, 1000000, 1000000)"),
    "a list as weights": ({"model": [1]}, "its model is missing"),
    "a text as a weight": ({"model": {"x": "1"}}, "its model is missing"),
    "sparse weights": ({"model": {"x": sparse()}}, "its model is missing"),
    "endless weights": ({"model": {"x": endless()}}, "its tensors have 1,099,511,627,776 bytes"),
    "laughs": ({"more": laughs()}, "it holds more than 16,777,216 characters beside the weights"),
    "a name a hundred times": ({"more": ["x" * 10**6] * 99}, "it holds more than 16,777,216"),
    "another digest": ({"sha256": "0" * 64}, "its SHA-256 is another"),
}


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize("case", ILL)
def test_what_no_run_writes_is_refused_with_the_reason(tmp_path: Path, case: str) -> None:
    changes, reason = ILL[case]
    path = tmp_path / "epoch-1.pt"
    torch.save({**WELL, **changes}, path)
    with pytest.raises(Exception, match=re.escape(reason)):
        read_weights(path)


def test_a_file_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "epoch-1.pt"
    torch.save(WELL, path)
    assert read_weights(path)["model"]["weight"].sum() == 63 * 32
    whole = path.read_bytes()
    for content in (whole[:-99], b"no weights", b""):
        path.write_bytes(content)
        with pytest.raises(Exception, match=r"File is not a zip file"):
            read_weights(path)
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "x", "w", 8) as packed:
        for name in old.namelist():
            packed.writestr(name, old.read(name))
    with pytest.raises(Exception, match="it is packed"):
        read_weights(tmp_path / "x")
