"""Several trainings done as one, against each by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_training import CLASSES, CPU, NORMALISATION, Recorder, selection
from torch import Tensor, nn

from mlrun.data.augmentation import Augmentation
from mlrun.data.batches import Batches, Batching
from mlrun.data.examples import ExampleStore
from mlrun.data.normalisation import Normalisation, measure
from mlrun.data.shares import Share
from mlrun.errors import MlrunError
from mlrun.machine.precision import Precision
from mlrun.settings import Settings
from mlrun.training.callbacks import Callback
from mlrun.training.checkpoint_files import NEXT
from mlrun.training.evaluation import evaluate
from mlrun.training.loop import fit
from mlrun.training.reports import TrainingFailed
from mlrun.training.setup import class_weights, make_procedure, make_state, total_steps
from mlrun.training.stacked import Member, fit_together, hindrance, pays
from mlrun.training.state import TrainingState
from mlrun.training.state_files import SavedStates, read_state
from mlrun.training.tally import Tally

IMAGES = selection(100)
LRS, DECAYS, SMOOTHING = (0.05, 0.01, 0.002), (0.0, 0.01, 0.1), (0.0, 0.1, 0.3)
Build = Callable[[], nn.Module]


class Double(nn.Module):
    """Has the layers that follow compute in 64 bits."""

    def forward(self, images: Tensor) -> Tensor:
        return images.double()


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, CLASSES))


def normalised() -> nn.Module:
    """Without biases before normalisation, whose gradients are rounding, scaled up by Adam."""
    first = nn.Conv2d(1, 4, 3, bias=False)
    layers = nn.Sequential(first, nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten())
    return layers.extend([nn.Linear(16, 8, bias=False), nn.BatchNorm1d(8), nn.Linear(8, CLASSES)])


def dropping() -> nn.Module:
    first = [nn.Flatten(), nn.Dropout(0.2), nn.Linear(16, 8), nn.ReLU()]
    return nn.Sequential(*first, nn.Dropout(0.5), nn.Linear(8, CLASSES))


class OwnLoss(nn.Sequential):
    """Has a loss in which its parameters take part."""

    def loss(self, outputs: Tensor, labels: Tensor) -> Tensor:
        penalty = sum(parameter.abs().sum() for parameter in self.parameters())
        return (outputs.softmax(1).gather(1, labels[:, None]) - 1).abs()[:, 0] + 0.01 * penalty


def with_own_loss() -> nn.Module:
    return OwnLoss(nn.Flatten(), nn.Linear(16, CLASSES))


def frozen_in_part() -> nn.Module:
    model = normalised()
    for parameter in [*model[0].parameters(), *model[1].parameters()]:
        parameter.requires_grad_(False)
    return model


def member(
    build: Build, place: int, *, double: bool = True, changed: bool = False, **settings: object
) -> Member:
    """Returns a training of images of its own draw; the same for the same arguments."""
    given = {
        "seed": 7 + place,
        "optimiser": "sgd",
        "precision": "32",
        "epochs": 2,
        "lr": LRS[place],
    }
    parsed = Settings.parse({"batch_size": 16, **given, **settings})
    torch.manual_seed(parsed.seed)
    model = build()
    if double:
        model = model.double()
        model.insert(0, Double())
    drawn = torch.randperm(100, generator=torch.Generator().manual_seed(parsed.seed))
    chosen = replace(IMAGES, indices=drawn[:70].sort().values)
    store = ExampleStore.of(chosen, Normalisation(*measure(chosen)), CPU)
    batching = Batching(
        parsed.batch_size,
        parsed.accumulate,
        shuffle=True,
        seed=parsed.seed,
        change=change_of(parsed) if changed else None,
    )
    batches, rest = Batches(store, batching), ExampleStore.of(IMAGES, NORMALISATION, CPU)
    steps, precision = total_steps(parsed, len(batches)), Precision(parsed.precision, "cpu")
    weights = class_weights(parsed.class_weights, batches.labels, CLASSES)
    state = make_state(model, parsed, precision, steps, len(batches))
    procedure = make_procedure(model, parsed, precision, weights, steps)
    held_out = Batches(rest, Batching(32))
    return Member(
        state, batches, procedure, [Recorder()], lambda m, part: evaluate(m, held_out, part=part)
    )


def change_of(settings: Settings) -> Callable[[Tensor, int, int, Share | None], Tensor]:
    change = Augmentation(settings.model_copy(update={"rotate": 20.0, "translate": 0.1}))
    black, unit = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)

    def changed(images: Tensor, epoch: int, step: int, share: Share | None) -> Tensor:
        seed = settings.seed + 100 * epoch + step
        return change(images, seed=seed, fill=black, unit=unit, share=share)

    return changed


def figures(one: Member) -> Tensor:
    """Returns all that a training came to, but its speed, as one row of numbers."""
    state, recorder = one.state, one.callbacks[0]
    assert isinstance(recorder, Recorder)
    series = {**state.history, **state.steps}
    timed = ("examples_per_second", "epoch_seconds")
    kept = [t for each in state.optimiser.state.values() for t in each.values() if t is not None]
    average = [] if state.average is None else list(state.average.model.state_dict().values())
    tensors = [*state.model.state_dict().values(), *kept, *average]
    numbers = [
        *(value for name, some in series.items() if name not in timed for _, value in some),
        *(number for step in recorder.steps for number in step),
        *(state.epoch, state.step, state.schedule.scale),
        *(group["lr"] for group in state.optimiser.param_groups),
    ]
    rows = [tensor.detach().double().flatten() for tensor in tensors]
    return torch.cat([*rows, torch.tensor(numbers, dtype=torch.float64)])


def check_same(
    build: Build, numbers: Sequence[dict[str, object]], room: float, **shared: object
) -> None:
    """Trains one after another, and as one, and compares all that comes of it."""
    alone = [member(build, place, **shared, **own) for place, own in enumerate(numbers)]
    together = [member(build, place, **shared, **own) for place, own in enumerate(numbers)]
    for one in alone:
        fit(*one)
    assert fit_together(together) == {}
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(figures(other), figures(one), rtol=room, atol=room)


NUMBERS: list[dict[str, object]] = [
    {"weight_decay": decay, "label_smoothing": smoothing}
    for decay, smoothing in zip(DECAYS, SMOOTHING, strict=True)
]
MOMENTA: list[dict[str, object]] = [
    {**own, "momentum": value} for own, value in zip(NUMBERS, (0.9, 0.0, 0.5), strict=True)
]
MOVING: list[dict[str, object]] = [
    {**own, "momentum": value} for own, value in zip(NUMBERS, (0.9, 0.3, 0.5), strict=True)
]
CASES: dict[str, tuple[Build, Sequence[dict[str, object]], dict[str, object]]] = {
    "sgd": (perceptron, NUMBERS, {}),
    "momentum": (perceptron, MOMENTA, {"schedule": "cosine", "warmup_epochs": 1}),
    "nesterov": (perceptron, MOVING, {"nesterov": True, "reduction": "sum"}),
    "adam": (perceptron, NUMBERS, {"optimiser": "adam", "schedule": "one-cycle"}),
    "adamw": (perceptron, NUMBERS, {"optimiser": "adamw", "ema": 0.9, "clip_norm": 0.1}),
    "batch norm": (normalised, NUMBERS, {"optimiser": "adam", "ema": 0.5}),
    "dropout": (dropping, NUMBERS, {"evaluate_every": "2 steps"}),
    "own loss": (with_own_loss, [{}, {}, {}], {"optimiser": "adam"}),
    "accumulation": (normalised, NUMBERS, {"accumulate": 2, "batch_size": 8, "steps": 7}),
    "class weights": (perceptron, NUMBERS, {"class_weights": "balanced"}),
    "augmentation": (perceptron, NUMBERS, {"changed": True}),
    "frozen part": (frozen_in_part, MOMENTA, {"evaluate_train": True}),
    "part rates": (perceptron, NUMBERS, {"part_lrs": "2=0.003", "schedule": "plateau"}),
}


@pytest.mark.parametrize("case", CASES)
def test_each_model_of_several_comes_to_what_it_comes_to_alone(case: str) -> None:
    build, numbers, shared = CASES[case]
    check_same(build, numbers, 1e-9, **shared)


def test_stores_that_keep_copies_of_their_own_are_made_one() -> None:
    """As on an accelerator, where each store has a copy of the images that it selects."""
    alone, together = [member(perceptron, place) for place in range(2)], []
    for place in range(2):
        one = member(perceptron, place)
        store, chosen = one.batches.store, one.batches.store.selection
        rows = torch.arange(len(chosen))
        held = replace(store, source=chosen.images[chosen.indices], rows=rows)
        together.append(one._replace(batches=Batches(held, one.batches.batching)))
        fit(*alone[place])
    assert fit_together(together) == {}
    for one, other in zip(alone, together, strict=True):
        torch.testing.assert_close(figures(other), figures(one), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_in_32_bits_they_differ_by_rounding(optimiser: str) -> None:
    check_same(perceptron, NUMBERS, 1e-5, optimiser=optimiser, double=False, steps=20)


class Ends(Callback):
    """Raises an error after a step."""

    def __init__(self, error: BaseException, step: int = 3) -> None:
        self.error, self.step = error, step

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        if state.step == self.step:
            raise self.error


def three(**settings: object) -> list[Member]:
    return [member(normalised, place, momentum=0.9, **settings) for place in range(3)]


def test_one_that_fails_or_stops_leaves_the_others_to_go_on() -> None:
    alone, together = three(epochs=4), three(epochs=4)
    failing = together[1]._replace(callbacks=[Ends(RuntimeError("full"))])
    together[2].state.patience.limit = 1
    alone[2].state.patience.limit = 1
    for place in (0, 2):
        fit(*alone[place])
    failures = fit_together([together[0], failing, together[2]])
    assert [(place, str(error)) for place, error in failures.items()] == [(1, "full")]
    assert failing.state.step == 3
    for place in (0, 2):
        torch.testing.assert_close(figures(together[place]), figures(alone[place]))


def test_a_loss_that_is_no_number_fails_its_own_training_alone() -> None:
    together = [member(perceptron, 0), member(perceptron, 1, lr=1e200)]
    failures = fit_together(together)
    assert list(failures) == [1]
    assert isinstance(failures[1], TrainingFailed)
    assert "try a smaller lr than 1e+200" in str(failures[1])
    assert together[0].state.epoch == 2


def test_what_is_broken_off_is_gone_on_with_alone_or_together() -> None:
    alone, apart, together = three(ema=0.9), three(ema=0.9), three(ema=0.9)
    for one in alone:
        fit(*one)
    for some in (apart, together):
        stopping = some[1]._replace(callbacks=[Ends(KeyboardInterrupt())])
        with pytest.raises(KeyboardInterrupt):
            fit_together([some[0], stopping, some[2]])
        assert {(one.state.epoch, one.state.step) for one in some} == {(0, 3)}
    for one in apart:
        fit(*one)
    assert fit_together(together) == {}
    for expected, *others in zip(alone, apart, together, strict=True):
        for one in others:
            for name in ("model", "evaluated"):
                found = getattr(one.state, name).state_dict()
                torch.testing.assert_close(found, getattr(expected.state, name).state_dict())
            assert one.state.history["train/loss"][-1][1] == pytest.approx(
                expected.state.history["train/loss"][-1][1]
            )


class Saves(Callback):
    """Saves the state after the third step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_step_end(self, state: TrainingState, tally: Tally) -> None:
        if state.step == 3:
            self.folder.mkdir()
            SavedStates(self.folder).write(state.state_dict())


