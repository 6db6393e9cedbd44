"""The errors of mlrun.

MlrunError       what a user can mend; raised before a run is opened       exit code 2
└── RunFailed    a run was opened and ended FAILED; `run_id` says which    exit code 1
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


class MlrunError(Exception):
    """What a user can mend: one line that says what was given, expected and to be done."""


class RunFailed(MlrunError):
    """A run that was opened and ended FAILED; `run_id` names it in MLflow."""

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


def unknown(kind: str, name: str, names: Iterable[str]) -> MlrunError:
    """Returns the error for a name that does not exist: the nearest one, then all there are.

    >>> str(unknown("model", "lent", ["lenet", "mlp"]))
    'unknown model lent; did you mean lenet? There are: lenet, mlp'
    """
    ordered = sorted(names)
    near = difflib.get_close_matches(name, ordered, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}? There" if near else "there"
    return MlrunError(f"unknown {kind} {name}; {hint} are: {', '.join(ordered) or 'none'}")


def one_line(error: BaseException) -> str:
    """Returns the error's kind and message on one line of at most 500 characters, redacted.

    Of an MlrunError, which was written for people, it is the message alone.
    """
    text = " ".join(redact(str(error)).split())
    name = type(error).__name__
    line = text if isinstance(error, MlrunError) else f"{name}: {text}" if text else name
    return line if len(line) <= 500 else line[:497] + "..."


def redact(text: str) -> str:
    """Returns `text` without the user and password of any address in it.

    >>> redact("postgresql://ann:secret@db.example/mlflow")
    'postgresql://***@db.example/mlflow'
    """
    text = re.sub(r"://\S*@", "://***@", text)
    return re.sub(r"(?i)\b(password|passwd|pwd|token|secret)=[^&\s'\"]+", r"\1=***", text)
