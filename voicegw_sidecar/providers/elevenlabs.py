"""ElevenLabs: speech from text over HTTP, whole, streamed or with timestamps, and Scribe for recordings.

Knows ElevenLabs' messages and nothing about money; its sockets are in ``elevenlabs_sockets``. The model is in the
body. Seconds of sound follow from ``output_format``, of compressed sound from the bitrate in its name.
Wire reference: https://elevenlabs.io/docs/api-reference (read 2026-11-21), shapes as the elevenlabs SDK 2.78 types
them.
Captures: tests/captures/elevenlabs_speech_*.jsonl, elevenlabs_transcribe_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import NO_EVENTS, HttpDialect, decode_json
from voicegw_sidecar.events import AudioOut, Began, Event, Final, Finished, RequestComplete, TextIn, Used
from voicegw_sidecar.providers.base import AuthStyle, Baseline, Endpoint, ErrorShape, Provider
from voicegw_sidecar.providers.elevenlabs_sockets import (
    ElevenLabsContexts,
    ElevenLabsScribe,
    ElevenLabsStream,
    sound_seconds,
)
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire import multipart
from voicegw_sidecar.wire.body import BodyCopy
from voicegw_sidecar.wire.frames import RequestHead, ResponseHead
from voicegw_sidecar.wire.ndjson import LineSplitter
from voicegw_sidecar.wire.pcm import PcmFormat, base64_size
from voicegw_sidecar.wire.wav import WavStream, wav_seconds

_SPEECH_MODEL = "eleven_multilingual_v2"  # what speaks where the body names no model
_DIALOGUE_MODEL = "eleven_v3"
_NAME_LIMIT_BYTES = 256
_BARE_UPLOAD = PcmFormat("pcm_s16le", 16_000)  # what ``file_format=pcm_s16le_16`` stands for


class _Line(Struct, frozen=True):
    text: str | None = None


class _Request(Struct, frozen=True):
    """A body that asks for speech: ``text``, or ``inputs`` for a dialogue."""

    model_id: str | None = None
    text: str | None = None
    inputs: list[_Line] | None = None


class _Timed(Struct, frozen=True):
    """Sound with timestamps; ``audio_base64`` stays base64: its length tells the seconds."""

    audio_base64: str | None = None


class _Transcript(Struct, frozen=True):
    text: str | None = None
    audio_duration_secs: float | None = None


class _Transcribed(Struct, frozen=True):
    """A transcript, or one for each channel."""

    text: str | None = None
    transcripts: list[_Transcript] | None = None
    audio_duration_secs: float | None = None


_request = msgspec.json.Decoder(_Request)
_timed = msgspec.json.Decoder(_Timed)
_transcribed = msgspec.json.Decoder(_Transcribed)


class ElevenLabsSpeech(HttpDialect):
    """One request for speech or a dialogue and the sound it brings: raw, as JSON, or as lines of JSON."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._is_dialogue = "/text-to-dialogue" in head.path
        self._is_timed = head.path.endswith("/with-timestamps")
        self._is_streamed = "/stream" in head.path
        self._format = head.parameter("output_format")
        self._wav = WavStream() if (self._format or "").startswith("wav_") else None
        self._is_audio = True
        self._answer = BodyCopy()
        self._splitter = LineSplitter()

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Raw sound, or JSON; what calls itself text or JSON is no sound."""
        self._is_audio = not head.content_type.lower().startswith(("application/json", "text/"))
        self._answer = BodyCopy(head.content_encoding)
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        request = decode_json(_request, self._request.content())
        model = None
        if request is not None:
            model = request.model_id or (_DIALOGUE_MODEL if self._is_dialogue else _SPEECH_MODEL)
        request = request or _Request()
        yield Began(Modality.TTS, model=model)
        for line in (request.text, *(line.text for line in request.inputs or ())):
            if line:
                yield TextIn(line)
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        if self._is_timed:
            if self._is_streamed:
                return self._lines(data)
            self._answer.add(data)
            return NO_EVENTS
        if not self._is_audio or not data:
            return NO_EVENTS
        if self._wav is not None:
            size_bytes, audio_s = self._wav.feed(data)
            return (AudioOut(audio_s),) if size_bytes else NO_EVENTS
        return (AudioOut(sound_seconds(self._format, len(data))),)

    def _answer_complete(self) -> Iterable[Event]:
        events: list[Event] = []
        if self._is_timed and self._is_streamed:
            events.extend(self._lines(b"\n"))
        elif self._is_timed:
            body = self._answer.content()
            # a body over the limit is sound all the same, of unknown length
            events.extend((AudioOut(None),) if body is None else self._sound(body))
        self._answer.clear()
        return [*events, Finished()]

    def _lines(self, data: bytes) -> list[Event]:
        return [event for line in self._splitter.feed(data) for event in self._sound(line)]

    def _sound(self, data: bytes) -> Iterable[Event]:
        timed = decode_json(_timed, data)
        if timed is None or not timed.audio_base64:
            return NO_EVENTS
        size_bytes = base64_size(len(timed.audio_base64), timed.audio_base64.count("=", -2))
        # a WAV file in base64 is not opened: its head would be counted as sound
        return (AudioOut(None if self._wav is not None else sound_seconds(self._format, size_bytes)),)


class ElevenLabsTranscription(HttpDialect):
    """One ``/v1/speech-to-text`` upload and its transcript."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._boundary = multipart.boundary(head.content_type)
        self._answer = BodyCopy()

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """The answer is one JSON object."""
        self._answer = BodyCopy(head.content_encoding)
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        """The upload names the model; of one over the limit its beginning is enough."""
        body = self._request.head()
        beyond_bytes = self._request.size_bytes - len(body)
        fields: dict[str, str] = {}
        file: bytes | None = None
        for part in multipart.parts(body, self._boundary) if self._boundary else ():
            if part.is_file:
                file = part.data
            else:
                fields[part.name] = part.data[:_NAME_LIMIT_BYTES].decode("utf-8", "replace").strip()
        audio_s = None if file is None else wav_seconds(file, len(file) + beyond_bytes)
        if file is not None and fields.get("file_format") == "pcm_s16le_16":
            audio_s = _BARE_UPLOAD.seconds(len(file) + beyond_bytes)
        yield Began(Modality.STT, model=fields.get("model_id") or None, audio_s=audio_s)
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        self._answer.add(data)
        return NO_EVENTS

    def _answer_complete(self) -> Iterator[Event]:
        answer = decode_json(_transcribed, self._answer.content()) or _Transcribed()
        self._answer.clear()
        channels = " ".join(part.text or "" for part in answer.transcripts or ())
        yield Final(answer.text or channels)
        if answer.audio_duration_secs is not None:
            yield Used(Usage(audio_s=answer.audio_duration_secs))
        yield Finished()


