"""One run of mlrun on random images: `python -m benchmarks.peers.growth_program SETTINGS`.

Prints the seconds of a training step for an example, of the whole run, and the most memory that
the process held. It waits for its turns.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from pathlib import Path

import mlrun
from benchmarks.clock import InTurns

STATUS = Path("/proc/self/status")


def most_memory() -> int:
    """Returns the most bytes that this process held.

    Linux's `ru_maxrss` begins with what the process that started this one held, so it is asked
    only where there is no other.
    """
    if STATUS.exists():
        held = re.search(r"^VmHWM:\s+(\d+) kB", STATUS.read_text(), re.MULTILINE)
        if held:
            return 1024 * int(held[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


clock = InTurns()
started = time.perf_counter()
mlrun.train(json.loads(sys.argv[1]), progress=clock)
print(
    json.dumps(
        {
            "example": sum(clock.seconds) / clock.examples,
            "seconds": time.perf_counter() - started,
            "memory": most_memory(),
        }
    )
)
