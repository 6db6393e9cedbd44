"""Types of settings: text to values, and messages for wrong ones."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from mlrun.seam.conversion import as_text, convert, shown
from mlrun.settings.changes import EXAMPLES, Variant

MOST = 10**9  # of anything that is counted: epochs, steps, images a batch
COUNTED = "0*[1-9][0-9]{0,8}"
LARGEST_FACTOR = 1000
HUGE = 1e30  # no weight, mean or standard deviation; single precision holds it
PHOTOGRAPHS = ("china", "flower")  # probe images by name: scikit-learn's, RGB, 427 × 640 pixels
NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"


def names_of(value: object) -> tuple[str, ...]:
    """Returns names from a list or from text with commas; `none` and empty text are no names."""
    if isinstance(value, str):
        value = [] if value.strip().lower() in ("", "none") else value.split(",")
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"expected names with commas between, got {shown(value)!r}")
    names = [item.strip() for item in value]
    if len(set(names)) != len(names) or "" in names:
        raise ValueError(f"expected different names with commas between, got {shown(value)!r}")
    return tuple(names)


def variants_of(value: object) -> tuple[str, ...]:
    """Returns the texts of changes such as `rotate=25+noise=0.1` from a list or with commas."""
    try:
        texts = names_of(value)
    except ValueError:
        raise ValueError(
            f"expected different {EXAMPLES}, with commas between, got {shown(value)!r}"
        ) from None
    names = [Variant.parse(text).name for text in texts]
    if len(set(names)) < len(names):
        raise ValueError(f"expected different changes, got {shown(value)!r}")
    return texts


def pairs_of(value: object) -> dict[str, str]:
    """Returns a mapping from a mapping, or from text `name=value,name=value`."""
    if isinstance(value, str) and value.strip().lower() == "none":
        return {}
    if isinstance(value, str):
        entries = [entry for entry in value.split(",") if entry.strip()]
        if not all("=" in entry for entry in entries):
            raise ValueError(f"expected name=value, with commas between, got {shown(value)!r}")
        split = [entry.split("=", 1) for entry in entries]
        return {name.strip(): text.strip() for name, text in split}
    if not isinstance(value, Mapping):
        raise ValueError(f"expected name=value, with commas between, got {shown(value)!r}")
    return {str(name): as_text(text) for name, text in value.items()}


@dataclass(frozen=True)
class PartRates:
    """The learning rates of parts of a network.

    pairs: (pattern, rate) of each part; the pattern names layers or parameters.

    >>> str(PartRates((("conv1", 1e-4), ("fc*", 0.0)))), str(PartRates())
    ('conv1=0.0001,fc*=0', 'none')
    """

    pairs: tuple[tuple[str, float], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The patterns, in order."""
        return tuple(name for name, _ in self.pairs)

    def __str__(self) -> str:
        pairs = (f"{name}={str(rate).removesuffix('.0')}" for name, rate in self.pairs)
        return ",".join(pairs) or "none"


def part_rates_of(value: object) -> PartRates:
    """Returns rates by part from a mapping, or from text `name=rate,name=rate`."""
    if isinstance(value, PartRates):
        return value
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "none")):
        return PartRates()
    pairs = pairs_of(value)
    repeated = isinstance(value, str) and value.count("=") != len(pairs)
    if repeated or "" in pairs:
        raise ValueError(f"expected different names, each with a rate, got {shown(value)!r}")
    return PartRates(tuple((name, rate_of(name, text)) for name, text in pairs.items()))


def rate_of(name: str, text: str) -> float:
    """Returns the rate of the part called `name`, 0 or above."""
    try:
        rate = float(convert(float, text))
    except ValueError:
        rate = math.nan
    if 0 <= rate < math.inf:
        return rate
    raise ValueError(f"expected rates of 0 (frozen) or above, got {shown(f'{name}={text}')}")


def folder_of(value: object) -> Path:
    """Returns a path from a path or a text, which YAML may read as a number."""
    return value if isinstance(value, Path) else Path(convert(str, value))


def subset_of(value: object) -> str:
    """Returns `all`, `N` or `random:N` as it is written."""
    text = as_text(value)
    if text == "all" or re.fullmatch(f"(random:)?{COUNTED}", text):
        return text
    raise ValueError(f"expected all, a number of images, or random:NUMBER, got {shown(text)!r}")


