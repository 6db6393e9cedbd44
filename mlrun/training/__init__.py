"""The arithmetic: devices, the loop, evaluation, the state of training on disk."""
