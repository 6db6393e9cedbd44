"""The errors of mlrun.

MlrunError           what a user can mend; raised before a run is opened       exit code 2
├── RunFailed        a run was opened and ended FAILED; `run_id` says which    exit code 1
├── LedElsewhere     the run that another process leads did not finish         exit code 1
└── AskedOfOne       several processes are asked for of one; the command starts them
"""

from __future__ import annotations

import difflib
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class MlrunError(Exception):
    """What a user can mend: one line that says what was given, expected and to be done."""


class RunFailed(MlrunError):
    """A run that was opened and ended FAILED; `run_id` names it in MLflow."""

    def __init__(self, message: str, run_id: str) -> None:
        super().__init__(message)
        self.run_id = run_id


class LedElsewhere(MlrunError):
    """The run that this process took part in did not finish; the process that led it says why."""


class AskedOfOne(MlrunError):
    """A run of several processes that one was asked for alone; the command line starts them.

    processes: how many. device: that the run asks for.
    """

    def __init__(self, processes: int, device: str) -> None:
        super().__init__(
            f"processes {processes}: this is one process alone; the command mlrun starts as many "
            f"itself, a script is started with: torchrun --nproc-per-node {processes} SCRIPT"
        )
        self.processes, self.device = processes, device


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


def encodable(text: str) -> str:
    """Returns `text` with an escape for each byte of a file's name that is no UTF-8.

    Python holds such bytes as characters that nothing can be written with.

    >>> encodable(b"caf\\xe9".decode(errors="surrogateescape"))
    'caf\\\\xe9'
    """
    return re.sub(r"[\ud800-\udfff]", lambda match: escape(match[0]), text)


def legible(text: str) -> str:
    """Returns `text` as it can be shown on one line: control characters are escaped too.

    >>> legible("two\\nlines")
    'two\\\\nlines'
    """
    controls = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"
    return re.sub(controls, lambda match: escape(match[0]), encodable(text))


def escape(character: str) -> str:
    """Returns a character as its number, `\\x1b`, a byte of a file's name that is no text likewise.

    A newline is `\\n`, a tab `\\t`.
    """
    code = ord(character)
    if character in "\n\t":
        return ascii(character)[1:-1]
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def first_of(error: BaseException) -> BaseException:
    """Returns the error that another came of, such as a refused connection, with fewer words.

    One without any, which says nothing to a user, is passed over.
    """
    first = error
    while before := error.__cause__ or (None if error.__suppress_context__ else error.__context__):
        error = before
        first = error if re.search(r"\w", str(error)) else first
    return first


def redact(text: str) -> str:
    """Returns `text` without the user and password of any address in it.

    >>> redact("postgresql://ann:secret@db.example/mlflow")
    'postgresql://***@db.example/mlflow'
    """
    text = re.sub(r"://\S*@", "://***@", text)
    return re.sub(r"(?i)\b(password|passwd|pwd|token|secret)=[^&\s'\"]+", r"\1=***", text)


signals_have_a_kind = threading.Event()  # set while an interrupt by a signal is a subclass


@contextmanager
def contained(*, interrupts: bool = False) -> Iterator[None]:
    """Turns what would end the process, raised by a plugin, into an MlrunError like others.

    That is SystemExit and whatever else is no Exception.

    Args:
        interrupts: an interrupt too, where it is known that no signal asked for it; else all pass.
    """
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and not (interrupts and is_raised(error)):
            raise
        raise would_end(error) from error


def would_end(error: BaseException) -> MlrunError:
    """Returns the error in the place of one of a plugin that would end the process."""
    return MlrunError(f"a plugin would end the process ({one_line(error)})")


def is_raised(error: BaseException) -> bool:
    """Whether an interrupt is known to be one that somebody raised, and no signal."""
    return type(error) is KeyboardInterrupt and signals_have_a_kind.is_set()


def kind_of(value: object) -> str:
    """Returns what a value is, for the message that it is the wrong one.

    >>> kind_of(None), kind_of(3), kind_of(int)
    ('None', 'int', 'the class int')
    """
    if value is None:
        return "None"
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