def validation_of(value: object) -> str | float:
    """Returns `auto`, `own`, `test`, `last:N`, `fold:K/N` or a fraction between 0 and 1."""
    if value in ("auto", "own", "test"):
        return str(value)
    if isinstance(value, str) and (last := re.fullmatch(f"last:({COUNTED})", value.strip())):
        return f"last:{int(last[1])}"
    if isinstance(value, str) and (
        fold := re.fullmatch(f"fold:({COUNTED})/({COUNTED})", value.strip())
    ):
        number, folds = int(fold[1]), int(fold[2])
        if number <= folds and folds > 1:
            return f"fold:{number}/{folds}"
    try:
        fraction = float(convert(float, value))
    except ValueError:
        fraction = -1.0
    if 0 < fraction < 1:
        return fraction
    raise ValueError(
        f"expected auto, own, test, a fraction between 0 and 1, last:NUMBER, or fold:NUMBER/FOLDS, "
        f"got {shown(value)!r}"
    )


def normalisation_of(value: object) -> str:
    """Returns `none`, `dataset`, `computed` or `MEAN/STD` as it is written."""
    text = as_text(value)
    if text in ("none", "dataset", "computed"):
        return text
    if re.fullmatch(f"{NUMBER}(,{NUMBER})*/{NUMBER}(,{NUMBER})*", text):
        means, stds = ([float(number) for number in half.split(",")] for half in text.split("/"))
        if max(map(abs, means)) < HUGE and min(stds) > 0 and max(stds) < HUGE:
            return text
        raise ValueError(f"expected standard deviations above 0, all finite, got {shown(text)!r}")
    raise ValueError(
        f"expected none, dataset, computed or MEAN/STD such as 0.1307/0.3081, got {shown(text)!r}"
    )


def class_weights_of(value: object) -> str:
    """Returns `none`, `balanced` or a number for each class, with commas, as it is written."""
    text = as_text(value).strip()
    if text in ("none", "balanced"):
        return text
    if re.fullmatch(f"{NUMBER}(,{NUMBER})+", text):
        weights = [float(number) for number in text.split(",")]
        if min(weights) >= 0 and 0 < max(weights) < HUGE:
            return text
    raise ValueError(
        f"expected none, balanced, or a number for each class, 0 or above, with commas, "
        f"got {shown(text)!r}"
    )


def factors_of(value: object) -> tuple[float, float]:
    """Returns the lowest and the highest factor, from a pair or text `0.9,1.1`; both above 0."""
    low, high = convert(tuple[float, float], value)
    if 0 < low <= high <= LARGEST_FACTOR:
        return low, high
    raise ValueError(
        f"expected the lowest and the highest factor, such as 0.9,1.1, at most {LARGEST_FACTOR}, "
        f"got {shown(value)!r}"
    )


def explain(error: ValidationError) -> str:
    """Returns the first thing that is wrong as one line that names the setting."""
    return explain_one(error.errors()[0])


def explain_each(error: ValidationError) -> dict[str, str]:
    """Returns what is wrong with each setting as one line, by its name."""
    return {str(fault["loc"][0]): explain_one(fault) for fault in reversed(error.errors())}


def explain_one(fault: Mapping[str, Any]) -> str:
    """Returns one thing that is wrong as one line that names the setting."""
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return message
    name = fault["loc"][0]
    if fault["type"] == "value_error":
        return f"{name}: {message}"
    if fault["type"] == "literal_error":
        expected = str(fault["ctx"]["expected"]).replace("'", "")
        return f"{name}: expected {expected}, got {shown(fault['input'])!r}"
    message = message.replace("Input should be a ", "expected a ")
    message = message.replace("Input should be ", "expected a value ")
    return f"{name}: {message}, got {shown(fault['input'])!r}"


Names = Annotated[tuple[str, ...], BeforeValidator(names_of)]
Variants = Annotated[tuple[str, ...], BeforeValidator(variants_of)]
Pairs = Annotated[dict[str, str], BeforeValidator(pairs_of)]
PartLrs = Annotated[PartRates, BeforeValidator(part_rates_of)]
Flag = Annotated[bool, BeforeValidator(lambda value: convert(bool, value))]
WholeNumber = Annotated[int, BeforeValidator(lambda value: convert(int, value))]
Count = Annotated[WholeNumber, Field(le=MOST)]
Number = Annotated[float, BeforeValidator(lambda value: convert(float, value))]
Folder = Annotated[Path, BeforeValidator(folder_of)]
Text = Annotated[str | None, BeforeValidator(lambda value: convert(str | None, value))]
Word = BeforeValidator(as_text)  # a Literal of texts, which YAML may read as numbers
Subset = Annotated[str, BeforeValidator(subset_of)]
Validation = Annotated[str | float, BeforeValidator(validation_of)]
NormalisationText = Annotated[str, BeforeValidator(normalisation_of)]
ClassWeights = Annotated[str, BeforeValidator(class_weights_of)]
Factors = Annotated[tuple[float, float], BeforeValidator(factors_of)]
