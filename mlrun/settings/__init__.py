"""What is asked for: the settings of a run, recipes, and the plan they are resolved to."""

from mlrun.settings.run import Settings

__all__ = ["Settings"]
