"""Hand-made kernels: their numbers, and that the picture shows them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from drawn import decode, figures, pictures
from mlrun_visualisers.images.filters import correlate, images_of, line_kernels
from scipy.signal import correlate2d
from torch import nn
from views import make_view

from mlrun import MlrunError, View
from mlrun.data.probe import load_probe
from mlrun.settings.plan import plan_of


def view_of(shape: tuple[int, int, int] = (1, 20, 24)) -> View:
    size = shape[0] * shape[1] * shape[2]
    return make_view(nn.Sequential(nn.Flatten(), nn.Linear(size, 3)), shape)


@pytest.mark.parametrize("size", [3, 5, 7, 9, 11])
def test_a_kernel_is_one_on_its_line_and_sums_to_zero(size: int) -> None:
    kernels = line_kernels(size)
    places = {name: (kernel == 1).nonzero().tolist() for name, kernel in kernels.items()}
    assert places == {
        "vertical": [[n, size // 2] for n in range(size)],
        "horizontal": [[size // 2, n] for n in range(size)],
        "diagonal ↘": [[n, n] for n in range(size)],
        "diagonal ↗": [[n, size - 1 - n] for n in range(size)],
    }
    for kernel in kernels.values():
        assert kernel.sum().item() == pytest.approx(0, abs=1e-6)
        assert len(kernel.unique()) == 2


@pytest.mark.parametrize("channels", [1, 3])
def test_the_responses_are_scipy_s_correlation_of_the_mean_channel(channels: int) -> None:
    images = view_of((channels, 20, 24)).probes
    drawn = torch.Generator().manual_seed(0)
    kernels = torch.stack([*line_kernels(5).values(), torch.randn(5, 5, generator=drawn)])
    found = correlate(images, kernels)
    assert found.shape == (3, 5, 16, 20)
    grey = images.double().mean(1).numpy() / 255
    for image, responses in zip(grey, found, strict=True):
        for kernel, response in zip(kernels.numpy(), responses, strict=True):
            theirs = correlate2d(image, kernel, mode="valid")
            np.testing.assert_allclose(response, theirs, atol=1e-5)


def test_the_pixels_are_the_responses_in_the_column_of_their_kernel() -> None:
    view = view_of()
    shown = pictures("kernels", view, images=2)["kernels"]
    responses = correlate(view.probes[:2], torch.stack(list(line_kernels(5).values())))
    limit = 2.0 ** np.ceil(np.log2(np.quantile(np.abs(responses), 0.99)))
    responses = responses.clip(-limit, limit)
    factor, across, down = 4, 24 * 4 + 8, 20 * 4 + 8
    first = shown.shape[0] - 12 - 2 * down + 8
    for row in range(2):
        for column in range(4):
            top, left = first + row * down, 12 + (column + 1) * across
            cell = shown[top : top + 80, left : left + 96][factor // 2 :: factor, 2::factor]
            assert (cell[:2] == 255).all()  # no padding: white where the kernel does not fit
            assert (cell[:, -2:] == 255).all()
            decoded = decode(cell[2:-2, 2:-2], -limit, limit, "RdBu_r")
            assert np.abs(decoded - responses[row, column]).max() < 4 * limit / 255


def test_the_images_are_those_asked_for() -> None:
    view = view_of()
    assert torch.equal(images_of(view, "probes", 2), view.probes[:2])
    assert torch.equal(images_of(view, "train", 7), view.images("train")[:7])
    assert len(images_of(view, "test", 999)) == len(view.labels("test"))
    few, many = (pictures("kernels", view, part="train", images=n)["kernels"] for n in (1, 7))
    assert few.shape[0] < many.shape[0] < 1000
    view._probe = load_probe("china", 1)
    assert pictures("kernels", view)["kernels"].shape[1] < 1400
    texts = [text.get_text() for text in figures("kernels", view)[""].texts]
    assert texts[-5:] == ["image", "vertical", "horizontal", "diagonal ↘", "diagonal ↗"]
    assert texts[0].startswith(
        "kernels 5 × 5: 1 on the line, -0.25 elsewhere\nchina, pixels as 0–1"
    )


def test_images_that_no_kernel_fits_in_are_told() -> None:
    figure = figures("kernels", view_of((1, 4, 9)))[""]
    told = "images of 4 × 9 pixels are smaller than the kernels"
    assert figure.texts[0].get_text().split("\n")[1] == told


def test_a_colour_map_that_there_is_not_is_refused() -> None:
    with pytest.raises(MlrunError, match="cmap nope: matplotlib has no such colour map"):
        pictures("kernels", view_of(), cmap="nope")


def test_a_kernel_without_a_middle_is_refused_before_a_run_is_opened() -> None:
    with pytest.raises(MlrunError, match=r"kernels.size: expected one of 3\|5\|7\|9\|11, got '4'"):
        plan_of({"visualisers": "kernels", "kernels.size": "4"})
