"""Progress of decoding: lines of the logger, and a bar on a terminal."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator

LOG = logging.getLogger("mlrun.datasets")  # the command line shows it, unless it is quiet


def log_info(dataset: str, text: str) -> None:
    """Logs one line for the user."""
    LOG.info("%s: %s", dataset, text)


@contextlib.contextmanager
def progress_bar(total: int) -> Iterator[Callable[[int], object]]:
    """Shows a bar on a terminal; yields a function that takes the number of further images."""
    if not (sys.stderr.isatty() and LOG.isEnabledFor(logging.INFO)):
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("decoding", total=total)
        yield lambda count: bar.advance(task, count)
