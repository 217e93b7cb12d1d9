"""Deepgram: live speech-to-text and Aura text-to-speech, both over WebSocket.

Knows Deepgram's messages and nothing about money or sockets. Transcript positions are seconds of audio
from the start of the stream; the last word's end is where speech ended.
Wire reference: https://developers.deepgram.com/reference (AsyncAPI, read 2026-11-20).
Captures: tests/captures/deepgram_listen_*.jsonl, deepgram_speak_*.jsonl
"""

from __future__ import annotations

from collections import deque
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
    StreamDuration,
    TextIn,
    UtteranceEnded,
)
from voicegw_sidecar.providers.base import AuthStyle, Endpoint, ErrorShape, Provider
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.body import short_code
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, Side
from voicegw_sidecar.wire.pcm import pcm_format

_SPEAK_RATE_HZ = 24_000  # what /v1/speak sends where the query names no rate
_SPEAK_MODEL = "aura-asteria-en"  # what speaks where the query names no model
_SAME_WORD_S = 0.001
_FLUSH_LIMIT = 1024  # flushes followed that the provider has not answered


class _Word(Struct, frozen=True):
    end: float | None = None


class _Alternative(Struct, frozen=True):
    transcript: str | None = None
    words: list[_Word] | None = None


class _Channel(Struct, frozen=True):
    alternatives: list[_Alternative] | None = None


class _Listened(Struct, frozen=True):
    """Any message of the listen socket; ``channel`` is a list of numbers where it is no transcript."""

    type: str = ""
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None
    channel: _Channel | list[int] | None = None
    duration: float | None = None
    last_word_end: float | None = None


class _Bare(Struct, frozen=True):
    """What still counts of a message whose ``channel`` is in no known shape."""

    type: str = ""
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None


class _Spoken(Struct, frozen=True):
    type: str = ""
    text: str | None = None
    err_code: str | int | None = None
    code: str | int | None = None


_listened = msgspec.json.Decoder(_Listened)
_bare = msgspec.json.Decoder(_Bare)
_spoken = msgspec.json.Decoder(_Spoken)


