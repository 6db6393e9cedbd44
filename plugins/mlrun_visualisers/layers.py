"""Which layers of a deep network are drawn."""

from __future__ import annotations

from collections.abc import Sequence

from mlrun import View

MOST_LAYERS = 8
FIRST = 3  # layers at the start that are always among them
MOST_TOLD = 6  # names of layers that a note lists


def spread(
    view: View, names: Sequence[str], visualiser: str, *, most: int = MOST_LAYERS
) -> list[str]:
    """Returns at most `most` of the names: all, or the first 3 and others spread up to the last.

    The view is told which are left out, and how to ask for them.
    """
    if len(names) <= most:
        return list(names)
    span, steps = len(names) - 1 - FIRST, most - FIRST - 1
    places = [*range(FIRST), *(FIRST + step * span // steps for step in range(steps + 1))]
    left_out = [name for place, name in enumerate(names) if place not in places]
    told = ", ".join(left_out[:MOST_TOLD])
    if len(left_out) > MOST_TOLD:
        told += f" and {len(left_out) - MOST_TOLD} more"
    view.note(f"left out {told}; name layers with --{visualiser}.layers")
    return [names[place] for place in places]
