"""The code that makes a run: the commit of the checkout, and digests of the packages in use."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from mlrun.seam import sources
from mlrun.settings.plan import Plan

DIGITS = 16  # of a digest that are kept, hexadecimal
COMMIT, DIRTY = "mlflow.source.git.commit", "mlrun.git_dirty"  # the tags


def git_tags() -> dict[str, str]:
    """Returns the commit of the checkout that runs, and whether its files are other than there.

    `true` where `git status` lists anything; nothing of what is no checkout.
    """
    root = sources.checkout()
    commit = None if root is None else git(root, "rev-parse", "HEAD")
    if root is None or not commit:
        return {}
    status = git(root, "status", "--porcelain")
    return {COMMIT: commit} | ({} if status is None else {DIRTY: str(bool(status)).lower()})


def git(root: Path, *arguments: str) -> str | None:
    """Returns what a command of git says of a checkout; None where it fails."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def code_digests(plan: Plan) -> dict[str, str]:
    """Returns a digest of mlrun, and of each package that a component of the run is in, by name.

    It covers every Python file of the package, changed in place or not. A plugin that is a single
    file has a digest of its own, as a tag of the run.
    """
    modules = [str(getattr(c.component.function, "__module__", "")) for c in plan.components]
    packages = sorted({name.partition(".")[0] for name in modules} - {"mlrun"})
    names = ["mlrun", *(n for n in packages if not n.startswith(sources.FILE_MODULE))]
    files_by_name = {name: list(files_of(name)) for name in names}
    return {name: digest_of(files) for name, files in files_by_name.items() if files}


def files_of(package: str) -> Iterator[tuple[str, Path]]:
    """Yields name and path of each Python file of an imported package or module, in order."""
    module = sys.modules.get(package)
    for folder in getattr(module, "__path__", ()):
        for path in sorted(Path(folder).rglob("*.py")):
            yield path.relative_to(folder).as_posix(), path
    file = getattr(module, "__file__", None)
    if file and not hasattr(module, "__path__"):
        yield Path(file).name, Path(file)


def digest_of(files: list[tuple[str, Path]]) -> str:
    """Returns the start of the SHA-256 of files, by their names and contents."""
    sha = hashlib.sha256()
    for name, path in files:
        content = path.read_bytes() if path.is_file() else b""
        sha.update(f"{name} {len(content)}\n".encode() + content)
    return sha.hexdigest()[:DIGITS]
