"""Cartesia: text-to-speech over WebSocket contexts and HTTP, and speech-to-text by turns, by commands and in batch.

Knows Cartesia's messages and nothing about money or sockets. Its transcripts hold no positions in the whole
stream, so the end of speech comes from the sound level. Batch transcription has the shape of OpenAI's.
Wire reference: https://docs.cartesia.ai/api-reference (read 2026-11-20), shapes as the cartesia SDK 4.2 decodes them.
Captures: tests/captures/cartesia_tts_*.jsonl, cartesia_turns_*.jsonl, cartesia_stt_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import (
    NO_EVENTS,
    Ask,
    HttpDialect,
    ListeningDialect,
    SocketDialect,
    decode_json,
    is_event_stream,
)
from voicegw_sidecar.dialects.openai_audio import OpenAITranscription
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
    Stopped,
    TextIn,
    UtteranceEnded,
)
from voicegw_sidecar.providers.base import AuthStyle, Baseline, Endpoint, ErrorShape, Provider
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.body import short_code
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side
from voicegw_sidecar.wire.pcm import PcmFormat, base64_size, pcm_format
from voicegw_sidecar.wire.sse import SseSplitter
from voicegw_sidecar.wire.wav import WavStream

_WHISPER = "ink-whisper"
_STRUCTURED_SINCE = "2026-03-01"  # errors of older versions are text (https://docs.cartesia.ai/use-the-api/api-errors)
CONTEXT_LIMIT = 1024
"""Contexts followed at once on one socket; a thousand times what any agent was seen to hold."""


class _OutputFormat(Struct, frozen=True):
    container: str = ""
    encoding: str | None = None
    sample_rate: int | None = None


class _Generation(Struct, frozen=True):
    """A message of the agent."""

    context_id: str | None = None
    transcript: str | None = None
    model_id: str | None = None
    output_format: _OutputFormat | None = None
    cancel: bool | None = None


class _Generated(Struct, frozen=True):
    """A message of Cartesia; ``data`` stays base64: its length tells the seconds.

    An error has a ``message``, in older versions an ``error``.
    """

    type: str = ""
    context_id: str | None = None
    data: str | None = None
    done: bool | None = None
    error_code: str | None = None
    status_code: int | None = None
    message: str | None = None
    error: str | None = None


class _TurnMessage(Struct, frozen=True):
    """A message of the turns socket; an error has a ``message``, in older versions an ``error``."""

    type: str = ""
    transcript: str | None = None
    error_code: str | None = None
    message: str | None = None
    error: str | None = None


class _TranscriptMessage(Struct, frozen=True):
    type: str = ""
    is_final: bool | None = None
    text: str | None = None
    language: str | None = None
    error_code: str | None = None
    message: str | None = None
    error: str | None = None


_transcript_message = msgspec.json.Decoder(_TranscriptMessage)
_generation = msgspec.json.Decoder(_Generation)
_generated = msgspec.json.Decoder(_Generated)
_turn_message = msgspec.json.Decoder(_TurnMessage)


class CartesiaSpeech(SocketDialect):
    """``/tts/websocket``: many contexts interleaved on one socket, each one utterance."""

    def __init__(self, head: RequestHead) -> None:
        self._contexts: dict[str, PcmFormat | None] = {}

    def asks(self, frame: Frame) -> Ask | None:
        """The first text of a context begins it."""
        if frame.side is not Side.AGENT or frame.kind is not Kind.TEXT:
            return None
        sent = decode_json(_generation, frame.data)
        if sent is None:
            return None
        key = sent.context_id or ""
        begins = not sent.cancel and key not in self._contexts and bool((sent.transcript or "").strip())
        return Ask(key, sent.model_id, begins)

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Both sides speak JSON text."""
        if frame.kind is not Kind.TEXT:
            return NO_EVENTS
        if frame.side is Side.AGENT:
            sent = decode_json(_generation, frame.data)
            return self._asked(sent) if sent else NO_EVENTS
        answer = decode_json(_generated, frame.data)
        return self._told(answer) if answer else NO_EVENTS

    def _asked(self, sent: _Generation) -> list[Event]:
        key = sent.context_id or ""
        if sent.cancel:
            self._contexts.pop(key, None)
            return [Stopped(key)]
        text = sent.transcript or ""
        if key in self._contexts:
            return [TextIn(text, key)] if text else []
        if not text.strip() or len(self._contexts) >= CONTEXT_LIMIT:
            return []  # an opening or closing blank: nothing to speak, nothing to bill
        output = sent.output_format or _OutputFormat()
        self._contexts[key] = pcm_format(output.encoding, output.sample_rate)
        return [Began(Modality.TTS, key, sent.model_id), TextIn(text, key)]

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """Cartesia closing, even in good order, leaves open contexts unspoken."""
        if side is Side.AGENT or end is not End.COMPLETE:
            return NO_EVENTS
        return (Failed("connection_closed", key="*"),)

    def _told(self, answer: _Generated) -> Iterable[Event]:
        key = answer.context_id or ""
        if key not in self._contexts and "" in self._contexts:
            key = ""  # the agent named no context, so the provider did
        match answer.type:
            case "error" if key:
                self._contexts.pop(key, None)
                return (_not_spoken(answer, key),)
            case "error":
                self._contexts.clear()
                return (_not_spoken(answer, "*"),)
            case "chunk" if answer.data and key in self._contexts:
                pcm = self._contexts[key]
                size_bytes = base64_size(len(answer.data), answer.data.count("=", -2))
                return (AudioOut(pcm.seconds(size_bytes) if pcm else None, key, answer.data),)
            case "done" if answer.done is not False and key in self._contexts:
                del self._contexts[key]
                return (Finished(key),)
            case _:
                return NO_EVENTS


