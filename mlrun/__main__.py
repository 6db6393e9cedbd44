"""`python -m mlrun`, and the command `mlrun`."""

import gc
from typing import NoReturn

from mlrun.cli.main import main as run

SELDOM = 100_000  # objects made and not given back, between two looks for garbage


def main() -> NoReturn:
    """Runs the command line in a process of its own, and ends it.

    Importing torch and MLflow makes a million objects, none of them garbage: to look for it as
    seldom, and not at all when the process ends, takes a second off the start and end of `train`.
    """
    gc.set_threshold(SELDOM)
    try:
        run()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
