"""How plugins are written and found."""

from mlrun.seam.components import Component
from mlrun.seam.conversion import as_text
from mlrun.seam.hookspecs import SEAM_VERSION, hookimpl
from mlrun.seam.options import Option
from mlrun.seam.registry import Broken, Registry, discover

__all__ = [
    "SEAM_VERSION",
    "Broken",
    "Component",
    "Option",
    "Registry",
    "as_text",
    "discover",
    "hookimpl",
]
