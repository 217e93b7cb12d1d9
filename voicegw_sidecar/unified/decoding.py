"""Recordings unpacked beside the calls: piece by piece, on threads that do nothing else.

The loop's own threads look up names and read the store: a recording of hours, unpacked there, would hold up both. The
pieces of all recordings take turns, and no more is unpacked than whoever reads them has taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.sound.decode import decoded_pieces

THREADS = 2
OPEN_LIMIT = 8
"""Recordings that are unpacked at the same time; of more the sidecar says that it is busy."""
_threads = ThreadPoolExecutor(THREADS, "decode")  # none is started before there is something to unpack


class Busy(SidecarError):
    """So much of one kind of work is going on that more of it is refused."""

    code = "busy"
    status = 503
    retry_helps = True
    headers = (("Retry-After", "5"),)


class Decoding:
    """One recording, to 16-bit little-endian mono samples at ``rate_hz``; used with ``async with``."""

    _open = 0

    def __init__(self, audio: bytes, rate_hz: int) -> None:
        self._pieces: Iterator[bytes] = decoded_pieces(audio, rate_hz)

    async def __aenter__(self) -> Decoding:
        """Begin; raises `Busy`."""
        if Decoding._open >= OPEN_LIMIT:
            raise Busy(
                f"{OPEN_LIMIT} recordings are being unpacked, which is the most at once; call again later, or name a "
                "model that takes recordings as they are"
            )
        Decoding._open += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it; what is being unpacked at the moment is the last."""
        Decoding._open -= 1

    async def piece(self) -> bytes | None:
        """Unpack some more, about a second; None at the end. Raises `BadRequest` for what is no recording."""
        return await asyncio.get_running_loop().run_in_executor(_threads, next, self._pieces, None)
