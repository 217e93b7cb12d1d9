"""A text cut into pieces that a provider takes at once: at the ends of sentences, else between words, else anywhere.

Each piece is as long as it may be: a voice that hears more of a text at once speaks it better.
"""

from __future__ import annotations

import re
import unicodedata

_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]”’»]*(?=\s)|[。！？]+[」』）”]*")
"""A full stop counts only before a blank, so that numbers stay whole; scripts without blanks have their own marks."""
_BLANK = re.compile(r"\s")
_JOINERS = ("\u200d", "\ufe0f")
"""What joins the signs around it to one, as in many an emoji, and what chooses the form of the sign before it."""


def pieces(text: str, limit_chars: int | None) -> tuple[str, ...]:
    """Return the text in pieces of at most ``limit_chars`` characters, none of them blank.

    A text within the limit, or without one (None), is one piece, as it is. Between pieces blanks are left out.
    """
    if limit_chars is None or len(text) <= limit_chars:
        return (text,) if text.strip() else ()
    found: list[str] = []
    rest = text.strip()
    while len(rest) > limit_chars:
        cut = _cut(rest, limit_chars)
        found.append(rest[:cut].rstrip())
        rest = rest[cut:].lstrip()
    return (*found, rest) if rest else tuple(found)


def _cut(text: str, limit_chars: int) -> int:
    """Return where to cut a text that is too long and begins with no blank: at least 1."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, limit_chars + 1) if match.end() <= limit_chars]
    if ends:
        return ends[-1]
    blanks = [match.start() for match in _BLANK.finditer(text, 0, limit_chars + 1)]
    if blanks:
        return blanks[-1]
    cut = limit_chars
    while cut > 1 and _belongs_together(text, cut):
        cut -= 1
    return cut if cut > 1 else limit_chars


def _belongs_together(text: str, cut: int) -> bool:
    """Say whether a cut would part an accent from its letter, or two signs that are joined to one."""
    return unicodedata.combining(text[cut]) > 0 or text[cut] in _JOINERS or text[cut - 1] == _JOINERS[0]
