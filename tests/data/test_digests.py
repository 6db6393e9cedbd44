"""Digests of selections: all bytes count, and those of older versions are still made."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from mlrun.data.digests import GivenUpError, data_digest, digest_like, sampled_digest
from mlrun.data.splits import Selection


def selection(
    count: int, size: int, places: torch.Tensor | None = None, images: torch.Tensor | None = None
) -> Selection:
    """Images whose pixels count up, of ten classes in turn."""
    if images is None:
        images = (torch.arange(count * size * size) % 251).to(torch.uint8)
        images = images.view(count, 1, size, size)
    places = torch.arange(count) if places is None else places
    return Selection("train", places, images, torch.arange(count) % 10)


def by_hand(found: Selection) -> str:
    sha = hashlib.sha256(str(tuple(found.images.shape[1:])).encode())
    for tensor in (found.labels[found.indices], found.indices, found.images[found.indices]):
        sha.update(tensor.contiguous().numpy().tobytes())
    return f"sha256:{sha.hexdigest()[:16]}"


def test_one_pixel_of_more_than_64_mib_of_images_counts() -> None:
    large = selection(9000, 90)
    assert large.images.numel() > 64 * 2**20
    before, sampled = data_digest(large), sampled_digest(large)
    assert before == by_hand(large)
    assert sampled == "cc0c452cb5ea33fe"  # as the version before wrote it
    large.images[1::2] = 0
    assert sampled_digest(large) == sampled
    darker = data_digest(large)
    large.images[8999, 0, 89, 89] += 1
    assert len({before, darker, data_digest(large)}) == 3


@pytest.mark.parametrize(
    "places",
    [torch.arange(60), torch.arange(20, 50), torch.arange(0, 60, 3), torch.tensor([5, 3, 4])],
)
def test_shape_labels_places_and_pixels_are_digested(
    places: torch.Tensor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlrun.data.digests.AT_ONCE", 500)  # bytes: 7 images
    found = selection(60, 8, places)
    assert data_digest(found) == by_hand(found)
    found.images.numpy().tofile(tmp_path / "images")
    mapped = torch.from_numpy(np.memmap(tmp_path / "images", np.uint8, "r+", shape=(60, 1, 8, 8)))
    turned = found.images.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)
    for images in (mapped, turned):
        assert data_digest(selection(60, 8, places, images)) == data_digest(found)
    assert data_digest(selection(60, 8, places, 255 - found.images)) != data_digest(found)
    square = found.images.view(60, 1, 4, 16)
    assert data_digest(selection(60, 8, places, square)) != data_digest(found)
    labels = Selection("train", places, found.images, 9 - found.labels)
    assert data_digest(labels) != data_digest(found)


def test_a_digest_of_an_older_version_is_compared_with_one_made_as_then() -> None:
    found, some = selection(60, 8), selection(60, 8, torch.arange(0, 60, 3))
    assert (sampled_digest(found), sampled_digest(some)) == ("20da07a5106a0c30", "bd31b6c13f83ce74")
    assert digest_like("0123456789abcdef", found) == "20da07a5106a0c30"
    assert digest_like("sha256:0123456789abcdef", found) == data_digest(found)


def test_a_digest_can_be_given_up() -> None:
    with pytest.raises(GivenUpError, match="it took too long"):
        data_digest(selection(60, 8), lambda: True)
