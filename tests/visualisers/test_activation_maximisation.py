"""Images that excite a unit most: closed forms, that they climb, and the same again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from drawn import drawings_of, pictures
from mlrun_visualisers.attributions.ascent import Ascent, climb, mean_of, responses, variation
from torch import nn
from views import convolutional, make_view

from mlrun import MlrunError, View
from mlrun.data.normalisation import Normalisation
from mlrun.seam.registry import discover

NAME = "activation-maximisation"
FEW = {"steps": 8}


def ascent(**changed: Any) -> Ascent:
    values: dict[str, Any] = {"steps": 64, "lr": 0.1, "smoothness": 0.5, "jitter": None, "seed": 0}
    return Ascent(**{**values, **changed})


def lenet() -> View:
    torch.manual_seed(0)
    shape = (1, 28, 28)
    return make_view(discover().find("model", "lenet").function(shape, 3), shape)


def said(view: View, **options: Any) -> list[str]:
    picture = discover().find("visualiser", NAME).function(view, **options)
    return [text.get_text() for text in picture.image.texts]


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 4, 5)])
def test_a_linear_unit_is_excited_most_by_the_signs_of_its_weights(
    shape: tuple[int, int, int],
) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], 3))
    view = make_view(model, shape)
    found = climb(view, "", [0, 1, 2], ascent(steps=200, lr=0.5, smoothness=0, jitter=0))
    weight = model[1].weight.reshape(3, *shape)
    assert torch.equal(found, torch.where(weight > 0, 255, 0).to(torch.uint8))
    largest = weight.abs().flatten(1).sum(1) * 2 + model[1].bias  # standardised, pixels end at ±2
    torch.testing.assert_close(responses(view, "", found).diagonal(), largest)


@pytest.mark.parametrize("layer", ["", "conv1", "conv2", "fc1"])
def test_what_is_reached_is_above_the_start_and_every_probe_image(layer: str) -> None:
    view = lenet()
    units = [0, 1, 2]
    start = climb(view, layer, units, ascent(steps=0))
    found = climb(view, layer, units, ascent())
    with torch.no_grad():
        before, reached = (responses(view, layer, i)[:, :3].diagonal() for i in (start, found))
        probes = responses(view, layer, view.probes)[:, :3].amax(0)
    assert (reached > before).all()
    assert (reached > probes).all()


def test_a_unit_s_response_is_its_output_or_the_mean_of_its_map() -> None:
    view = make_view(convolutional())
    kept = view.activations(["0", "3"], view.probes)
    torch.testing.assert_close(responses(view, "3", view.probes), kept["3"][0])
    found = responses(view, "0", view.probes)  # though the ReLU behind it works in place
    torch.testing.assert_close(found, kept["0"][0].mean((2, 3)))
    assert not any(module._forward_hooks for module in view.model.modules())


def test_the_image_of_a_unit_is_the_same_again_and_whatever_others_are_drawn() -> None:
    first, again = (climb(lenet(), "", [0, 1, 2], ascent(steps=20)) for _ in range(2))
    assert torch.equal(first, again)
    alone = climb(lenet(), "", [1], ascent(steps=20))
    assert (alone[0].float() - first[1].float()).abs().max() <= 1  # a batch rounds otherwise
    assert not torch.equal(first, climb(lenet(), "", [0, 1, 2], ascent(steps=20, seed=1)))


def test_the_start_is_noise_about_the_pixels_that_the_model_gets_as_zeros() -> None:
    view = make_view(convolutional(), (3, 6, 6))
    view._normalise = Normalisation((0.3, 0.0, 0.9), (0.25, 0.5, 1.0))
    mean = mean_of(view).flatten()
    torch.testing.assert_close(mean, torch.tensor([0.3, 0.05, 0.9]))


def test_smoothness_lowers_the_variation_and_the_activation() -> None:
    view = lenet()
    rough, smooth = (climb(view, "", [0, 1, 2], ascent(smoothness=s)) for s in (0, 1))
    assert (variation(smooth / 255) < 0.5 * variation(rough / 255)).all()
    with torch.no_grad():
        high, low = (responses(view, "", images).diagonal() for images in (rough, smooth))
    assert (high > low).all()
    by_hand = torch.tensor([[[[0.0, 1.0], [3.0, 1.0]]]])
    assert variation(by_hand).tolist() == [1 + 2 + 3 + 0]


def test_a_shift_is_a_sixteenth_of_the_shorter_side_unless_it_is_said() -> None:
    assert [ascent().shift((1, *size)) for size in ((8, 8), (28, 28), (224, 48))] == [0, 1, 3]
    assert ascent(jitter=5).shift((1, 8, 8)) == 5


def test_titles_and_captions_tell_units_and_what_they_reach() -> None:
    view = make_view(convolutional())
    *captions, title = said(view, **FEW)
    assert [caption.split("\n")[0] for caption in captions] == ["a", "b", "c"]
    found = climb(make_view(convolutional()), "", [0, 1, 2], ascent(steps=8))
    with torch.no_grad():
        reached = responses(view, "", found).diagonal().tolist()
    assert [caption.split("\n")[1] for caption in captions] == [f"{x:.3g}" for x in reached]
    assert title.split("\n") == [
        "images that excite the logits most, 3 of 3",
        "1 × 6 × 6, epoch 2, 8 steps; below each the activation that it reaches",
    ]
    *captions, title = said(view, layer="0", units=2, **FEW)
    assert [caption.split("\n")[0] for caption in captions] == ["unit 0", "unit 1"]
    assert title.startswith("images that excite the units of 0 most, 2 of 4\n")


def test_the_values_behind_the_picture_are_kept() -> None:
    (drawing,) = drawings_of(NAME, make_view(convolutional()), units=2, **FEW)
    images, reached = (drawing.values[name] for name in ("images", "activations"))
    assert np.array_equal(images, climb(make_view(convolutional()), "", [0, 1], ascent(steps=8)))
    with torch.no_grad():
        found = responses(make_view(convolutional()), "", torch.from_numpy(images)).diagonal()
    assert reached.dtype == np.float32
    np.testing.assert_allclose(reached, found, rtol=1e-6)


@pytest.mark.parametrize(
    "options",
    [{"layer": "0"}, {"units": 2}, {"columns": 1}, {"steps": 9}, {"lr": 0.2}, {"smoothness": 0},
     {"jitter": 2}, {"seed": 1}, {"cmap": "magma"}],
)  # fmt: skip
def test_each_option_changes_the_picture(options: dict[str, Any]) -> None:
    view = make_view(convolutional())
    plain = pictures(NAME, view, **FEW)[NAME]
    assert not np.array_equal(plain, pictures(NAME, view, **{**FEW, **options})[NAME])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "conv"}, "there is no layer conv; there are: 0, 1, 2, 3"),
        ({"cmap": "nope"}, "cmap nope: matplotlib has no such colour map"),
    ],
)
def test_options_that_make_no_picture_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(MlrunError, match=message):
        pictures(NAME, make_view(convolutional()), **options)


def test_a_layer_that_is_not_called_is_told() -> None:
    model = convolutional()
    model.add_module("4", nn.Identity())
    model[4].register_module("spare", nn.Linear(2, 2))
    with pytest.raises(MlrunError, match=r"activation-maximisation: 4\.spare has no units"):
        pictures(NAME, make_view(model), layer="4.spare")
