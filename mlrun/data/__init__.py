"""From a plugin's images to batches on the device; importing it does not load torch."""

from mlrun.data.images import ImageData, Part

__all__ = ["ImageData", "Part"]