def _not_spoken(answer: _Generated, key: str) -> Failed:
    code = short_code(answer.error_code) or f"error_{answer.status_code or 'frame'}"
    return Failed(code, key, (answer.message or answer.error or "")[:MESSAGE_LIMIT_CHARS])


class CartesiaSpeechRequest(HttpDialect):
    """``POST /tts/bytes`` and ``/tts/sse``: a text, and its audio as one body or in events."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._pcm: PcmFormat | None = None
        self._events: SseSplitter | None = None
        self._wav: WavStream | None = None

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Events or audio, by their type."""
        if is_event_stream(head):
            self._events = SseSplitter()
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        request = decode_json(_generation, self._request.content()) or _Generation()
        output = request.output_format or _OutputFormat()
        self._pcm = pcm_format(output.encoding, output.sample_rate) if output.container == "raw" else None
        self._wav = WavStream() if output.container == "wav" else None
        yield Began(Modality.TTS, model=request.model_id)
        yield TextIn(request.transcript or "")
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        if self._events is not None:
            return [event for sse in self._events.feed(data) for event in self._event(sse.data)]
        if self._wav is not None:
            size_bytes, audio_s = self._wav.feed(data)
            return (AudioOut(audio_s),) if size_bytes else NO_EVENTS
        return (AudioOut(self._pcm.seconds(len(data)) if self._pcm else None),) if data else NO_EVENTS

    def _answer_complete(self) -> Iterable[Event]:
        return [*(self._event(self._events.rest()) if self._events else ()), Finished()]

    def _event(self, data: bytes | None) -> Iterator[Event]:
        answer = decode_json(_generated, data)
        match answer.type if answer is not None else "":
            case "chunk" if answer is not None and answer.data:
                size_bytes = base64_size(len(answer.data), answer.data.count("=", -2))
                yield AudioOut(self._pcm.seconds(size_bytes) if self._pcm else None, audio=answer.data)
            case "error" if answer is not None:
                yield _not_spoken(answer, "")
            case "done":
                yield Finished()
            case _:
                pass


class CartesiaTurns(ListeningDialect):
    """``/stt/turns/websocket``: binary audio up, turns with cumulative transcripts down."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head.parameter("model"), pcm_format(head.parameter("encoding"), head.number("sample_rate")))

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Binary frames are audio, text frames JSON."""
        if frame.side is Side.AGENT:
            return self.heard(frame)
        message = decode_json(_turn_message, frame.data) if frame.kind is Kind.TEXT else None
        if message is None:
            return NO_EVENTS
        match message.type:
            case "turn.update" | "turn.eager_end" if message.transcript:
                return (Interim(message.transcript, is_eager=message.type == "turn.eager_end"),)
            case "turn.end" if message.transcript:
                return (Final(message.transcript), UtteranceEnded())
            case "error":
                return (_not_heard(message),)
            case _:
                return NO_EVENTS


