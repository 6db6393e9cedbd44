"""Random draws of some of a part's images: of each class in proportion, or of all alike."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(labels: Tensor, count: int, numbers: torch.Generator, *, stratify: bool) -> Tensor:
    """Returns which images are drawn, bool (N,).

    Args:
        labels: int64 (N,), of the images.
        count: how many are drawn.
        numbers: the source of the draw.
        stratify: whether each class gives in proportion to its images and keeps one at least,
            see `shares`; else all images are alike, whatever their class.
    """
    order = torch.randperm(len(labels), generator=numbers)
    drawn = torch.zeros(len(labels), dtype=torch.bool)
    if not stratify:
        drawn[order[:count]] = True
        return drawn
    counts = labels.bincount()
    quotas = shares(counts, count, torch.randperm(len(counts), generator=numbers))
    by_class = order[labels[order].argsort(stable=True)]  # class by class, in the drawn order
    firsts = counts.cumsum(0) - counts
    ranks = torch.arange(len(labels)) - firsts[labels[by_class]]
    drawn[by_class[ranks < quotas[labels[by_class]]]] = True
    return drawn


def shares(counts: Tensor, total: int, ties: Tensor) -> Tensor:
    """Returns how many of `total` images each class gives, in proportion to what it has.

    By the largest remainder: each gives the whole part of its share, and those with the largest
    fractions one more. Every class keeps one image at least, unless fewer are left than there
    are classes.

    Args:
        counts: int64 (K,), how many images each class has; 0 for a class without any.
        total: at most their sum.
        ties: int64 (K,), a permutation; of equal fractions, the one that comes first in it wins.

    >>> from torch import arange, tensor
    >>> shares(tensor([50, 30, 20, 0]), 10, arange(4)).tolist()
    [5, 3, 2, 0]
    >>> shares(tensor([9, 9, 1]), 10, arange(3)).tolist()
    [5, 5, 0]
    """
    images = int(counts.sum())
    most = (counts - 1).clamp(min=0)
    if int(most.sum()) < total:
        most = counts
    quotas = torch.minimum(counts * total // images, most)
    fractions = counts * total % images
    order = ties[fractions[ties].argsort(descending=True, stable=True)]
    while int(quotas.sum()) < total:
        free = order[quotas[order] < most[order]]
        quotas[free[: total - int(quotas.sum())]] += 1
    return quotas
