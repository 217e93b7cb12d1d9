"""Texts made comparable: what is left of them whoever wrote them down, and digests that outlive them."""

from __future__ import annotations

import re
import unicodedata
from hashlib import blake2b

TEXT_LIMIT_CHARS = 4000
"""Kept of one exchange's text; of a longer one the beginning counts."""
_TAGS = re.compile(r"<[^<>]{1,200}>")
_OTHER = re.compile(r"[\W_]+")


def folded(text: str) -> str:
    """Return letters and digits alone, without case, spaces, punctuation and markup; of a long text its beginning."""
    text = text[:TEXT_LIMIT_CHARS]
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)[:TEXT_LIMIT_CHARS]  # one character may become eighteen
    if "<" in text:
        text = _TAGS.sub(" ", text)
    return _OTHER.sub("", text.casefold())


class Text:
    """The text of one exchange as it comes, folded when it is asked for."""

    __slots__ = ("_folded", "_pieces", "_room")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._folded = ""
        self._room = TEXT_LIMIT_CHARS

    def add(self, piece: str) -> None:
        """Take a fragment."""
        if self._room > 0:
            self._pieces.append(piece[: self._room])
            self._room -= len(piece)

    def folded(self) -> str:
        """Return all of it, folded; a tag that is cut between fragments is taken for text."""
        if self._pieces:
            self._folded += folded("".join(self._pieces))
            self._pieces.clear()
        return self._folded

    def forget(self) -> None:
        """Let go of it."""
        self._pieces.clear()
        self._folded = ""
        self._room = 0


class Digester:
    """Digests of folded texts; with a key of its own, so that a digest tells nothing outside this process."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def of(self, text: str) -> int:
        """Return the digest of a folded text."""
        return int.from_bytes(blake2b(text.encode("utf-8", "replace"), digest_size=8, key=self._key).digest(), "big")
