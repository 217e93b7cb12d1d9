"""Deepgram: live speech-to-text and Aura text-to-speech, both over WebSocket.

Knows Deepgram's messages and nothing about money or sockets. Transcript positions are seconds of audio
from the start of the stream; the last word's end is where speech ended.
Wire reference: https://developers.deepgram.com/reference (AsyncAPI, read 2026-11-20).
Captures: tests/captures/deepgram_listen_*.jsonl, deepgram_speak_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import NO_EVENTS, SocketDialect, decode_json
from voicegw_sidecar.events import (
    AudioIn,
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
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, Side
from voicegw_sidecar.wire.pcm import pcm_format

_SPEAK_RATE_HZ = 24_000  # what /v1/speak sends where the query names no rate


class _Word(Struct, frozen=True):
    end: float | None = None


class _Alternative(Struct, frozen=True):
    transcript: str = ""
    words: list[_Word] = []


class _Channel(Struct, frozen=True):
    alternatives: list[_Alternative] = []


class _Listened(Struct, frozen=True):
    """Any message of the listen socket; ``channel`` is a list of numbers where it is no transcript."""

    type: str = ""
    is_final: bool = False
    speech_final: bool = False
    from_finalize: bool = False
    channel: _Channel | list[int] | None = None
    start: float | None = None
    duration: float | None = None


class _Spoken(Struct, frozen=True):
    type: str = ""
    text: str = ""
    err_code: str | None = None
    code: str | None = None


_listened = msgspec.json.Decoder(_Listened)
_spoken = msgspec.json.Decoder(_Spoken)


class DeepgramListen(SocketDialect):
    """``/v1/listen``: binary audio up, Results down; one utterance after the other on one socket."""

    def __init__(self, head: RequestHead) -> None:
        self._model = head.parameter("model")
        self._pcm = pcm_format(head.parameter("encoding"), head.number("sample_rate"), head.number("channels") or 1)
        self._begun = False

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Binary frames are audio, text frames JSON."""
        if frame.side is Side.AGENT:
            return self._heard(frame.data) if frame.kind is Kind.BINARY and frame.data else NO_EVENTS
        message = decode_json(_listened, frame.data) if frame.kind is Kind.TEXT else None
        if message is None:
            return NO_EVENTS
        match message.type:
            case "Results":
                return self._results(message)
            case "UtteranceEnd":
                return (UtteranceEnded(),)
            case "Metadata" if message.duration is not None:
                return (StreamDuration(message.duration),)
            case "Error":
                return (Failed("provider_error", key="*"),)
            case _:
                return NO_EVENTS

    def _heard(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        if not self._begun:
            self._begun = True
            events.append(Began(Modality.STT, model=self._model))
        events.append(AudioIn(data, self._pcm))
        return events

    def _results(self, message: _Listened) -> list[Event]:
        channel = message.channel
        best = channel.alternatives[0] if isinstance(channel, _Channel) and channel.alternatives else _Alternative()
        events: list[Event] = []
        if best.transcript:
            if message.is_final:
                events.append(Final(best.transcript, best.words[-1].end if best.words else None))
            else:
                events.append(Interim(best.transcript))
        if message.is_final and (message.speech_final or message.from_finalize):
            events.append(UtteranceEnded())
        return events


class DeepgramSpeak(SocketDialect):
    """``/v1/speak``: Speak and Flush up, binary audio and Flushed down; utterances in order, keyed by number."""

    def __init__(self, head: RequestHead) -> None:
        self._model = head.parameter("model")
        rate_hz = head.number("sample_rate") or _SPEAK_RATE_HZ
        self._pcm = pcm_format(head.parameter("encoding") or "linear16", rate_hz)
        self._sending = 0
        self._has_text = False
        self._sounding = 0

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Binary frames are audio of the oldest utterance that was not flushed yet."""
        if frame.kind is Kind.BINARY:
            seconds = self._pcm.seconds(len(frame.data)) if self._pcm else None
            return (AudioOut(seconds, str(self._sounding)),) if frame.side is Side.PROVIDER else NO_EVENTS
        message = decode_json(_spoken, frame.data)
        if message is None:
            return NO_EVENTS
        return self._asked(message) if frame.side is Side.AGENT else self._told(message)

    def _asked(self, message: _Spoken) -> list[Event]:
        key = str(self._sending)
        events: list[Event] = []
        match message.type:
            case "Speak" if message.text.strip() or self._has_text:
                if not self._has_text:
                    self._has_text = True
                    events.append(Began(Modality.TTS, key, self._model))
                events.append(TextIn(message.text, key))
            case "Flush" if self._has_text:
                self._sending += 1
                self._has_text = False
            case "Clear":
                events.extend(Stopped(str(number)) for number in range(self._sounding, self._sending + 1))
                self._sending += self._has_text
                self._has_text = False
                self._sounding = self._sending
            case _:
                pass
        return events

    def _told(self, message: _Spoken) -> list[Event]:
        if message.type == "Flushed" and self._sounding < self._sending:
            self._sounding += 1
            return [Finished(str(self._sounding - 1))]
        if message.type == "Error":
            return [Failed(message.err_code or message.code or "provider_error", key="*")]
        return []


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
            "GET", "/v1/listen", Modality.STT, DeepgramListen,
            is_socket=True, catalogue_model=_listen_catalogue_model,
        ),
        Endpoint("GET", "/v1/speak", Modality.TTS, DeepgramSpeak, is_socket=True),
    ),
    catalogue_id="deepgram",
    root_paths=("/v1/listen", "/v2/listen", "/v1/speak", "/v2/speak"),
    missing_v1=("listen", "speak"),
    bare_root="/v1/listen",
)
