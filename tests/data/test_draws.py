"""Random draws: each class gives in proportion, and keeps an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mlrun import ImageData, MlrunError, Part
from mlrun.data.draws import draw, shares
from mlrun.data.splits import Selection, split
from mlrun.machine.randomness import generator


def labelled(labels: torch.Tensor) -> ImageData:
    images = torch.zeros(len(labels), 1, 2, 2, dtype=torch.uint8)
    names = tuple(f"c{k}" for k in range(int(labels.max()) + 1))
    return ImageData(Part(images, labels), names)


def counts(selection: Selection, classes: int) -> list[int]:
    return selection.labels[selection.indices].bincount(minlength=classes).tolist()


def cases() -> list[tuple[np.ndarray, int, int]]:
    """Images of each class, how many are drawn, and a seed; many kinds, all drawn from one seed."""
    numbers = np.random.default_rng(0)
    made = []
    for seed in range(300):
        sizes = numbers.integers(0, [2, 4, 12, 200][seed % 4], int(numbers.integers(1, 15)))
        sizes[0] += 1
        total = int(numbers.integers(0, sizes.sum() + 1))
        made.append((sizes, total, seed))
    return made


def test_a_stratified_draw_is_in_proportion_and_spares_one_of_each_class() -> None:
    for sizes, total, seed in cases():
        labels = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes))
        labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
        drawn = draw(labels, total, generator(seed, "a"), stratify=True)
        given = labels[drawn].bincount(minlength=len(sizes)).numpy()
        share = sizes * total / sizes.sum()
        assert given.sum() == total
        assert (given <= sizes).all()
        spare = np.maximum(sizes - 1, 0)
        if total <= spare.sum():
            assert (given <= spare).all()
            assert (given > share - 1 - 1e-9).all()
        if (share <= spare + 1e-9).all() or total > spare.sum():
            assert (np.abs(given - share) < 1 + 1e-9).all()
        assert drawn.equal(draw(labels, total, generator(seed, "a"), stratify=True))


def test_the_largest_remainders_give_one_more_and_ties_are_broken_by_the_seed() -> None:
    sizes = torch.tensor([50, 30, 20])
    for total, expected in ((7, [4, 2, 1]), (8, [4, 2, 2]), (9, [4, 3, 2]), (10, [5, 3, 2])):
        assert shares(sizes, total, torch.arange(3)).tolist() == expected
    equal = torch.arange(40) % 4
    winners = {
        int(equal[draw(equal, 1, generator(seed, "a"), stratify=True)]) for seed in range(40)
    }
    assert winners == {0, 1, 2, 3}
    places = {
        int(draw(equal, 1, generator(seed, "a"), stratify=True).nonzero()) for seed in range(40)
    }
    assert len(places) > 20


def test_a_draw_that_is_not_stratified_is_that_of_earlier_versions() -> None:
    data = labelled(torch.arange(100) % 3)
    order = torch.randperm(100, generator=generator(5, "validation"))
    found = split(data, validation=0.2, subset="all", seed=5, stratify=False)
    assert found["val"].indices.tolist() == sorted(order[:20].tolist())
    assert found["train"].indices.tolist() == sorted(order[20:].tolist())
    order = torch.randperm(100, generator=generator(5, "subset"))[:30].sort().values
    found = split(data, validation="last:10", subset="random:30", seed=5, stratify=False)
    assert torch.cat([found["train"].indices, found["val"].indices]).equal(order)


@pytest.mark.parametrize("subset", ["all", "random:60"])
@pytest.mark.parametrize("validation", [0.1, 0.5, 0.9, "auto"])
def test_no_split_loses_a_rare_class(validation: float | str, subset: str) -> None:
    labels = torch.cat([torch.zeros(150), torch.ones(47), torch.full((2,), 2), torch.full((1,), 3)])
    for seed in range(50):
        found = split(labelled(labels.long()), validation=validation, subset=subset, seed=seed)
        held = round(
            (200 if subset == "all" else 60) * (0.1 if validation == "auto" else validation)
        )
        assert min(counts(found["train"], 4)) >= 1
        assert len(found["val"]) == held
        assert not set(found["train"].indices.tolist()) & set(found["val"].indices.tolist())


def test_the_first_and_the_last_images_stay_those_in_their_order() -> None:
    data = labelled(torch.arange(100) // 50)
    found = split(data, validation="last:20", subset="70", seed=0)
    assert found["train"].indices.tolist() == list(range(50))
    assert found["val"].indices.tolist() == list(range(50, 70))


def test_where_each_class_has_one_image_none_is_held_out(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(MlrunError, match="each of 6 classes has one training image, which stays"):
        split(labelled(torch.arange(6)), validation=0.5, subset="all", seed=0)
    found = split(labelled(torch.arange(8) % 6), validation=0.5, subset="all", seed=0)
    assert (counts(found["train"], 6), counts(found["val"], 6)) == ([1] * 6, [1, 1, 0, 0, 0, 0])
    assert caplog.messages == [
        "validation 0.5: 2 images are held out, not 4, so that each of 6 classes keeps one to "
        "train on"
    ]
    few = split(labelled(torch.arange(60) % 6), validation="last:1", subset="random:3", seed=0)
    assert len(few["train"]) + len(few["val"]) == 3
