"""LiveKit Inference's ``/stt``: base64 audio in, transcripts out, one socket for a whole call. Sans IO.

Each ``final_transcript`` is the end of speech to the client, so the final pieces of one utterance go as one, when the
provider declares it over; until then they are part of the interim transcript.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable

import msgspec
from msgspec import Struct

from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Event, Final, Finished, Interim, UtteranceEnded, Word
from voicegw_sidecar.facades import livekit
from voicegw_sidecar.facades.livekit import Fallback
from voicegw_sidecar.wire.frames import Kind

USUAL_RATE_HZ = 16_000
_KEYTERMS = ("keyterm", "keyterms", "keyterms_prompt", "keywords", "additional_vocab")  # by provider


class Create(Struct, frozen=True):
    """The first message: what the socket is for."""

    rate_hz: int
    model: str | None
    language: str | None
    keyterms: tuple[str, ...]
    options: dict[str, object]
    fallback: Fallback


class Audio(Struct, frozen=True):
    """16-bit little-endian mono samples."""

    samples: bytes


class Finalize(Struct, frozen=True):
    """The final transcript of what was sent so far is wanted."""


class Update(Struct, frozen=True):
    """Some settings change; what is None stays."""

    model: str | None
    language: str | None
    keyterms: tuple[str, ...] | None
    options: dict[str, object]


class Close(Struct, frozen=True):
    """No more audio comes."""


class Unknown(Struct, frozen=True):
    """A message that newer clients may send."""


class _Settings(Struct, frozen=True):
    sample_rate: str | int | None = None
    encoding: str | None = None
    language: str | None = None
    extra: dict[str, object] | None = None
    model: str | None = None


class _Message(Struct, frozen=True):
    type: str = ""
    settings: _Settings | None = None
    model: str | None = None
    fallback: Fallback | None = None
    audio: str = ""


_message: msgspec.json.Decoder[Struct] = msgspec.json.Decoder(_Message)

Asked = Create | Audio | Finalize | Update | Close | Unknown


def read(kind: Kind, data: bytes) -> Asked:
    """Read one message of the agent; raises `BadRequest`."""
    message = livekit.read(_message, kind, data)
    assert isinstance(message, _Message)
    match message.type:
        case "input_audio":
            try:
                # strictly: else what is no base64 at all would be taken for silence
                return Audio(binascii.a2b_base64(message.audio, strict_mode=True))
            except (binascii.Error, ValueError):
                raise BadRequest("audio: found something else than base64") from None
        case "session.create":
            settings = message.settings or _Settings()
            livekit.encoding(settings.encoding, "settings.encoding")
            terms, options = _split(settings.extra)
            return Create(
                livekit.rate_hz(settings.sample_rate, "settings.sample_rate", USUAL_RATE_HZ), message.model,
                settings.language, terms or (), options, message.fallback or Fallback(),
            )  # fmt: skip
        case "session.update":
            settings = message.settings or _Settings()
            terms, options = _split(settings.extra)
            return Update(settings.model, settings.language, terms, options)
        case "session.finalize":
            return Finalize()
        case "session.close":
            return Close()
        case _:
            return Unknown()


def _split(extra: dict[str, object] | None) -> tuple[tuple[str, ...] | None, dict[str, object]]:
    """Take the terms that are to be recognised well out of a provider's options; None where nothing is said of them."""
    terms: list[str] | None = None
    rest: dict[str, object] = {}
    for name, value in (extra or {}).items():
        if name not in _KEYTERMS:
            rest[name] = value
            continue
        found = value if isinstance(value, list) else [value]
        terms = [*(terms or ()), *(term for term in found if isinstance(term, str) and term)]
    return None if terms is None else tuple(terms), livekit.options(rest)


def created(session_id: str) -> bytes:
    """The answer to ``session.create``."""
    return msgspec.json.encode({"type": "session.created", "session_id": session_id})


def finalized() -> bytes:
    """The answer to ``session.finalize``."""
    return msgspec.json.encode({"type": "session.finalized"})


def closed() -> bytes:
    """The last message."""
    return msgspec.json.encode({"type": "session.closed"})


class Transcripts:
    """Writes transcripts from a provider's events."""

    def __init__(self, session_id: str, language: str | None) -> None:
        self._session_id = session_id
        self.language = language
        """What is said to be spoken where the provider does not say."""
        self._finals: list[Final] = []
        self.has_output = False
        """True once something was heard."""

    def take(self, events: Iterable[Event]) -> list[bytes]:
        """Return the messages that events make."""
        out: list[bytes] = []
        for event in events:
            match event:
                case Interim(text=text, is_eager=is_eager):
                    self.has_output = True
                    kind = "preflight_transcript" if is_eager else "interim_transcript"
                    out.append(self._message(kind, self._joined(text)))
                case Final():
                    self.has_output = True
                    self._finals.append(event)
                case UtteranceEnded() | Finished():
                    out += self.rest()
                case _:
                    pass
        return out

    def rest(self) -> list[bytes]:
        """Return the final transcript of what is still held."""
        if not self._finals:
            return []
        finals, text = self._finals, self._joined("")
        self._finals = []
        more: dict[str, object] = {"words": [_word(word) for one in finals for word in one.words]}
        starts = [one.speech_start_s for one in finals if one.speech_start_s is not None]
        ends = [one.speech_end_s for one in finals if one.speech_end_s is not None]
        if starts and ends:
            more |= {"start": min(starts), "duration": max(ends) - min(starts)}
        confidences = [one.confidence for one in finals if one.confidence is not None]
        if confidences:
            more["confidence"] = min(confidences)
        language = next((one.language for one in finals if one.language), None)
        return [self._message("final_transcript", text, language, more)]

    def _joined(self, more: str) -> str:
        return " ".join([*(one.text.strip() for one in self._finals), *([more.strip()] if more else [])])

    def _message(
        self, kind: str, text: str, language: str | None = None, more: dict[str, object] | None = None
    ) -> bytes:
        said: dict[str, object] = {"type": kind, "session_id": self._session_id, "transcript": text}
        if known := language or self.language:
            said["language"] = known
        return msgspec.json.encode({**said, **(more or {})})


def _word(word: Word) -> dict[str, object]:
    found: dict[str, object] = {"word": word.text}
    if word.start_s is not None and word.end_s is not None:
        found |= {"start": word.start_s, "end": word.end_s}
    if word.confidence is not None:
        found["confidence"] = word.confidence
    if word.speaker is not None:
        found["speaker_id"] = word.speaker
    return found
