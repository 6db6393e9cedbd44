"""`mlrun runs`."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from mlrun.cli.terminal import as_json, echo, one_cell
from mlrun.machine.interrupts import undisturbed

if TYPE_CHECKING:
    from mlrun.record.overview import Row

FIGURES = {"test/accuracy": "test acc", "val/accuracy": "val acc", "val/loss": "val loss"}
LONGEST = 24  # characters of a value on a terminal


@click.command("runs")
@click.option(
    "-n",
    "limit",
    type=click.IntRange(1, 10_000),
    default=20,
    metavar="N",
    show_default=True,
    help="how many at most",
)
@click.option("--experiment", metavar="NAME", help="those of one experiment; all by default")
@click.option("--json", "json_asked", is_flag=True, help="print JSON, with every metric and param")
def command(limit: int, experiment: str | None, json_asked: bool) -> None:
    """List the last runs, the newest first: the main figures and the params that differ.

    The figures are the last that were logged, those of the test part from the best weights.
    On a terminal there are as many columns as fit; elsewhere all of them, with tabs between
    and full run ids. A run whose process is gone without an end is `lost`, or `unsent` where only
    MLflow does not have its end; a line says what to do about each.
    """
    with undisturbed():
        from mlrun.record.overview import differing, last_runs

    rows = last_runs(limit, experiment)
    differs = differing(rows)
    if json_asked:
        echo(as_json(as_dict(rows, differs), indent=2))
    elif not rows:
        click.echo("there are no runs yet; mlrun train makes one", err=True)
    elif sys.stdout.isatty():
        for line in fitting(rows, differs, shutil.get_terminal_size().columns):
            echo(line)
    else:
        for cells in zip(*whole_columns(rows, differs), strict=True):
            echo("\t".join(cells))
    for row in rows:
        if row.note:
            echo(f"run {row.run_id}: {row.note}", err=True)


def as_dict(rows: Sequence[Row], differs: list[str]) -> dict[str, object]:
    """Returns the listing as plain values; None for a figure that JSON cannot hold."""
    return {
        "differs": differs,
        "runs": [
            {
                "run_id": row.run_id,
                "name": row.name,
                "experiment": row.experiment,
                "status": row.status,
                "started": moment(row.started),
                "seconds": round(row.seconds, 1),
                "best_epoch": row.best_epoch,
                "metrics": {n: v if math.isfinite(v) else None for n, v in row.metrics.items()},
                "params": dict(row.params),
            }
            for row in rows
        ],
    }


def whole_columns(rows: Sequence[Row], differs: list[str]) -> list[list[str]]:
    """Returns every column at full width, its name first."""
    columns = [
        ["run_id", *(row.run_id for row in rows)],
        ["name", *(row.name for row in rows)],
        ["experiment", *(row.experiment for row in rows)],
        ["started", *(moment(row.started) for row in rows)],
        ["seconds", *(f"{row.seconds:.1f}" for row in rows)],
        ["status", *(row.status for row in rows)],
        ["best_epoch", *("" if row.best_epoch is None else str(row.best_epoch) for row in rows)],
    ]
    for key in [*FIGURES, *variants_of(rows)]:
        columns.append([key, *(f"{row.metrics.get(key, '')}" for row in rows)])
    columns += [[name, *(row.params.get(name, "") for row in rows)] for name in differs]
    return [[one_cell(cell) for cell in column] for column in columns]


def fitting(rows: Sequence[Row], differs: list[str], width: int) -> list[str]:
    """Returns a table of at most `width` columns: the figures, then the params that fit."""
    from mlrun.settings.run import setting_traits

    columns = [
        ["run", *(row.run_id[:8] for row in rows)],
        ["age", *(span(time.time() - row.started) for row in rows)],
        ["took", *(span(row.seconds) for row in rows)],
        ["status", *(one_cell(row.status) for row in rows)],
        ["epoch", *("-" if row.best_epoch is None else str(row.best_epoch) for row in rows)],
    ]
    for key, short in FIGURES.items():
        columns.append([short, *(figure(row, key) for row in rows)])
    params = {name: [name, *(row.params.get(name, "-") for row in rows)] for name in differs}
    first = (name for name, traits in setting_traits().items() if traits.in_name == "first")
    candidates = [params.pop(name) for name in first if name in params]
    for key, short in variants_of(rows).items():
        candidates.append([short, *(figure(row, key) for row in rows)])
    candidates += params.values()
    if len({row.experiment for row in rows}) > 1:
        candidates.append(["experiment", *(row.experiment for row in rows)])
    names = []
    for column in candidates:
        cells = [one_cell(cell) for cell in column]
        cells = [cell if len(cell) <= LONGEST else f"{cell[: LONGEST - 1]}…" for cell in cells]
        if width_of([*columns, cells]) <= width:
            columns.append(cells)
        else:
            names.append(cells[0])
    lines = list(table(columns))
    if names:
        lines += ["", click.wrap_text(f"also differ: {', '.join(names)} (see --json)", width)]
    return lines


def variants_of(rows: Sequence[Row]) -> dict[str, str]:
    """Returns the accuracies on changed or other test parts that `rows` have, and short names."""
    names = sorted({key for row in rows for key in row.metrics if key.startswith("test-")})
    accuracies = (key for key in names if key.endswith("/accuracy"))
    return {key: f"{key.removesuffix('/accuracy')} acc" for key in accuracies}


def figure(row: Row, key: str) -> str:
    """Returns a metric to four digits, or a dash."""
    return f"{row.metrics[key]:.4f}" if key in row.metrics else "-"


def width_of(columns: list[list[str]]) -> int:
    """Returns how wide a table of these columns is, two spaces between."""
    return sum(max(map(len, column)) for column in columns) + 2 * (len(columns) - 1)


def table(columns: list[list[str]]) -> list[str]:
    """Returns the columns as lines."""
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in zip(*columns, strict=True)
    ]


def moment(seconds: float) -> str:
    """Returns a time as ISO 8601, UTC; nothing for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return ""


def span(seconds: float) -> str:
    """Returns a length of time in the largest unit that it fills.

    >>> span(5), span(125), span(7300), span(200_000)
    ('5 s', '2 min', '2 h', '2 d')
    """
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
