"""Deepgram text-to-speech: Aura (``/v1/speak``) and Flux (``/v2/speak``), each over a WebSocket and over HTTP.

Knows Deepgram's messages and nothing about money or sockets. On a socket an utterance is the text up to a ``Flush``.
Aura answers it with ``Flushed``; Flux with ``SpeechMetadata``, and a trailing ``Flushed`` that says nothing new.
Wire reference: https://developers.deepgram.com/reference (AsyncAPI, read 2026-11-20), shapes of Flux as the deepgram
SDK 7.17 decodes them. Captures: tests/captures/deepgram_speak_*.jsonl, deepgram_flux_speak_*.jsonl
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import ClassVar

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import NO_EVENTS, Ask, HttpDialect, SocketDialect, decode_json
from voicegw_sidecar.events import (
    MESSAGE_LIMIT_CHARS,
    AudioOut,
    Began,
    Event,
    Failed,
    Finished,
    RequestComplete,
    Stopped,
    TextIn,
)
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.body import short_code
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side
from voicegw_sidecar.wire.pcm import pcm_format
from voicegw_sidecar.wire.wav import WavStream

_SPEAK_RATE_HZ = 24_000  # what /v1/speak sends where the query names no rate
_SPEAK_MODEL = "aura-asteria-en"  # what speaks where the query names no model
_FLUSH_LIMIT = 1024  # flushes followed that the provider has not answered


class _Spoken(Struct, frozen=True):
    """A message of either side; an error of Aura has ``err_`` fields, one of Flux a ``code`` and a ``description``."""

    type: str = ""
    text: str | None = None
    err_code: str | int | None = None
    err_msg: str | None = None
    code: str | int | None = None
    description: str | None = None


class _SpeakRequest(Struct, frozen=True):
    text: str | None = None


_spoken = msgspec.json.Decoder(_Spoken)
_speak_request = msgspec.json.Decoder(_SpeakRequest)


class DeepgramSpeak(SocketDialect):
    """``/v1/speak``: Speak and Flush up, binary audio and Flushed down; utterances in order, keyed by number."""

    default_model: ClassVar[str | None] = _SPEAK_MODEL
    default_rate_hz: ClassVar[int | None] = _SPEAK_RATE_HZ

    def __init__(self, head: RequestHead) -> None:
        self._model = head.parameter("model") or self.default_model
        rate_hz = head.number("sample_rate") or self.default_rate_hz
        self._pcm = pcm_format(head.parameter("encoding") or "linear16", rate_hz)
        self._number = 0
        self._has_text = False
        # utterances that were flushed, oldest first; None is a flush of nothing
        self._flushed: deque[int | None] = deque()
        self._has_audio = False
        self._clearing = 0
        self._is_closing = False

    def asks(self, frame: Frame) -> Ask | None:
        """The first text of an utterance begins it."""
        message = None
        if frame.side is Side.AGENT and frame.kind is Kind.TEXT:
            message = decode_json(_spoken, frame.data)
        if message is None or message.type != "Speak" or not (self._has_text or (message.text or "").strip()):
            return None
        return Ask(str(self._number), self._model, begins=not self._has_text)

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
        return (AudioOut(self._pcm.seconds(len(data)) if self._pcm else None, str(sounding), data),)

    def _asked(self, message: _Spoken) -> list[Event]:
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
                return self._failed(message)
            case _:
                pass
        return NO_EVENTS

    def _failed(self, message: _Spoken) -> Iterable[Event]:
        self._flushed.clear()
        self._next()
        code = short_code(message.err_code) or short_code(message.code) or "provider_error"
        described = (message.description or message.err_msg or "")[:MESSAGE_LIMIT_CHARS]
        return (Failed(code, key="*", message=described),)

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


class DeepgramFluxSpeak(DeepgramSpeak):
    """``/v2/speak``: as Aura's socket, but that turns end with ``SpeechMetadata`` and can be interrupted.

    The rate is the model's own where the query names none: then the audio does not tell its seconds.
    """

    default_model = None
    default_rate_hz = None

    def _asked(self, message: _Spoken) -> list[Event]:
        if message.type == "Flush" and not self._has_text:
            return []  # answered with a warning only
        return [] if message.type == "Clear" else super()._asked(message)

    def _told(self, message: _Spoken) -> Iterable[Event]:
        match message.type:
            case "SpeechMetadata":
                return self._spoken_to_end()
            case "SpeechInterrupted":
                return self._interrupted()
            case "Error":
                return self._failed(message)
            case _:
                return NO_EVENTS

    def _interrupted(self) -> Iterable[Event]:
        """The turn that was being spoken ends here; those behind it are still to come."""
        waiting = self._waiting()
        if not waiting:
            return NO_EVENTS
        if self._flushed:
            self._flushed.popleft()
        else:
            self._next()
        self._has_audio = False
        return (Stopped(str(waiting[0])),)


class DeepgramSpeech(HttpDialect):
    """``POST /v1/speak`` and ``/v2/speak``: a text, and its audio as one body.

    Only PCM tells its seconds: plain (``container=none``) by the query, else by the head of its WAV file.
    """

    default_model: ClassVar[str | None] = _SPEAK_MODEL

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._model = head.parameter("model") or self.default_model
        is_bare = head.parameter("container") == "none"
        rate_hz = head.number("sample_rate") or _SPEAK_RATE_HZ
        self._pcm = pcm_format(head.parameter("encoding") or "linear16", rate_hz) if is_bare else None
        self._wav: WavStream | None = None
        self._is_audio = True

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Audio, or the receipt of a request whose audio goes to a ``callback``."""
        content_type = head.content_type.lower()
        self._is_audio = not content_type.startswith(("application/json", "text/"))
        self._wav = WavStream() if self._pcm is None else None
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        request = decode_json(_speak_request, self._request.content()) or _SpeakRequest()
        yield Began(Modality.TTS, model=self._model)
        yield TextIn(request.text or "")
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        if not self._is_audio or not data:
            return NO_EVENTS
        if self._pcm is not None:
            return (AudioOut(self._pcm.seconds(len(data))),)
        size_bytes, audio_s = self._wav.feed(data) if self._wav is not None else (len(data), None)
        return (AudioOut(audio_s),) if size_bytes else NO_EVENTS

    def _answer_complete(self) -> Iterable[Event]:
        return (Finished(),)


class DeepgramFluxSpeech(DeepgramSpeech):
    """``POST /v2/speak``: no voice is the default one."""

    default_model = None
