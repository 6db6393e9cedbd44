"""`python -m mlrun`, and the command `mlrun`."""

from mlrun.cli.main import main

if __name__ == "__main__":
    main()

__all__ = ["main"]
