"""OpenAI realtime: speech to speech and transcription over one WebSocket, ``/realtime``.

Knows the messages and nothing about money or sockets. Each response is an exchange, keyed by its id; each
transcribed piece of the user's speech is another, billed apart and keyed by its item. OpenAI says that
``audio_end_ms`` includes the session's ``silence_duration_ms``, so speech ended that much earlier; where the session
detects turns by their meaning, or the agent commits by itself, only the sound level tells.
Wire reference: https://developers.openai.com/api/reference/resources/realtime (read 2026-11-21), shapes as the openai
SDK 3.52 decodes them; the names of the beta are read too. Captures: tests/captures/openai_realtime_*.jsonl
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Iterator

import msgspec
from msgspec import UNSET, Struct, UnsetType

from voicegw_sidecar.dialects.base import NO_EVENTS, Ask, SocketDialect, decode_json
from voicegw_sidecar.events import (
    MESSAGE_LIMIT_CHARS,
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Heard,
    Interim,
    SpeechEnded,
    Stopped,
    TextOut,
    Used,
)
from voicegw_sidecar.terms import NOTHING_USED, Modality, Usage
from voicegw_sidecar.wire.body import short_code
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, Side
from voicegw_sidecar.wire.pcm import PcmFormat, base64_size, pcm_format

ITEM_LIMIT = 1024
"""Responses and transcribed items followed at once, each; a session lasts an hour at most."""
_PCM = PcmFormat("pcm_s16le", 24_000)
_G711_HZ = 8000
_SILENCE_MS = 500  # what ends a turn where the session does not say
_FORMATS = {
    "audio/pcmu": "mulaw", "g711_ulaw": "mulaw", "audio/pcma": "alaw", "g711_alaw": "alaw",
    "audio/pcm": "pcm_s16le", "pcm16": "pcm_s16le",
}  # fmt: skip
_AUDIO_DELTAS = frozenset({"response.output_audio.delta", "response.audio.delta"})
_TEXT_DELTAS = frozenset({
    "response.output_text.delta", "response.text.delta", "response.output_audio_transcript.delta",
    "response.audio_transcript.delta",
})  # fmt: skip
_CALL_DELTA = "response.function_call_arguments.delta"
_NOTHING_TO_COMMIT = "input_audio_buffer_commit_empty"  # the provider has committed by itself
_TRANSCRIPTION = "conversation.item.input_audio_transcription."


class _Format(Struct, frozen=True):
    type: str = ""
    rate: int | None = None


class _TurnDetection(Struct, frozen=True):
    type: str = ""
    silence_duration_ms: int | None = None
    create_response: bool | None = None


class _Transcription(Struct, frozen=True):
    model: str | None = None


class _Input(Struct, frozen=True):
    format: _Format | None = None
    transcription: _Transcription | UnsetType | None = UNSET
    turn_detection: _TurnDetection | UnsetType | None = UNSET


class _Output(Struct, frozen=True):
    format: _Format | None = None


class _Audio(Struct, frozen=True):
    input: _Input | None = None
    output: _Output | None = None


class _Session(Struct, frozen=True):
    """What the two sides agree on; the flat names are those of the beta."""

    type: str = ""
    model: str | None = None
    audio: _Audio | None = None
    input_audio_format: str | None = None
    output_audio_format: str | None = None
    input_audio_transcription: _Transcription | UnsetType | None = UNSET
    turn_detection: _TurnDetection | UnsetType | None = UNSET


class _CachedDetails(Struct, frozen=True):
    audio_tokens: int | None = None


class _Details(Struct, frozen=True):
    audio_tokens: int | None = None
    cached_tokens: int | None = None
    cached_tokens_details: _CachedDetails | None = None


class _Usage(Struct, frozen=True):
    """Usage of a response, or of a transcription by tokens or by ``seconds``."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    input_token_details: _Details | None = None
    output_token_details: _Details | None = None
    seconds: float | None = None

    def usage(self) -> Usage:
        """Return the figures in our words."""
        sent, answered = self.input_token_details or _Details(), self.output_token_details or _Details()
        return Usage(
            input_tokens=self.input_tokens,
            cached_input_tokens=sent.cached_tokens,
            cached_input_audio_tokens=(sent.cached_tokens_details or _CachedDetails()).audio_tokens,
            output_tokens=self.output_tokens,
            input_audio_tokens=sent.audio_tokens,
            output_audio_tokens=answered.audio_tokens,
            audio_s=self.seconds,
        )


class _ErrorBody(Struct, frozen=True):
    code: str | None = None
    type: str | None = None
    message: str | None = None


class _StatusDetails(Struct, frozen=True):
    error: _ErrorBody | None = None


