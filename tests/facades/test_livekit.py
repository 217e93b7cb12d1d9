"""What LiveKit Inference's two sockets have in common."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct

from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.facades import livekit
from voicegw_sidecar.wire.frames import Kind


@pytest.mark.parametrize(
    ("found", "expected"), [(None, 24_000), ("16000", 16_000), (16_000, 16_000), ("8000", 8000), (48_000, 48_000)]
)
def test_rates_come_as_text_or_as_numbers(found: str | int | None, expected: int) -> None:
    assert livekit.rate_hz(found, "sample_rate", 24_000) == expected


@pytest.mark.parametrize("found", ["", "fast", "16k", "16000.0", "-16000", "7999", 48_001, 0, "9" * 5000, "१६०००"])
def test_impossible_rates_are_refused(found: str | int) -> None:
    with pytest.raises(BadRequest) as caught:
        livekit.rate_hz(found, "settings.sample_rate", 16_000)
    shown = repr(str(found)[:32])
    expected = f"settings.sample_rate: found {shown}, expected samples a second from 8000 to 48000"
    assert caught.value.message == expected


@pytest.mark.parametrize("found", [None, "", "pcm_s16le"])
def test_the_one_encoding_is_taken(found: str | None) -> None:
    livekit.encoding(found, "encoding")


@pytest.mark.parametrize("found", ["opus", "pcm_mulaw", "x" * 1000])
def test_other_encodings_are_refused(found: str) -> None:
    with pytest.raises(BadRequest) as caught:
        livekit.encoding(found, "settings.encoding")
    assert caught.value.message == f"settings.encoding: found {found[:32]!r}, expected pcm_s16le"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, {}),
        ({}, {}),
        ({"keyterm": [], "diarize": None, "mode": "", "redact": {}}, {}),
        ({"endpointing": 0, "punctuate": False, "speed": 1.0}, {"endpointing": 0, "punctuate": False, "speed": 1.0}),
    ],
)
def test_options_that_say_nothing_are_left_out(found: dict[str, object] | None, expected: dict[str, object]) -> None:
    assert livekit.options(found) == expected


def test_an_error_has_what_both_clients_read() -> None:
    assert msgspec.json.decode(livekit.error("The sentence.", 400)) == {
        "type": "error", "message": "The sentence.", "code": 400, "session_id": "",
    }  # fmt: skip


class Message(Struct, frozen=True):
    """A message of a socket."""

    type: str = ""


_decoder: msgspec.json.Decoder[Struct] = msgspec.json.Decoder(Message)


def test_json_text_is_read() -> None:
    assert livekit.read(_decoder, Kind.TEXT, b'{"type":"session.close","of":"tomorrow"}') == Message("session.close")


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (Kind.BINARY, b'{"type":"a"}', "found a binary message; expected JSON text, audio as base64 in it"),
        (Kind.BODY, b'{"type":"a"}', "found a binary message; expected JSON text, audio as base64 in it"),
        (Kind.TEXT, b"finalize", "found a message that cannot be read: JSON is malformed"),
        (Kind.TEXT, b'{"type":7}', "found a message that cannot be read: Expected `str`, got `int` - at `$.type`"),
        (Kind.TEXT, b'{"type":"\xff"}', "found a message that cannot be read: "),
        (Kind.TEXT, b'{"a":' + b"[" * 100_000, "found a message that cannot be read: "),
    ],
)
def test_anything_else_is_refused(kind: Kind, data: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        livekit.read(_decoder, kind, data)
    assert caught.value.message.startswith(message)
