"""The tap between the relay and an observer: whatever the observer does, the bytes go on.

The first exception is logged once, without its text (it could hold a payload), and ends the observing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.relay.plan import Observer
from voicegw_sidecar.wire.frames import End, Frame, ResponseHead, Side

logger = logging.getLogger(__name__)


class Tap:
    """Wraps an observer; has its methods, and none of them raises."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._is_broken = False
        self._is_closed = False

    def answered(self, head: ResponseHead, at_ns: int) -> None:
        """See `Observer.answered`."""
        self._tell(lambda: self._observer.answered(head, at_ns), at_ns)

    def frame(self, frame: Frame) -> None:
        """See `Observer.frame`; what comes after the end, while closes are exchanged, begins nothing any more."""
        if self._is_broken or self._is_closed:
            return
        try:
            self._observer.frame(frame)
        except Exception as error:
            self._give_up(error, frame.at_ns)

    def ended(self, side: Side, end: End, at_ns: int) -> None:
        """See `Observer.ended`."""
        self._tell(lambda: self._observer.ended(side, end, at_ns), at_ns)

    def failed(self, error: SidecarError, at_ns: int) -> None:
        """See `Observer.failed`."""
        self._tell(lambda: self._observer.failed(error, at_ns), at_ns)

    def closed(self, end: End, at_ns: int) -> None:
        """See `Observer.closed`; only the first call counts."""
        if not self._is_closed:
            self._is_closed = True
            self._tell(lambda: self._observer.closed(end, at_ns), at_ns)

    async def settle(self) -> None:
        """See `Observer.settle`."""
        try:
            await self._observer.settle()
        except Exception as error:
            logger.error("observer failed", extra={"error": type(error).__name__})

    def _tell(self, tell: Callable[[], None], at_ns: int) -> None:
        if self._is_broken:
            return
        try:
            tell()
        except Exception as error:
            self._give_up(error, at_ns)

    def _give_up(self, error: Exception, at_ns: int) -> None:
        self._is_broken = True
        logger.error("metering failed, the call goes on", extra={"error": type(error).__name__}, exc_info=False)
        try:
            self._observer.degrade(at_ns)
        except Exception as second:
            logger.error("metering could not be closed", extra={"error": type(second).__name__})
