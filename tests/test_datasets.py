"""Every data set, on small files in the real formats."""

from __future__ import annotations

import functools
import gzip
import hashlib
import http.server
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision.datasets import MNIST

from mlrun import ImageData, MlrunError
from mlrun.seam.registry import discover

NOWHERE = Path("no-such-folder")


def load(name: str, root: Path, **options: object) -> ImageData:
    data: ImageData = discover().find("dataset", name).function(root, **options)
    data.check()
    return data


def write_idx(path: Path, array: np.ndarray) -> None:
    """The IDX layout: two zero bytes, type 8 (unsigned byte), the number of axes, the sizes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.astype(np.uint8).tobytes())


def write_mnist(root: Path, name: str) -> dict[str, np.ndarray]:
    drawn = np.random.default_rng(0)
    arrays = {}
    for prefix, count in (("train", 30), ("t10k", 12)):
        arrays[f"{prefix}-images-idx3-ubyte"] = drawn.integers(0, 256, (count, 28, 28))
        arrays[f"{prefix}-labels-idx1-ubyte"] = np.arange(count) % 10
    for file, array in arrays.items():
        write_idx(root / name / "raw" / file, array)
    return arrays


class Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serves `folder` over HTTP on a free port of 127.0.0.1."""
    handler = functools.partial(Silent, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


MAKERS: dict[str, Callable[[Path], object]] = {
    "digits": lambda root: None,
    "mnist": lambda root: write_mnist(root, "MNIST"),
    "fashion-mnist": lambda root: write_mnist(root, "FashionMNIST"),
}


@pytest.mark.parametrize("name", [c.name for c in discover().of_kind("dataset")])
def test_a_data_set_keeps_the_contract_and_cites_its_source(name: str, tmp_path: Path) -> None:
    MAKERS[name](tmp_path)
    data = load(name, tmp_path)
    assert data.source
    assert data.licence
    component = discover().find("dataset", name)
    assert component.summary.endswith(".")
    assert "Source: " in component.documentation
    assert "Licence: " in component.documentation


def test_digits_are_scikit_learn_s_without_any_file() -> None:
    data = load("digits", NOWHERE)
    bunch = load_digits()
    assert len(data.train.labels) == 1437
    assert data.test is not None
    assert len(data.test.labels) == 360
    assert data.shape == (1, 8, 8)
    whole = np.empty((1797, 8, 8))
    tested = np.arange(1797) % 5 == 0
    whole[tested] = data.test.images[:, 0].numpy()
    whole[~tested] = data.train.images[:, 0].numpy()
    assert np.array_equal(np.round(whole / 255 * 16), bunch.images)
    assert np.array_equal(data.test.labels.numpy(), bunch.target[::5])


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")]
)
def test_idx_files_are_read_as_they_are(name: str, folder: str, tmp_path: Path) -> None:
    arrays = write_mnist(tmp_path, folder)
    data = load(name, tmp_path)
    assert data.test is not None
    assert np.array_equal(data.train.images[:, 0].numpy(), arrays["train-images-idx3-ubyte"])
    assert np.array_equal(data.test.labels.numpy(), arrays["t10k-labels-idx1-ubyte"])
    assert data.train.images.shape == (30, 1, 28, 28)
    assert len(data.classes) == 10


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")]
)
def test_a_missing_file_names_the_path_and_the_options(
    name: str, folder: str, tmp_path: Path
) -> None:
    raw = tmp_path / folder / "raw"
    with pytest.raises(MlrunError) as caught:
        load(name, tmp_path)
    assert str(caught.value) == (
        f"no train-images-idx3-ubyte in {raw}; put it there, name another folder with "
        "--data-dir, or add --dataset.download true"
    )
    write_mnist(tmp_path, folder)
    (raw / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(MlrunError, match="no t10k-labels-idx1-ubyte in"):
        load(name, tmp_path)


def test_a_broken_file_is_named_by_its_folder(tmp_path: Path) -> None:
    write_mnist(tmp_path, "MNIST")
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(MlrunError, match=r"cannot read .*MNIST.raw: "):
        load("mnist", tmp_path)


def test_a_download_that_is_asked_for_is_checked_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mirror is a server on this machine; the reader and the checksums are torchvision's."""
    served = tmp_path / "served"
    arrays = write_mnist(served, "MNIST")
    resources = []
    for name in arrays:
        packed = served / f"{name}.gz"
        packed.write_bytes(gzip.compress((served / "MNIST" / "raw" / name).read_bytes()))
        resources.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
    with serving(served) as address:
        monkeypatch.setattr(MNIST, "mirrors", [address])
        monkeypatch.setattr(MNIST, "resources", resources)
        data = load("mnist", tmp_path / "data", download=True)
        monkeypatch.setattr(MNIST, "resources", [(name, "0" * 32) for name, _ in resources])
        with pytest.raises(MlrunError, match="cannot read"):
            load("mnist", tmp_path / "other", download=True)
    assert torch.equal(
        data.train.images[:, 0], torch.from_numpy(arrays["train-images-idx3-ubyte"]).byte()
    )
    monkeypatch.setattr(MNIST, "resources", resources)
    assert len(load("mnist", tmp_path / "data").train.labels) == 30
