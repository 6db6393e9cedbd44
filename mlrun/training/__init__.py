"""Training: the loop, losses, evaluation, the state of training and its checkpoints."""
