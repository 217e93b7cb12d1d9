"""A dialect that two readers share: who translates an answer decodes it, and who meters it gets the same events."""

from __future__ import annotations

from collections.abc import Iterable

from voicegw_sidecar.dialects.base import Dialect
from voicegw_sidecar.events import Event
from voicegw_sidecar.wire.frames import End, Frame, ResponseHead, Side


class Remembered:
    """Wraps a dialect and remembers what its last call gave: asked the same again, it gives the same.

    The second reader asks with the very same frame or head, before the next one of that side is decoded: what the
    other side says meanwhile, as an agent does while a transcript is on its way to it, changes nothing. What only one
    of them asks about is decoded for that one.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._answered: tuple[ResponseHead | None, list[Event]] = (None, [])
        self._decoded: dict[Side, tuple[Frame, list[Event]]] = {}
        self._ended: dict[Side, list[Event]] = {}

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """See `Dialect.answered`."""
        if self._answered[0] is not head:
            self._answered = (head, list(self._dialect.answered(head)))
        return self._answered[1]

    def decode(self, frame: Frame) -> Iterable[Event]:
        """See `Dialect.decode`."""
        last = self._decoded.get(frame.side)
        if last is None or last[0] is not frame:
            last = self._decoded[frame.side] = (frame, list(self._dialect.decode(frame)))
        return last[1]

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """See `Dialect.ended`; a side ends once."""
        if side not in self._ended:
            self._ended[side] = list(self._dialect.ended(side, end))
        return self._ended[side]
