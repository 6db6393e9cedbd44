"""What a visualiser sees, and what it may return."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import drawn_by
from matplotlib.figure import Figure
from torch import nn
from views import convolutional, make_view

from mlrun import MlrunError, View
from mlrun.inside.drawing.draw import draw


def test_probes_are_the_first_image_of_each_class_whatever_the_seed() -> None:
    view = make_view(convolutional())
    assert view.probe_labels.tolist() == [0, 1, 2]
    assert view.probes.dtype == torch.uint8
    assert view.probes.shape == (3, 1, 6, 6)
    other = make_view(convolutional(), seed=7)
    assert not torch.equal(view.images("val"), other.images("val"))
    assert torch.equal(view.probes, other.probes)
    part = view._selection("val")
    assert torch.equal(view.probes, part.images[:3])  # whose labels are 0, 1, 2, 0, …


def test_feature_maps_are_those_of_a_forward_pass_written_by_hand() -> None:
    model = convolutional()
    view = make_view(model)
    found = view.activations(["0", "1", "3"], view.probes)
    inputs = (view.probes.float() / 255 - 0.5) / 0.25
    convolved = F.conv2d(inputs, model[0].weight, model[0].bias, padding=1)
    torch.testing.assert_close(found["0"], [convolved])  # kept, though the ReLU is in place
    torch.testing.assert_close(found["1"], [convolved.relu()])
    expected = F.linear(convolved.relu().flatten(1), model[3].weight, model[3].bias)
    torch.testing.assert_close(found["3"], [expected])
    assert not any(module._forward_hooks for module in model.modules())


def test_what_a_layer_gets_is_what_the_one_before_it_puts_out() -> None:
    view = make_view(convolutional())
    before = view.activations(["0", "2"], view.probes)
    taken = view.activations(["3", "1"], view.probes, side="input")
    torch.testing.assert_close(taken["3"], before["2"])
    torch.testing.assert_close(taken["1"], before["0"])  # kept, though the ReLU is in place
    assert not any(module._forward_pre_hooks for module in view.model.modules())


def test_of_several_inputs_the_first_tensor_is_kept_by_place_or_by_name() -> None:
    class Inner(nn.Module):
        def forward(self, how: str, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
            return {how: x + y}

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = Inner(), Inner()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.flatten(1)[:, :3]
            return self.two("b", x=self.one("a", x, -x)["a"] + 2, y=x)["b"]

    view = make_view(Outer())
    given = view.inputs(view.probes).flatten(1)[:, :3]
    found = view.activations(["one", "two"], view.probes, side="input")
    torch.testing.assert_close(found, {"one": [given], "two": [torch.full((3, 3), 2.0)]})
    assert view.activations(["one"], view.probes) == {"one": []}  # a dict is no tensor


def test_a_layer_that_is_used_twice_has_two_outputs() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(self.act(x) - 1).flatten(1)[:, :3]

    view = make_view(Twice())
    first, second = view.activations(["act"], view.probes)["act"]
    torch.testing.assert_close(second, (first - 1).relu())


def test_an_unknown_layer_or_part_is_named_with_those_there_are() -> None:
    view = make_view(convolutional())
    with pytest.raises(MlrunError, match="unknown layer conv; there are: 0, 1, 2, 3"):
        view.activations(["conv"], view.probes)
    with pytest.raises(MlrunError, match="unknown part valid; did you mean val"):
        view.labels("valid")


def test_what_a_view_hands_out_are_copies() -> None:
    view = make_view(convolutional())
    before = view.images("train").clone()
    view.images("train").zero_()
    view.labels("train").zero_()
    view.predictions.logits.zero_()
    assert torch.equal(view.images("train"), before)
    assert view.labels("train").any()
    assert view.predictions.logits.any()


def test_predictions_are_the_model_s_on_the_part_that_counts() -> None:
    view = make_view(convolutional())
    assert view.predictions.part == "test"
    with torch.no_grad():
        expected = view.model(view.inputs(view.images("test")))
    torch.testing.assert_close(view.predictions.logits, expected)


def test_gradients_reach_pixels_through_what_the_model_gets(store: str, tmp_path: Path) -> None:
    import mlrun

    path = tmp_path / "slope.py"
    path.write_text("""
import mlrun

def slope(view):
    import numpy as np
    import torch

    pixels = view.probes.float().requires_grad_()
    (found,) = torch.autograd.grad(view.inputs(pixels).sum(), pixels)
    assert torch.allclose(found, torch.tensor(1 / (255 * 0.25)))
    assert not view.inputs(view.probes).requires_grad
    return np.zeros((9, 9, 3), dtype="uint8")

@mlrun.hookimpl
def register_visualisers(register):
    register(slope)
""")
    settings = {"model": "logistic", "epochs": 0, "log_model": False, "normalisation": "0.5/0.25"}
    run = mlrun.train({**settings, "visualisers": "slope", "plugin": str(path)})
    assert run.failures == {}


def test_pictures_are_named_after_visualiser_and_label() -> None:
    view = make_view(convolutional())
    black = np.zeros((2, 2, 3), dtype=np.uint8)

    def several(view: View) -> Iterator[tuple[str, object]]:
        yield "conv1", black
        yield "a/b+c %", Figure(figsize=(1, 1), dpi=50)

    found = drawn_by(several, "mine", view)
    assert list(found) == ["mine-conv1", "mine-a_b_c__"]
    assert found["mine-a_b_c__"].shape == (50, 50, 3)
    assert list(drawn_by(lambda view: black, "mine", view)) == ["mine"]
    (long,) = drawn_by(lambda view: [("x" * 999, black)], "mine", view)
    assert len(long) < 120


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "it returned None; expected a Figure, a uint8 array"),
        ("path.png", "it returned str"),
        ([np.zeros((2, 2, 3), dtype=np.uint8)], r"it yielded ndarray; expected \(name, picture\)"),
        (np.zeros((2, 2), dtype=np.uint8), r"it drew an array uint8 \(2, 2\); expected uint8"),
        (np.zeros((0, 5, 3), dtype=np.uint8), r"uint8 \(0, 5, 3\); expected .*, not empty"),
        (np.zeros((2, 2, 3)), r"it drew an array float64 \(2, 2, 3\)"),
        ([("a", 1)], "it drew int; expected a Figure"),
        ([("a", Figure()), ("a", Figure())], "it drew two pictures named 'a'"),
    ],
)
def test_what_is_not_a_picture_is_refused(result: object, message: str) -> None:
    with pytest.raises(MlrunError, match=message):
        draw(lambda view: result, "mine", {}, make_view(convolutional()))
