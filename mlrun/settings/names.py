"""The one way in which the name of a setting or an option is written."""

from __future__ import annotations

from collections.abc import Mapping

from mlrun.errors import MlrunError

SPELLINGS = {
    "visualizers": "visualisers",
    "optimizer": "optimiser",
    "normalization": "normalisation",
    "initialization": "initialisation",
    "learning_rate": "lr",
}


def canonical(name: str) -> str:
    """Returns a setting's or option's name as recipes and MLflow params write it.

    >>> canonical("batch-size"), canonical("optimizer")
    ('batch_size', 'optimiser')
    """
    written = name.strip().replace("-", "_")
    return SPELLINGS.get(written, written)


def by_canonical_name(values: Mapping[str, object]) -> dict[str, object]:
    """Returns `values` under their canonical names.

    Raises:
        MlrunError: two of the names mean the same.
    """
    written: dict[str, str] = {}
    for name in values:
        first = written.setdefault(canonical(name), name)
        if first != name:
            raise MlrunError(f"{first} and {name} are one setting; give it once")
    return {key: values[name] for key, name in written.items()}
