"""LiveKit Inference's ``/tts``: sentences in, audio out, utterance after utterance on one socket. Sans IO.

Every message of an utterance names its session, or the client's second utterance dies; exactly one ``done`` answers
each ``session.flush`` (both run with livekit-agents 1.8.9).
"""

from __future__ import annotations

import base64

import msgspec
from msgspec import Struct

from voicegw_sidecar.facades import livekit
from voicegw_sidecar.facades.livekit import Fallback
from voicegw_sidecar.wire.frames import Kind

USUAL_RATE_HZ = 24_000


class Create(Struct, frozen=True):
    """The first message: what the socket is for."""

    rate_hz: int
    model: str | None
    voice: str | None
    language: str | None
    options: dict[str, object]
    fallback: Fallback


class Text(Struct, frozen=True):
    """More text of the current utterance; what is None is as `Create` said."""

    text: str
    model: str | None
    voice: str | None
    language: str | None


class Flush(Struct, frozen=True):
    """The current utterance has no more text."""


class Close(Struct, frozen=True):
    """The client is through with the socket."""


class Unknown(Struct, frozen=True):
    """A message that newer clients may send."""


class _Generation(Struct, frozen=True):
    voice: str | None = None
    model: str | None = None
    language: str | None = None


class _Message(Struct, frozen=True):
    type: str = ""
    sample_rate: str | int | None = None
    encoding: str | None = None
    extra: dict[str, object] | None = None
    voice: str | None = None
    model: str | None = None
    language: str | None = None
    fallback: Fallback | None = None
    transcript: str = ""
    generation_config: _Generation | None = None


_message: msgspec.json.Decoder[Struct] = msgspec.json.Decoder(_Message)

Asked = Create | Text | Flush | Close | Unknown


def read(kind: Kind, data: bytes) -> Asked:
    """Read one message of the agent; raises `BadRequest`."""
    message = livekit.read(_message, kind, data)
    assert isinstance(message, _Message)
    match message.type:
        case "session.create":
            livekit.encoding(message.encoding, "encoding")
            return Create(
                livekit.rate_hz(message.sample_rate, "sample_rate", USUAL_RATE_HZ), message.model, message.voice,
                message.language, livekit.options(message.extra), message.fallback or Fallback(),
            )  # fmt: skip
        case "input_transcript":
            wanted = message.generation_config or _Generation()
            return Text(message.transcript, wanted.model, wanted.voice, wanted.language)
        case "session.flush":
            return Flush()
        case "session.close":
            return Close()
        case _:
            return Unknown()


def created(session_id: str) -> bytes:
    """The answer to ``session.create``."""
    return msgspec.json.encode({"type": "session.created", "session_id": session_id})


def audio(session_id: str, samples: bytes | str) -> bytes:
    """A piece of audio: bytes, or base64 text that is passed on as it is."""
    text = samples if isinstance(samples, str) else base64.b64encode(samples).decode("ascii")
    return msgspec.json.encode({"type": "output_audio", "session_id": session_id, "audio": text})


def done(session_id: str) -> bytes:
    """The end of an utterance."""
    return msgspec.json.encode({"type": "done", "session_id": session_id})
