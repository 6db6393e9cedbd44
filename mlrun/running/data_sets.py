"""The data sets of a run, digested beside the training and logged once that is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait

from mlrun.data.checked import checked_file_of
from mlrun.data.digests import data_digest
from mlrun.data.splits import Selection
from mlrun.machine.helpers import Helpers
from mlrun.machine.interrupts import interruptible, undisturbed
from mlrun.preparing.prepared import Prepared
from mlrun.record.events import LoggedData
from mlrun.settings.plan import Plan

GIVING_UP = 2.0  # seconds in which a thread that is told to give up does so, unless a disk hangs
CONTEXTS = {"train": "training", "val": "validation", "test": "test"}


class Digests:
    """The digests of a run's selections; a thread makes them from `start` on.

    All bytes of a large data set take seconds to read, for which no training waits.

    Attributes:
        files: those that the selections' images are mapped from and compared with.
    """

    def __init__(self, selections: Mapping[str, Selection]) -> None:
        self._selections = selections
        self._made: dict[str, Future[str]] = {}
        self._used: Future[None] | None = None
        self._given_up = threading.Event()
        files = map(checked_file_of, [selection.images for selection in selections.values()])
        self.files = {file for file in files if file is not None}

    def start(self, use: Callable[[], None]) -> None:
        """Starts the thread, which calls `use` when it has made all of them.

        Where no thread can be had, returns when that is done.
        """
        with undisturbed():  # a thread that nobody tells to end would keep the process
            pool = Helpers(1, "mlrun-digests")
            self._made = {
                name: pool.submit(data_digest, selection, self._given_up.is_set)
                for name, selection in self._selections.items()
            }
            self._used = pool.submit(use)
            pool.shutdown(wait=False)

    def of(self, name: str) -> str:
        """Returns the digest of a selection, once it is made; raises what that raised."""
        return self._made[name].result()

    def check(self) -> None:
        """Raises MlrunError where a file of images is known to be other than it was written."""
        for file in self.files:
            file.check()

    def confirm(self) -> None:
        """Waits until all images were read, and then does so."""
        wait(self._made.values())
        self.check()

    def close(self, patience: float | None) -> None:
        """Waits until the digests are made and used, and raises what that raised.

        Args:
            patience: seconds, after which they are given up, as they are where a signal breaks the
                wait off; None for as long as it takes.
        """
        if self._used is None:
            return
        try:
            with interruptible():
                wait([self._used], patience)
        finally:
            if patience is not None:
                self._given_up.set()
        with interruptible():
            self._used.result(None if patience is None else GIVING_UP)


def logged_data_sets(plan: Plan, prepared: Prepared, digests: Digests) -> list[LoggedData]:
    """Returns the selections of a run as MLflow shows them, each under a name of its own."""
    return [
        LoggedData(
            name=f"{plan.dataset.component.name}/{name}",
            digest=digests.of(name),
            source=prepared.data.source or plan.dataset.component.origin,
            context=CONTEXTS[name],
            profile={
                "images": len(selection),
                "shape": list(prepared.data.shape),
                "classes": len(prepared.data.classes),
                "part": selection.part,
                "licence": prepared.data.licence,
            },
        )
        for name, selection in prepared.selections.items()
    ]
