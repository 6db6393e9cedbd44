"""Loads data sets and builds models, and checks what plugins return."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from mlrun.data.batches import Batches
from mlrun.data.checked import checked_file_of
from mlrun.data.images import ImageData
from mlrun.data.normalisation import Normalisation
from mlrun.data.sharing import LOADED
from mlrun.errors import MlrunError, contained, kind_of, one_line
from mlrun.machine.group import ALONE, Group
from mlrun.machine.randomness import derive_seed, own_random_states
from mlrun.seam.files import at_home
from mlrun.settings.option_values import ConfiguredComponent
from mlrun.settings.plan import Plan
from mlrun.training.evaluation import set_training_mode
from mlrun.training.losses import criterion


@contextlib.contextmanager
def named(what: str) -> Iterator[None]:
    """Puts `what` before the message of an MlrunError that passes."""
    try:
        yield
    except MlrunError as error:
        message = str(error)
        raise MlrunError(message if message.startswith(what) else f"{what}: {message}") from error


def load_data(dataset: ConfiguredComponent, data_dir: Path) -> ImageData:
    """Returns the data set, checked; one that a run of the same `shared_data` block loaded.

    One whose file was found damaged is loaded anew.
    """
    cache = LOADED.get()
    if cache is None:
        return load_anew(dataset, data_dir)
    key = f"{dataset.component.qualified} in {at_home(data_dir).absolute()}: {dataset.options}"
    file = checked_file_of(cache[key].train.images) if key in cache else None
    if key not in cache or (file is not None and file.fault):
        cache[key] = load_anew(dataset, data_dir)
    return cache[key]


def load_anew(dataset: ConfiguredComponent, data_dir: Path) -> ImageData:
    """Returns the data set as its plugin loads it, checked."""
    with named(f"data set {dataset.component.name}"):
        try:
            with contained(interrupts=True):
                data: ImageData = dataset.component.function(at_home(data_dir), **dataset.options)
        except MlrunError:
            raise
        except Exception as error:
            raise MlrunError(reason(error)) from error
        check_returned(data, ImageData, "mlrun.ImageData", dataset)
        try:
            data.check()
        except Exception as error:
            origin = dataset.component.origin
            raise MlrunError(f"{reason(error)} (from its plugin {origin})") from error
    return data


def build_model(
    configured: ConfiguredComponent, shape: tuple[int, int, int], classes: int, seed: int
) -> nn.Module:
    """Returns the model as its plugin builds it, initialised from the run's seed."""
    torch.manual_seed(derive_seed(seed, "initialisation"))
    with named(f"model {configured.component.name}"):
        try:
            with contained(interrupts=True):
                model: nn.Module = configured.component.function(
                    shape, classes, **configured.options
                )
        except MlrunError:
            raise
        except Exception as error:
            raise MlrunError(
                f"cannot be built for images {shape} and {classes} classes: {reason(error)}"
            ) from error
        check_returned(model, nn.Module, "torch.nn.Module", configured)
    return model


def check_returned(
    value: object, expected: type, name: str, configured: ConfiguredComponent
) -> None:
    """Raises MlrunError unless what a component returned is an instance of `expected`."""
    if isinstance(value, expected):
        return
    if inspect.iscoroutine(value):
        value.close()  # which Python would warn of
    origin, kind = configured.component.origin, kind_of(value)
    raise MlrunError(f"its plugin {origin} returned {kind}; expected {name}")


def check_fit(
    plan: Plan,
    model: nn.Module,
    data: ImageData,
    normalisation: Normalisation,
    device: torch.device,
) -> None:
    """Raises MlrunError unless the model makes logits (2, K) of two of the data set's images."""
    images = data.train.images[:2].to(device)
    images = images if len(images) == 2 else images.repeat(2, 1, 1, 1)
    names = f"model {plan.model.component.name} and data set {plan.dataset.component.name}"
    what = f"{names} do not fit"
    logits = checked_logits(what, model, normalisation, images, len(data.classes))
    try:
        with contained(interrupts=True):
            criterion(model)(logits, torch.zeros(2, dtype=torch.int64, device=device))
    except Exception as error:
        raise MlrunError(f"{what}: loss(outputs, labels): {one_line(error)}") from error


def checked_logits(
    what: str, model: nn.Module, normalisation: Normalisation, images: Tensor, classes: int
) -> Tensor:
    """Returns the logits (N, K) that the model makes of raw images (N, C, H, W), on their device.

    Raises:
        MlrunError: it fails, or makes something else; the message begins with `what`.
    """
    expected, shape = (len(images), classes), tuple(images.shape)
    model.eval()
    try:
        with contained(interrupts=True), torch.no_grad(), own_random_states(images.device):
            logits: Tensor = model(normalisation(images))
    except Exception as error:
        raise MlrunError(
            f"{what}: the model failed on images {shape}: {one_line(error)}"
        ) from error
    if not isinstance(logits, Tensor) or tuple(logits.shape) != expected:
        output = tuple(logits.shape) if isinstance(logits, Tensor) else kind_of(logits)
        raise MlrunError(
            f"{what}: of images {shape} the model makes {output}, expected logits {expected}"
        )
    if not logits.is_floating_point():
        raise MlrunError(f"{what}: logits are {logits.dtype}, expected float32")
    return logits


def check_single_images(
    model: nn.Module, train: Batches, steps: int, *, together: bool = False
) -> None:
    """Raises MlrunError where batch normalisation comes upon one image alone.

    Args:
        model: that is trained.
        train: batches to train on, of which only an epoch's last may be short.
        steps: that training takes; it may end before the last batch of an epoch.
        together: whether batch normalisation takes the images of all processes together.
    """
    size, last = train.batch_size, train.examples % train.batch_size
    reached = [size] if steps > 0 and train.examples >= size else []
    if last and steps >= len(train):
        reached.append(last)
    group = ALONE if together else train.batching.group
    short = [count for count in reached if leaves_one_alone(group, count)]
    if not short:
        return
    twin = copy.deepcopy(model)
    set_training_mode(twin)
    try:
        with contained(interrupts=True), torch.no_grad(), own_random_states(train.device):
            twin(train.gather(torch.zeros(1, dtype=torch.int64)))
    except ValueError as error:
        if "more than 1 value per channel" in str(error):
            count = 1 if 1 in short else short[0]
            raise MlrunError(single_images(size, count, group.size)) from error


def leaves_one_alone(group: Group, count: int) -> bool:
    """Whether one of the processes has a single image of a batch of `count`."""
    return any(len(group.rows(count, rank)) == 1 for rank in range(group.size))


def single_images(size: int, count: int, processes: int) -> str:
    """Returns that one image is alone, in a batch of `count` or in a process's share; and a cure.

    `size` is the batch size.
    """
    if count == 1:
        which = "leaves a last batch of one image"
        advice = "add --drop-last true or change the batch size"
        if size == 1:
            advice = "take a larger batch size"
    elif count == size:
        which = f"leaves one of {processes} processes a single image"
        advice = f"add --sync-batch-norm true or take a batch size of at least {2 * processes}"
    else:
        which = (
            f"leaves a last batch of {count} images, of which one of {processes} processes has one"
        )
        advice = "add --sync-batch-norm true or --drop-last true"
    return f"batch_size {size} {which}, which batch normalisation cannot train on; {advice}"


def reason(error: Exception) -> str:
    """Returns on one line why a component failed; a ValueError's message was written for people."""
    return one_line(error).removeprefix("ValueError: ")
