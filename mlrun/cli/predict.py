"""`mlrun predict`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mlrun.cli.arguments import START_HELP, DottedCommand, options_of
from mlrun.cli.display import listen
from mlrun.cli.shared_options import device_option, plugin_option
from mlrun.cli.terminal import as_json, echo, in_spreadsheet, one_cell
from mlrun.machine.interrupts import undisturbed

if TYPE_CHECKING:
    from mlrun.finished.predict import Prediction


class PredictCommand(DottedCommand):
    """Takes options of the run's model."""

    dotted_help = (START_HELP,)


@click.command(
    "predict",
    cls=PredictCommand,
    params=[
        click.Argument(["run_id"], metavar="RUN_ID"),
        click.Argument(
            ["files"], metavar="FILE…", nargs=-1, required=True, type=click.Path(path_type=Path)
        ),
        click.Option(
            ["--format", "form"],
            type=click.Choice(["table", "csv", "json"]),
            default="table",
            show_default=True,
            help="a CSV has a column for each class",
        ),
        click.Option(
            ["--top"],
            type=click.IntRange(1),
            metavar="K",
            help="classes to show of each file; by default 1 in a table, all in JSON",
        ),
        device_option("Command", "auto"),
        plugin_option("Command"),
    ],
)
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run_id: str,
    files: tuple[Path, ...],
    form: str,
    top: int | None,
    device: str,
    plugins: tuple[Path, ...],
) -> int:
    """Classify image files with a run's best weights.

    RUN_ID is the run's id or a unique start of it; FILE… are image files, or folders that are
    searched for them. The data set is not needed. A file that cannot be read is named on
    stderr, the others are classified, and the exit code is 1.
    """
    options = options_of(ctx, ("model",))["model"]
    listen(quiet=False)
    with undisturbed():
        from mlrun.finished.predict import find_images, predict
        from mlrun.machine import devices
        from mlrun.preparing.weights import restore
        from mlrun.record.logged import find_run

    if top and form == "csv":
        raise click.UsageError("--top goes with a table or JSON; a CSV has a column for each class")
    listen(quiet=True)
    run = find_run(run_id)
    failures: list[str] = []

    def unreadable(message: str) -> None:
        failures.append(message)
        echo(f"Warning: {message}", err=True)

    torch_device = devices.resolve(device)
    with devices.torch_settings(torch_device, run.settings().threads):
        restored = restore(run, torch_device, plugins, options)
        paths = find_images(files, unreadable=unreadable)  # decoders come with the plugins
        predictions = predict(restored, paths, unreadable=unreadable)
        classes = restored.weights.classes
        if form == "csv":
            print_csv(predictions, classes)
        elif form == "json":
            print_lines(json_lines(predictions, classes, top or len(classes)))
        else:
            print_lines(table_lines(predictions, classes, top or 1, paths))
    return 1 if failures else 0


def print_lines(lines: Iterable[str]) -> None:
    """Prints each line as soon as it is there."""
    for line in lines:
        echo(line)


def print_csv(predictions: Iterable[Prediction], classes: tuple[str, ...]) -> None:
    """Prints file, class and its probability, then the probability of each class."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    names = [in_spreadsheet(name) for name in classes]
    writer.writerow(["file", "class", "probability", *names])
    for prediction in predictions:
        (best,) = prediction.top(1)
        values = [short(p) for p in prediction.probabilities]
        file = in_spreadsheet(str(prediction.path))
        writer.writerow([file, names[best], values[best], *values])


def json_lines(
    predictions: Iterable[Prediction], classes: tuple[str, ...], top: int
) -> Iterator[str]:
    """Yields the lines of a list of objects, one a file."""
    yield "["
    before = ""
    for prediction in predictions:
        if before:
            yield f"{before},"
        probabilities = {
            classes[k]: short(prediction.probabilities[k]) for k in prediction.top(top)
        }
        best = next(iter(probabilities))
        row = {"file": str(prediction.path), "class": best, "probability": probabilities[best]}
        before = "  " + as_json({**row, "probabilities": probabilities})
    if before:
        yield before
    yield "]"


def table_lines(
    predictions: Iterable[Prediction], classes: tuple[str, ...], top: int, paths: list[Path]
) -> Iterator[str]:
    """Yields a header, then file, class and probability, and those of the next classes."""
    names = [one_cell(name) for name in classes]
    width = max(len(one_cell(str(path))) for path in [*paths, Path("file")])
    column = max(len(name) for name in [*names, "class"])
    pair = f"  {'class':{column}}  probability"
    yield f"{'file':{width}}{pair * min(top, len(classes))}"
    for prediction in predictions:
        cells = (
            f"  {names[k]:{column}}  {prediction.probabilities[k]:<11.4f}"
            for k in prediction.top(top)
        )
        yield f"{one_cell(str(prediction.path)):{width}}{''.join(cells)}".rstrip()


def short(probability: float) -> float:
    """Returns a probability to six digits, which is what float32 holds."""
    return float(f"{probability:.6g}")
