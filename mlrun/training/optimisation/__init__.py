"""Optimisers, learning-rate schedules, parts of a network, patience."""
