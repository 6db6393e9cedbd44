"""What decoding tells the user while it lasts, on stderr."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


def say(text: str) -> None:
    """Tells the user one line."""
    print(f"image-folder: {text}", file=sys.stderr)


@contextlib.contextmanager
def progress(total: int) -> Iterator[Callable[[int], object]]:
    """Shows a bar on a terminal; yields what is told how many more images are done."""
    if not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:-1], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("decoding", total=total)
        yield lambda count: bar.advance(task, count)
