"""The three hooks: the whole contract between mlrun and a plugin.

A plugin is a module that implements any of them with `@mlrun.hookimpl` and is named by an
entry point of the group `mlrun`, or handed over with `--plugin FILE`. What a hook registers
is a plain function: its name is the component's (`tiny_cnn` becomes `tiny-cnn`), its
docstring the help, its keyword-only parameters the options. `register(f, name="…")` names
a closure; `register(f, needs={"captum": "mlrun-vision[captum]"})` says which modules it cannot
do without, and what pip must install to have each. A module may state `mlrun_seam = 1`, the
version of this contract it was written for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pluggy

SEAM_VERSION = 1

hookspec = pluggy.HookspecMarker("mlrun")
hookimpl = pluggy.HookimplMarker("mlrun")


@hookspec
def register_models(register: Callable[..., Any]) -> None:
    """Call `register(build)` for each model.

    `build(shape, classes, *, options…) -> torch.nn.Module`, where `shape` is (C, H, W) and
    `classes` the number K of classes. The module maps standardised images, float32
    (N, C, H, W), to logits, float32 (N, K), not softmaxed. If it has a method
    `loss(outputs, labels)`, what that returns is the training loss (a scalar mean over the
    batch, or one value for each example, (N,)); else it is the cross-entropy. If it has
    `parameter_groups(lr)`, the groups that returns go to the optimiser. Parameters that
    require no gradient are frozen, and batch normalisation that has no others keeps its
    running statistics.
    """


@hookspec
def register_datasets(register: Callable[..., Any]) -> None:
    """Call `register(load)` for each data set.

    `load(root, *, options…) -> mlrun.ImageData`, where `root` is the `pathlib.Path` of
    `--data-dir`. Images are uint8 (N, C, H, W), 0–255, labels int64 (N,), 0 to K-1, on the
    CPU. Nothing may be downloaded unless an option that is off by default asks for it.
    """


@hookspec
def register_visualisers(register: Callable[..., Any]) -> None:
    """Call `register(draw, when="end")` or `register(draw, when="epoch")` for each visualiser.

    `draw(view, *, options…)` gets a `mlrun.View` and returns one picture, or an iterable of
    (name, picture). A picture is a matplotlib `Figure`, a uint8 array (H, W, 3), or one of
    these with the raw values behind it: `mlrun.Picture(figure, {"weights": array})`. Pictures
    of `when="epoch"` are drawn before training and after each epoch and stand under one
    slider in MLflow; those of `when="end"` are drawn once, from the best weights. With
    `when="end"` a table may stand in a picture's place: `{column: list}`, the lists of one
    length, of texts, numbers, True or False, None, or (a whole column) uint8 (H, W, 3) images.

    With `when=("epoch", "end")` it is called at both times. What it kept in each epoch,
    `view.kept`, can be drawn at the end (`view.final`), when all of it is known:
    `mlrun.Picture(figure, epoch=3)` stands under the slider at epoch 3.
    """