class CartesiaListen(ListeningDialect):
    """``/stt/websocket``: binary audio and the words ``finalize`` and ``close`` up, pieces of transcript down.

    An utterance ends with the answer to its ``finalize``; Ink-Whisper also ends it by itself, with a final piece.
    """

    def __init__(self, head: RequestHead) -> None:
        model = head.parameter("model")
        super().__init__(model, pcm_format(head.parameter("encoding"), head.number("sample_rate")))
        self._ends_itself = (model or "").startswith(_WHISPER)
        self._finalizing = 0

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Binary frames are audio; text frames are bare words up and JSON down."""
        if frame.side is Side.AGENT:
            self._finalizing += frame.kind is Kind.TEXT and frame.data.strip() == b"finalize"
            return self.heard(frame)
        message = decode_json(_transcript_message, frame.data) if frame.kind is Kind.TEXT else None
        if message is None:
            return NO_EVENTS
        match message.type:
            case "transcript" if message.text and not message.is_final:
                return (Interim(message.text),)
            case "transcript" if message.text:
                final = Final(message.text, language=message.language)
                is_end = self._ends_itself and not self._finalizing
                return (final, UtteranceEnded()) if is_end else (final,)
            case "flush_done":
                self._finalizing = max(0, self._finalizing - 1)
                return (UtteranceEnded(),)
            case "done":
                return (UtteranceEnded(),)
            case "error":
                return (_not_heard(message),)
            case _:
                return NO_EVENTS


def _not_heard(told: _TurnMessage | _TranscriptMessage) -> Failed:
    described = (told.message or told.error or "")[:MESSAGE_LIMIT_CHARS]
    return Failed(short_code(told.error_code) or "provider_error", key="*", message=described)


def _live_model(model: str, head: RequestHead) -> str:
    """Ink-Whisper under its dated names too, which the catalogue takes for Ink-2."""
    return _WHISPER if model.startswith(_WHISPER) else model


def _batch_model(model: str, head: RequestHead) -> str:
    """Half the price of the stream."""
    return f"{_WHISPER}-batch" if model.startswith(_WHISPER) else model


def _title(code: str) -> str:
    return code.replace("_", " ").capitalize()


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    return {"error_code": code, "title": _title(code), "message": message, "request_id": ""}


def _error_text(code: str, message: str, headers: Mapping[str, str]) -> str | None:
    """Word an error as text for clients of a version that knows no other form."""
    version = headers.get("cartesia-version", "")
    return f"{_title(code)}: {message}" if "" < version < _STRUCTURED_SINCE else None


def _error_frame(key: str, code: str, message: str) -> dict[str, object]:
    body = _error_body(402, code, message)
    return {"type": "error", "done": True, "status_code": 402, **body, "context_id": key}


CARTESIA = Provider(
    id="cartesia",
    base_url="https://api.cartesia.ai",
    auth=AuthStyle.X_API_KEY,
    errors=ErrorShape(_error_body, _error_text),
    endpoints=(
        Endpoint("GET", "/tts/websocket", Modality.TTS, CartesiaSpeech, is_socket=True, refusal_frame=_error_frame),
        Endpoint("POST", "/tts/bytes", Modality.TTS, CartesiaSpeechRequest),
        Endpoint("POST", "/tts/sse", Modality.TTS, CartesiaSpeechRequest),
        Endpoint(
            "GET", "/stt/turns/websocket", Modality.STT, CartesiaTurns, is_socket=True, catalogue_model=_live_model
        ),
        Endpoint("GET", "/stt/websocket", Modality.STT, CartesiaListen, is_socket=True, catalogue_model=_live_model),
        Endpoint("POST", "/stt", Modality.STT, OpenAITranscription, catalogue_model=_batch_model),
        Endpoint("POST", "/audio/transcriptions", Modality.STT, OpenAITranscription, catalogue_model=_batch_model),
    ),
    baselines=(Baseline(Modality.TTS, 150, "curated", "2026-05-11"),),
    default_models=((Modality.STT, "ink-2"), (Modality.TTS, "sonic-3")),
    catalogue_id="cartesia",
    root_paths=("/stt/websocket", "/stt/turns/websocket", "/tts/websocket", "/tts/bytes", "/tts/sse"),
)
