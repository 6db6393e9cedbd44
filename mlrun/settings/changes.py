"""How test images are changed, and the text that says so: `rotate=25+noise=0.1`."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from mlrun.errors import unknown
from mlrun.seam.conversion import convert

EXAMPLES = "changes such as rotate=25 or rotate=25+noise=0.1"


@dataclass(frozen=True)
class Variant:
    """Random changes of the images that a model is evaluated on, in the order of the name.

    Args:
        rotate: degrees, 0–180; each image by an angle uniform in ±rotate, empty corners black.
        shift: pixels; each image along each axis by an amount uniform in ±shift.
        noise: standard deviation of Gaussian noise, pixels as 0–1; clipped to 0–1, as a camera
            would.
        blur: standard deviation of a Gaussian blur, in pixels.

    Raises:
        ValueError: a value is out of its bounds.
    """

    rotate: float = 0.0
    shift: float = 0.0
    noise: float = 0.0
    blur: float = 0.0

    def __post_init__(self) -> None:
        check_bounds("rotate", self.rotate, most=180)
        check_bounds("shift", self.shift)
        check_bounds("noise", self.noise)
        check_bounds("blur", self.blur)

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Returns the variant that a text such as `rotate=25` or `rotate=25+noise=0.1` names.

        Raises:
            ValueError: it is no such text, or changes nothing.
        """
        known = [field.name for field in fields(cls)]
        amounts: dict[str, float] = {}
        for change in text.split("+"):
            name, equals, amount = (part.strip() for part in change.partition("="))
            if not equals or name in amounts:
                raise ValueError(f"expected {EXAMPLES}, got {text!r}")
            if name not in known:
                raise ValueError(str(unknown("change", name, known)))
            try:
                amounts[name] = convert(float, amount)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        variant = cls(**amounts)
        if 0 in amounts.values():
            raise ValueError(f"{text} changes nothing; leave out what is 0")
        return variant

    @property
    def active(self) -> bool:
        """Whether anything is on."""
        return self != Variant()

    @property
    def name(self) -> str:
        """What was done, for the name of the figures: `rotated-25-noised-0.1`, or nothing."""
        done = {
            "rotated": self.rotate,
            "shifted": self.shift,
            "blurred": self.blur,
            "noised": self.noise,
        }
        parts = (f"{word}-{float(by)}".removesuffix(".0") for word, by in done.items() if by)
        return "-".join(parts)

    def called(self, name: str) -> str:
        """Returns the name of the figures of what is called `name`, changed: `test-rotated-25`."""
        return f"{name}-{self.name}" if self.active else name


def check_bounds(
    name: str, value: float, *, most: float = math.inf, below: float = math.inf
) -> None:
    """Raises ValueError unless `value` is from 0 to `most`, and below `below`."""
    if 0 <= value <= most and value < below:
        return
    if most < math.inf:
        expected = f"from 0 to {most}"
    else:
        expected = f"from 0 to below {below}" if below < math.inf else "of 0 or more"
    raise ValueError(f"{name} {value}: expected a number {expected}")
