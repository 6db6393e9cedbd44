"""Variants of the test part: random changes of its images, as text `rotate=25+noise=0.1`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from mlrun.errors import unknown
from mlrun.seam.conversion import convert, shown

MOST = 1000  # pixels, or standard deviations of pixels as 0–1: an image is long gone by then
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

    rotate: float = field(default=0.0, metadata={"most": 180})
    shift: float = field(default=0.0, metadata={"most": MOST})
    noise: float = field(default=0.0, metadata={"most": MOST})
    blur: float = field(default=0.0, metadata={"most": MOST})

    def __post_init__(self) -> None:
        for change in fields(self):
            amount, most = getattr(self, change.name), change.metadata["most"]
            if not 0 <= amount <= most:
                raise ValueError(f"{change.name} {amount}: expected a number from 0 to {most}")

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Returns the variant that a text such as `rotate=25` or `rotate=25+noise=0.1` names.

        Raises:
            ValueError: it is no such text, or changes nothing.
        """
        names = [change.name for change in fields(cls)]
        amounts: dict[str, float] = {}
        for change in text.split("+"):
            name, equals, amount = (part.strip() for part in change.partition("="))
            if not equals or name in amounts:
                raise ValueError(f"expected {EXAMPLES}, got {shown(text)!r}")
            if name not in names:
                raise ValueError(str(unknown("change", shown(name), names)))
            try:
                amounts[name] = convert(float, amount)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
        variant = cls(**amounts)
        if 0 in amounts.values():
            raise ValueError(f"{shown(text)} changes nothing; leave out what is 0")
        return variant

    @property
    def active(self) -> bool:
        """Whether anything is on."""
        return self != Variant()

    @property
    def name(self) -> str:
        """What was done, for the name of the figures: `rotated-25-noised-0.1`, or nothing."""
        amounts = {
            "rotated": self.rotate,
            "shifted": self.shift,
            "blurred": self.blur,
            "noised": self.noise,
        }
        parts = (f"{word}-{float(by)}".removesuffix(".0") for word, by in amounts.items() if by)
        return "-".join(parts)

    def called(self, name: str) -> str:
        """Returns the name of the figures of what is called `name`, changed: `test-rotated-25`."""
        return f"{name}-{self.name}" if self.active else name
