"""A wire tap for tests: records both directions of every connection, and reads the records afterwards.

One stands before the sidecar and one behind it; what they recorded must differ by the contract's closed
list and nothing else.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct

Header = tuple[str, str]


class Message(Struct):
    """One HTTP message: its first line, headers as they were sent, and its body without framing."""

    line: str
    headers: list[Header]
    body: bytes

    def names(self) -> set[str]:
        """Lower-case header names."""
        return {name.lower() for name, _ in self.headers}

    def value(self, name: str) -> str | None:
        """First value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class Seen(Struct):
    """One request and its answer; for a socket also its frames: (opcode, payload) in order."""

    request: Message
    answer: Message
    sent: list[tuple[int, bytes]]
    received: list[tuple[int, bytes]]


class Tee:
    """What passed; ``url`` is where to connect."""

    def __init__(self) -> None:
        self.url = ""
        self.connections: list[tuple[bytearray, bytearray]] = []

    def seen(self) -> list[Seen]:
        """Every exchange of every connection, in the order the connections were opened."""
        return [seen for up, down in self.connections for seen in _exchanges(bytes(up), bytes(down))]


@asynccontextmanager
async def tee(target: str) -> AsyncIterator[Tee]:
    """Listen on a free port and pass everything on to ``target`` (a base URL)."""
    record, tasks = Tee(), set()
    host, _, port = target.removeprefix("http://").partition("/")[0].rpartition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        up, down = bytearray(), bytearray()
        record.connections.append((up, down))
        far_reader, far_writer = await asyncio.open_connection(host, int(port))

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray) -> None:
            try:
                while data := await source.read(65536):
                    kept += data
                    sink.write(data)
                    await sink.drain()
            except ConnectionError:
                pass
            sink.close()

        try:
            await asyncio.gather(pump(reader, far_writer, up), pump(far_reader, writer, down))
        finally:
            writer.transport.abort()
            far_writer.transport.abort()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    record.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield record
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _exchanges(up: bytes, down: bytes) -> list[Seen]:
    found = []
    while up:
        request, up = _message(up, is_answer=False)
        answer, down = _message(down, is_answer=True)
        if answer.line.split(" ")[1] == "101":
            found.append(Seen(request, answer, _frames(up), _frames(down)))
            break
        found.append(Seen(request, answer, [], []))
    return found


def _message(data: bytes, *, is_answer: bool) -> tuple[Message, bytes]:
    head, _, rest = data.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    headers = [(name, value.strip()) for name, _, value in (field.partition(":") for field in fields)]
    message = Message(line, headers, b"")
    if "chunked" in (message.value("transfer-encoding") or ""):
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size.partition(b";")[0], 16)
            body, rest = body + rest[:length], rest[length + 2 :]
            if not length:
                break
        message.body = body
        return message, rest
    length = int(message.value("content-length") or 0)
    message.body = rest[:length]
    return message, rest[length:]


def _frames(data: bytes) -> list[tuple[int, bytes]]:
    """WebSocket frames, unmasked, fragments joined; a cut one at the end is left out."""
    frames: list[tuple[int, bytes]] = []
    while len(data) >= 2:
        opcode, length, offset = data[0] & 0x0F, data[1] & 0x7F, 2
        if length == 126:
            length, offset = struct.unpack_from("!H", data, 2)[0], 4
        elif length == 127:
            length, offset = struct.unpack_from("!Q", data, 2)[0], 10
        mask = b""
        if data[1] & 0x80:
            mask, offset = data[offset : offset + 4], offset + 4
        payload = data[offset : offset + length]
        if len(payload) < length:
            break
        if mask:
            repeated = mask * (length // 4 + 1)
            payload = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:length], "big")).to_bytes(
                length, "big"
            )
        if opcode == 0 and frames:
            frames[-1] = (frames[-1][0], frames[-1][1] + payload)
        else:
            frames.append((opcode, payload))
        data = data[offset + length :]
    return frames
