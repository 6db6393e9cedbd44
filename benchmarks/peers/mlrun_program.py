"""mlrun's perceptron: `python -m benchmarks.peers.mlrun_program DATA EPOCHS`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mlrun
from benchmarks.clock import Clock
from benchmarks.networks import settings_of

data, epochs = Path(sys.argv[1]), int(sys.argv[2])
clock = Clock()
settings = settings_of("perceptron", data, epochs=epochs, log_every=50, keep=2)
mlrun.train(settings, progress=clock)
print(json.dumps({"epoch": (clock.ends[-1] - clock.ends[1]) / (epochs - 1)}))