class DeepgramListen(ListeningDialect):
    """``/v1/listen``: binary audio up, Results down; one utterance after the other on one socket."""

    def __init__(self, head: RequestHead) -> None:
        rate_hz, channels = head.number("sample_rate"), head.number("channels") or 1
        super().__init__(head.parameter("model"), pcm_format(head.parameter("encoding"), rate_hz, channels))
        self._spoken_until_s = 0.0
        self._ended_at_s: float | None = None

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Binary frames are audio, text frames JSON."""
        if frame.side is Side.AGENT:
            return self.heard(frame)
        if frame.kind is not Kind.TEXT:
            return NO_EVENTS
        message = decode_json(_listened, frame.data) or _without_channel(frame.data)
        if message is None:
            return NO_EVENTS
        match message.type:
            case "Results":
                return self._results(message)
            case "UtteranceEnd":
                return self._gap(message.last_word_end)
            case "Metadata" if message.duration is not None:
                return (StreamDuration(message.duration),)
            case "Error":
                return (Failed("provider_error", key="*"),)
            case _:
                return NO_EVENTS

    def _results(self, message: _Listened) -> Iterable[Event]:
        channel = message.channel
        best = channel.alternatives[0] if isinstance(channel, _Channel) and channel.alternatives else _Alternative()
        if not message.is_final:
            return (Interim(best.transcript),) if best.transcript else NO_EVENTS
        events: list[Event] = []
        if best.transcript:
            speech_end_s = best.words[-1].end if best.words else None
            self._spoken_until_s = max(self._spoken_until_s, speech_end_s or 0.0)
            events.append(Final(best.transcript, speech_end_s))
        if message.speech_final or message.from_finalize:
            events.extend(self._end())
        return events

    def _gap(self, last_word_end_s: float | None) -> Iterable[Event]:
        """End the utterance, unless the gap is the one after an utterance that has ended already."""
        is_old = last_word_end_s is not None and self._ended_at_s is not None and last_word_end_s >= 0
        if is_old and (last_word_end_s or 0.0) <= (self._ended_at_s or 0.0) + _SAME_WORD_S:
            return NO_EVENTS
        return self._end()

    def _end(self) -> Iterable[Event]:
        if self._spoken_until_s:
            self._ended_at_s = self._spoken_until_s
        return (UtteranceEnded(),)


def _without_channel(data: bytes) -> _Listened | None:
    bare = decode_json(_bare, data)
    return None if bare is None else _Listened(bare.type, bare.is_final, bare.speech_final, bare.from_finalize)


class DeepgramSpeak(SocketDialect):
    """``/v1/speak``: Speak and Flush up, binary audio and Flushed down; utterances in order, keyed by number."""

    def __init__(self, head: RequestHead) -> None:
        self._model = head.parameter("model") or _SPEAK_MODEL
        rate_hz = head.number("sample_rate") or _SPEAK_RATE_HZ
        self._pcm = pcm_format(head.parameter("encoding") or "linear16", rate_hz)
        self._number = 0
        self._has_text = False
        # utterances that were flushed, oldest first; None is a flush of nothing
        self._flushed: deque[int | None] = deque()
        self._has_audio = False
        self._clearing = 0
        self._is_closing = False

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Binary frames are audio of the oldest utterance that is not spoken yet."""
        if frame.kind is Kind.BINARY:
            return self._sounded(frame.data) if frame.side is Side.PROVIDER else NO_EVENTS
        message = decode_json(_spoken, frame.data)
        if message is None:
            return NO_EVENTS
        return self._asked(message) if frame.side is Side.AGENT else self._told(message)

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """A close in good order is the answer to ``Close``; unasked it leaves utterances unspoken."""
        if side is Side.AGENT or end is not End.COMPLETE:
            return NO_EVENTS
        if not self._is_closing:
            return (Failed("connection_closed", key="*"),)
        return [Finished(str(number)) for number in self._waiting()]

    def _waiting(self) -> list[int]:
        """Utterances not spoken to their end, oldest first."""
        flushed = [number for number in self._flushed if number is not None]
        return [*flushed, self._number] if self._has_text else flushed

    def _sounded(self, data: bytes) -> Iterable[Event]:
        if self._clearing or not data:
            return NO_EVENTS
        self._has_audio = True
        sounding = next((number for number in self._flushed if number is not None), self._number)
        return (AudioOut(self._pcm.seconds(len(data)) if self._pcm else None, str(sounding)),)

    def _asked(self, message: _Spoken) -> Iterable[Event]:
        events: list[Event] = []
        text = message.text or ""
        match message.type:
            case "Speak" if text.strip() or self._has_text:
                if not self._has_text:
                    self._has_text = True
                    events.append(Began(Modality.TTS, str(self._number), self._model))
                events.append(TextIn(text, str(self._number)))
            case "Flush" if len(self._flushed) < _FLUSH_LIMIT:
                self._flushed.append(self._number if self._has_text else None)
                self._next()
            case "Clear":
                events.extend(Stopped(str(number)) for number in self._waiting())
                self._flushed.clear()
                self._next()
                self._has_audio = False
                self._clearing += 1  # what is still under way belongs to what was stopped
            case "Close":
                self._is_closing = True
            case _:
                pass
        return events

    def _next(self) -> None:
        self._number += self._has_text
        self._has_text = False

    def _told(self, message: _Spoken) -> Iterable[Event]:
        match message.type:
            case "Cleared":
                self._clearing = max(0, self._clearing - 1)
            case "Flushed" if not self._clearing:
                return self._spoken_to_end()
            case "Error":
                code = short_code(message.err_code) or short_code(message.code) or "provider_error"
                self._flushed.clear()
                self._next()
                return (Failed(code, key="*"),)
            case _:
                pass
        return NO_EVENTS

    def _spoken_to_end(self) -> Iterable[Event]:
        """Match a ``Flushed`` to its flush: one of nothing has no audio before it, and may go unanswered."""
        if self._has_audio:
            while len(self._flushed) > 1 and self._flushed[0] is None:
                self._flushed.popleft()
        number = self._flushed.popleft() if self._flushed else None
        if number is None:
            return NO_EVENTS
        self._has_audio = False
        return (Finished(str(number)),)


def _listen_catalogue_model(model: str, head: RequestHead) -> str:
    """Nova-3 has a price of its own where the query asks for several languages at once."""
    is_multilingual = head.parameter("language") == "multi" and model.startswith("nova-3")
    return "nova-3-multilingual" if is_multilingual else model


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    return {"err_code": code, "err_msg": message, "request_id": ""}


DEEPGRAM = Provider(
    id="deepgram",
    base_url="https://api.deepgram.com",
    auth=AuthStyle.TOKEN,
    errors=ErrorShape(_error_body),
    endpoints=(
        Endpoint(
            "GET",
            "/v1/listen",
            Modality.STT,
            DeepgramListen,
            is_socket=True,
            catalogue_model=_listen_catalogue_model,
        ),
        Endpoint("GET", "/v1/speak", Modality.TTS, DeepgramSpeak, is_socket=True),
    ),
    catalogue_id="deepgram",
    root_paths=("/v1/listen", "/v2/listen", "/v1/speak", "/v2/speak"),
    missing_v1=("listen", "speak"),
    bare_root="/v1/listen",
)
