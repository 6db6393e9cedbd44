"""Saliency and Grad-CAM: their numbers, the pixels that show them, and what they need."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from drawn import decode, drawings_of, pictures
from mlrun_visualisers.attributions.activation_maps import grad_cam_of, layer_of
from mlrun_visualisers.attributions.gradients import saliency_of
from mlrun_visualisers.attributions.probes import captions_of, fit, probe_batch
from PIL import Image, ImageOps
from runs import QUICK, artifacts, without
from torch import nn
from views import convolutional, make_view

import mlrun
from mlrun import MlrunError, View
from mlrun.data.probe import Probe, load_probe
from mlrun.seam.registry import discover
from mlrun.settings.plan import plan_of

BOTH = ("saliency", "grad-cam")
HEAD, FOOT = 48, 14 + 8 + 12  # pixels above the first row of images, and below the last


def linear(shape: tuple[int, int, int] = (1, 6, 6)) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], 3))


def pooled(inplace: bool = False) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 5, 3),
        nn.ReLU(inplace=inplace),
        nn.Conv2d(5, 4, 3),
        nn.ReLU(inplace=inplace),
        nn.Flatten(),
        nn.Linear(16, 3),
    )


def said(name: str, view: View, **options: Any) -> list[str]:
    """The captions, and then the title."""
    picture = discover().find("visualiser", name).function(view, **options)
    texts = [text.get_text() for text in picture.image.texts]
    return [*texts[:-6], texts[-1]]  # without the five values at the colour bar


def cells(name: str, picture: np.ndarray, count: int, side: int) -> list[np.ndarray]:
    """The pictures at the right of so many images in one row, each of their pixels once."""
    factor = 112 // side
    shown, across = side * factor, 2 * side * factor + 4 + 8
    first = 12 + 4 + shown + 4
    row = picture[HEAD : HEAD + shown]
    places = [first + number * across for number in range(count)]
    return [row[factor // 2 :: factor, left : left + shown][:, factor // 2 :: factor]
            for left in places]  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 6, 6), (3, 5, 4)])
def test_the_saliency_of_a_linear_model_is_the_largest_weight_s_size(
    shape: tuple[int, int, int],
) -> None:
    model = linear(shape)
    view = make_view(model, shape)
    found = saliency_of(view, probe_batch(view, "true", 3, "saliency"))
    weight = model[1].weight.detach().reshape(3, *shape)
    np.testing.assert_allclose(found, weight.abs().amax(1), rtol=1e-6)


@pytest.mark.parametrize("target", ["true", "predicted"])
def test_saliency_is_what_autograd_gives_also_where_layers_work_in_place(target: str) -> None:
    view = make_view(pooled(inplace=True))
    found = saliency_of(view, probe_batch(view, target, 3, "saliency"))
    twin = pooled(inplace=False)
    inputs = view.inputs(view.probes).requires_grad_()
    logits = twin(inputs)
    labels = view.probe_labels if target == "true" else logits.argmax(1)
    (expected,) = torch.autograd.grad(logits[torch.arange(3), labels].sum(), inputs)
    np.testing.assert_allclose(found, expected.abs()[:, 0], atol=1e-6)


def test_grad_cam_is_the_formula_written_by_hand() -> None:
    """A 1 × 1 convolution, its mean, a linear layer: each place counts alike."""
    kernels = torch.tensor([1.0, -2.0])
    weight = torch.tensor([[3.0, 1.0], [-1.0, 2.0], [0.5, 0.5]])
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3)
    )
    with torch.no_grad():
        model[0].weight.copy_(kernels.view(2, 1, 1, 1))
        model[3].weight.copy_(weight)
    view = make_view(model)
    found = grad_cam_of(view, "0", probe_batch(view, "true", 3, "grad-cam"))
    pixels = (view.probes[:, 0].numpy() / 255 - 0.5) / 0.25
    for label, image in enumerate(pixels):
        by_hand = (weight[label] @ kernels).item() / 36 * image
        np.testing.assert_allclose(found[label], np.maximum(by_hand, 0), atol=1e-6)
    assert found.max() > 0.01


@pytest.mark.parametrize("layer", ["0", "2"])
def test_grad_cam_is_of_a_layer_before_what_works_in_place_overwrites_it(layer: str) -> None:
    view = make_view(pooled(inplace=True))
    found = grad_cam_of(view, layer, probe_batch(view, "true", 3, "grad-cam"))
    twin = pooled(inplace=False)
    place = int(layer) + 1
    maps = twin[:place](view.inputs(view.probes)).detach().requires_grad_()
    logits = twin[place:](maps)
    (gradient,) = torch.autograd.grad(logits.diagonal().sum(), maps)
    expected = (gradient.mean((2, 3), keepdim=True) * maps).sum(1).relu()
    np.testing.assert_allclose(found, expected.detach(), atol=1e-6)
    assert (maps < 0).any()


@pytest.mark.parametrize(("arch", "layer"), [("alexnet", "features.10"),
                                             ("resnet18", "layer4.1.conv2")])  # fmt: skip
def test_networks_of_torchvision_are_explained_though_they_work_in_place(
    arch: str, layer: str
) -> None:
    build = discover().find("model", "torchvision").function
    torch.manual_seed(0)
    view = make_view(build((3, 64, 64), 3, arch=arch), (3, 64, 64))
    view.model.requires_grad_(False)  # as a frozen network's are
    assert layer_of(view, None, view.probes[:1]) in (layer, "layer3.1.conv2")
    for name in BOTH:
        assert pictures(name, view)[name].std() > 0


def test_the_drawn_pixels_of_saliency_are_its_values() -> None:
    view = make_view(linear())
    values = saliency_of(view, probe_batch(view, "true", 3, "saliency"))
    assert "scale 0 to 0.25" in said("saliency", view)[-1]
    assert 0.125 < values.max() < 0.25
    (picture,) = pictures("saliency", view, cmap="viridis").values()
    for cell, value in zip(cells("saliency", picture, 3, 6), values, strict=True):
        assert np.abs(decode(cell, 0, 0.25, "viridis") - value).max() < 2 * 0.25 / 255


def test_the_drawn_pixels_of_grad_cam_are_half_image_and_half_heat() -> None:
    view = make_view(convolutional())
    asked = probe_batch(view, "true", 3, "grad-cam")
    values = grad_cam_of(view, "0", asked)
    (picture,) = pictures("grad-cam", view, scale="own", cmap="viridis").values()
    rows = zip(cells("grad-cam", picture, 3, 6), asked.images, values, strict=True)
    for cell, image, value in rows:
        heat = 2 * cell.astype(float) - image[0].numpy()[..., None]
        decoded = decode(heat.clip(0, 255), 0, value.max(), "viridis")
        assert np.abs(decoded - value).max() < 4 * value.max() / 255


def test_titles_and_captions_tell_what_is_drawn() -> None:
    view = make_view(convolutional())
    chances, guesses = view.model(view.inputs(view.probes)).softmax(1).max(1)
    expected = [
        f"{true} → {'abc'[guess]} ({chance:.3f})"
        for true, guess, chance in zip("abc", guesses, chances, strict=True)
    ]
    for name, first in (
        ("saliency", "saliency of 1 × 6 × 6: |gradient| of the true class's logit"),
        ("grad-cam", "Grad-CAM of 0 6 × 6, for the true class's logit"),
    ):
        *captions, title = said(name, view)
        assert captions == expected
        assert title.split("\n")[0] == first
        assert title.split("\n")[1].startswith("epoch 2, scale 0 to 0.")
        assert "predicted class's logit" in said(name, view, target="predicted")[-1]
    long = captions_of(("a rather long name", "b"), [0], torch.tensor([[0.0, 1.0]]))
    assert long == ("a rather long name\n→ b (0.731)",)


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    "options",
    [{"target": "predicted"}, {"images": 2}, {"columns": 1}, {"scale": "own"}, {"limit": 0.001},
     {"cmap": "gray"}],
)  # fmt: skip
def test_each_option_changes_the_picture(name: str, options: dict[str, Any]) -> None:
    view = make_view(convolutional())
    plain, changed = pictures(name, view)[name], pictures(name, view, **options)[name]
    assert not np.array_equal(plain, changed)


def test_a_limit_fixes_the_scale() -> None:
    view = make_view(linear())
    assert "scale 0 to 0.7;" in said("saliency", view, limit=0.7)[-1]
    (picture,) = pictures("saliency", view, limit=0.7, cmap="viridis").values()
    value = view.model[1].weight.detach().abs().reshape(3, 6, 6)[0].numpy()
    cell = cells("saliency", picture, 3, 6)[0]
    assert np.abs(decode(cell, 0, 0.7, "viridis") - value).max() < 2 * 0.7 / 255


def test_the_layer_is_the_last_convolution_with_maps_or_the_one_named() -> None:
    deep = nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Conv2d(2, 3, 4), nn.Flatten(), nn.Linear(3, 3)
    )
    view = make_view(deep)
    assert layer_of(view, None, view.probes[:1]) == "0"  # maps of the other are 1 × 1
    assert "Grad-CAM of 1 4 × 4" in said("grad-cam", view, layer="1")[-1]
    for layer, what in (("4", "has no maps"), ("conv", "is no layer of the model")):
        with pytest.raises(
            MlrunError, match=f"grad-cam: {layer} {what}.*; layers that have maps: 0, 1, 2$"
        ):
            pictures("grad-cam", view, layer=layer)
    with pytest.raises(
        MlrunError, match=r"has no convolution; name .* --grad-cam\.layer: there is none$"
    ):
        pictures("grad-cam", make_view(linear()))


def test_an_image_without_a_class_is_explained_for_the_predicted_one() -> None:
    view = make_view(nn.Sequential(nn.Conv2d(3, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
                     (3, 6, 6), probe=load_probe("china", 3))  # fmt: skip
    asked = probe_batch(view, "true", 9, "saliency")
    assert asked.targets.tolist() == asked.logits.argmax(1).tolist()
    assert asked.images.shape == (1, 3, 427, 640)  # any size will do
    (caption, title) = said("saliency", view)
    assert caption.startswith("→ ")
    assert "predicted class's logit" in title
    assert title.endswith("; → predicted (its probability)")
    assert view.notes == []


def test_an_image_that_the_model_does_not_take_is_brought_to_the_size_that_it_does() -> None:
    drawn = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, 1, 20, 31), dtype=torch.uint8, generator=drawn)
    view = make_view(linear(), probe=Probe("a photo.png", image))
    asked = probe_batch(view, "true", 1, "saliency")
    theirs = ImageOps.fit(Image.fromarray(image[0, 0].numpy()), (6, 6), Image.Resampling.BILINEAR)
    assert np.array_equal(asked.images[0, 0], theirs)
    assert torch.equal(fit(asked.images[0], (6, 6)), asked.images[0])
    told = "saliency shows a photo.png as 6 × 6 pixels, the size that the model takes"
    assert view.notes == [told]


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 1.0, "scale": "own"}, "limit fixes one scale for all; leave it out"),
    ],
)
def test_options_that_make_no_picture_are_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(MlrunError, match=f"{name}: {message}"):
        pictures(name, make_view(convolutional()), **options)


@pytest.mark.parametrize("name", BOTH)
def test_without_captum_a_line_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert plan_of({"visualisers": name}).visualisers
    monkeypatch.setitem(sys.modules, "captum", None)  # what Python keeps of one that is not there
    line = f"visualiser {name} needs captum, which is not installed; pip install "
    with pytest.raises(MlrunError, match=re.escape(line + "'mlrun-vision[captum]'")):
        plan_of({"visualisers": name})


@pytest.mark.parametrize("name", BOTH)
def test_the_values_behind_the_picture_are_kept(name: str) -> None:
    view = make_view(convolutional())
    asked = probe_batch(view, "true", 2, name)
    expected = saliency_of(view, asked) if name == "saliency" else grad_cam_of(view, "0", asked)
    (drawing,) = drawings_of(name, make_view(convolutional()), images=2)
    assert list(drawing.values) == ["attributions"]
    assert drawing.values["attributions"].dtype == np.float32
    np.testing.assert_array_equal(drawing.values["attributions"], expected)


def test_captum_warns_of_nothing_prints_nothing_and_leaves_torch_as_it_was() -> None:
    code = """
import torch
state = lambda: (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled(),
                 torch.are_deterministic_algorithms_enabled(), torch.get_rng_state().tolist())
before = state()
from captum.attr import LayerGradCam, Saliency
model = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Flatten())
before_rng = state()
x = torch.ones(1, 1, 2, 2, requires_grad=True)
Saliency(model).attribute(x, target=0), LayerGradCam(model, model[0]).attribute(x, 0)
assert state()[:-1] == before[:-1] and state() == before_rng
assert not any(m._forward_hooks for m in model.modules())
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.slow
def test_a_run_draws_them_by_epoch_and_trains_as_it_would_without(store: str) -> None:
    given = {**without(QUICK, "model.widths"), "model": "cnn"}
    names = "saliency,grad-cam,activation-maximisation"
    steps = {"activation-maximisation.steps": 2}
    run = mlrun.train({**given, "visualisers": names, **steps})
    assert run.failures == {}
    keys = {name.partition("+")[0] for name in artifacts(run.run_id, "images")}
    assert keys == {"saliency", "grad-cam"}
    assert artifacts(run.run_id, "figures") == ["activation-maximisation.png"]
    assert run.metrics["val/loss"] == mlrun.train(given).metrics["val/loss"]
