"""Several trainings that differ only in numbers, as one: a batched step trains all their models."""

from mlrun.training.stacked.hindrance import hindrance
from mlrun.training.stacked.lockstep import fit_together
from mlrun.training.stacked.member import Member
from mlrun.training.stacked.rule import pays

__all__ = ["Member", "fit_together", "hindrance", "pays"]
