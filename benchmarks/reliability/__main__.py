"""`python -m benchmarks.reliability [FAULT]…`: exits with 1 where something is lost."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click

from benchmarks.reliability.catalogue import FAULTS, about
from benchmarks.reliability.page import fill, table
from benchmarks.reliability.stage import Scale
from benchmarks.reliability.tries import Tries, tried


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="FAULTS: " + "; ".join(f"{name} ({about(name)})" for name in FAULTS),
)
@click.argument("faults", nargs=-1)
@click.option("--times", type=click.IntRange(1), default=1, show_default=True)
@click.option(
    "--abreast", type=click.IntRange(1), default=1, help="tries at once", show_default=True
)
@click.option("--short", is_flag=True, help="outages of seconds: only proves that everything runs")
@click.option("--folder", type=Path, help="where to keep what the tries leave; else nowhere")
@click.option("--write", is_flag=True, help="put the table into docs/reliability.md")
def main(
    faults: tuple[str, ...], times: int, abreast: int, short: bool, folder: Path | None, write: bool
) -> None:
    """Lets stores, disks and processes fail under `mlrun train`, and says what is lost."""
    from mlrun.errors import unknown
    from mlrun.record.store import without_bars

    for name in faults:
        if name not in FAULTS:
            raise click.UsageError(str(unknown("fault", name, FAULTS)))
    without_bars()
    chosen = list(dict.fromkeys(faults or FAULTS))
    scale = Scale(0.1, 2.0) if short else Scale()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(folder or temporary).absolute()
        place.mkdir(parents=True, exist_ok=True)
        tries = []
        for each in all_tries(chosen, place, scale, times, abreast):
            tries.append(each)
            if write:
                fill([each])
    click.echo("\n" + table(tries))
    sys.exit(0 if all(each.held for each in tries) else 1)


def all_tries(
    names: list[str], folder: Path, scale: Scale, times: int, abreast: int
) -> Iterator[Tries]:
    """Tries each fault so many times, some at once; yields what became of each when it is known."""
    with ThreadPoolExecutor(abreast) as pool:
        pending = {
            name: [pool.submit(tried, name, folder, scale, n) for n in range(times)]
            for name in names
        }
        for name, futures in pending.items():
            each = Tries(name, [future.result() for future in futures])
            click.echo(each.as_text())
            yield each


if __name__ == "__main__":
    main()