def test_a_state_saved_within_an_epoch_is_that_of_one_model(tmp_path: Path) -> None:
    alone, *together = [member(perceptron, place, optimiser="adam") for place in (1, 0, 1, 2)]
    fit(*alone._replace(callbacks=[Saves(tmp_path / "alone")]))
    saved = [tmp_path / str(place) for place in range(3)]
    some = [one._replace(callbacks=[Saves(to)]) for one, to in zip(together, saved, strict=True)]
    assert fit_together(some) == {}
    expected, found = tmp_path / "alone" / NEXT, saved[1] / NEXT
    assert found.stat().st_size <= 1.1 * expected.stat().st_size
    contents = [read_state(path) for path in (found, expected)]
    for name in ("model", "optimiser", "step"):
        torch.testing.assert_close(contents[0][name], contents[1][name])


class Drawing(nn.Module):
    """Draws in its forward pass, in a way of its own."""

    def forward(self, images: Tensor) -> Tensor:
        return images + torch.rand_like(images)


class Branching(nn.Module):
    """Does one thing or another, as the values are."""

    def forward(self, images: Tensor) -> Tensor:
        return images if images.sum() > 0 else -images


class Counting(nn.Module):
    """Puts a new tensor into the place of its buffer."""

    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.seen = self.seen + images.abs().sum()
        return images


