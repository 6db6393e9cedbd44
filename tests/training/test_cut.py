"""Where a model is cut behind its frozen part, and where it cannot be."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mlrun.machine.precision import Precision
from mlrun.training.frozen.cut import Cut
from mlrun.training.frozen.search import find_cut

IMAGES = torch.randn(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 2, 0])
PLAIN = Precision("32", "cpu")


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


def convolution(inputs: int = 1) -> nn.Module:
    return frozen(nn.Conv2d(inputs, 2, 3, padding=1))


class Head(nn.Linear):
    """Maps (n, 2, 6, 6) to three logits."""

    def __init__(self) -> None:
        super().__init__(72, 3)

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps.flatten(1))


def flat(*body: nn.Module) -> nn.Sequential:
    return nn.Sequential(*body, Head())


class Model(nn.Module):
    """A frozen body and a trained head, put together by a function of the two and the images."""

    def __init__(self, forward: Callable[[Model, Tensor], Tensor]) -> None:
        super().__init__()
        self.body, self.more, self.head = convolution(), convolution(2), Head()
        self.act = nn.Hardtanh(-99, 99)
        self.how = forward

    def forward(self, images: Tensor) -> Tensor:
        return self.how(self, images)


class Gated(Model):
    """Has a weight that is trained, and does nothing yet."""

    def __init__(self, forward: Callable[[Model, Tensor], Tensor]) -> None:
        super().__init__(forward)
        self.gate = nn.Parameter(torch.zeros(()))


class Noise(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images + 0.1 * torch.randn_like(images) if self.training else images


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.count += self.training
        return images


class Remembering(nn.Module):
    """Its loss looks at what its own forward pass left behind."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = convolution(), Head()

    def forward(self, images: Tensor) -> Tensor:
        self.seen = images
        return self.head(self.body(images))

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.cross_entropy(outputs, labels) + self.seen.mean()


