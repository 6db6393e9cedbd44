"""scikit-learn's digits, and the data sets of IDX files."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from data_files import load, serving, write_mnist
from mlrun_datasets import embedded
from sklearn.datasets import load_digits, load_sample_images
from torchvision.datasets import MNIST

from mlrun import MlrunError

NOWHERE = Path("no-such-folder")


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


def test_where_the_file_of_digits_is_elsewhere_scikit_learn_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = embedded.read_digits()

    class Elsewhere:
        def locate_file(self, path: str) -> Path:
            return tmp_path / path

    monkeypatch.setattr(embedded, "distribution", lambda name: Elsewhere())
    assert np.array_equal(embedded.read_digits(), read)


@pytest.mark.parametrize("size", [9, 28, 40])
def test_enlarged_digits_are_interpolated_between_pixel_centres(size: int) -> None:
    data = load("digits", NOWHERE, size=size)
    assert data.test is not None
    assert data.shape == (1, size, size)
    centres = np.arange(8) + 0.5
    places = (np.arange(size) + 0.5) * 8 / size
    for place in range(0, 360, 40):
        grey = load_digits().images[5 * place] * 255 / 16
        wide = np.array([np.interp(places, centres, row) for row in grey])
        full = np.array([np.interp(places, centres, column) for column in wide.T]).T
        assert np.abs(data.test.images[place, 0].numpy() - full).max() <= 0.5 + 1e-9


def test_digits_as_they_are_and_enlarged_to_their_own_size_are_the_same() -> None:
    plain, same = load("digits", NOWHERE), load("digits", NOWHERE, size=8)
    assert torch.equal(plain.train.images, same.train.images)
    with pytest.raises(MlrunError, match=r"--dataset\.size 7: the digits are 8 × 8 .*at least 8"):
        load("digits", NOWHERE, size=7)


@pytest.mark.parametrize(("size", "rows", "columns"), [(64, 6, 10), (100, 4, 6), (320, 1, 2)])
def test_photographs_are_cut_into_tiles_that_touch(size: int, rows: int, columns: int) -> None:
    data = load("photographs", NOWHERE, size=size)
    assert data.test is not None
    assert data.classes == ("china", "flower")
    cut = {"train": 0, "test": 0}
    for place in range(rows * columns):
        top, left = size * (place // columns), size * (place % columns)
        name = "train" if place % 5 else "test"
        for label, photograph in enumerate(load_sample_images().images):
            image, given = (tensor[cut[name]] for tensor in data.parts[name])
            expected = photograph[top : top + size, left : left + size].transpose(2, 0, 1)
            assert np.array_equal(image.numpy(), expected)
            assert given == label
            cut[name] += 1
    assert cut == {name: len(part.labels) for name, part in data.parts.items()}


def test_photographs_come_in_the_numbers_that_are_documented() -> None:
    data = load("photographs", NOWHERE)
    assert data.test is not None
    assert data.shape == (3, 64, 64)
    assert (len(data.train.labels), len(data.test.labels)) == (96, 24)


@pytest.mark.parametrize("size", [0, 321, 427])
def test_a_size_of_which_no_two_tiles_are_cut_is_refused(size: int) -> None:
    with pytest.raises(MlrunError, match=f"size {size}: of photographs of 427 × 640 .*1 to 320"):
        load("photographs", NOWHERE, size=size)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")],
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
    ("name", "folder"),
    [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST"), ("kmnist", "KMNIST")],
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


def test_idx_files_of_more_than_8_bits_are_refused_on_one_line(tmp_path: Path) -> None:
    write_mnist(tmp_path, "MNIST")
    file = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    content = file.read_bytes()
    file.write_bytes(content[:2] + b"\x0b" + content[3:16] + 2 * content[16:])  # of 16 bits
    with pytest.raises(
        MlrunError, match=r"cannot read .*MNIST.raw: .*uint8 instead of torch.int16"
    ):
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
