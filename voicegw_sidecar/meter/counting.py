"""The length of a text that arrives in pieces, counted without keeping the text."""

from __future__ import annotations


class StrippedLength:
    """The length that several texts would have, joined and stripped; holds none of them."""

    def __init__(self) -> None:
        self._chars = 0
        self._trailing_blank = 0

    def add(self, text: str) -> bool:
        """Take one more piece; returns True if it is the first that is not blank."""
        first = False
        if not self._chars:
            text = text.lstrip()
            first = bool(text)
        if text:
            solid = len(text.rstrip())
            if solid:
                self._chars += self._trailing_blank + solid
                self._trailing_blank = len(text) - solid
            else:
                self._trailing_blank += len(text)
        return first

    @property
    def value(self) -> int:
        """Code points counted so far."""
        return self._chars