_BUDGET_CODES = ("budget_exceeded", "budget_throttled", "unpriced_model")
_TYPES = {401: "authentication_error", 402: "payment_required", 403: "authorization_error", 404: "not_found",
          429: "rate_limit_error"}  # fmt: skip


def _native(code: str) -> str:
    """Return the word by which ElevenLabs' clients know that there is nothing left to spend."""
    return "quota_exceeded" if code in _BUDGET_CODES else code


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    kind = _TYPES.get(status, "internal_error" if status >= 500 else "invalid_request")
    native = _native(code)
    detail = {"type": kind, "code": native, "message": message, "status": native, "request_id": None, "param": None}
    return {"detail": detail}


def _refusal_frame(key: str, code: str, message: str) -> dict[str, object]:
    """Word a refusal of one context; both spellings of its name, as clients read either."""
    return {"message": message, "error": _native(code), "code": 1008, "contextId": key, "context_id": key}


def _speech(path: str) -> Endpoint:
    return Endpoint("POST", path, Modality.TTS, ElevenLabsSpeech)


def _stream(path: str) -> Endpoint:
    return Endpoint("GET", path, Modality.TTS, ElevenLabsStream, is_socket=True)


def _contexts(path: str) -> Endpoint:
    return Endpoint("GET", path, Modality.TTS, ElevenLabsContexts, is_socket=True, refusal_frame=_refusal_frame)


ELEVENLABS = Provider(
    id="elevenlabs",
    base_url="https://api.elevenlabs.io",
    auth=AuthStyle.XI_API_KEY,
    errors=ErrorShape(_error_body),
    endpoints=(
        _speech("/v1/text-to-speech/{}"),
        _speech("/v1/text-to-speech/{}/stream"),
        _speech("/v1/text-to-speech/{}/with-timestamps"),
        _speech("/v1/text-to-speech/{}/stream/with-timestamps"),
        _speech("/v1/text-to-dialogue"),
        _speech("/v1/text-to-dialogue/stream"),
        _speech("/v1/text-to-dialogue/with-timestamps"),
        _speech("/v1/text-to-dialogue/stream/with-timestamps"),
        _stream("/v1/text-to-speech/{}/stream-input"),
        _contexts("/v1/text-to-speech/{}/multi-stream-input"),
        _stream("/v1/text-to-dialogue/stream-input"),
        _contexts("/v1/text-to-dialogue/multi-stream-input"),
        Endpoint("POST", "/v1/speech-to-text", Modality.STT, ElevenLabsTranscription),
        Endpoint("GET", "/v1/speech-to-text/realtime", Modality.STT, ElevenLabsScribe, is_socket=True),
    ),
    catalogue_id="elevenlabs",
    root_paths=("/v1/text-to-speech", "/v1/speech-to-text"),
    missing_v1=("text-to-speech", "text-to-dialogue", "speech-to-text"),
    baselines=(
        Baseline(Modality.TTS, 400, "curated", "2026-05-11"),
        Baseline(Modality.STT, 410, "pipecat-ai 1.14 stt_latency.py: Scribe realtime, P99 to transcript", "2026-11-21"),
    ),
    # what Pipecat speaks with by default, ElevenLabs' fastest; and the only Scribe that transcribes live
    default_models=((Modality.TTS, "eleven_flash_v2_5"), (Modality.STT, "scribe_v2_realtime")),
)
