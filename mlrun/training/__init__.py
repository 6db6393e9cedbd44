"""The arithmetic: the loop, evaluation, the state of training and its checkpoints."""
