"""`python -m mlrun`, and the command `mlrun`."""

from typing import NoReturn

from mlrun.cli.main import main as run
from mlrun.machine.garbage import collect_little_at_exit, collect_seldom


def main() -> NoReturn:
    """Runs the command line in a process of its own, and ends it."""
    collect_seldom()
    try:
        run()
    finally:
        collect_little_at_exit()


if __name__ == "__main__":
    main()
