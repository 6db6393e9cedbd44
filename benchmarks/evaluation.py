"""How often the test part passes through the model for its figures, tables, pictures and report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import mlrun
from benchmarks.harness import Bench, Row, own_store

VISUALISERS = "confusion-matrix,misclassified,top-losses,calibration"
PLUGIN = '''"""A network that writes down what it is shown in evaluation mode."""

import mlrun


def watching(shape, classes):
    """One linear layer."""
    from pathlib import Path

    from torch import nn

    class Watching(nn.Sequential):
        def forward(self, images):
            if not self.training:
                with Path("seen").open("ab") as file:
                    file.write(images.detach().numpy().tobytes())
            return super().forward(images)

    return Watching(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))


@mlrun.hookimpl
def register_models(register):
    register(watching)
'''


def run(bench: Bench) -> Iterator[Row]:
    """Yields the mean number of passes of a test image."""
    from mlrun.plan import plan_of
    from mlrun.readiness import ready

    settings = {"plugin": "watching.py", "model": "watching", "epochs": 1, "log_model": False}
    with own_store(bench) as environment:
        folder = Path(environment["MLRUN_HOME"]).parent
        (folder / "watching.py").write_text(PLUGIN)
        mlrun.train({**settings, "visualisers": VISUALISERS})
        seen = (folder / "seen").read_bytes()
        with ready(plan_of({**settings, "visualisers": "none"})) as prepared:
            test = prepared.parts["test"].gather(prepared.parts["test"].rows)
    size = test[0].numpy().nbytes
    passes = Counter(seen[start : start + size] for start in range(0, len(seen), size))
    images = {image.numpy().tobytes() for image in test}
    mean = sum(passes[image] for image in images) / len(test)
    what = "passes of a test image: figures, table, predictions, 4 visualisers, report"
    yield Row("evaluation", what, [mean], most=1.0)
