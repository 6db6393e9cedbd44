"""The images with the highest losses, wrong or right."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import drawn
from scipy.special import log_softmax
from torch import nn
from views import convolutional, make_view

from mlrun import MlrunError, View
from mlrun.seam.registry import discover


def view_of() -> View:
    return make_view(nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 5, 3)), (3, 8, 5))


@pytest.mark.parametrize("part", ["val", "test"])
def test_the_table_has_the_highest_losses_of_scipy_s_log_softmax(part: str) -> None:
    view = view_of()
    table = drawn("top-losses", view, count=7, part=part)["top-losses-table"]
    found = view.evaluation(part)
    chances = log_softmax(found.logits.double().numpy(), axis=1)
    losses = -chances[np.arange(len(chances)), found.labels.numpy()]
    order = np.argsort(-losses, kind="stable")[:7]
    assert table["index"] == found.indices.numpy()[order].tolist()
    assert table["loss"] == pytest.approx(losses[order], abs=1e-4)
    assert table["probability of true"] == pytest.approx(np.exp(-losses[order]), abs=1e-4)
    assert table["true"] == [view.classes[k] for k in found.labels.numpy()[order]]
    assert table["predicted"] == [view.classes[k] for k in found.predicted.numpy()[order]]
    for image, place in zip(table["image"], order.tolist(), strict=True):
        expected = view.images(part, [place])[0].permute(1, 2, 0).numpy()
        assert np.array_equal(image[::12, ::12], expected)


def test_images_that_are_right_are_among_them_and_captions_tell() -> None:
    view = make_view(convolutional())
    table = drawn("top-losses", view, count=999)["top-losses-table"]
    assert len(table["loss"]) == 60
    assert any(t == p for t, p in zip(table["true"], table["predicted"], strict=True))
    draw = discover().find("visualiser", "top-losses").function
    *captions, title = (text.get_text() for text in dict(draw(view, count=2))[""].image.texts)
    assert captions == [
        f"{table['true'][row]} → {table['predicted'][row]}\n"
        f"{table['loss'][row]:.2f}, p {table['probability of true'][row]:.2g}"
        for row in range(2)
    ]
    assert title.startswith("test, epoch 2: the 2 highest losses of 60 images\n")
    assert f"cross-entropy (mean {view.predictions.loss:.3g})" in title


def test_a_colour_map_that_there_is_not_is_refused() -> None:
    with pytest.raises(MlrunError, match="cmap nope"):
        drawn("top-losses", view_of(), cmap="nope")
