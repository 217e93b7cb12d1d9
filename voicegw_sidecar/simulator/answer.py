"""An HTTP answer: sent in chunks, stamped, hashed, compressed if wished, and broken where the script says.

Knows no provider's formats.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib

import msgspec
from aiohttp import web

from voicegw_sidecar.simulator.script import FailureKind
from voicegw_sidecar.simulator.visit import Visit, forever


class Answer:
    """A streamed answer. Without ``size_bytes`` it is chunked."""

    def __init__(
        self,
        visit: Visit,
        *,
        content_type: str,
        headers: dict[str, str] | None = None,
        status: int = 200,
        size_bytes: int | None = None,
    ) -> None:
        self._visit = visit
        self._hash = hashlib.sha256()
        self._chunks = 0
        self.response = web.StreamResponse(status=status, headers={**(headers or {}), "Content-Type": content_type})
        accepted = visit.request.headers.get("Accept-Encoding", "")
        self._gzip = zlib.compressobj(wbits=31) if visit.script.gzip and "gzip" in accepted else None
        if self._gzip is not None:
            self.response.headers["Content-Encoding"] = "gzip"
        if size_bytes is None or self._gzip is not None:
            self.response.enable_chunked_encoding()
        else:
            self.response.content_length = size_bytes

    async def chunk(self, data: bytes, *, output: bool = False) -> None:
        """Send one chunk; ``output`` says that it holds the output an agent waits for."""
        await self._open()
        if output:
            self._visit.mark("first_output_ns")
        if self._gzip is not None:
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        await self._write(data)
        self._chunks += 1
        await self._break_if_due()

    async def finish(self) -> web.StreamResponse:
        """Send the end of the body."""
        await self._open()
        if self._gzip is not None:
            await self._write(self._gzip.flush())
        self._visit.mark("ended_ns")
        await self.response.write_eof()
        return self.response

    async def _open(self) -> None:
        if not self.response.prepared:
            self._visit.entry.status = self.response.status
            await self.response.prepare(self._visit.request)
            await self._break_if_due()

    async def _write(self, data: bytes) -> None:
        failure = self._visit.failure
        pieces = [data]
        if failure is not None and failure.kind == FailureKind.SLOW:
            pieces = [data[index : index + 1] for index in range(len(data))]
        for piece in pieces:
            await self.response.write(piece)
            self._hash.update(piece)
            self._visit.entry.sent_sha256 = self._hash.hexdigest()
            if failure is not None and failure.kind == FailureKind.SLOW:
                await asyncio.sleep(1 / failure.bytes_per_s)

    async def _break_if_due(self) -> None:
        failure = self._visit.failure
        if failure is None or self._chunks < failure.after:
            return
        match failure.kind:
            case FailureKind.RESET:
                self._visit.reset()
            case FailureKind.TRUNCATE:
                self._visit.hang_up()
            case FailureKind.HANG:
                pass
            case _:
                return
        await forever()


async def answer(
    visit: Visit,
    body: bytes,
    *,
    content_type: str = "application/json",
    status: int = 200,
    headers: dict[str, str] | None = None,
    output: bool = False,
) -> web.StreamResponse:
    """Send a whole answer, as two chunks: a failure can strike between them."""
    sending = Answer(visit, content_type=content_type, status=status, headers=headers, size_bytes=len(body))
    half = len(body) // 2
    await sending.chunk(body[:half], output=output)
    await sending.chunk(body[half:])
    return await sending.finish()


def event(payload: object) -> bytes:
    """Return a payload as one server-sent event."""
    return b"data: " + msgspec.json.encode(payload) + b"\n\n"
