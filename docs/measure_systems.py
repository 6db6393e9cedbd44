"""Trains the five published systems on MNIST, for docs/systems.md.

`python docs/measure_systems.py DATA_DIR RESULTS [RECIPE…]` trains each row's recipe with five
seeds, without pictures, and keeps what it found in RESULTS, one JSON file a row; rows that are
there already are not trained again. Once all are there it writes the table into the page.
DATA_DIR holds MNIST/raw. All rows take about two hours on two CPU cores. Nothing is logged to the
store in use.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from measuring import fill, machine, own_store

PAGE = Path(__file__).resolve().parent / "systems.md"
SEEDS = (0, 1, 2, 3, 4)
UNSEEN = {"visualisers": "none", "log_model": False}  # what does not change the figures
TRAINED, VALIDATED, TESTED = "train/accuracy", "val/accuracy", "test/accuracy"
ROTATED = "test-rotated-25/accuracy"
MNIST = {"dataset": "mnist"}
LETTERS = {"dataset.train": "letters_train.csv", "dataset.validation": "letters_val.csv"}
ROWS_OF_LETTERS = (27_455, 7_172)  # of Sign Language MNIST


@dataclass(frozen=True)
class Row:
    """A recipe, what is changed of it, and what was published.

    figures: the metrics that are stated.
    start: a recipe and what is changed of it, whose run this one starts from.
    """

    system: str
    recipe: str
    published: str
    figures: tuple[str, ...]
    changes: dict[str, object] = field(default_factory=dict)
    start: tuple[str, dict[str, object]] | None = None

    @property
    def command(self) -> str:
        """The command line."""
        return written(self.recipe, self.changes, *(["--init-from RUN_ID"] if self.start else []))

    @property
    def file(self) -> str:
        """The name of the file with what was found."""
        return "-".join([self.recipe, *map(str, self.changes.values())]).replace(":", "-") + ".json"


FIRST = {"subset": "2500", "validation": "last:500"}
ROWS = (
    Row("A", "perceptron", "not stated", (VALIDATED,), {"epochs": 10}),
    Row("A", "perceptron-deep", "not stated", (VALIDATED,), {"epochs": 10}),
    Row("B", "learn-logistic", "0.94 / 0.90–0.91", (TRAINED, VALIDATED), FIRST),
    Row("B", "learn-mlp", "0.93 / 0.89–0.91", (TRAINED, VALIDATED), FIRST),
    Row("B", "learn-cnn", "0.91–0.92 / 0.91", (TRAINED, VALIDATED), FIRST),
    Row("B", "learn-logistic", "as above", (TRAINED, VALIDATED)),
    Row("B", "learn-mlp", "as above", (TRAINED, VALIDATED)),
    Row("B", "learn-cnn", "as above", (TRAINED, VALIDATED)),
    Row("C", "lenet-fashion", "0.893 / 0.685 on Fashion-MNIST", (TESTED, ROTATED), MNIST),
    Row("C", "mlp-fashion", "not stated", (TESTED, ROTATED), MNIST),
    Row("D", "letters-logistic", "0.54 on the letters", (VALIDATED,), LETTERS),
    Row("D", "letters-convolution", "better, sooner", (VALIDATED,), LETTERS),
    Row("D", "letters-deep", "much better", (VALIDATED,), LETTERS),
    Row("E", "from-nothing", "0.36; again 0.10, 0.23", (TESTED,), MNIST),
    Row("E", "from-nothing-scaled", "—", (TESTED,), MNIST),
    Row("E", "from-nothing-dropout", "—", (TESTED,), MNIST),
    Row("E", "from-nothing-schedule", "—", (TESTED,), MNIST),
    Row("E", "from-nothing-stopping", "—", (TESTED,), MNIST),
    Row("E", "from-nothing-convolutions", "—", (TESTED,), MNIST),
    Row("E", "from-nothing-rates", "—", (TESTED,), MNIST),
    Row(
        "E",
        "from-nothing-transfer",
        "—",
        (TESTED,),
        MNIST,
        start=("from-nothing-convolutions", {"dataset": "digits", "dataset.size": 28}),
    ),
    Row("E", "from-nothing-resnet", "—", (TESTED,), {**MNIST, "model.arch": "resnet18"}),
)


def written(recipe: str, changes: dict[str, object], *more: str) -> str:
    """Returns the command line that trains `recipe` with `changes`."""
    options = (f"--{name.replace('_', '-')} {value}" for name, value in changes.items())
    return " ".join(["mlrun train --recipe", recipe, *options, *more])


def train(recipe: str, changes: dict[str, object]) -> tuple[str, dict[str, float], float]:
    """Trains a recipe without pictures; returns the run's id, its figures and its seconds."""
    import mlrun

    began = time.perf_counter()
    run = mlrun.train({"recipe": recipe, **changes, **UNSEEN})
    return run.run_id, run.metrics, time.perf_counter() - began


