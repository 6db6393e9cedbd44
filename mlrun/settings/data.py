"""The settings that say what is trained, and on what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from mlrun.settings.fields import BESIDE, UNNAMED, SettingsGroup, Traits, setting
from mlrun.settings.values import (
    PHOTOGRAPHS,
    Count,
    Factors,
    Flag,
    Names,
    NormalisationText,
    Number,
    Subset,
    Text,
    Validation,
)


class DataSettings(SettingsGroup):
    """The components, the choice of images, and how they are changed while training."""

    model: str = setting(
        "cnn",
        "model, by name or plugin/name",
        "Components",
        Traits(in_name="first", kind="model"),
    )
    dataset: str = setting(
        "digits",
        "data set, by name or plugin/name",
        "Components",
        Traits(in_name="first", kind="dataset"),
    )
    visualisers: Names = setting(
        ("weights", "feature-maps", "confusion-matrix", "learning-curves", "robustness"),
        "visualisers, with commas between; none for no pictures",
        "Components",
        replace(BESIDE, kind="visualiser"),
    )
    probe: Text = setting(
        None,
        "image that feature maps are drawn of in place of the data set's, in its own size: china, "
        "flower or a FILE",
        "Components",
        replace(BESIDE, words=(*PHOTOGRAPHS, "none"), path="file"),
    )
    plugin: Names = setting(
        (),
        "a plugin that is one Python file; repeatable",
        "Components",
        replace(UNNAMED, repeatable=True, path="file"),
    )

    data_dir: Path = setting(
        Path("data"), "folder that data sets are read from", "Data", replace(BESIDE, path="dir")
    )
    subset: Subset = setting(
        "all",
        "training images to use: all, N (the first N) or random:N",
        "Data",
        Traits(words=("all",)),
    )
    validation: Validation = setting(
        "auto",
        "own (the data set's own part), test (the test part), a fraction of the training images, "
        "drawn at random, last:N (the last N of them), or auto (own if there is one, else 0.1)",
        "Data",
        Traits(words=("auto", "own", "test")),
    )
    normalisation: NormalisationText = setting(
        "computed",
        "none, dataset (what it publishes), computed (from the training images), or MEAN/STD, "
        "with commas between channels",
        "Data",
        Traits(words=("none", "dataset", "computed")),
    )
    batch_size: Count = setting(32, "examples a batch", "Data", ge=1)
    shuffle: Flag = setting(True, "a new order each epoch", "Data")
    drop_last: Flag = setting(False, "leave out a last batch that is short", "Data")

    rotate: Number = setting(
        0.0,
        "turn by a random angle up to so many degrees, either way",
        "Augmentation",
        ge=0,
        le=180,
    )
    translate: Number = setting(
        0.0,
        "shift along each axis by up to this fraction of the side",
        "Augmentation",
        ge=0,
        le=1,
    )
    scale: Factors = setting(
        (1.0, 1.0), "enlarge by a random factor between the two: 0.9,1.1", "Augmentation"
    )
    shear: Number = setting(
        0.0,
        "shear by a random angle up to so many degrees, either way",
        "Augmentation",
        ge=0,
        lt=90,
    )
    flip: Literal["none", "horizontal", "vertical", "both"] = setting(
        "none", "mirror, along each axis named with probability 1/2", "Augmentation"
    )
    crop: Count = setting(
        0,
        "add so many pixels of black on each side, and cut the old size out",
        "Augmentation",
        ge=0,
    )
    erase: Number = setting(
        0.0, "probability that a rectangle of 2 to 33 % is blackened", "Augmentation", ge=0, le=1
    )
    noise: Number = setting(
        0.0, "standard deviation of Gaussian noise, pixels as 0–1", "Augmentation", ge=0
    )
    mixup: Number = setting(0.0, "alpha of mixup, such as 0.2; 0 for none", "Augmentation", ge=0)
    cutmix: Number = setting(0.0, "alpha of CutMix, such as 1; 0 for none", "Augmentation", ge=0)
