"""Several trainings that differ only in numbers, as one: a batched step trains all their models."""

from mlrun.training.stacked.lockstep import fit_together
from mlrun.training.stacked.members import Member
from mlrun.training.stacked.rule import pays
from mlrun.training.stacked.trial import hindrance

__all__ = ["Member", "fit_together", "hindrance", "pays"]
