"""SVHN, from MATLAB's files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from data_files import load, serving, write_svhn
from scipy.io import savemat
from torchvision.datasets import SVHN

from mlrun import MlrunError


def test_images_come_first_and_the_label_ten_is_zero(tmp_path: Path) -> None:
    arrays = write_svhn(tmp_path)
    data = load("svhn", tmp_path)
    assert data.test is not None
    assert np.array_equal(data.train.images[7].numpy(), arrays["train"][..., 7].transpose(2, 0, 1))
    assert data.train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    assert data.test.labels.tolist() == [1, 2, 3, 4, 5]
    assert data.classes == tuple("0123456789")


def test_the_extra_part_goes_to_the_training_part_if_asked_for(tmp_path: Path) -> None:
    arrays = write_svhn(tmp_path)
    data = load("svhn", tmp_path, extra=True)
    assert len(data.train.labels) == 15
    assert data.train.labels.tolist()[12:] == [1, 2, 3]
    assert np.array_equal(data.train.images[14].numpy(), arrays["extra"][..., 2].transpose(2, 0, 1))
    (tmp_path / "SVHN" / "extra_32x32.mat").unlink()
    assert len(load("svhn", tmp_path).train.labels) == 12
    with pytest.raises(MlrunError, match=r"no extra_32x32.mat in .*SVHN; put it there"):
        load("svhn", tmp_path, extra=True)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    write_svhn(tmp_path)
    path = tmp_path / "SVHN" / "test_32x32.mat"
    content = path.read_bytes()
    path.write_bytes(content[:200])
    with pytest.raises(MlrunError, match=r"cannot read .*test_32x32.mat: "):
        load("svhn", tmp_path)
    savemat(path, {"X": np.zeros((4, 4, 3, 2), np.uint8), "y": np.ones((2, 1))})
    with pytest.raises(MlrunError, match=r"X is uint8 \(4, 4, 3, 2\), expected uint8 \(32, 32, 3"):
        load("svhn", tmp_path)
    savemat(path, {"y": np.ones((2, 1))})
    with pytest.raises(MlrunError, match=r"test_32x32.mat: KeyError: 'X'"):
        load("svhn", tmp_path)


def test_a_download_that_is_asked_for_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_svhn(tmp_path)
    served = tmp_path / "SVHN"
    names = {split: f"{split}_32x32.mat" for split in ("train", "test")}
    sums = {s: hashlib.md5((served / name).read_bytes()).hexdigest() for s, name in names.items()}
    with serving(served) as address:
        right = {s: [f"{address}{name}", name, sums[s]] for s, name in names.items()}
        wrong = {s: [f"{address}{name}", name, "0" * 32] for s, name in names.items()}
        monkeypatch.setattr(SVHN, "split_list", wrong)
        with pytest.raises(MlrunError, match=r"cannot download into .*SVHN: RuntimeError"):
            load("svhn", tmp_path / "wrong", download=True)
        monkeypatch.setattr(SVHN, "split_list", right)
        assert len(load("svhn", tmp_path / "right", download=True).train.labels) == 12
