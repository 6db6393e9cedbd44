"""The settings that say how training images are changed, each at random."""

from __future__ import annotations

from typing import Literal

from mlrun.settings.fields import SettingsGroup, setting
from mlrun.settings.values import Count, Factors, Number


class AugmentationSettings(SettingsGroup):
    """Random changes of an image by itself; `mlrun.data.augmentation` makes them."""

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
        0.0, "standard deviation of Gaussian noise, pixels as 0–1", "Augmentation", ge=0, le=1000
    )


class MixingSettings(SettingsGroup):
    """Random mixtures of two images; `mlrun.data.mixing` makes them."""

    mixup: Number = setting(
        0.0, "alpha of mixup, such as 0.2; 0 for none", "Augmentation", ge=0, le=1000
    )
    cutmix: Number = setting(
        0.0, "alpha of CutMix, such as 1; 0 for none", "Augmentation", ge=0, le=1000
    )
