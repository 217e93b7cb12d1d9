"""Cartesia: text-to-speech over WebSocket contexts, and speech-to-text by turns.

Knows Cartesia's messages and nothing about money or sockets. Its turn messages hold no audio positions,
so the end of speech comes from the sound level.
Wire reference: https://docs.cartesia.ai/api-reference (read 2026-11-20).
Captures: tests/captures/cartesia_tts_*.jsonl, cartesia_turns_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import NO_EVENTS, ListeningDialect, SocketDialect, decode_json
from voicegw_sidecar.events import (
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    Stopped,
    TextIn,
    UtteranceEnded,
)
from voicegw_sidecar.providers.base import AuthStyle, Endpoint, ErrorShape, Provider
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.body import short_code
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, Side
from voicegw_sidecar.wire.pcm import PcmFormat, base64_size, pcm_format

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
    """A message of Cartesia; ``data`` stays base64: its length tells the seconds."""

    type: str = ""
    context_id: str | None = None
    data: str | None = None
    done: bool | None = None
    error_code: str | None = None
    status_code: int | None = None


class _TurnMessage(Struct, frozen=True):
    type: str = ""
    transcript: str | None = None
    error_code: str | None = None


_generation = msgspec.json.Decoder(_Generation)
_generated = msgspec.json.Decoder(_Generated)
_turn_message = msgspec.json.Decoder(_TurnMessage)


class CartesiaSpeech(SocketDialect):
    """``/tts/websocket``: many contexts interleaved on one socket, each one utterance."""

    def __init__(self, head: RequestHead) -> None:
        self._contexts: dict[str, PcmFormat | None] = {}

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
        match answer.type:
            case "error" if key:
                self._contexts.pop(key, None)
                return (Failed(_code(answer), key),)
            case "error":
                self._contexts.clear()
                return (Failed(_code(answer), key="*"),)
            case "chunk" if answer.data and key in self._contexts:
                pcm = self._contexts[key]
                size_bytes = base64_size(len(answer.data), answer.data.count("=", -2))
                return (AudioOut(pcm.seconds(size_bytes) if pcm else None, key),)
            case "done" if answer.done is not False and key in self._contexts:
                del self._contexts[key]
                return (Finished(key),)
            case _:
                return NO_EVENTS


def _code(answer: _Generated) -> str:
    return short_code(answer.error_code) or f"error_{answer.status_code or 'frame'}"


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
                return (Interim(message.transcript),)
            case "turn.end" if message.transcript:
                return (Final(message.transcript), UtteranceEnded())
            case "error":
                return (Failed(short_code(message.error_code) or "provider_error", key="*"),)
            case _:
                return NO_EVENTS


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    return {"error_code": code, "title": code.replace("_", " ").capitalize(), "message": message, "request_id": ""}


CARTESIA = Provider(
    id="cartesia",
    base_url="https://api.cartesia.ai",
    auth=AuthStyle.X_API_KEY,
    errors=ErrorShape(_error_body),
    endpoints=(
        Endpoint("GET", "/tts/websocket", Modality.TTS, CartesiaSpeech, is_socket=True),
        Endpoint("GET", "/stt/turns/websocket", Modality.STT, CartesiaTurns, is_socket=True),
    ),
    catalogue_id="cartesia",
    root_paths=("/stt/websocket", "/stt/turns/websocket", "/tts/websocket", "/tts/bytes", "/tts/sse"),
    query_credentials=("api_key", "access_token"),
)
