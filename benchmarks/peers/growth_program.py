"""One run of mlrun on random images: `python -m benchmarks.peers.growth_program SETTINGS`.

Prints the seconds of a training step for an example, of the whole run, and the most memory that
the process held.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import mlrun
from benchmarks.clock import Clock

clock = Clock()
started = time.perf_counter()
mlrun.train(json.loads(sys.argv[1]), progress=clock)
print(
    json.dumps(
        {
            "example": sum(clock.seconds) / clock.examples,
            "seconds": time.perf_counter() - started,
            "memory": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }
    )
)
