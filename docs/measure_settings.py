"""Measures what single settings do to LeNet's test accuracy on MNIST, for docs/settings.md.

`python docs/measure_settings.py DATA_DIR` trains each row three times for 3 epochs, prints the
table and writes it into the page; DATA_DIR holds MNIST/raw. It takes about ten minutes on two
CPU cores. Nothing is logged to the store in use.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from measuring import fill, machine, own_store

PAGE = Path(__file__).resolve().parent / "settings.md"
SEEDS = (0, 1, 2)
BASE = {"model": "lenet", "dataset": "mnist", "epochs": 3, "visualisers": "none"}
ROWS: dict[str, dict[str, object]] = {
    "(the defaults)": {},
    "--batch-size 128": {"batch_size": 128},
    "--schedule cosine": {"schedule": "cosine"},
    "--schedule one-cycle": {"schedule": "one-cycle"},
    "--ema 0.999": {"ema": 0.999},
    "--label-smoothing 0.1": {"label_smoothing": 0.1},
    "--mixup 0.2": {"mixup": 0.2},
    "--rotate 10": {"rotate": 10},
    "--translate 0.1": {"translate": 0.1},
}


def accuracies(data_dir: str, changed: dict[str, object]) -> list[float]:
    """Returns the test accuracy of the best weights for each seed, in percent."""
    import mlrun

    settings = {**BASE, **changed, "data_dir": data_dir, "log_model": False}
    return [
        100 * mlrun.train({**settings, "seed": seed}).metrics["test/accuracy"] for seed in SEEDS
    ]


def table(data_dir: str) -> str:
    """Returns the measured table, Markdown."""
    lines = ["| setting | mean | lowest | highest |", "| --- | --- | --- | --- |"]
    for name, changed in ROWS.items():
        found = accuracies(data_dir, changed)
        row = [f"{value:.2f}" for value in (statistics.mean(found), min(found), max(found))]
        lines.append(f"| `{name}` | {' | '.join(row)} |")
        print(lines[-1], flush=True)
    about = (
        f"Percent of MNIST's 10,000 test images; seeds {', '.join(map(str, SEEDS))}. Measured on "
        f"{machine()}."
    )
    return "\n".join([*lines, "", about])


def main() -> None:
    """Measures, prints and writes the table."""
    if len(sys.argv) != 2 or not Path(sys.argv[1], "MNIST", "raw").is_dir():
        sys.exit("usage: python docs/measure_settings.py DATA_DIR, which holds MNIST/raw")
    data_dir = str(Path(sys.argv[1]).resolve())
    with own_store():
        measured = table(data_dir)
    fill(PAGE, measured)


if __name__ == "__main__":
    main()
