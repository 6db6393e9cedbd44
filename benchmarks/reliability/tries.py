"""Tries of one fault, and what became of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.reliability.catalogue import FAULTS
from benchmarks.reliability.contents import Contents, contents
from benchmarks.reliability.stage import MIDDLE, Outcome, Scale, Stage
from benchmarks.reliability.stores import Skipped, empty_store

_made = threading.Lock()
_undisturbed: dict[Path, Contents] = {}


@dataclass(frozen=True)
class Tries:
    """What became of the tries of a fault; an outcome is a text where it could not be tried."""

    name: str
    outcomes: Sequence[Outcome | str]

    @property
    def done(self) -> list[Outcome]:
        """The outcomes of those that could be tried."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Outcome)]

    @property
    def held(self) -> bool:
        """Whether nothing was lost or doubled, and all was as it should be."""
        return not any(o.lost or o.doubled or o.wrong for o in self.done)

    @property
    def lost(self) -> int:
        """How much was lost in all tries."""
        return sum(outcome.lost.total() for outcome in self.done)

    @property
    def doubled(self) -> int:
        """How much is there too often after all tries."""
        return sum(outcome.doubled.total() for outcome in self.done)

    def as_text(self) -> str:
        """Returns all that is known, on some lines."""
        lines = [f"{self.name}: {len(self.done)} tried, {self.lost} lost, {self.doubled} doubled"]
        for outcome in self.outcomes:
            if isinstance(outcome, str):
                lines.append(f"  skipped: {outcome}")
                continue
            lines.append(f"  exit code {outcome.code}, {len(outcome.said)} lines")
            lines += [f"    {line}" for line in outcome.said[:12]]
            lines += [f"  lost: {thing}" for thing in list(outcome.lost)[:5]]
            lines += [f"  doubled: {thing}" for thing in list(outcome.doubled)[:5]]
            lines += [f"  WRONG: {text}" for text in outcome.wrong]
        return "\n".join(lines)


def tried(name: str, folder: Path, scale: Scale, number: int = 0) -> Outcome | str:
    """Tries a fault once, in a new folder below `folder`; returns why, where that is impossible."""
    with _made:
        undisturbed = undisturbed_in(folder)
    place = Path(mkdtemp(prefix=f"{name}-{number}-", dir=folder))
    stage = Stage(place, empty_store(folder), undisturbed, scale)
    try:
        return FAULTS[name](stage)
    except Skipped as reason:
        return str(reason)
    except Exception as error:
        return Outcome(-1, wrong=[f"{type(error).__name__}: {error}"])
    finally:
        stage.close()


def undisturbed_in(folder: Path) -> Contents:
    """Returns what a run leaves when nothing happens; it is run once for a folder."""
    if folder not in _undisturbed:
        place = Path(mkdtemp(prefix="undisturbed-", dir=folder))
        stage = Stage(place, empty_store(folder), None, Scale())
        uri = stage.sqlite()
        training = stage.train(uri)
        run_id = training.reach(MIDDLE)
        code = training.end()
        if code:
            raise RuntimeError(f"an undisturbed run failed: {training.lines()[-5:]}")
        _undisturbed[folder] = contents(uri, run_id)
    return _undisturbed[folder]
