"""OpenAI audio: ``/audio/speech`` (raw audio or SSE) and ``/audio/transcriptions`` (JSON, text or SSE).

Knows the messages and nothing about money or sockets. Speech as ``pcm`` is 24 kHz mono 16-bit;
``wav`` says so itself; other formats do not tell their seconds, nor does WAV in events, which is not decoded.
An upload's seconds come from its WAV head where it has one.
Wire reference: https://platform.openai.com/docs/api-reference/audio (read 2026-11-20).
Captures: tests/captures/openai_speech_*.jsonl, openai_transcriptions_*.jsonl
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import ClassVar

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import NO_EVENTS, HttpDialect, decode_json, is_event_stream
from voicegw_sidecar.events import (
    MESSAGE_LIMIT_CHARS,
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    RequestComplete,
    TextIn,
    Used,
)
from voicegw_sidecar.terms import NOTHING_USED, Modality, Usage
from voicegw_sidecar.wire import multipart
from voicegw_sidecar.wire.body import BodyCopy, short_code
from voicegw_sidecar.wire.frames import RequestHead, ResponseHead
from voicegw_sidecar.wire.pcm import PcmFormat, base64_size
from voicegw_sidecar.wire.sse import SseSplitter
from voicegw_sidecar.wire.wav import WavStream, wav_seconds

_PCM = PcmFormat("pcm_s16le", 24_000)
_WAV_TYPES = ("audio/wav", "audio/x-wav", "audio/wave")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_NAME_LIMIT_BYTES = 256


class _ErrorBody(Struct, frozen=True):
    code: str | int | None = None
    type: str | None = None
    message: str | None = None


class _SpeechRequest(Struct, frozen=True):
    model: str | None = None
    input: str | None = None
    response_format: str | None = None


class _SpeechUsage(Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _SpeechEvent(Struct, frozen=True):
    type: str = ""
    audio: str = ""
    delta: str = ""
    usage: _SpeechUsage | None = None
    error: _ErrorBody | None = None


class _TokenDetails(Struct, frozen=True):
    audio_tokens: int | None = None


class _TranscriptionUsage(Struct, frozen=True):
    type: str = ""
    seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _TokenDetails | None = None


class _Transcription(Struct, frozen=True):
    type: str = ""
    text: str | None = None
    delta: str = ""
    duration: float | str | None = None
    usage: _TranscriptionUsage | None = None
    error: _ErrorBody | None = None


_speech_request = msgspec.json.Decoder(_SpeechRequest)
_speech_event = msgspec.json.Decoder(_SpeechEvent)
_transcription = msgspec.json.Decoder(_Transcription)


class OpenAISpeech(HttpDialect):
    """One ``/audio/speech`` request and the audio it brings."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._format = ""
        self._events: SseSplitter | None = None
        self._wav: WavStream | None = None
        self._is_audio = True

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Events or raw audio: compatible servers ignore ``stream_format``, so only the type tells."""
        events = super().answered(head)
        content_type = head.content_type.lower()
        if is_event_stream(head):
            self._events = SseSplitter()
        elif content_type.startswith(_WAV_TYPES) or (self._format == "wav" and "json" not in content_type):
            self._wav = WavStream()
        self._is_audio = not content_type.startswith(("application/json", "text/"))
        return events

    def _begun(self) -> Iterator[Event]:
        request = decode_json(_speech_request, self._request.content()) or _SpeechRequest()
        self._format = request.response_format or ""
        yield Began(Modality.TTS, model=request.model)
        yield TextIn(request.input or "")
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        if self._events is not None:
            return [event for sse in self._events.feed(data) for event in self._event(sse.data)]
        if self._wav is not None:
            size_bytes, audio_s = self._wav.feed(data)
            return (AudioOut(audio_s),) if size_bytes else NO_EVENTS
        return (AudioOut(self._seconds(len(data))),) if self._is_audio and data else NO_EVENTS

    def _answer_complete(self) -> Iterable[Event]:
        return [*(self._event(self._events.rest()) if self._events else ()), Finished()]

    def _event(self, data: bytes | None) -> Iterator[Event]:
        event = decode_json(_speech_event, data)
        if event is None:
            return
        audio = event.audio or event.delta
        if audio:
            yield AudioOut(self._seconds(base64_size(len(audio), audio.count("=", -2))), audio=audio)
        used = event.usage
        if used is not None and (used.input_tokens is not None or used.output_tokens is not None):
            yield Used(Usage(input_tokens=used.input_tokens, output_audio_tokens=used.output_tokens))
        if event.type == "error":
            yield _failed(event.error)
        if event.type == "speech.audio.done":
            yield Finished()

    def _seconds(self, size_bytes: int) -> float | None:
        return _PCM.seconds(size_bytes) if self._format == "pcm" else None


class OpenAITranscription(HttpDialect):
    """One ``/audio/transcriptions`` upload and its transcript.

    A provider that bills no less than some seconds for each request says so in ``least_billed_s``.
    """

    least_billed_s: ClassVar[float] = 0.0

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._boundary = multipart.boundary(head.content_type)
        self._answer = BodyCopy()
        self._events: SseSplitter | None = None
        self._is_json = True

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """JSON, plain text (also srt and vtt) or events."""
        if is_event_stream(head):
            self._events = SseSplitter()
        self._answer = BodyCopy(head.content_encoding)
        self._is_json = "json" in head.content_type.lower()
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        """The upload names the model; of one over the limit its beginning is enough."""
        model, audio_s = None, None
        body = self._request.head()
        beyond_bytes = self._request.size_bytes - len(body)
        for part in multipart.parts(body, self._boundary) if self._boundary else ():
            if part.is_file:
                audio_s = wav_seconds(part.data, len(part.data) + beyond_bytes)
            elif part.name == "model":
                model = part.data[:_NAME_LIMIT_BYTES].decode("utf-8", "replace").strip() or None
        yield Began(Modality.STT, model=model, audio_s=self._billed_s(audio_s))
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        if self._events is not None:
            return [event for sse in self._events.feed(data) for event in self._event(sse.data)]
        self._answer.add(data)
        return NO_EVENTS

    def _answer_complete(self) -> Iterable[Event]:
        if self._events is not None:
            return [*self._event(self._events.rest()), Finished()]
        body = self._answer.content()
        self._answer.clear()
        answer = decode_json(_transcription, body) if self._is_json else None
        text = answer.text if answer else (body or b"").decode("utf-8", "replace")
        return [*self._transcribed(text, answer), Finished()]

    def _event(self, data: bytes | None) -> Iterator[Event]:
        event = decode_json(_transcription, data)
        match event.type if event is not None else "":
            case "transcript.text.delta" if event is not None and event.delta:
                yield Interim(event.delta)
            case "transcript.text.done" if event is not None:
                yield from self._transcribed(event.text, event)
                yield Finished()
            case "error" if event is not None:
                yield _failed(event.error)
            case _:
                pass

    def _transcribed(self, text: str | None, answer: _Transcription | None) -> Iterator[Event]:
        yield Final(text or "")
        used = (answer.usage if answer else None) or _TranscriptionUsage()
        audio_s = used.seconds
        if audio_s is None and answer is not None:
            audio_s = _number(answer.duration)
        details = used.input_token_details or _TokenDetails()
        usage = Usage(
            input_tokens=used.input_tokens,
            output_tokens=used.output_tokens,
            input_audio_tokens=details.audio_tokens,
            audio_s=self._billed_s(audio_s),
        )
        if usage != NOTHING_USED:
            yield Used(usage)

    def _billed_s(self, audio_s: float | None) -> float | None:
        return None if audio_s is None else max(audio_s, self.least_billed_s)


def _number(value: float | str | None) -> float | None:
    """Read a duration that some servers write as a string."""
    if not isinstance(value, str):
        return value
    return float(value) if _DECIMAL.fullmatch(value) else None


def _failed(error: _ErrorBody | None) -> Failed:
    error = error or _ErrorBody()
    code = short_code(error.code) or short_code(error.type) or "provider_error"
    return Failed(code, message=(error.message or "")[:MESSAGE_LIMIT_CHARS])