def measure(row: Row, data_dir: Path) -> dict[str, list[float]]:
    """Returns each figure of a row, and the seconds, by seed."""
    found: dict[str, list[float]] = {name: [] for name in (*row.figures, "seconds")}
    for seed in SEEDS:
        changes = {**row.changes, "data_dir": str(data_dir), "seed": seed}
        if row.start is not None:
            recipe, others = row.start
            changes["init_from"] = train(recipe, {**others, "seed": seed})[0]
        _, figures, seconds = train(row.recipe, changes)
        for name in row.figures:
            found[name].append(figures[name])
        found["seconds"].append(seconds)
        print(row.command, seed, {name: values[-1] for name, values in found.items()}, flush=True)
    return found


def write_letters(data_dir: Path, folder: Path) -> None:
    """Writes MNIST as CSV files of the form and the size of Sign Language MNIST."""
    import numpy as np
    from mlrun_datasets import mnist

    data = mnist(data_dir)
    columns = ["label", *(f"pixel{number}" for number in range(1, 785))]
    start = 0
    for name, count in zip(LETTERS.values(), ROWS_OF_LETTERS, strict=True):
        images, labels = (part[start : start + count] for part in data.train)
        rows = np.concatenate([labels[:, None].numpy(), images.flatten(1).numpy()], axis=1)
        np.savetxt(folder / name, rows, "%d", ",", header=",".join(columns), comments="")
        start += count


def stated(values: list[float]) -> str:
    """Returns the mean, and the least and the most, of accuracies."""
    return f"{statistics.mean(values):.4f} ({min(values):.4f}–{max(values):.4f})"


def table(results: Path) -> str:
    """Returns the measured table, Markdown."""
    lines = [
        "| system | published | ours, mean (lowest–highest) | command | seconds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in ROWS:
        found = json.loads((results / row.file).read_text())
        ours = " / ".join(stated(found[name]) for name in row.figures)
        seconds = f"{statistics.median(found['seconds']):.0f}"
        lines.append(f"| {row.system} | {row.published} | {ours} | `{row.command}` | {seconds} |")
    about = (
        "Accuracies: A and D of the validation part, B of training / validation, C of test / "
        f"rotated test, E of test. Seeds {', '.join(map(str, SEEDS))}; seconds of one run, the "
        f"median, without pictures and servable model. Measured on {machine()}."
    )
    return "\n".join([*lines, "", about])


def main() -> None:
    """Measures the rows that are asked for and not there, then writes the table."""
    if len(sys.argv) < 3 or not Path(sys.argv[1], "MNIST", "raw").is_dir():
        sys.exit(
            "usage: python docs/measure_systems.py DATA_DIR RESULTS [RECIPE…]; DATA_DIR holds "
            "MNIST/raw"
        )
    data_dir, results = (Path(name).resolve() for name in sys.argv[1:3])
    results.mkdir(exist_ok=True)
    missing = [row for row in ROWS if not (results / row.file).exists()]
    for row in missing:
        if len(sys.argv) > 3 and row.recipe not in sys.argv[3:]:
            continue
        with own_store() as folder:
            if row.system == "D":
                write_letters(data_dir, folder)
            found = measure(row, folder if row.system == "D" else data_dir)
        (results / row.file).write_text(json.dumps(found))
    if all((results / row.file).exists() for row in ROWS):
        fill(PAGE, table(results))


if __name__ == "__main__":
    main()
