"""Whether it pays to train several models as one: a rule, never a timing."""

from __future__ import annotations

MOST_ON_CPU = 2_000_000  # parameters times images of a batch
MOST_ELSEWHERE = 100_000_000


def pays(parameters: int, batch_size: int, device: str) -> bool:
    """Returns whether several models are to be trained as one, or one after another.

    What one batched step saves is what each operation costs whatever its size: some µs in torch on
    a CPU, as much again for the launch on an accelerator. Against that stands the arithmetic, at
    least a multiplication for each parameter and image, which stays the same; the batches and
    gradients of all models, which no longer fit the processor's caches; and grouped convolutions,
    slower on a CPU than one by one.

    Measured on one core, 8 to 16 models in batches of 64: the perceptron 784-20-10 (1.0 million)
    and a small CNN on 8 × 8 pixels (0.4 million) take 1.3 to 3 times less a model, LeNet (2.8
    million) nothing less, or more. So the line is drawn between them. On an accelerator nothing
    was measured yet; there the line is where the arithmetic itself, at some 10^13 multiplications
    a second, takes as long as a launch or two: about 10 µs.

    Args:
        parameters: of one model.
        batch_size: images of a batch, of one model.
        device: the kind of device: `cpu`, `cuda`, …
    """
    most = MOST_ON_CPU if device == "cpu" else MOST_ELSEWHERE
    return parameters * batch_size <= most
