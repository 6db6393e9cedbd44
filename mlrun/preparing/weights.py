"""A run's best weights in its model again, without its data set."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from mlrun.data.normalisation import Normalisation
from mlrun.errors import MlrunError, one_line
from mlrun.machine.precision import Precision, choose_precision
from mlrun.preparing.contracts import build_model, checked_logits
from mlrun.record.logged import LoggedRun
from mlrun.record.trust import options_of_run, plugin_files_of
from mlrun.seam.components import Component, Kind
from mlrun.seam.registry import Registry, discover
from mlrun.settings.option_values import ConfiguredComponent, WrongOption, resolve
from mlrun.settings.versions import VERSION
from mlrun.training import checkpoints

LOG = logging.getLogger("mlrun.record")


@dataclass(frozen=True)
class Weights:
    """The best weights of a run, with its classes, shape and normalisation.

    model: the state dict, on the CPU.
    classes: the name of each class.
    shape: of one image, (C, H, W).
    mean, std: of the normalisation, by channel, pixels as 0–1.
    value_range: the values of files that became 0 and 255; None where they had 8 bits.
    """

    epoch: int
    model: dict[str, torch.Tensor]
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    value_range: tuple[float, float] | None = None


def best_weights(run: LoggedRun) -> Weights:
    """Returns the best weights of `run`.

    Raises:
        MlrunError: it has none, or they cannot be read.
    """
    if note := run.about_weights:
        LOG.warning("%s", note)
    with tempfile.TemporaryDirectory() as folder:
        path = run.best_weights(Path(folder))
        try:
            content = checkpoints.read_weights(path)
            return Weights(
                epoch=content["epoch"],
                model=content["model"],
                classes=tuple(content["classes"]),
                shape=tuple(content["shape"]),
                mean=tuple(content["mean"]),
                std=tuple(content["std"]),
                value_range=content.get("value_range") and tuple(content["value_range"]),
            )
        except Exception as error:  # cut short, not ours, or with more in it than tensors
            raise MlrunError(
                f"run {run.run_id}: its checkpoint {path.name} cannot be read ({one_line(error)})"
            ) from None


@dataclass(frozen=True)
class Restored:
    """A run's model with its best weights, in evaluation mode, on the device."""

    run: LoggedRun
    registry: Registry
    weights: Weights
    model: nn.Module
    normalisation: Normalisation
    precision: Precision
    device: torch.device


def restore(
    run: LoggedRun,
    device: torch.device,
    plugins: Sequence[Path] = (),
    options: Mapping[str, object] | None = None,
) -> Restored:
    """Returns the model of `run`, built by its plugin, with the best weights in it.

    Args:
        run: any run that has weights.
        device: where the model goes.
        plugins: files that are plugins, which the user names; see `plugin_files_of`.
        options: of the model, over those of the run; for what only the start needed, such as
            a file of weights that is gone.

    Raises:
        MlrunError: the run has no weights, or its plugin is not here, is not trusted, or builds
            another model, or one that fails.
    """
    weights = best_weights(run)
    registry = discover(plugin_files_of(run, plugins))
    settings = run.settings("model")
    warn_of_later(run)
    component = registry.find("model", settings.model)
    model_of_run = configure_again(run, "model", component, options or {})
    try:
        model = build_model(model_of_run, weights.shape, len(weights.classes), settings.seed)
    except MlrunError as error:
        raise MlrunError(
            f"run {run.run_id}: {error}; the weights are the run's own, so an option that is for "
            "the start only may be given another value, as --model.NAME VALUE"
        ) from error
    try:
        model.load_state_dict(weights.model)
    except RuntimeError as error:
        raise MlrunError(
            f"run {run.run_id}: its weights do not fit the model {settings.model} of "
            f"{model_of_run.component.origin}, which has changed since ({one_line(error)})"
        ) from None
    model = model.to(device).eval()
    normalisation = Normalisation(weights.mean, weights.std).to(device)
    images = torch.zeros(2, *weights.shape, dtype=torch.uint8, device=device)
    what = f"run {run.run_id}: model {settings.model}"
    checked_logits(what, model, normalisation, images, len(weights.classes))
    precision = choose_precision(settings.precision, device)
    return Restored(run, registry, weights, model, normalisation, precision, device)


def configure_again(
    run: LoggedRun, kind: Kind, component: Component, overrides: Mapping[str, Any]
) -> ConfiguredComponent:
    """Returns a component of a run with the run's options, and those given over them.

    Raises:
        MlrunError: the run's value of an option is no longer one, or is a path of somebody's.
    """
    options = options_of_run(run, kind, component, overrides)
    try:
        return configure(kind, component, options)
    except WrongOption as error:
        if error.option in overrides:
            raise  # it is not the run's
        raise MlrunError(
            f"run {run.run_id}: {error}; another value may be given, as --{kind}.NAME VALUE"
        ) from None


def warn_of_later(run: LoggedRun) -> None:
    """Warns where a later mlrun made the run, whose settings may mean something else."""
    if run.recalled.later:
        LOG.warning(
            "run %s was made by a later mlrun (settings_version %d; this one knows %d): what "
            "this one does not know is left out",
            *(run.run_id, run.recalled.version, VERSION),
        )


def configure(kind: Kind, component: Component, options: Mapping[str, Any]) -> ConfiguredComponent:
    """Returns the component with these options, and defaults for the others."""
    return ConfiguredComponent(kind, component, resolve(component, kind, options))
