"""Time-ordered unique ids: UUID version 7 (RFC 9562 §5.7), strictly increasing within a process.

Python has ``uuid.uuid7`` from 3.14 on; the layout is 48 bits of milliseconds, 12 bits that count within
the millisecond and 62 random bits, so ids of one process sort as they were made and ids of a fleet never meet.
"""

from __future__ import annotations

import os
import random
import uuid

_COUNTER_BITS = 12


class IdSource:
    """Makes ids; not thread-safe: one per event loop."""

    def __init__(self) -> None:
        self._last_tick = 0
        # unique, not secret: the kernel is asked once, since a system call for each id costs more than its row
        self._random = random.Random(os.urandom(32))  # noqa: S311

    def start_after(self, id_: str) -> None:
        """Make no id that sorts before one that was made earlier, by a clock that may have been ahead.

        What is no id of ours is ignored: a row that another program wrote must not stop the making of ids.
        """
        if is_exchange_id(id_):
            value = uuid.UUID(id_).int
            self._last_tick = max(self._last_tick, (value >> 80) << _COUNTER_BITS | (value >> 64) & 0xFFF)

    def next(self, wall_ns: int) -> str:
        """Return a new id no smaller than any before it, even if ``wall_ns`` went back."""
        tick = (wall_ns // 1_000_000) << _COUNTER_BITS
        self._last_tick = max(tick, self._last_tick + 1)
        milliseconds, counter = self._last_tick >> _COUNTER_BITS, self._last_tick & 0xFFF
        tail = self._random.getrandbits(62)
        return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | tail))


def first_id_at(wall_ns: int) -> str:
    """Return what no id made at ``wall_ns`` or later is smaller than; of the same millisecond, none either."""
    return str(uuid.UUID(int=max(0, wall_ns // 1_000_000) << 80))


def is_exchange_id(text: str) -> bool:
    """Say whether ``text`` has the form of an id made here."""
    try:
        return uuid.UUID(text).version == 7
    except ValueError:
        return False
