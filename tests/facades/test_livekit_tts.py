"""LiveKit Inference's ``/tts``: its messages read and written."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.facades.anything import json_like
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.facades.livekit import Fallback, FallbackModel
from voicegw_sidecar.facades.livekit_tts import (
    Asked,
    Close,
    Create,
    Flush,
    Text,
    Unknown,
    audio,
    created,
    done,
    read,
)
from voicegw_sidecar.wire.frames import Kind

CREATE = {
    "type": "session.create", "sample_rate": "24000", "encoding": "pcm_s16le", "extra": {"speed": 1.1, "emotion": []},
    "voice": "694f9389", "model": "cartesia/sonic-3", "language": "en", "connection": {"timeout": 10.0, "retries": 3},
    "fallback": {"models": [{"model": "deepgram/aura-2", "voice": "luna", "extra": {}}, {"model": "piper/x"}]},
}  # fmt: skip
"""As livekit-agents 1.8.9 sends it."""


def asked(**members: Any) -> Asked:
    return read(Kind.TEXT, msgspec.json.encode(members))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            CREATE,
            Create(
                24_000, "cartesia/sonic-3", "694f9389", "en", {"speed": 1.1},
                Fallback((FallbackModel("deepgram/aura-2", "luna", {}), FallbackModel("piper/x"))),
            ),
        ),
        ({"type": "session.create"}, Create(24_000, None, None, None, {}, Fallback())),
        ({"type": "session.create", "sample_rate": 16_000}, Create(16_000, None, None, None, {}, Fallback())),
        (
            {"type": "session.create", "fallback": None, "extra": None, "voice": None},
            Create(24_000, None, None, None, {}, Fallback()),
        ),
        ({"type": "input_transcript", "transcript": "Hello. "}, Text("Hello. ", None, None, None)),
        ({"type": "input_transcript"}, Text("", None, None, None)),
        (
            {
                "type": "input_transcript", "transcript": "Hello. ", "extra": {},
                "generation_config": {"voice": "luna", "model": "deepgram/aura-2", "language": "fr"},
            },
            Text("Hello. ", "deepgram/aura-2", "luna", "fr"),
        ),
        ({"type": "session.flush"}, Flush()),
        ({"type": "session.close"}, Close()),
        ({"type": "session.sing", "transcript": "la"}, Unknown()),
        ({}, Unknown()),
    ],
)  # fmt: skip
def test_messages_are_read(members: dict[str, Any], expected: Asked) -> None:
    assert asked(**members) == expected


@pytest.mark.parametrize(
    ("kind", "data", "message"),
    [
        (Kind.BINARY, b'{"type":"session.flush"}', "found a binary message; expected JSON text"),
        (Kind.TEXT, b"", "found a message that cannot be read: "),
        (Kind.TEXT, b"{", "found a message that cannot be read: "),
        (Kind.TEXT, b"[]", "found a message that cannot be read: Expected `object`, got `array`"),
        (Kind.TEXT, b'{"type":"input_transcript","transcript":7}', "found a message that cannot be read: "),
        (Kind.TEXT, b'{"extra":{"a":' + b"[" * 100_000, "found a message that cannot be read: "),
        (Kind.TEXT, b'{"type":"session.create","sample_rate":"fast"}', "sample_rate: found 'fast', expected samples"),
        (Kind.TEXT, b'{"type":"session.create","sample_rate":96000}', "sample_rate: found '96000', expected samples"),
        (Kind.TEXT, b'{"type":"session.create","encoding":"opus"}', "encoding: found 'opus', expected pcm_s16le"),
    ],
)
def test_what_cannot_be_read_is_refused(kind: Kind, data: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(kind, data)
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 200


names = json_like("type", "sample_rate", "encoding", "extra", "fallback", "models", "transcript", "generation_config")
types = st.sampled_from(["session.create", "input_transcript", "session.flush"])


@settings(max_examples=300)
@given(kind=st.sampled_from(Kind), data=st.one_of(st.binary(max_size=60), names), type_=types)
def test_nothing_but_a_bad_request_is_raised(kind: Kind, data: bytes, type_: str) -> None:
    with contextlib.suppress(BadRequest):
        read(kind, data)
    with contextlib.suppress(BadRequest):
        read(Kind.TEXT, b'{"type":"' + type_.encode() + b'",' + data[1:])


def test_every_message_names_its_session() -> None:
    found = [msgspec.json.decode(message) for message in (created("s-1"), audio("s-1", b"\1\2"), done("s-1"))]
    assert [(message["type"], message["session_id"]) for message in found] == [
        ("session.created", "s-1"), ("output_audio", "s-1"), ("done", "s-1"),
    ]  # fmt: skip


@pytest.mark.parametrize("samples", [b"", b"\0\1\2\3", bytes(range(256))])
def test_audio_goes_in_base64(samples: bytes) -> None:
    assert base64.b64decode(msgspec.json.decode(audio("s-1", samples))["audio"], validate=True) == samples


def test_base64_of_a_provider_goes_on_as_it_is() -> None:
    assert msgspec.json.decode(audio("s-1", "AAEC"))["audio"] == "AAEC"