class _Response(Struct, frozen=True):
    id: str = ""
    status: str = ""
    status_details: _StatusDetails | None = None
    usage: _Usage | None = None
    audio: _Audio | None = None


class _Language(Struct, frozen=True):
    code: str | None = None


class _Message(Struct, frozen=True):
    """Any message of either side; its sound stays base64 but for what the agent sends."""

    type: str = ""
    audio: str = ""
    delta: str | None = None
    transcript: str | None = None
    item_id: str = ""
    response_id: str = ""
    audio_end_ms: int | None = None
    session: _Session | None = None
    response: _Response | None = None
    usage: _Usage | None = None
    languages: list[_Language] | None = None
    error: _ErrorBody | None = None


_message = msgspec.json.Decoder(_Message)


class OpenAIRealtime(SocketDialect):
    """One realtime session: responses, and the transcripts of what the user said."""

    def __init__(self, head: RequestHead) -> None:
        self._model = head.parameter("model")
        self._is_transcription = head.parameter("intent") == "transcription"
        self._transcriber: str | None = None
        self._is_transcribing = self._is_transcription
        self._input: PcmFormat | None = _PCM
        self._output: PcmFormat | None = _PCM
        self._silence_ms: int | None = _SILENCE_MS
        self._answers_itself = True
        self._ended_at: dict[str, float | None] = {}  # items that were spoken to their end and not committed yet
        self._speech: tuple[float | None] | None = None  # the end of the speech that no response answers yet
        self._items: dict[str, str] = {}  # what is being transcribed, and its text so far
        self._responses: dict[str, PcmFormat | None] = {}

    opens_later = True

    def declines(self, frame: Frame) -> bool:
        """An ``error`` answers a request that will not become a response."""
        return b'"error"' in frame.data and (decode_json(_message, frame.data) or _Message()).type == "error"

    def asks(self, frame: Frame) -> Ask | None:
        """``response.create`` begins a response, and so does the end of speech where the session answers by itself."""
        if frame.kind is not Kind.TEXT or self._is_transcription:
            return None
        wanted = b'"response.create"' if frame.side is Side.AGENT else b'"input_audio_buffer.committed"'
        is_candidate = wanted in frame.data or b"\\" in frame.data  # the type may be spelt with escapes
        message = decode_json(_message, frame.data) if is_candidate else None
        if message is None or message.type.encode() != wanted[1:-1]:
            return None
        if frame.side is Side.PROVIDER and not (self._answers_itself and message.item_id in self._ended_at):
            return None
        return Ask("", self._model, begins=True)

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Both sides speak JSON text."""
        message = decode_json(_message, frame.data) if frame.kind is Kind.TEXT else None
        if message is None:
            return NO_EVENTS
        if message.session is not None:
            self._agree(message.session)
        return self._sent(message) if frame.side is Side.AGENT else self._told(message)

    def _sent(self, message: _Message) -> Iterable[Event]:
        if message.type != "input_audio_buffer.append" or not message.audio:
            return NO_EVENTS
        try:
            return (Heard(binascii.a2b_base64(message.audio), self._input),)
        except (binascii.Error, ValueError):
            return NO_EVENTS

    def _told(self, message: _Message) -> Iterable[Event]:
        kind, response_id = message.type, message.response_id
        if kind in _AUDIO_DELTAS:
            if not message.delta or response_id not in self._responses:
                return NO_EVENTS
            pcm = self._responses[response_id]
            size_bytes = base64_size(len(message.delta), message.delta.count("=", -2))
            return (AudioOut(pcm.seconds(size_bytes) if pcm else None, response_id),)
        if kind in _TEXT_DELTAS:
            return (TextOut(message.delta, response_id),) if message.delta else NO_EVENTS
        if kind == _CALL_DELTA:
            return (TextOut(message.delta, response_id, is_call=True),) if message.delta else NO_EVENTS
        if kind.startswith(_TRANSCRIPTION):
            return self._transcribed(kind.removeprefix(_TRANSCRIPTION), message)
        match kind:
            case "input_audio_buffer.speech_started":
                return self._item(message.item_id) if self._is_transcription else NO_EVENTS
            case "input_audio_buffer.speech_stopped":
                return self._stopped(message)
            case "input_audio_buffer.committed":
                return self._committed(message.item_id)
            case "error" if self._is_transcription and (message.error or _ErrorBody()).code != _NOTHING_TO_COMMIT:
                # it answers a request, not an item: no exchange has this key
                return (_failed(message.error, ""),)
            case "response.created" if message.response is not None:
                return self._created(message.response)
            case "response.done" if message.response is not None:
                return self._done(message.response)
            case _:
                return NO_EVENTS

    def _agree(self, session: _Session) -> None:
        """Take what a session message of either side says; what it leaves out stays."""
        heard = (session.audio or _Audio()).input or _Input()
        spoken = (session.audio or _Audio()).output or _Output()
        self._is_transcription = self._is_transcription or session.type == "transcription"
        self._model = self._model or session.model
        self._input = _pcm(heard.format, session.input_audio_format, self._input)
        self._output = _pcm(spoken.format, session.output_audio_format, self._output)
        for transcription in (session.input_audio_transcription, heard.transcription):
            if not isinstance(transcription, UnsetType):
                self._is_transcribing = transcription is not None or self._is_transcription
                self._transcriber = transcription.model if transcription is not None else self._transcriber
        for detection in (session.turn_detection, heard.turn_detection):
            if not isinstance(detection, UnsetType):
                is_server_vad = detection is not None and detection.type == "server_vad"
                said_ms = detection.silence_duration_ms if detection is not None else None
                self._silence_ms = (_SILENCE_MS if said_ms is None else said_ms) if is_server_vad else None
                self._answers_itself = detection is not None and detection.create_response is not False

    def _stopped(self, message: _Message) -> Iterable[Event]:
        position_s = None
        if message.audio_end_ms is not None and self._silence_ms is not None:
            position_s = max(0, message.audio_end_ms - self._silence_ms) / 1000
        if len(self._ended_at) < ITEM_LIMIT:
            self._ended_at[message.item_id] = position_s
        return (SpeechEnded(position_s, message.item_id),) if message.item_id in self._items else NO_EVENTS

    def _committed(self, item_id: str) -> Iterable[Event]:
        is_told = item_id in self._items and item_id in self._ended_at
        position_s = self._ended_at.pop(item_id, None)
        self._speech = (position_s,)
        if not self._is_transcribing or is_told:
            return NO_EVENTS
        return [*self._item(item_id), SpeechEnded(position_s, item_id)]

    def _item(self, item_id: str) -> Iterable[Event]:
        """Begin the transcription of an item, unless it has begun."""
        if item_id in self._items or len(self._items) >= ITEM_LIMIT:
            return NO_EVENTS
        self._items[item_id] = ""
        return (Began(Modality.STT, item_id, self._transcriber),)

    def _transcribed(self, what: str, message: _Message) -> Iterator[Event]:
        item_id = message.item_id
        match what:
            case "delta" if message.delta:
                yield from self._item(item_id)
                if item_id in self._items:
                    self._items[item_id] += message.delta
                yield Interim(self._items.get(item_id, message.delta), item_id)
            case "completed":
                yield from self._item(item_id)
                self._items.pop(item_id, None)
                if message.transcript:
                    languages = [language.code for language in message.languages or () if language.code]
                    yield Final(message.transcript, key=item_id, language=languages[0] if languages else None)
                yield from _reported(message.usage, item_id)
                yield Finished(item_id)
            case "failed":
                self._items.pop(item_id, None)
                yield _failed(message.error, item_id)
            case _:
                pass

    def _created(self, response: _Response) -> Iterator[Event]:
        speech, self._speech = self._speech, None
        if len(self._responses) >= ITEM_LIMIT:
            return
        spoken = (response.audio or _Audio()).output or _Output()
        self._responses[response.id] = _pcm(spoken.format, None, self._output)
        yield Began(Modality.S2S, response.id, self._model)
        if speech is not None:
            yield SpeechEnded(speech[0], response.id)

    def _done(self, response: _Response) -> Iterator[Event]:
        if response.id not in self._responses:
            return
        del self._responses[response.id]
        yield from _reported(response.usage, response.id)
        match response.status:
            case "cancelled":
                yield Stopped(response.id)
            case "failed":
                yield _failed((response.status_details or _StatusDetails()).error, response.id)
            case _:
                yield Finished(response.id)


def _reported(used: _Usage | None, key: str) -> Iterator[Event]:
    if used is not None and (usage := used.usage()) != NOTHING_USED:
        yield Used(usage, key)


def _pcm(wanted: _Format | None, flat: str | None, known: PcmFormat | None) -> PcmFormat | None:
    """Return the format that a session names, or the known one where it names none."""
    name = wanted.type if wanted is not None and wanted.type else flat
    if name is None:
        return known
    encoding = _FORMATS.get(name)
    rate_hz = _PCM.rate_hz if encoding == _PCM.encoding else _G711_HZ
    return pcm_format(encoding, (wanted.rate if wanted is not None else None) or rate_hz)


def _failed(error: _ErrorBody | None, key: str) -> Failed:
    error = error or _ErrorBody()
    code = short_code(error.code) or short_code(error.type) or "provider_error"
    return Failed(code, key, (error.message or "")[:MESSAGE_LIMIT_CHARS])
