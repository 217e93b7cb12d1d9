"""How one LLM request's history stands to an earlier one's: messages as digests, oldest first. Pure arithmetic."""

from __future__ import annotations

import enum

History = tuple[int, ...]


class Relation(enum.IntEnum):
    """Stronger evidence that two requests are of one conversation has the larger value."""

    CONTRADICTS = 0
    """Neither goes on from the other."""
    NEW = 1
    """There is no earlier request to compare with, and this one has no past either."""
    SAME = 2
    """The same messages again: a retry, or a request made ahead and made again."""
    REVISES = 3
    """The same past, another last message: the person spoke on."""
    EXTENDS = 4
    """The earlier messages, and more after them."""
    ANSWERS = 5
    """The earlier messages, what the LLM answered to them, and more after that."""
    CONTINUES = 6
    """The same messages again with the result of a tool."""


def relation(history: History, earlier: History, answer: int | None) -> Relation:
    """Compare a request with an earlier one and what that was answered with."""
    if not earlier:
        return Relation.CONTRADICTS
    end = _end_of(earlier, history)
    if end is not None:
        rest = history[end:]
        if not rest:
            return Relation.SAME
        return Relation.ANSWERS if rest[0] == answer else Relation.EXTENDS
    past = earlier[:-1]
    if not past:
        return Relation.REVISES if len(history) == 1 else Relation.CONTRADICTS
    end = _end_of(past, history)
    return Relation.REVISES if end is not None and end == len(history) - 1 else Relation.CONTRADICTS


def _end_of(earlier: History, history: History) -> int | None:
    """Return where in ``history`` the earlier messages end, or None where they are not all in it.

    Both may be windows on a longer history: then they have to agree where they overlap, in two messages at least.
    """
    last = earlier[-1]
    for end in range(len(history), 0, -1):
        if history[end - 1] != last:
            continue
        length = min(end, len(earlier))
        if length >= min(2, len(earlier)) and history[end - length : end] == earlier[-length:]:
            return end
    return None
