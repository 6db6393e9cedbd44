"""The process and what it runs on: devices, randomness, precision, interrupts, garbage, workers."""
