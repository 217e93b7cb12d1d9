"""OpenAI audio: ``/audio/speech`` (raw audio or SSE) and ``/audio/transcriptions`` (JSON, text or SSE).

Knows the messages and nothing about money or sockets. Speech as ``pcm`` is 24 kHz mono 16-bit; other
formats do not tell their seconds. An upload's seconds come from its WAV head where it has one.
Wire reference: https://platform.openai.com/docs/api-reference/audio (read 2026-11-20).
Captures: tests/captures/openai_speech_*.jsonl, openai_transcriptions_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import decode_json
from voicegw_sidecar.events import AudioOut, Began, Event, Final, Finished, RequestComplete, TextIn, Used
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire import multipart
from voicegw_sidecar.wire.body import BodyCopy
from voicegw_sidecar.wire.frames import End, Frame, RequestHead, ResponseHead, Side
from voicegw_sidecar.wire.pcm import PcmFormat, base64_size
from voicegw_sidecar.wire.sse import SseSplitter
from voicegw_sidecar.wire.wav import wav_seconds

_PCM = PcmFormat("pcm_s16le", 24_000)
_WAV_HEAD_BYTES = 44


class _SpeechRequest(Struct, frozen=True):
    model: str | None = None
    input: str = ""
    response_format: str = "mp3"


class _SpeechUsage(Struct, frozen=True):
    input_tokens: int | None = None
    output_tokens: int | None = None


class _SpeechEvent(Struct, frozen=True):
    type: str = ""
    audio: str = ""
    delta: str = ""
    usage: _SpeechUsage | None = None


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
    text: str = ""
    duration: float | str | None = None
    usage: _TranscriptionUsage | None = None


_speech_request = msgspec.json.Decoder(_SpeechRequest)
_speech_event = msgspec.json.Decoder(_SpeechEvent)
_transcription = msgspec.json.Decoder(_Transcription)


class OpenAISpeech:
    """One ``/audio/speech`` request and the audio it brings."""

    def __init__(self, head: RequestHead) -> None:
        self._request = BodyCopy()
        self._format = "mp3"
        self._events: SseSplitter | None = None
        self._to_skip_bytes = 0

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Events or raw audio: compatible servers ignore ``stream_format``, so only the type tells."""
        if head.content_type.startswith("text/event-stream"):
            self._events = SseSplitter()
        elif head.content_type.startswith(("audio/wav", "audio/x-wav")):
            self._format = "wav"
        self._to_skip_bytes = _WAV_HEAD_BYTES if self._format == "wav" else 0
        return ()

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Collect the request; every piece of the answer is audio."""
        if frame.side is Side.AGENT:
            self._request.add(frame.data)
            return ()
        if self._events is not None:
            return [event for sse in self._events.feed(frame.data) for event in self._event(sse.data)]
        size_bytes = len(frame.data)
        skipped = min(size_bytes, self._to_skip_bytes)
        self._to_skip_bytes -= skipped
        return (AudioOut(self._seconds(size_bytes - skipped)),) if size_bytes > skipped else ()

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """The request names model and text; a complete answer is the protocol's end."""
        if side is Side.AGENT:
            return self._begun()
        return (Finished(),) if end is End.COMPLETE else ()

    def _begun(self) -> Iterator[Event]:
        request = decode_json(_speech_request, self._request.content()) or _SpeechRequest()
        self._format = request.response_format
        yield Began(Modality.TTS, model=request.model)
        yield TextIn(request.input)
        yield RequestComplete()

    def _event(self, data: bytes | None) -> Iterator[Event]:
        event = decode_json(_speech_event, data)
        if event is None:
            return
        audio = event.audio or event.delta
        if audio:
            yield AudioOut(self._seconds(base64_size(len(audio), audio.count("=", -2))))
        if event.usage is not None:
            used = event.usage
            yield Used(Usage(input_tokens=used.input_tokens, output_audio_tokens=used.output_tokens))
        if event.type == "speech.audio.done":
            yield Finished()

    def _seconds(self, size_bytes: int) -> float | None:
        return _PCM.seconds(size_bytes) if self._format in ("pcm", "wav") else None


class OpenAITranscription:
    """One ``/audio/transcriptions`` upload and its transcript."""

    def __init__(self, head: RequestHead) -> None:
        self._boundary = multipart.boundary(head.content_type)
        self._request = BodyCopy()
        self._answer = BodyCopy()
        self._events: SseSplitter | None = None
        self._is_json = True
        self._upload_s: float | None = None

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """JSON, plain text (also srt and vtt) or events."""
        if head.content_type.startswith("text/event-stream"):
            self._events = SseSplitter()
        self._answer = BodyCopy(head.content_encoding)
        self._is_json = "json" in head.content_type
        return ()

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Collect both bodies; read events as they come."""
        if frame.side is Side.AGENT:
            self._request.add(frame.data)
        elif self._events is not None:
            return [event for sse in self._events.feed(frame.data) for event in self._event(sse.data)]
        else:
            self._answer.add(frame.data)
        return ()

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """The upload names the model; the complete answer is the final transcript."""
        if side is Side.AGENT:
            return self._begun()
        if end is not End.COMPLETE:
            return ()
        if self._events is not None:
            return (Finished(),)
        body = self._answer.content()
        answer = decode_json(_transcription, body) if self._is_json else None
        text = answer.text if answer else (body or b"").decode("utf-8", "replace")
        return [*self._transcribed(text, answer), Finished()]

    def _begun(self) -> Iterator[Event]:
        model = None
        for part in multipart.parts(self._request.content() or b"", self._boundary) if self._boundary else ():
            if part.is_file:
                self._upload_s = wav_seconds(part.data, len(part.data))
            elif part.name == "model":
                model = part.data.decode("utf-8", "replace").strip()[:128]
        yield Began(Modality.STT, model=model)
        yield RequestComplete()

    def _event(self, data: bytes | None) -> Iterator[Event]:
        event = decode_json(_transcription, data)
        if event is not None and event.type == "transcript.text.done":
            yield from self._transcribed(event.text, event)
            yield Finished()

    def _transcribed(self, text: str, answer: _Transcription | None) -> Iterator[Event]:
        yield Final(text)
        used = answer.usage if answer and answer.usage else _TranscriptionUsage()
        audio_s = used.seconds if used.type == "duration" else self._upload_s
        if audio_s is None and answer is not None and isinstance(answer.duration, int | float):
            audio_s = float(answer.duration)
        details = used.input_token_details or _TokenDetails()
        yield Used(
            Usage(
                input_tokens=used.input_tokens,
                output_tokens=used.output_tokens,
                input_audio_tokens=details.audio_tokens,
                audio_s=audio_s,
            )
        )
