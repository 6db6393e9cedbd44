"""The settings of what a run is computed on, and of its random draws."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import field_validator

from mlrun.settings.fields import BESIDE, FREE, UNNAMED, SettingsGroup, setting
from mlrun.settings.values import Count, Flag, WholeNumber, Word


class MachineSettings(SettingsGroup):
    """The seed, the device, and how it computes."""

    seed: WholeNumber = setting(
        0, "seed of every random draw", "Machine", replace(UNNAMED, selects=True), ge=0, lt=2**63
    )
    device: str = setting(
        "auto",
        "device: cpu, cuda, cuda:1, xpu, mps, or auto (the first there is)",
        "Machine",
        replace(FREE, words=("auto", "cpu", "cuda", "mps", "xpu")),
    )
    processes: Count = setting(
        1,
        "processes that train together, each on its share of a batch; mlrun train starts them on "
        "this machine, each with a device of its own where it has several",
        "Machine",
        FREE,
        ge=1,
        le=1024,
    )
    sync_batch_norm: Flag = setting(
        False,
        "have batch normalisation take the images of all processes together, as one process does",
        "Machine",
        UNNAMED,
    )
    precision: Annotated[Literal["auto", "32", "bf16", "16"], Word] = setting(
        "auto",
        "bits of the forward pass; auto is bf16 on a GPU that has it, else 32",
        "Machine",
        UNNAMED,
    )
    deterministic: Flag = setting(
        False, "fail where an operation of torch is not reproducible", "Machine", BESIDE
    )
    threads: Count = setting(
        0,
        "CPU threads of torch; 0 takes what a step's work is worth, at most torch's own choice",
        "Machine",
        FREE,
        ge=0,
        le=1024,
    )

    @field_validator("device")
    @classmethod
    def _lower(cls, value: str) -> str:
        return value.lower()
