"""Mixup and CutMix, held against torchvision's."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import v2

from mlrun.data.mixing import MixedBatch, Mixing, box, mix, paste
from mlrun.settings.augmentation import MixingSettings

CLASSES = 5


def mixing_by(**alphas: float) -> Mixing:
    return Mixing(MixingSettings(**alphas))


def batch(*shape: int) -> tuple[Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    labels = torch.randint(0, CLASSES, shape[:1], generator=source)
    return torch.rand(*shape, generator=source), labels


def assert_labels_are(mixed: MixedBatch, labels: Tensor, expected: Tensor) -> None:
    own, other = (F.one_hot(given, CLASSES) for given in (labels, labels.roll(1)))
    torch.testing.assert_close(mixed.share * own + (1 - mixed.share) * other, expected)


@pytest.mark.parametrize("seed", range(10))
def test_mixup_is_torchvision_s(seed: int) -> None:
    images, labels = batch(6, 3, 5, 7)
    torch.manual_seed(seed)
    theirs = v2.MixUp(alpha=0.4, num_classes=CLASSES)
    share = theirs.make_params([images])["lam"]
    torch.manual_seed(seed)
    expected, soft = theirs(images, labels)
    mixed = mix(images, share)
    torch.testing.assert_close(mixed.images, expected)
    assert_labels_are(mixed, labels, soft)


@pytest.mark.parametrize("shape", [(6, 1, 28, 28), (4, 3, 9, 20), (3, 1, 1, 1)])
@pytest.mark.parametrize("seed", range(20))
def test_cutmix_is_torchvision_s(seed: int, shape: tuple[int, ...]) -> None:
    images, labels = batch(*shape)
    height, width = shape[2:]
    theirs = v2.CutMix(alpha=1.0, num_classes=CLASSES)
    torch.manual_seed(seed)
    share = float(theirs._dist.sample(()))
    x, y = torch.randint(width, (1,)).item(), torch.randint(height, (1,)).item()
    torch.manual_seed(seed)
    params = theirs.make_params([images])
    ours = box(share, (x + 0.5) / width, (y + 0.5) / height, height, width)
    assert ours == params["box"]
    torch.manual_seed(seed)
    expected, soft = theirs(images, labels)
    mixed = paste(images, ours)
    assert torch.equal(mixed.images, expected)
    assert mixed.share == pytest.approx(params["lam_adjusted"], abs=1e-12)
    assert_labels_are(mixed, labels, soft)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_two_losses_by_their_shares_are_the_loss_of_soft_labels(
    smoothing: float, weighted: bool
) -> None:
    images, labels = batch(8, 1, 4, 4)
    torch.manual_seed(3)
    theirs = v2.MixUp(alpha=1.0, num_classes=CLASSES)
    share = theirs.make_params([images])["lam"]
    torch.manual_seed(3)
    _, soft = theirs(images, labels)
    logits = batch(8, CLASSES)[0] * 4

    def loss(target: Tensor) -> Tensor:
        weight = torch.arange(1.0, CLASSES + 1) if weighted else None
        return F.cross_entropy(
            logits, target, weight=weight, label_smoothing=smoothing, reduction="sum"
        )

    share = mix(images, share).share
    both = share * loss(labels) + (1 - share) * loss(labels.roll(1))
    torch.testing.assert_close(both, loss(soft))


@pytest.mark.parametrize(
    "mixing", [mixing_by(mixup=0.3), mixing_by(cutmix=1.0), mixing_by(mixup=0.3, cutmix=1.0)]
)
def test_the_seed_decides_and_nothing_else_is_touched(mixing: Mixing) -> None:
    images, _ = batch(6, 2, 20, 20)
    kept, state = images.clone(), torch.get_rng_state()
    found, again = (mixing(images, seed=1) for _ in range(2))
    assert mixing.active
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, kept)
    assert torch.equal(found.images, again.images)
    assert found.share == again.share
    assert len({mixing(images, seed=seed).share for seed in range(50)}) > 20


def uncut(mixed: MixedBatch, images: Tensor) -> bool:
    """Whether every pixel of `images` was weighed alike."""
    return torch.allclose(mixed.images, torch.lerp(images.roll(1, 0), images, mixed.share))


def test_shares_follow_the_beta_distribution() -> None:
    images, _ = batch(2, 1, 2, 2)
    for alpha in (0.2, 1.0, 3.0):
        shares = torch.tensor([mixing_by(mixup=alpha)(images, seed=s).share for s in range(4000)])
        assert shares.mean().item() == pytest.approx(0.5, abs=0.03)
        expected = (1 / (4 * (2 * alpha + 1))) ** 0.5  # the distribution's own deviation
        assert shares.std().item() == pytest.approx(expected, rel=0.05)


def test_cut_rectangles_lie_anywhere_and_the_share_is_what_they_leave() -> None:
    images = torch.stack([torch.zeros(1, 12, 20), torch.ones(1, 12, 20)])
    covered = torch.zeros(12, 20)
    for seed in range(500):
        mixed = mixing_by(cutmix=1.0)(images, seed=seed)
        assert mixed.images[0].mean().item() == pytest.approx(1 - mixed.share, abs=1e-6)
        covered += mixed.images[0, 0]
    assert covered.min() > 10


def test_with_both_on_each_takes_about_half_of_the_batches() -> None:
    images, _ = batch(4, 1, 28, 28)
    both = [mixing_by(mixup=1.0, cutmix=1.0)(images, seed=seed) for seed in range(400)]
    assert 150 < sum(uncut(mixed, images) for mixed in both) < 250
    alone = [mixing_by(mixup=1.0)(images, seed=seed) for seed in range(50)]
    assert all(uncut(mixed, images) for mixed in alone)


def test_with_nothing_on_the_images_come_back_themselves() -> None:
    images, _ = batch(2, 1, 3, 3)
    assert not mixing_by().active
    assert mixing_by()(images, seed=0).images is images
    assert mixing_by()(images, seed=0).share == 1


def test_an_image_alone_is_its_own_partner() -> None:
    images, _ = batch(1, 1, 6, 6)
    for mixing in (mixing_by(mixup=1.0), mixing_by(cutmix=1.0)):
        torch.testing.assert_close(mixing(images, seed=1).images, images)
