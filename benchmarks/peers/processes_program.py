"""One run of mlrun in as many processes as torchrun starts, which takes turns with others.

`python -m benchmarks.peers.processes_program SETTINGS`; prints its examples a second.
"""

from __future__ import annotations

import json
import os
import sys

import mlrun
from benchmarks.clock import InTurns

clock = InTurns()
mlrun.train(json.loads(sys.argv[1]), progress=clock)
if os.environ.get("RANK", "0") == "0":
    seconds, epochs = sum(clock.seconds[1:]), len(clock.seconds)
    print(json.dumps({"speed": clock.examples / epochs * (epochs - 1) / seconds}))
