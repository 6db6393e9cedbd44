"""This process among those that train one run together, as torchrun tells it; loads no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from mlrun.errors import AskedOfOne, MlrunError

NEEDED = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # torchrun sets them
OTHERS = {"SLURM_NTASKS": "SLURM_PROCID", "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK"}


class Place(NamedTuple):
    """This process among those that train one run together.

    rank: from 0, which records, draws and saves for all. size: how many there are.
    local_rank: from 0, on this host. local_size: how many are on this host.
    launch: what started them, the same after each restart; empty where nobody does that.
    restarts: how often they have been started again.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    launch: str = ""
    restarts: int = 0


ALONE_HERE = Place()


def place_here(environment: Mapping[str, str] | None = None) -> Place:
    """Returns the place that torchrun, or who else sets its variables, gave this process.

    Raises:
        MlrunError: some of the variables are there and others not, or one is no such number.
    """
    given = os.environ if environment is None else environment
    if not any(given.get(name) for name in ("RANK", "WORLD_SIZE")):
        return ALONE_HERE
    size = number(given, "WORLD_SIZE", 1, 2**20)
    if size == 1:
        return Place(launch=launch_of(given), restarts=restarts_of(given))
    missing = [name for name in NEEDED if not given.get(name)]
    if missing:
        raise MlrunError(
            f"WORLD_SIZE is {size}, but {', '.join(missing)} not set; start it with torchrun, "
            "which sets them all, or unset WORLD_SIZE to train in one process"
        )
    local_size = number(given, "LOCAL_WORLD_SIZE", 1, size, default=1)
    return Place(
        number(given, "RANK", 0, size - 1),
        size,
        number(given, "LOCAL_RANK", 0, size - 1),
        local_size,
        launch_of(given),
        restarts_of(given),
    )


def number_of_processes(asked: int, device: str, place: Place) -> int:
    """Returns how many processes train.

    Args:
        asked: how many the settings say; 1 where they say nothing.
        device: that they say.
        place: of this process.

    Raises:
        AskedOfOne: several, and nobody has started them.
        MlrunError: another number than were started.
    """
    check_started(asked, device, place)
    if asked not in (1, place.size):
        raise MlrunError(
            f"processes {asked}, but WORLD_SIZE is {place.size}; leave processes out under torchrun"
        )
    return place.size


def check_started(asked: int, device: str, place: Place) -> None:
    """Raises AskedOfOne where several processes are asked for, and nobody has started any."""
    if asked > 1 and place.size == 1 and not place.launch:
        raise AskedOfOne(asked, device)


def number(
    given: Mapping[str, str], name: str, least: int, most: int, *, default: int | None = None
) -> int:
    """Returns a variable as a whole number; raises MlrunError where it is none in that range."""
    text = given.get(name) or ("" if default is None else str(default))
    if not text.isdecimal() or not least <= int(text) <= most:
        raise MlrunError(
            f"{name} is {text or 'not set'}; expected {least} to {most}, as torchrun sets it: "
            "start it with torchrun, or unset RANK and WORLD_SIZE to train in one process"
        )
    return int(text)


def launch_of(given: Mapping[str, str]) -> str:
    """Returns what tells one start by torchrun from another; empty without one.

    Its own id may be `none`; then it is the process that started this one, and since when that is.
    """
    run_id = given.get("TORCHELASTIC_RUN_ID", "")
    if run_id != "none":
        return run_id
    import psutil

    agent = psutil.Process().parent()
    return "" if agent is None else f"{agent.pid}-{agent.create_time():.0f}"


def restarts_of(given: Mapping[str, str]) -> int:
    """Returns how often torchrun has started the processes again."""
    return number(given, "TORCHELASTIC_RESTART_COUNT", 0, 2**31, default=0)


def unaware(environment: Mapping[str, str] | None = None) -> str:
    """Returns a warning where a launcher started several copies that do not know of each other.

    That is for the first of them; the others get none.
    """
    given = os.environ if environment is None else environment
    if given.get("WORLD_SIZE"):
        return ""
    for count, rank in OTHERS.items():
        text = given.get(count, "")
        if text.isdecimal() and int(text) > 1 and given.get(rank) == "0":
            return (
                f"{count} is {text}: each of these processes trains a run of its own; to train one "
                "run together, have one of them on each host start torchrun (docs/clusters.md)"
            )
    return ""
