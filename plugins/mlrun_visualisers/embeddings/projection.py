"""Values of a layer for images, and their projection onto two axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from mlrun import MlrunError, View

PIXELS = "pixels"
AT_ONCE = 128  # images that go through the model together, at most
VALUES_AT_ONCE = 2**21  # of a layer or of the images, that are in memory besides
FEWEST = 3  # images of which there is a picture
Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Source:
    """Where the values of an image are taken: from the pixels, or at a layer.

    layer: as `named_modules` gives it; None for the pixels.
    side: the layer's output, or its input.
    """

    layer: str | None
    side: Literal["output", "input"]

    def __str__(self) -> str:
        if self.layer is None:
            return PIXELS
        return self.layer if self.side == "output" else f"input of {self.layer}"

    def values(self, view: View, images: Tensor) -> Tensor:
        """Returns the values of raw images, float32 (N, …): of a layer's last call in a pass.

        Pixels are between 0 and 1.
        """
        if self.layer is None:
            return images.float() / 255
        calls = view.activations([self.layer], images, side=self.side)[self.layer]
        if not calls or len(calls[-1]) != len(images):
            output = f"makes {tuple(calls[-1].shape)}" if calls else "makes no tensor"
            raise MlrunError(f"{self} {output} of {len(images)} images; name another layer")
        return calls[-1].float()


def source_of(view: View, layer: str | None, visualiser: str) -> Source:
    """Returns the source that `layer` names, an option of `visualiser`.

    None is the input of the last linear layer.
    """
    if layer == PIXELS:
        return Source(None, "output")
    if layer is not None:
        return Source(layer, "output")
    linear = [name for name, module in view.model.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise MlrunError(
            "the model has no linear layer whose input could be drawn; name a layer with "
            f"--{visualiser}.layer: {', '.join(n for n, _ in view.model.named_modules() if n)}"
        )
    return Source(linear[-1], "input")


def values_of(
    view: View, source: Source, part: str, places: Sequence[int], *, most: int
) -> tuple[Floats, tuple[int, ...]]:
    """Returns the values of images of a part, float32 (n, D), and their shape before flattening.

    The images go through the model some at a time. Of a layer so large that all images come to
    more than `most` values, only the first n of `places` are taken, and a note of the view says so.

    Raises:
        MlrunError: not even three images fit, or values are not finite.
    """
    shape = tuple(source.values(view, view.images(part, places[:1])).shape[1:])
    size = math.prod(shape)
    if size * len(places) > most:
        fitting = most // size
        if fitting < FEWEST:
            raise MlrunError(
                f"{source} has {size:,} values an image, of at most {most:,} for all images; "
                "name another layer"
            )
        view.note(
            f"{source} has {size:,} values an image: {fitting:,} of {len(places):,} images drawn"
        )
        places = places[:fitting]
    at_once = max(1, min(AT_ONCE, VALUES_AT_ONCE // max(size, math.prod(view.shape))))
    values = np.empty((len(places), size), dtype=np.float32)
    for start in range(0, len(places), at_once):
        some = places[start : start + at_once]
        outputs = source.values(view, view.images(part, some))
        values[start : start + len(some)] = outputs.flatten(1).numpy()
    if not np.isfinite(values).all():
        raise MlrunError(f"{source} makes values that are not finite")
    return values, shape


def check_differ(values: Floats, source: Source) -> None:
    """Raises MlrunError unless values, float32 (n, D), can be drawn in a plane."""
    if min(values.shape) < 2:
        raise MlrunError(
            f"{source}: {values.shape[1]} values of {len(values)} images; expected at least 2 of "
            "both"
        )
    if not np.ptp(values, axis=0).any():
        raise MlrunError(f"{source} is the same for all of {len(values)} images")


@dataclass(frozen=True)
class Basis:
    """Two axes on which images are drawn.

    mean: float32 (D,), which is drawn at the origin.
    axes: float32 (2, D), of length 1 and at right angles.
    explained: float64 (2,), the fraction of the variance along each.
    """

    mean: Floats
    axes: Floats
    explained: Numbers

    def project(self, values: Floats) -> Numbers:
        """Returns where values, float32 (n, D), are drawn: float64 (n, 2)."""
        return (values @ self.axes.T - self.mean @ self.axes.T).astype(np.float64)


def principal_basis(values: Floats, labels: Labels, seed: int) -> Basis:
    """Returns the first two principal components of values, float32 (n, D), with n and D ≥ 2.

    Each points to where `signs_of` says, so that runs line up.
    """
    solver = "arpack" if min(values.shape) > 2 else "full"
    fitted = PCA(2, svd_solver=solver, random_state=seed).fit(values)
    basis = Basis(fitted.mean_, fitted.components_, fitted.explained_variance_ratio_)
    signs = signs_of(basis.project(values), labels).astype(np.float32)
    return Basis(basis.mean, basis.axes * signs[:, None], basis.explained)


def neighbour_points(values: Floats, labels: Labels, *, perplexity: float, seed: int) -> Numbers:
    """Returns where t-SNE puts values, float32 (n, D): float64 (n, 2).

    On one thread: with more, their sums come in another order each time.
    """
    with threadpool_limits(1):
        embedding = TSNE(perplexity=perplexity, random_state=seed, init="pca").fit_transform(values)
    points = np.asarray(embedding, dtype=np.float64)
    return points * signs_of(points, labels)


def signs_of(points: Numbers, labels: Labels) -> Numbers:
    """Returns 1 or -1 for each axis: with it, the class that decides lies on the positive side.

    That is the first class whose mean lies at least half as far out as that of any class. PCA
    and t-SNE leave the sign open; this rule depends on the classes and not on the weights.

    Args:
        points: float64 (n, 2), about the origin.
        labels: int64 (n,).
    """
    means = np.stack([points[labels == label].mean(0) for label in np.unique(labels)])
    distances = np.abs(means)
    deciding = (distances >= distances.max(0) / 2).argmax(0)
    return np.where(means[deciding, range(2)] < 0, -1.0, 1.0)
