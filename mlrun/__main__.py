"""`python -m mlrun`, and the command `mlrun`."""

from typing import NoReturn

from mlrun.cli.main import main as run
from mlrun.machine.garbage import search_no_more, search_seldom


def main() -> NoReturn:
    """Runs the command line in a process of its own, and ends it."""
    search_seldom()
    try:
        run()
    finally:
        search_no_more()


if __name__ == "__main__":
    main()
