"""`python -m mlrun`, and the command `mlrun`."""

from typing import NoReturn

from mlrun.cli.main import main as run
from mlrun.machine.exits import end_soon
from mlrun.machine.garbage import collect_little_at_exit, collect_seldom


def main() -> NoReturn:
    """Runs the command line in a process of its own, and ends it."""
    collect_seldom()
    try:
        run()
    except SystemExit as error:
        end_soon(error.code if isinstance(error.code, int) else 1)
        raise
    finally:
        collect_little_at_exit()


if __name__ == "__main__":
    main()
