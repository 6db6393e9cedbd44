"""How often the test part passes through the model for its figures, tables, pictures and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mlrun
from benchmarks.harness import Bench, Row, own_store

VISUALISERS = "confusion-matrix,misclassified,top-losses,calibration"
PLUGIN = Path(__file__).parent / "peers" / "watching.py"


def run(bench: Bench) -> Iterator[Row]:
    """Yields the mean number of passes of a test image."""
    from mlrun.preparing.prepared import ready
    from mlrun.settings.plan import plan_of

    settings = {"plugin": str(PLUGIN), "model": "watching", "epochs": 1, "log_model": False}
    with own_store(bench) as environment:
        folder = Path(environment["MLRUN_HOME"]).parent
        mlrun.train({**settings, "visualisers": VISUALISERS})
        seen = (folder / "seen").read_bytes()
        with ready(plan_of({**settings, "visualisers": "none"})) as prepared:
            store = prepared.parts["test"].store
            test = store.take(store.rows)
    size = test[0].numpy().nbytes
    passes = Counter(seen[start : start + size] for start in range(0, len(seen), size))
    images = {image.numpy().tobytes() for image in test}
    mean = sum(passes[image] for image in images) / len(test)
    what = "passes of a test image: figures, table, predictions, 4 visualisers, report"
    yield Row("evaluation", what, [mean], most=1.0)
