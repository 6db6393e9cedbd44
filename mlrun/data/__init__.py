"""From a plugin's images to batches on the device.

Importing the package alone does not load torch.
"""

from mlrun.data.images import ImageData, Part

__all__ = ["ImageData", "Part"]