class Modal(nn.Module):
    """In evaluation mode the logits depend on the images themselves too."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = convolution(), Head()

    def forward(self, images: Tensor) -> Tensor:
        logits = self.head(self.body(images))
        return logits if self.training else logits + images.mean((1, 2, 3))[:, None]


def batch_statistics() -> nn.Module:
    return nn.BatchNorm2d(2, affine=False, track_running_stats=False)


@pytest.mark.parametrize(
    ("model", "cut"),
    [
        (flat(convolution(), nn.ReLU(inplace=True)), Cut("2")),
        (nn.Sequential(convolution(), Head()), Cut("1")),
        (nn.Sequential(convolution(), nn.Sequential(nn.Dropout(0.5), Head())), Cut("1")),
        # what is random, trained or changing comes behind the cut
        (flat(convolution(), nn.ReLU(), nn.Dropout(0.01)), Cut("", ("0", "1"))),
        (flat(convolution(), Noise(), convolution(2)), Cut("", ("0",))),
        (flat(convolution(), nn.BatchNorm2d(2)), Cut("", ("0",))),
        (flat(convolution(), batch_statistics()), Cut("", ("0",))),
        (flat(convolution(), Counter()), Cut("", ("0",))),
        (
            nn.Sequential(
                nn.Sequential(convolution(), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1)),
                Head(),
            ),
            Cut("", ("0.0", "0.1")),
        ),
        (Model(lambda m, x: m.head(m.more(m.body(x)).relu())), Cut("head")),
        (Model(lambda m, x: m.head(m.more(m.body(x) + m.head.bias.sum()))), Cut("", ("body",))),
        # a head that is called twice, or whose output is not the model's
        (Model(lambda m, x: m.head(f := m.body(x)) + m.head(f.relu())), Cut("", ("body",))),
        (Model(lambda m, x: 2 * m.head(m.body(x))), Cut("", ("body",))),
        (Model(lambda m, x: m.head(m.body(x)).tanh()), Cut("", ("body",))),
        # what has no effect on these images may have one on others
        (Model(lambda m, x: m.head(m.body(x)).clamp(-99, 99)), Cut("", ("body",))),
        (Gated(lambda m, x: m.head(m.body(x) + (m.gate - 99).relu())), Cut("", ("body",))),
        (
            Model(lambda m, x: (m.head(f := m.body(x)), m.head(f.clamp(-99, 99)))[1]),
            Cut("", ("body",)),
        ),
        (Model(lambda m, x: 2 * m.head(m.act(m.more(m.act(m.body(x)))))), Cut("", ("body",))),
        # two uses of what the first frozen module makes
        (Model(lambda m, x: 2 * m.head((f := m.body(x)) + m.more(f))), Cut("", ("body",))),
    ],
)  # fmt: skip
def test_a_model_is_cut_as_late_as_can_be(model: nn.Module, cut: Cut) -> None:
    found = find_cut(model, IMAGES, LABELS, PLAIN)
    assert found is not None
    assert found[0] == cut
    features = found[1]
    for module in (model.eval(), copy.deepcopy(model).train()):
        torch.manual_seed(0)
        expected = module(IMAGES)
        torch.manual_seed(0)
        logits = cut.rest(module, features.clone())
        torch.testing.assert_close(logits, expected)
        logits.sum().backward()


@pytest.mark.parametrize(
    "model",
    [
        flat(nn.Conv2d(1, 2, 3, padding=1)),  # nothing is frozen
        flat(nn.Conv2d(1, 1, 1), convolution()),
        flat(nn.Dropout(1e-5), convolution()),
        flat(Noise(), convolution()),
        flat(Counter(), convolution()),
        Model(lambda m, x: m.head(m.body(x * m.head.bias.sum()))),
        Remembering(),
        Modal(),
        Model(lambda m, x: m.head(m.body(x)) + x.mean((1, 2, 3))[:, None]),
        Model(lambda m, x: m.head(m.body(x)) + m.head(m.body(x.flip(3)))),
        Model(lambda m, x: m.head(m.body(input=x)) * 2),
    ],
)
def test_a_model_that_cannot_be_cut_is_left_whole(model: nn.Module) -> None:
    assert find_cut(model, IMAGES, LABELS, PLAIN) is None


def test_the_search_leaves_no_trace() -> None:
    model = flat(convolution(), nn.BatchNorm2d(2), nn.Dropout(0.5)).train()
    before, modes = copy.deepcopy(model.state_dict()), [m.training for m in model.modules()]
    torch.manual_seed(3)
    assert find_cut(model, IMAGES, LABELS, PLAIN) is not None
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(1))
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_a_cut_model_is_whole_again_also_when_it_fails() -> None:
    model = flat(convolution(), nn.ReLU())
    modules = list(model)
    cut = Cut("", ("0", "1"))
    assert cut.features(model, IMAGES).equal(model[:2](IMAGES))
    with pytest.raises(RuntimeError):
        cut.rest(model, IMAGES)
    assert list(model) == modules
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in modules)


def test_hooks_of_the_entry_are_called_with_the_features_too() -> None:
    model = nn.Sequential(convolution(), Head())
    model[1].register_forward_pre_hook(lambda module, given: (given[0] * 2,))
    found = find_cut(model, IMAGES, LABELS, PLAIN)
    assert found is not None
    assert found[0] == Cut("1")
    assert found[1].equal(model[0](IMAGES))
    torch.testing.assert_close(found[0].rest(model, found[1]), model(IMAGES))


def test_features_are_of_the_type_that_the_frozen_part_makes() -> None:
    found = find_cut(nn.Sequential(convolution(), Head()), IMAGES, LABELS, Precision("bf16", "cpu"))
    assert found is not None
    assert found[1].dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("cut", "text"), [(Cut("a.b"), "before a.b"), (Cut("", ("a", "b.c")), "after b.c")]
)
def test_a_cut_says_where_it_is(cut: Cut, text: str) -> None:
    assert str(cut) == text
