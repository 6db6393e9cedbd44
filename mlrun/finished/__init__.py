"""What is done with a run that has ended: evaluate, predict, compare, report, reproduce."""
