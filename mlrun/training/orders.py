"""What rank 0 tells the other processes of a training to do."""

from __future__ import annotations

from enum import IntEnum


class Order(IntEnum):
    """What rank 0 tells the other processes to do next; behind it come numbers.

    BEGIN: take the weights, and the state of optimiser and scaler, and get the batches ready.
    BUILD: build the step, which all do at once.
    STEP: train on batches: the epoch, the first step in it from 0, the steps before it in all, the
        factor of the learning rates, and how many steps follow one another.
    EVALUATE: take the weights and evaluate a part; 1 from features, 0 from images.
    LEAVE: nothing more; 1 with the result of the run.
    """

    BEGIN = 1
    BUILD = 2
    STEP = 3
    EVALUATE = 4
    LEAVE = 5
