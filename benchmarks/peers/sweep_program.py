"""A sweep in one process: `python -m benchmarks.peers.sweep_program SETTINGS LR …`."""

from __future__ import annotations

import json
import sys

import mlrun

settings = json.loads(sys.argv[1])
with mlrun.shared_data():
    for lr in sys.argv[2:]:
        mlrun.train({**settings, "lr": lr})
print("{}")
