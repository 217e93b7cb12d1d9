"""What listen drivers share."""

from __future__ import annotations

import pytest

from voicegw_sidecar.drivers.base import Message
from voicegw_sidecar.drivers.listening import Pieces, binary, message_type, nearest_rate, silence, text
from voicegw_sidecar.wire.frames import Kind


def test_pieces_are_as_long_as_they_must_be_and_no_longer() -> None:
    pieces = Pieces(1000, 50, 1000)  # a sample is a millisecond
    assert list(pieces.feed(b"a" * 98)) == []
    assert [len(piece) for piece in pieces.feed(b"b" * 2)] == [100]
    assert [len(piece) for piece in pieces.feed(b"c" * 4110)] == [2000, 2000, 110]
    assert list(pieces.feed(b"d" * 10)) == []
    assert pieces.rest() == b"d" * 10 + bytes(90)
    assert pieces.rest() == b""


def test_the_least_piece_of_an_uneven_rate_is_not_too_short() -> None:
    assert len(silence(22_050, 50)) == 2206  # 1102.5 samples would be 50 ms
    assert len(silence(16_000, 50)) == 1600
    [piece] = Pieces(22_050, 50, 1000).feed(bytes(2206))
    assert len(piece) == 2206


@pytest.mark.parametrize(
    ("wanted_hz", "expected_hz"), [(8000, 8000), (12_000, 16_000), (16_000, 16_000), (24_000, 24_000), (48_000, 24_000)]
)
def test_the_nearest_rate_is_the_next_higher_one_that_is_known(wanted_hz: int, expected_hz: int) -> None:
    assert nearest_rate(wanted_hz, (8000, 16_000, 24_000)) == expected_hz


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"type":"done"}', "done"),
        (b'{"text":"done"}', ""),
        (b"{", ""),
        (b"[]", ""),
        (b'{"type":1}', ""),
        (b"\xff", ""),
    ],
)
def test_the_type_of_a_message(data: bytes, expected: str) -> None:
    assert message_type(data) == expected


def test_nothing_to_send_is_no_message() -> None:
    assert binary(b"") == ()
    assert binary(b"ab") == (Message(Kind.BINARY, b"ab"),)
    assert text({"type": "é"}) == (Message(Kind.TEXT, '{"type":"é"}'.encode()),)
