"""An endpoint that is not understood: relayed and timed, nothing more.

One exchange per HTTP request or WebSocket; no modality, no usage, no price.
"""

from __future__ import annotations

from collections.abc import Iterable

from voicegw_sidecar.dialects.base import NO_EVENTS, HttpDialect
from voicegw_sidecar.events import Began, Event, Finished, RequestComplete
from voicegw_sidecar.wire.frames import End, Frame, RequestHead, ResponseHead, Side


class OpaqueRequest(HttpDialect):
    """One HTTP request: its two ends are all that is known."""

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Nothing to learn: not even the request's copy is kept."""
        return NO_EVENTS

    def _begun(self) -> Iterable[Event]:
        return (Began(None), RequestComplete())

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        return NO_EVENTS

    def _answer_complete(self) -> Iterable[Event]:
        return (Finished(),)


class OpaqueSocket:
    """One WebSocket, from its handshake to a close in good order."""

    def __init__(self, head: RequestHead) -> None:
        pass

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """The handshake begins the exchange."""
        return (Began(None), RequestComplete())

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Nothing to learn."""
        return NO_EVENTS

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """A closing handshake, by whichever side, is a good end."""
        return (Finished(),) if end is End.COMPLETE else NO_EVENTS
