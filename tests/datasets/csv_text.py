"""Small CSV files for the tests, and the data set read from them."""

from __future__ import annotations

from pathlib import Path

from data_files import load

from mlrun import ImageData

HEAD = "label,a,b,c,d\n"
ROWS = "0,1,2,3,4\n2,255,0,9,8\n"


def read(root: Path, text: str | bytes, **options: object) -> ImageData:
    """Loads `text` as the training file, and `validation` or `test` where they are texts."""
    files = {"train": text}
    files |= {part: str(options.pop(part)) for part in ("validation", "test") if part in options}
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.encode()
        (root / f"{name}.csv").write_bytes(data)
    return load("csv", root, **{name: f"{name}.csv" for name in files}, **options)
