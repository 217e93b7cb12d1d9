"""Recordings unpacked on threads of their own, so many at once, and no further than they are read."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.sound.test_decode import written
from tests.sound.tones import tone
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.sound.decode import decoded
from voicegw_sidecar.unified import decoding
from voicegw_sidecar.unified.decoding import OPEN_LIMIT, Busy, Decoding

FILE = written(tone(440, 24_000, 10.0), 24_000, "FLAC")


async def read(audio: bytes) -> bytes:
    samples = b""
    async with Decoding(audio, 16_000) as pieces:
        while (piece := await pieces.piece()) is not None:
            samples += piece
    return samples


async def test_the_pieces_are_the_whole() -> None:
    assert await read(FILE) == decoded(FILE, 16_000)


async def test_what_is_no_recording_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"^audio: found something that begins with 68 65 6c 6c"):
        await read(b"hello there")


async def test_neither_the_loop_nor_its_threads_unpack_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def pieces(audio: bytes, rate_hz: int) -> Iterator[bytes]:
        for _ in range(20):
            names.append(threading.current_thread().name)
            yield b"xx"

    monkeypatch.setattr(decoding, "decoded_pieces", pieces)
    assert await asyncio.gather(read(b""), read(b""), read(b"")) == [b"xx" * 20] * 3
    assert len(names) == 60
    assert set(names) <= {"decode_0", "decode_1"}


async def test_recordings_take_turns_and_are_unpacked_as_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {b"a": 0, b"b": 0}

    def pieces(audio: bytes, rate_hz: int) -> Iterator[bytes]:
        while True:
            given[audio] += 1
            yield audio

    monkeypatch.setattr(decoding, "decoded_pieces", pieces)
    async with Decoding(b"a", 16_000) as first, Decoding(b"b", 16_000) as second:
        for _ in range(3):
            assert (await first.piece(), await second.piece()) == (b"a", b"b")
    assert given == {b"a": 3, b"b": 3}


async def test_more_than_so_many_are_refused_until_one_is_over() -> None:
    opened = [Decoding(FILE, 16_000) for _ in range(OPEN_LIMIT)]
    for one in opened:
        await one.__aenter__()
    with pytest.raises(Busy) as raised:
        await read(FILE)
    assert (raised.value.status, raised.value.code) == (503, "busy")
    await opened[0].__aexit__(None, None, None)
    assert await read(FILE)
    for one in opened[1:]:
        await one.__aexit__(None, None, None)
    async with Decoding(FILE, 16_000):
        pass


async def test_one_that_is_given_up_leaves_its_place() -> None:
    for _ in range(2 * OPEN_LIMIT):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), Decoding(FILE, 16_000) as pieces:
                await pieces.piece()
    assert await read(FILE)
