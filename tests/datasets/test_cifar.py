"""CIFAR-10 and CIFAR-100: pickles of Python 2, from which nothing is run."""

from __future__ import annotations

import hashlib
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from data_files import load, serving, write_cifar10, write_cifar100, write_pickle
from torchvision.datasets import CIFAR10

from mlrun import MlrunError

BATCHES = Path("cifar-10-batches-py")


def test_the_files_are_such_as_python_2_wrote(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    content = (tmp_path / BATCHES / "data_batch_1").read_bytes()
    assert content.startswith(b"\x80\x02")
    assert b"cnumpy.core.multiarray\n_reconstruct\n" in content
    assert set(pickle.loads(content, encoding="bytes")) == {b"data", b"labels", b"batch_label"}


def test_cifar10_is_read_plane_by_plane_and_batch_by_batch(tmp_path: Path) -> None:
    arrays = write_cifar10(tmp_path)
    data = load("cifar10", tmp_path)
    assert data.test is not None
    assert data.train.images.shape == (20, 3, 32, 32)
    assert data.test.images.shape == (4, 3, 32, 32)
    second = arrays["data_batch_2"].reshape(4, 3, 32, 32)
    assert np.array_equal(data.train.images[4:8].numpy(), second)
    assert np.array_equal(data.test.images.numpy(), arrays["test_batch"].reshape(4, 3, 32, 32))
    assert data.train.labels.tolist()[:8] == [0, 1, 2, 3, 1, 2, 3, 4]
    assert data.test.labels.tolist() == [5, 6, 7, 8]
    assert data.classes[:2] == ("airplane", "automobile")


def test_cifar100_has_fine_and_coarse_labels(tmp_path: Path) -> None:
    write_cifar100(tmp_path)
    fine = load("cifar100", tmp_path)
    coarse = load("cifar100", tmp_path, labels="coarse")
    assert (len(fine.classes), len(coarse.classes)) == (100, 20)
    assert fine.train.labels.tolist() == [0, 13, 26, 39, 52, 65, 78, 91]
    assert coarse.train.labels.tolist() == [0, 2, 5, 7, 10, 13, 15, 18]
    assert (fine.classes[13], coarse.classes[2]) == ("fine-13", "coarse-2")


class Evil:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.mark.parametrize("file", ["data_batch_3", "batches.meta"])
def test_what_a_pickle_asks_for_is_not_run(file: str, tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    path, trace = tmp_path / BATCHES / file, tmp_path / "trace"
    path.write_bytes(pickle.dumps({"data": Evil(trace), "labels": []}))
    with pytest.raises(MlrunError, match=r"mkdir, which is never run") as caught:
        load("cifar10", tmp_path)
    assert str(path) in str(caught.value)
    assert not trace.exists()
    pickle.loads(path.read_bytes())
    assert trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "it holds list, expected dict"),
        ({"labels": [0]}, r"data are none, expected uint8 \(N, 3072\)"),
        ({"data": np.zeros((2, 5), np.uint8)}, r"data are uint8 \(2, 5\), expected uint8"),
        ({"data": np.zeros((2, 3072), np.uint8)}, "no list of whole numbers labels in it"),
    ],
)
def test_a_batch_that_holds_something_else_is_named(
    content: object, message: str, tmp_path: Path
) -> None:
    write_cifar10(tmp_path)
    write_pickle(tmp_path / BATCHES / "data_batch_2", content)
    with pytest.raises(MlrunError, match=message) as caught:
        load("cifar10", tmp_path)
    assert str(tmp_path / BATCHES / "data_batch_2") in str(caught.value)


def test_a_cut_file_is_named(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    path = tmp_path / BATCHES / "test_batch"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(MlrunError, match=r"cannot read .*test_batch: UnpicklingError"):
        load("cifar10", tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    write_cifar10(tmp_path)
    (tmp_path / BATCHES / "data_batch_5").unlink()
    with pytest.raises(MlrunError) as caught:
        load("cifar10", tmp_path)
    assert str(caught.value) == (
        f"no data_batch_5 in {tmp_path / BATCHES}; put it there, name another folder with "
        "--data-dir, or add --dataset.download true"
    )


def test_a_download_that_is_asked_for_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is on this machine; the sum is compared by torchvision."""
    write_cifar10(tmp_path / "made")
    packed = tmp_path / "served" / CIFAR10.filename
    packed.parent.mkdir()
    with tarfile.open(packed, "w:gz") as tar:
        tar.add(tmp_path / "made" / BATCHES, BATCHES.name)
    with serving(packed.parent) as address:
        monkeypatch.setattr(CIFAR10, "url", f"{address}{packed.name}")
        with pytest.raises(MlrunError, match=r"cannot download into .*cifar-10-batches-py: "):
            load("cifar10", tmp_path / "wrong", download=True)
        assert not (tmp_path / "wrong" / BATCHES).exists()
        monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(packed.read_bytes()).hexdigest())
        data = load("cifar10", tmp_path / "right", download=True)
    assert len(data.train.labels) == 20
    assert len(load("cifar10", tmp_path / "right").train.labels) == 20
