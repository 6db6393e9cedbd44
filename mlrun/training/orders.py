"""What rank 0 tells the other processes of a training to do."""

from __future__ import annotations

from enum import IntEnum


class Order(IntEnum):
    """What rank 0 tells the other processes to do next; behind it come numbers.

    BEGIN: take the weights, and the state of optimiser and scaler, and get ready.
    STEP: train on batches: the epoch, the first step in it from 0, the steps before it in all, the
        factor of the learning rates, and how many steps follow one another.
    EVALUATE: take the weights and evaluate a part; 1 from features, 0 from images.
    LEAVE: nothing more; 1 with the result of the run.
    """

    BEGIN = 1
    STEP = 2
    EVALUATE = 3
    LEAVE = 4
