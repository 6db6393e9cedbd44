"""Keys of pictures and tables: distinct in MLflow, and as names of files, where names are."""

from __future__ import annotations

import hashlib
import unicodedata

LONGEST = 100  # bytes of UTF-8: a file's name, which holds much besides, has room for little more


class Keys:
    """The keys of a run: each stands for one name of one visualiser, and stays with it.

    Two names may come to one key: by the characters that are replaced, by their case, which some
    file systems ignore, by their Unicode form, or by their length. The first that comes has the
    plain key; behind that of any other stands the start of the digest of its name.

    owners: visualiser and name, by key without its case.
    """

    def __init__(self) -> None:
        self.owners: dict[str, tuple[str, str]] = {}

    def of(self, visualiser: str, name: str) -> str:
        """Returns the key of what a visualiser calls `name`.

        >>> keys = Keys()
        >>> [keys.of("weights", name) for name in ("猫", "狗", "a/b", "a_b", "")]
        ['weights-猫', 'weights-狗', 'weights-a_b', 'weights-a_b-648fa9', 'weights']
        """
        digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()
        key = plain = "-".join(filter(None, (visualiser, cleaned(name))))
        for length in (6, 64):
            if self.owners.setdefault(key.casefold(), (visualiser, name)) == (visualiser, name):
                break
            key = f"{plain}-{digest[:length]}"
        return key


def cleaned(name: str) -> str:
    """Returns a name with `_` for all but letters and digits of any script, `_`, `.` and `-`.

    `+` and `%` would part the names of MLflow's image files, `/` their folders.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(c if c in "_.-" or unicodedata.category(c)[0] in "LMN" else "_" for c in text)
    return text.encode()[:LONGEST].decode(errors="ignore")
