"""`python -m benchmarks NAME …`: measures, prints a table, exits with 1 where a bound is missed."""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from pathlib import Path

import click

from benchmarks import data
from benchmarks.harness import Bench, Row, as_json, machine, missed, table

NAMES = {
    "epoch": "an epoch of a perceptron, against Lightning and a loop over a DataLoader",
    "raw-loop": "the steps of a perceptron and of LeNet, against the loop written out",
    "augmentation": "random rotation, shift and scale, against torchvision's transforms",
    "tracking": "what logging costs, into SQLite and over a slow network",
    "start": "--help, train and plugins, from the start of the process to its end",
    "growth": "time and memory from a thousand images to a million, and beyond memory",
    "evaluation": "how often the test part passes through the model",
    "sweep": "twenty learning rates in one process, against twenty processes",
    "pictures": "what looking inside costs",
    "checkpoints": "what saving the state of the training costs",
    "processes": "one run in two processes, against a script with DistributedDataParallel",
    "vectorised": "sixteen perceptrons trained as one, against one after another",
    "gpu": "the steps on a GPU, where there is one",
}
README = Path(__file__).parent / "README.md"


@click.command(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="NAMES: all, " + "; ".join(f"{name} ({about})" for name, about in NAMES.items()),
)
@click.argument("names", nargs=-1, required=True)
@click.option("--data-dir", type=Path, default=Path("data"), help="folder that holds MNIST/raw")
@click.option("--made-up", is_flag=True, help="random images of MNIST's form, in its place")
@click.option("--repetitions", type=click.IntRange(1), default=5, show_default=True)
@click.option("--quick", is_flag=True, help="next to no work: only proves that everything runs")
@click.option("--json", "output", type=Path, help="file to write all figures to")
@click.option("--write", is_flag=True, help="put the table into benchmarks/README.md")
def main(
    names: tuple[str, ...],
    data_dir: Path,
    made_up: bool,
    repetitions: int,
    quick: bool,
    output: Path | None,
    write: bool,
) -> None:
    """Measures how fast mlrun is, as ratios to peers in the same run."""
    chosen = chosen_of(names)
    if output is not None and not output.absolute().parent.is_dir():
        raise click.UsageError(f"--json {output}: there is no folder {output.parent}")
    if not (quick or made_up):
        data.check(data_dir)
    with tempfile.TemporaryDirectory() as folder:
        if quick or made_up:
            data_dir = Path(folder, "data")
            data.make_up(data_dir, *data.FEW if quick else data.AS_MANY)
        bench = Bench(data_dir.absolute(), Path(folder), 1 if quick else repetitions, quick)
        rows = [row for name in chosen for row in measured(name, bench)]
        click.echo("\n" + table(rows))
        if output is not None:
            output.write_text(as_json(rows, bench), encoding="utf-8")
        if write:
            fill(table(rows))
    lost = missed(rows)
    for row in lost:
        click.echo(f"missed: {row.benchmark}: {row.what}", err=True)
    sys.exit(1 if lost and not quick else 0)


def chosen_of(names: tuple[str, ...]) -> list[str]:
    """Returns the benchmarks that `names` mean; raises click.UsageError for one there is not."""
    from mlrun.errors import unknown

    for name in names:
        if name not in NAMES and name != "all":
            raise click.UsageError(str(unknown("benchmark", name, ["all", *NAMES])))
    return list(NAMES) if "all" in names else list(dict.fromkeys(names))


def measured(name: str, bench: Bench) -> list[Row]:
    """Returns the rows of one benchmark, each printed when it is there."""
    module = importlib.import_module(f"benchmarks.{name.replace('-', '_')}")
    rows = []
    for row in module.run(bench):
        click.echo("  ".join(filter(None, row.cells())))
        rows.append(row)
    return rows


def fill(text: str) -> None:
    """Puts the table and the machine into the marked place of the README."""
    told = "; ".join(f"{name} {value}" for name, value in machine().items())
    page = README.read_text(encoding="utf-8")
    new = f"<!-- measured -->\n{told}\n\n{text}\n<!-- end -->"
    pattern = r"<!-- measured -->\n.*<!-- end -->"
    README.write_text(re.sub(pattern, lambda _: new, page, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
