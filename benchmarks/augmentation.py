"""How long augmentation takes, as a ratio to torchvision's transforms in the same run.

    python benchmarks/augmentation.py

Microseconds a batch of grey 28×28, and how many times as long the same images take one by one
through torchvision (PIL image to tensor; v2 on tensors). One thread of an Intel Xeon with two
cores, otherwise idle (load 0.7), torch 2.15.0, torchvision 0.29.2:

                    batch of 64      of 256         PIL          v2
    rotate, shift        256 µs      717 µs       23.4×       25.4×
    flip                 209 µs      536 µs       17.4×        3.0×
    crop                 265 µs     1589 µs       20.2×        6.8×
    erase                168 µs      386 µs       32.2×        9.5×
    noise                222 µs      800 µs       19.1×        5.0×
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch
import torchvision
from torchvision.transforms import v2
from torchvision.transforms.v2.functional import to_pil_image

from mlrun.data.augmentation import Augmentation

THREADS = 1  # which is what one transform after the other can use
REPEATS = 7  # the quickest counts: what is slower was disturbed
BILINEAR = v2.InterpolationMode.BILINEAR
KINDS: dict[str, tuple[Augmentation, v2.Transform]] = {
    "rotate, shift": (
        Augmentation(rotate=15, translate=0.1),
        v2.RandomAffine(15, (0.1, 0.1), interpolation=BILINEAR),
    ),
    "flip": (Augmentation(flip="horizontal"), v2.RandomHorizontalFlip()),
    "crop": (Augmentation(crop=4), v2.RandomCrop(28, padding=4)),
    "erase": (Augmentation(erase=0.5), v2.RandomErasing(0.5)),
    "noise": (Augmentation(noise=0.1), v2.GaussianNoise(sigma=0.1)),
}


def quickest(work: Callable[[int], object], calls: int) -> float:
    """Returns the microseconds of one call of `work`, in the round least disturbed."""
    rounds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for call in range(calls):
            work(call)
        rounds.append((time.perf_counter() - start) / calls * 1e6)
    return min(rounds)


def main() -> None:
    """Prints the table."""
    torch.set_num_threads(THREADS)
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, {THREADS} thread")
    images = torch.rand(256, 1, 28, 28)
    pictures = [to_pil_image(image) for image in images]
    to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    black, unit = torch.zeros(1, 1, 1), torch.ones(1, 1, 1)

    def batch(seed: int, augmentation: Augmentation, size: int) -> None:
        augmentation(images[:size], seed=seed, fill=black, unit=unit)

    def picture(number: int, transform: v2.Transform) -> None:
        if isinstance(transform, v2.RandomErasing | v2.GaussianNoise):  # these take tensors only
            transform(to_tensor(pictures[number]))
        else:
            to_tensor(transform(pictures[number]))

    print(f"{'':15}{'batch of 64':>12}{'of 256':>12}{'PIL':>12}{'v2':>12}")
    for name, (augmentation, transform) in KINDS.items():
        here = [quickest(partial(batch, augmentation=augmentation, size=n), 40) for n in (64, 256)]
        there = [
            quickest(partial(picture, transform=transform), 64),
            quickest(lambda number, change=transform: change(images[number]), 64),
        ]
        micro = "".join(f"{value:9.0f} µs" for value in here)
        ratio = "".join(f"{value * 64 / here[0]:11.1f}×" for value in there)
        print(f"{name:15}{micro}{ratio}")


if __name__ == "__main__":
    main()
