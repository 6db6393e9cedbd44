"""Members: the runs that several seeds, or several folds, stand for; loads no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mlrun.errors import MlrunError
from mlrun.machine.place import place_here
from mlrun.seam.conversion import shown
from mlrun.settings.plan import Plan

MOST = 200  # runs under a parent, whose tag names them all
PAST_THE_LAST = 2**63  # of the seeds


@dataclass(frozen=True)
class Member:
    """One of several runs: its name among them, `seed 3` say, and its plan."""

    name: str
    plan: Plan


@dataclass(frozen=True)
class Asked:
    """Several runs that are asked for in one.

    kind: `seeds` or `folds`; numbers: which, as the parent's tag has them: `0,1,2`, or `5`.
    name: `3 seeds`.
    plan: what they have in common.
    varied: the settings in which they differ.
    members: the runs, in order.
    """

    kind: str
    numbers: str
    name: str
    plan: Plan
    varied: tuple[str, ...]
    members: tuple[Member, ...]


def asked_again(kind: str, numbers: str, plan: Plan) -> Asked:
    """Returns the runs under a parent, whose tags say of what kind they are, and which."""
    if kind == "folds":
        return folds_asked(plan, numbers)
    return seeds_asked(plan, f"{numbers}," if "," not in numbers else numbers)


def seeds_asked(plan: Plan, seeds: str | int | Sequence[int]) -> Asked:
    """Returns the runs of one plan with several seeds.

    Args:
        plan: of the runs; its seed is the first one.
        seeds: how many, counted from the plan's seed; or which, in a sequence, or as text with
            commas: `5`, `0,1,2`, `7,`.

    Raises:
        MlrunError: they are not that, or the plan asks for several processes.
    """
    check_one_process("seeds", plan)
    numbers = numbers_of(seeds, plan.settings.seed)
    plan = with_settings(plan, seed=numbers[0])
    members = (Member(f"seed {seed}", with_settings(plan, seed=seed)) for seed in numbers)
    counted = f"{len(numbers)} seed{'' if len(numbers) == 1 else 's'}"
    listed = ",".join(map(str, numbers))
    return Asked("seeds", listed, counted, plan, ("seed",), tuple(members))


def folds_asked(plan: Plan, folds: str | int) -> Asked:
    """Returns the runs of a cross-validation: each validates on another fold of the images.

    Args:
        plan: of the runs, whose `validation` is `auto`.
        folds: how many, at least two.

    Raises:
        MlrunError: they are not that, or the plan says what to validate on, or asks for several
            processes.
    """
    check_one_process("folds", plan)
    count = whole(folds)
    if count is None or not 2 <= count <= MOST:
        raise MlrunError(f"folds: expected how many, 2 to {MOST}, got {shown(folds)!r}")
    validation = plan.settings.validation
    if validation != "auto":
        raise MlrunError(
            f"folds: each run validates on its fold; leave validation {validation} out, or say "
            "validation auto"
        )
    numbers = range(1, count + 1)
    folded = [with_settings(plan, validation=f"fold:{number}/{count}") for number in numbers]
    members = [Member(f"fold {n}/{count}", one) for n, one in zip(numbers, folded, strict=True)]
    return Asked("folds", str(count), f"{count} folds", plan, ("validation",), tuple(members))


def check_one_process(kind: str, plan: Plan) -> None:
    """Raises MlrunError where the runs would be trained by several processes."""
    place = place_here()
    if plan.settings.processes > 1 or place.size > 1 or place.launch:
        raise MlrunError(
            f"{kind}: the runs are trained one after another, each by one process; leave processes "
            "and torchrun out, or start each of them by itself"
        )


def numbers_of(seeds: str | int | Sequence[int], first: int) -> list[int]:
    """Returns the seeds that are meant, in order; raises MlrunError unless they are some."""
    if isinstance(seeds, str) and "," in seeds:
        texts: Sequence[str | int] = seeds.removesuffix(",").split(",")
    elif isinstance(seeds, str | int):
        count = whole(seeds)
        if count is None or not 1 <= count <= MOST or first + count > PAST_THE_LAST:
            raise ill_seeds(seeds)
        return list(range(first, first + count))
    else:
        texts = seeds
    numbers = [whole(text) for text in texts]
    found = [number for number in numbers if number is not None and 0 <= number < PAST_THE_LAST]
    if not len(texts) == len(found) == len(set(found)) or not 1 <= len(found) <= MOST:
        raise ill_seeds(seeds)
    return found


def ill_seeds(seeds: object) -> MlrunError:
    """Returns the error for what are no seeds."""
    return MlrunError(
        f"seeds: expected how many, 1 to {MOST}, or different seeds with commas between (0,1,2), "
        f"got {shown(seeds)!r}"
    )


def whole(value: object) -> int | None:
    """Returns a whole number, or a text of digits, as a number; None of anything else."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def with_settings(plan: Plan, **values: object) -> Plan:
    """Returns a plan with other values of settings, each as the settings have it."""
    return replace(plan, settings=plan.settings.model_copy(update=values))
