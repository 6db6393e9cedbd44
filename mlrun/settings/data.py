"""The settings that say which model is trained, and on which images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mlrun.settings.fields import BESIDE, FREE, UNNAMED, SettingsGroup, Traits, setting
from mlrun.settings.file_lists import Files
from mlrun.settings.values import (
    PHOTOGRAPHS,
    Count,
    Flag,
    Folder,
    Names,
    NormalisationText,
    Subset,
    Text,
    Validation,
)


class DataSettings(SettingsGroup):
    """The components, the choice of images, and how they become batches."""

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
    plugin: Files = setting(
        (),
        "a plugin that is one Python file; repeatable",
        "Components",
        replace(UNNAMED, repeatable=True, path="file", executed=True, free=True),
    )

    data_dir: Folder = setting(
        Path("data"), "folder that data sets are read from", "Data", replace(FREE, path="dir")
    )
    subset: Subset = setting(
        "all",
        "training images to use: all, N (the first N) or random:N",
        "Data",
        Traits(words=("all",), selects=True),
    )
    validation: Validation = setting(
        "auto",
        "own (the data set's own part), test (the test part), a fraction of the training images, "
        "drawn at random, last:N (the last N of them), fold:K/N (the K-th of N folds, drawn at "
        "random), or auto (own if there is one, else 0.1)",
        "Data",
        Traits(words=("auto", "own", "test"), selects=True),
    )
    stratify: Flag = setting(
        True,
        "draw each class in proportion where images are drawn at random, and leave one of each to "
        "train on",
        "Data",
        Traits(selects=True),
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