def preceded(by: type[nn.Module]) -> Build:
    return lambda: nn.Sequential(by(), *perceptron())


REFUSED: dict[str, tuple[Build, dict[str, object], dict[str, object], str]] = {
    "precision": (perceptron, {"precision": "16"}, {}, "precision 16 scales each model's"),
    "mixup": (perceptron, {"mixup": 0.2}, {}, "mixup and cutmix mix each model's batches"),
    "time": (perceptron, {"time_limit": 1.0}, {}, "a time limit would count the time of all"),
    "optimiser": (perceptron, {"optimiser": "rmsprop"}, {}, "optimiser rmsprop is not done"),
    "nesterov": (perceptron, {"momentum": 0.9}, {"nesterov": True}, "differ in groups of param"),
    "kind": (perceptron, {}, {"optimiser": "adam"}, "they differ in optimiser; train those"),
    "batch": (perceptron, {}, {"batch_size": 8}, "they differ in steps"),
    "length": (perceptron, {}, {"epochs": 3}, "they differ in steps; train those that do one"),
    "average": (perceptron, {}, {"ema": 0.9}, "they differ in ema"),
    "draws": (preceded(Drawing), {}, {}, "the model draws at random in a way that cannot be"),
    "branch": (preceded(Branching), {}, {}, "torch.func.vmap does not take the model"),
    "buffer": (preceded(Counting), {}, {}, "other outputs, or buffers, with the others"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_done_as_one_is_refused_with_the_reason(case: str) -> None:
    build, shared, second, reason = REFUSED[case]
    members = [member(build, 0, **shared), member(build, 1, **{**shared, **second})]
    before = figures(members[0])
    with pytest.raises(MlrunError, match="2 models cannot be trained as one: ") as caught:
        fit_together(members)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    torch.testing.assert_close(figures(members[0]), before, rtol=0, atol=0)


def test_models_of_other_layers_or_images_are_refused() -> None:
    assert "differ in layers" in hindrance([member(perceptron, 0), member(dropping, 1)])
    one, other = member(perceptron, 0), member(perceptron, 1)
    selected = other.batches.store.selection
    copied = replace(other.batches.store, selection=replace(selected, images=IMAGES.images.clone()))
    moved = other._replace(batches=Batches(copied, other.batches.batching))
    assert "differ in images, which are to lie in memory once" in hindrance([one, moved])


@pytest.mark.parametrize(
    ("parameters", "batch_size", "device", "expected"),
    [
        (15_880, 64, "cpu", True),  # 784-20-10
        (15_880, 128, "cpu", False),
        (7_850, 64, "cpu", True),  # logistic regression on MNIST
        (44_426, 64, "cpu", False),  # LeNet
        (44_426, 32, "cpu", True),
        (101_770, 64, "cpu", False),  # 784-128-10
        (44_426, 64, "cuda", True),
        (44_426, 64, "mps", True),
        (11_181_642, 128, "cuda", False),  # ResNet-18
    ],
)
def test_the_rule_goes_by_parameters_batch_and_device(
    parameters: int, batch_size: int, device: str, expected: bool
) -> None:
    assert pays(parameters, batch_size, device) is expected
