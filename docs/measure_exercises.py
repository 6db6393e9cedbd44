"""Trains the exercises of the five published systems on MNIST, for docs/systems.md.

`python docs/measure_exercises.py DATA_DIR RESULTS` trains each of them with one seed, without
pictures, and keeps what it found in RESULTS, one JSON file each; those that are there already are
not trained again. Then it writes the table into the page. DATA_DIR holds MNIST/raw. All of them
take about ten minutes on two CPU cores. Nothing is logged to the store in use.
"""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from measure_systems import (
    FIRST,
    LETTERS,
    MNIST,
    PAGE,
    ROTATED,
    TESTED,
    TRAINED,
    VALIDATED,
    train,
    write_letters,
    written,
)
from measuring import fill, machine, own_store

SOME = {**MNIST, "subset": "random:10000"}
FEW = {"subset": "random:6000", "epochs": 5, **LETTERS}
BARE = {"model.weights": "none"}
BOTH = (TRAINED, VALIDATED)
ROTATED_TOO = (TESTED, ROTATED)


@dataclass(frozen=True)
class Exercise:
    """What a system's text asks to vary, a recipe, and the changes of it that do so.

    figures: the metrics that are stated; none where the exercise is to look at pictures.
    """

    system: str
    asked: str
    recipe: str
    figures: tuple[str, ...]
    changes: dict[str, object] = field(default_factory=dict)

    @property
    def command(self) -> str:
        """The command line."""
        return written(self.recipe, self.changes)

    @property
    def file(self) -> str:
        """The name of the file with what was found."""
        parts = [f"{name}={value}" for name, value in self.changes.items()]
        return "-".join([self.recipe, *parts]).replace(":", "-").replace("/", "-") + ".json"


def of_a(asked: str, changes: dict[str, object]) -> Exercise:
    """Returns an exercise of system A."""
    return Exercise("A", asked, "perceptron", (VALIDATED,), {"epochs": 10, **changes})


def of_b(asked: str, form: str, changes: dict[str, object]) -> Exercise:
    """Returns an exercise of system B, on its first 2,500 images."""
    return Exercise("B", asked, f"learn-{form}", BOTH, {**FIRST, **changes})


def of_c(asked: str, changes: dict[str, object]) -> Exercise:
    """Returns an exercise of system C, on 10,000 images; two epochs unless it says otherwise."""
    return Exercise("C", asked, "lenet-fashion", ROTATED_TOO, {**SOME, "epochs": 2, **changes})


def of_d(asked: str, form: str, changes: dict[str, object]) -> Exercise:
    """Returns an exercise of system D, five epochs on 6,000 images."""
    return Exercise("D", asked, f"letters-{form}", (VALIDATED,), {**FEW, **changes})


def of_e(asked: str, form: str, changes: dict[str, object]) -> Exercise:
    """Returns an exercise of system E, on 10,000 images."""
    return Exercise("E", asked, f"from-nothing-{form}", (TESTED,), {**SOME, **changes})


EXERCISES = (
    of_a("half the width", {"model.widths": 10}),
    of_a("twice the width", {"model.widths": 40}),
    of_a("two hidden layers", {"model.widths": "20,20"}),
    of_a("dropout", {"model.dropout": 0.2}),
    of_b("gradient descent", "logistic",
         {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 1e-4}),
    of_b("another rate", "logistic", {"lr": 0.001}),
    of_b("more units", "mlp", {"model.widths": 100}),
    of_b("another hidden layer", "mlp", {"model.widths": "30,30"}),
    of_b("larger kernels", "cnn", {"model.kernel": 5}),
    of_b("stride for pooling", "cnn", {"model.stride": 2, "model.pool": "false"}),
    of_b("more channels", "cnn", {"model.channels": "8,16"}),
    Exercise("B", "another photograph", "alexnet-maps", (), {"probe": "flower"}),
    Exercise("B", "other layers", "alexnet-maps", (),
             {"feature_maps.layers": "features.0,features.1,features.4"}),
    Exercise("B", "one linear layer on fixed features", "alexnet-features", (TESTED,),
             {**BARE, "model.classifier": "linear"}),
    of_c("as it is, for comparison", {}),
    of_c("dense layers", {"model.widths": "200,100"}),
    of_c("filters", {"model.filters": "12,32"}),
    of_c("smaller kernels", {"model.kernel": 3}),
    of_c("dropout", {"model.dropout": 0.2}),
    of_c("batch normalisation", {"model.batch_norm": "true"}),
    of_c("batch size", {"batch_size": 128}),
    of_c("learning rate", {"lr": 0.01}),
    of_c("epochs", {"epochs": 4}),
    of_d("another rate", "logistic", {"lr": 0.01}),
    of_d("as it is, for comparison", "convolution", {}),
    of_d("more channels", "convolution", {"model.channels": 8}),
    of_d("smaller kernels", "convolution", {"model.kernel": 3}),
    of_d("stride", "convolution", {"model.stride": 2}),
    of_d("blocks and linear layers", "deep", {}),
    of_d("fewer blocks", "deep", {"model.channels": "16,32"}),
    of_d("other linear layers", "deep", {"model.hidden": 256}),
    of_e("more layers", "scaled", {"model.widths": "500,100", "epochs": 5}),
    of_e("more dropout", "dropout", {"model.dropout": 0.5, "epochs": 5}),
    of_e("more channels", "convolutions", {"model.channels": "32,64", "epochs": 2}),
    of_e("stopping sooner", "stopping", {"early_stopping": 1, "epochs": 10}),
    of_e("another schedule", "schedule", {"schedule": "one-cycle", "epochs": 5}),
)  # fmt: skip


def measure(exercise: Exercise, data_dir: Path) -> dict[str, float]:
    """Returns the figures of an exercise."""
    with own_store():
        changes = {**exercise.changes, "data_dir": str(data_dir)}
        _, figures, seconds = train(exercise.recipe, changes)
    found = {name: figures[name] for name in exercise.figures}
    print(exercise.command, found, f"{seconds:.0f} s", flush=True)
    return found


def table(results: Path) -> str:
    """Returns the exercises with what came out, Markdown."""
    lines = ["| system | to vary | command | comes out |", "| --- | --- | --- | --- |"]
    for one in EXERCISES:
        found = json.loads((results / one.file).read_text()) if one.figures else {}
        out = " / ".join(f"{found[name]:.4f}" for name in one.figures) or "pictures"
        lines.append(f"| {one.system} | {one.asked} | `{one.command}` | {out} |")
    about = (
        "Accuracies as in the table above, of one seed, the recipe's own. All were measured on "
        "MNIST, for C in place of Fashion-MNIST and for D as CSV files of the form and size of "
        "Sign Language MNIST, but for B's classifier: it is of the data set `photographs`, on "
        f"features drawn at random. Measured on {machine()}."
    )
    return "\n".join([*lines, "", about])


def main() -> None:
    """Measures the exercises that are not there, then writes the table."""
    if len(sys.argv) != 3 or not Path(sys.argv[1], "MNIST", "raw").is_dir():
        sys.exit(
            "usage: python docs/measure_exercises.py DATA_DIR RESULTS; DATA_DIR holds MNIST/raw"
        )
    data_dir, results = (Path(name).resolve() for name in sys.argv[1:])
    results.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as letters:
        write_letters(data_dir, Path(letters))
        for one in EXERCISES:
            if one.figures and not (results / one.file).exists():
                place = Path(letters) if one.system == "D" else data_dir
                (results / one.file).write_text(json.dumps(measure(one, place)))
    fill(PAGE, table(results), "exercises")


if __name__ == "__main__":
    main()
