"""Which images of a part, and which layers of a deep network, are drawn."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mlrun import View

MOST_LAYERS = 8
FIRST = 3  # layers at the start that are always among them
MOST_NAMED = 6  # left-out layers that a note names


def random_places(length: int, count: int, seed: int) -> list[int]:
    """Returns `count` different places below `length`, in random order; all if there are fewer.

    They depend on the three numbers alone, and so are the same in every run.
    """
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed))
    return order[:count].tolist()


def spread(
    view: View, names: Sequence[str], visualiser: str, *, most: int = MOST_LAYERS
) -> list[str]:
    """Returns at most `most` of the names: all, or the first 3 and others spread up to the last.

    A note of the view names the others, and the option that selects them.
    """
    if len(names) <= most:
        return list(names)
    span, steps = len(names) - 1 - FIRST, most - FIRST - 1
    places = [*range(FIRST), *(FIRST + step * span // steps for step in range(steps + 1))]
    others = [name for place, name in enumerate(names) if place not in places]
    text = ", ".join(others[:MOST_NAMED])
    if len(others) > MOST_NAMED:
        text += f" and {len(others) - MOST_NAMED} more"
    view.note(f"left out {text}; name layers with --{visualiser}.layers")
    return [names[place] for place in places]
