"""ElevenLabs' sockets: speech from text as one stream or as many contexts, and Scribe's live transcripts.

Knows ElevenLabs' messages and nothing about money or sockets. Everything is JSON text; audio stays base64 where
its length tells the seconds. The model is in the query. Transcripts say where words end in seconds of audio, but
only in their second copy, which comes where timestamps or the language were asked for.
Wire reference: https://elevenlabs.io/docs/api-reference (read 2026-11-21), messages as the elevenlabs SDK 2.78
types them and LiveKit's plugin 1.8 and Pipecat 1.14 send them.
Captures: tests/captures/elevenlabs_stream_*.jsonl, elevenlabs_multi_*.jsonl, elevenlabs_dialogue_*.jsonl,
elevenlabs_scribe_*.jsonl
"""

from __future__ import annotations

import binascii
import math
from collections.abc import Iterable

import msgspec
from msgspec import Struct, field

from voicegw_sidecar.dialects.base import NO_EVENTS, Ask, SocketDialect, decode_json
from voicegw_sidecar.events import (
    MESSAGE_LIMIT_CHARS,
    AudioIn,
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    SpeechEnded,
    Stopped,
    TextIn,
    UtteranceEnded,
    Word,
)
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.body import short_code
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, Side
from voicegw_sidecar.wire.pcm import PcmFormat, base64_size, pcm_format

CONTEXT_LIMIT = 1024
"""Contexts followed at once on one socket; ElevenLabs itself allows five."""
DEFAULT_FORMAT = "mp3_44100_128"
_RAW_ENCODINGS = {"pcm": "pcm_s16le", "wav": "pcm_s16le", "ulaw": "mulaw", "alaw": "alaw"}
_LISTEN_FORMAT = "pcm_16000"
_BYTES_PER_KBIT = 125
_DIGITS = 10  # no rate has so many


class _Line(Struct, frozen=True):
    text: str | None = None


class _Sent(Struct, frozen=True):
    """A message of the agent: ``text`` for speech, ``inputs`` for a dialogue."""

    text: str | None = None
    inputs: list[_Line] | None = None
    context_id: str | None = None
    context_id_camel: str | None = field(default=None, name="contextId")
    flush: bool | None = None
    close_context: bool | None = None
    close_socket: bool | None = None

    @property
    def key(self) -> str:
        """The context it is for; "" is the default one."""
        return self.context_id or self.context_id_camel or ""

    @property
    def words(self) -> str:
        """All it wants spoken."""
        return (self.text or "") + "".join([line.text or "" for line in self.inputs or ()])


class _Told(Struct, frozen=True):
    """A message of ElevenLabs; speech has camelCase names, dialogues snake_case ones."""

    audio: str | None = None
    is_final: bool | None = None
    is_final_camel: bool | None = field(default=None, name="isFinal")
    context_id: str | None = None
    context_id_camel: str | None = field(default=None, name="contextId")
    error: str | int | None = None
    code: str | int | None = None
    message: str | None = None


class _Word(Struct, frozen=True):
    text: str = ""
    start: float | None = None
    end: float | None = None
    type: str | None = None
    speaker_id: str | None = None
    logprob: float | None = None

    @property
    def word(self) -> Word:
        """The word in our words; ``logprob`` is the logarithm of its probability."""
        confidence = None if self.logprob is None or self.logprob > 0 else math.exp(self.logprob)
        return Word(self.text, self.start, self.end, confidence, self.speaker_id)


class _Chunk(Struct, frozen=True):
    message_type: str = ""
    audio_base_64: str = ""


class _Heard(Struct, frozen=True):
    message_type: str = ""
    text: str | None = None
    words: list[_Word] | None = None
    language_code: str | None = None
    error: str | None = None


_sent = msgspec.json.Decoder(_Sent)
_told = msgspec.json.Decoder(_Told)
_chunk = msgspec.json.Decoder(_Chunk)
_heard = msgspec.json.Decoder(_Heard)


def raw_format(name: str | None) -> PcmFormat | None:
    """Return the samples behind a format such as ``pcm_16000``, ``wav_24000`` or ``ulaw_8000``, else None."""
    codec, _, rate = (name or "").partition("_")
    return pcm_format(_RAW_ENCODINGS.get(codec), _number(rate))


def sound_seconds(name: str | None, size_bytes: int) -> float | None:
    """Return the seconds of sound in a format such as ``mp3_44100_128``, whose last part is kilobits a second."""
    codec, _, rates = (name or DEFAULT_FORMAT).partition("_")
    pcm = raw_format(name)
    if pcm is not None:
        return pcm.seconds(size_bytes)
    kbit_per_s = _number(rates.partition("_")[2])
    return size_bytes / (kbit_per_s * _BYTES_PER_KBIT) if kbit_per_s and codec in ("mp3", "opus") else None


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < _DIGITS else None


class _Context:
    """One context that is being spoken."""

    __slots__ = ("is_closing", "is_flushed")

    def __init__(self) -> None:
        self.is_flushed = False
        self.is_closing = False


class ElevenLabsStream(SocketDialect):
    """``…/stream-input``: the text of one exchange, ended by an empty ``text`` (of a dialogue by ``close_socket``)."""

    def __init__(self, head: RequestHead) -> None:
        self._model = head.parameter("model_id")
        self._format = head.parameter("output_format")
        self._contexts: dict[str, _Context] = {}
        self._has_names = False
        self._is_closing = False

    @property
    def model(self) -> str | None:
        """The model that the address names."""
        return self._model

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Both sides speak JSON text."""
        if frame.kind is not Kind.TEXT:
            return NO_EVENTS
        if frame.side is Side.AGENT:
            sent = decode_json(_sent, frame.data)
            return self._asked(sent) if sent else NO_EVENTS
        told = decode_json(_told, frame.data)
        return self._answered(told) if told else NO_EVENTS

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        """A close in good order is the answer to the end of the text; unasked it leaves contexts unspoken."""
        if side is Side.AGENT or end is not End.COMPLETE:
            return NO_EVENTS
        if not self._is_closing:
            return (Failed("connection_closed", key="*"),)
        return [Finished(key) for key in self._contexts]

    def _asked(self, sent: _Sent) -> Iterable[Event]:
        if sent.close_socket or (sent.text == "" and sent.inputs is None):
            self._is_closing = True
        return self._spoken("", sent)

    def _spoken(self, key: str, sent: _Sent) -> list[Event]:
        """Take text for a context; the first that is not blank begins it, an opening blank does not."""
        text, context = sent.words, self._contexts.get(key)
        events: list[Event] = []
        if context is None:
            if not text.strip() or len(self._contexts) >= CONTEXT_LIMIT:
                return events
            context = self._contexts[key] = _Context()
            self._has_names = self._has_names or bool(key)
            events.append(Began(Modality.TTS, key, self._model))
        if text:
            events.append(TextIn(text, key))
        context.is_flushed = not text.strip() and (context.is_flushed or bool(sent.flush))
        return events

    def _answered(self, told: _Told) -> list[Event]:
        key = told.context_id_camel or told.context_id or ""
        if not self._has_names:
            key = ""  # the agent names no context; ElevenLabs may give its default one a name
        if told.error is not None:
            return [self._failed(told, key)]
        if key not in self._contexts:
            return []
        events: list[Event] = []
        if told.audio:
            size_bytes = base64_size(len(told.audio), told.audio.count("=", -2))
            events.append(AudioOut(sound_seconds(self._format, size_bytes), key, told.audio))
        if told.is_final or told.is_final_camel:
            del self._contexts[key]
            events.append(Finished(key))
        return events

    def _failed(self, told: _Told, key: str) -> Event:
        code = short_code(told.error) or short_code(f"error_{told.code or 'frame'}") or "provider_error"
        described = (told.message or (told.error if isinstance(told.error, str) else ""))[:MESSAGE_LIMIT_CHARS]
        if key in self._contexts:
            del self._contexts[key]
            return Failed(code, key, described)
        if told.context_id_camel is None and told.context_id is None:
            self._contexts.clear()
        return Failed(code, key or "*", described)


class ElevenLabsContexts(ElevenLabsStream):
    """``…/multi-stream-input``: many contexts on one socket, each one exchange.

    Agents end a context by a ``flush`` without text and then ``close_context``; they interrupt it by
    ``close_context`` alone, or by a second one while it is still being spoken (LiveKit and Pipecat do).
    """

    def asks(self, frame: Frame) -> Ask | None:
        """Say which context a message is for, and whether its text begins it."""
        if frame.side is not Side.AGENT or frame.kind is not Kind.TEXT:
            return None
        sent = decode_json(_sent, frame.data)
        if sent is None or sent.close_socket:
            return None
        begins = sent.key not in self._contexts and not sent.close_context and bool(sent.words.strip())
        return Ask(sent.key, self._model, begins)

    def _asked(self, sent: _Sent) -> Iterable[Event]:
        if sent.close_socket:
            self._is_closing = True
            return NO_EVENTS
        return self._closed(sent.key) if sent.close_context else self._spoken(sent.key, sent)

    def _closed(self, key: str) -> Iterable[Event]:
        context = self._contexts.get(key)
        if context is None:
            return NO_EVENTS
        if context.is_flushed and not context.is_closing:
            context.is_closing = True
            return NO_EVENTS
        del self._contexts[key]
        return (Stopped(key),)


class ElevenLabsScribe(SocketDialect):
    """``/v1/speech-to-text/realtime``: base64 audio up, committed transcripts down, some of them twice."""

    def __init__(self, head: RequestHead) -> None:
        self._model = head.parameter("model_id")
        self._pcm = raw_format(head.parameter("audio_format") or _LISTEN_FORMAT)
        wishes = (head.parameter("include_timestamps"), head.parameter("include_language_detection"))
        self._comes_twice = "true" in wishes
        self._is_copy_due = False
        self._has_begun = False

    @property
    def model(self) -> str | None:
        """The model that the address names."""
        return self._model

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Both sides speak JSON text."""
        if frame.kind is not Kind.TEXT:
            return NO_EVENTS
        if frame.side is Side.PROVIDER:
            heard = decode_json(_heard, frame.data)
            return self._transcribed(heard) if heard else NO_EVENTS
        chunk = decode_json(_chunk, frame.data)
        audio = _decoded(chunk.audio_base_64) if chunk and chunk.message_type == "input_audio_chunk" else b""
        if not audio:
            return NO_EVENTS  # a keepalive, or a commit of what came before
        events: list[Event] = [] if self._has_begun else [Began(Modality.STT, model=self._model)]
        self._has_begun = True
        return [*events, AudioIn(audio, self._pcm)]

    def _transcribed(self, heard: _Heard) -> Iterable[Event]:
        match heard.message_type:
            case "partial_transcript" if heard.text:
                return (Interim(heard.text),)
            case "committed_transcript":
                return self._committed(heard.text)
            case "committed_transcript_with_timestamps":
                return self._repeated(heard)
            case kind if heard.error is not None:
                described = heard.error[:MESSAGE_LIMIT_CHARS]
                return (Failed(short_code(kind) or "provider_error", key="*", message=described),)
            case _:
                return NO_EVENTS

    def _committed(self, text: str | None) -> Iterable[Event]:
        """The first copy is the final transcript; where a second one comes, that one ends the utterance."""
        events: list[Event] = [Final(text)] if text else []
        if self._comes_twice:
            self._is_copy_due = True
            return events
        return [*events, UtteranceEnded()]

    def _repeated(self, heard: _Heard) -> Iterable[Event]:
        words = [word for word in heard.words or () if word.end is not None and word.type in ("word", None)]
        position_s = words[-1].end if words else None
        if self._is_copy_due:
            self._is_copy_due = False
            return [*([SpeechEnded(position_s)] if words else []), UtteranceEnded()]
        if self._comes_twice and heard.text:  # the only copy after all
            final = Final(
                heard.text,
                position_s,
                words[0].start if words else None,
                words=tuple([word.word for word in words if word.text]),
                language=heard.language_code,
            )
            return (final, UtteranceEnded())
        return NO_EVENTS


def _decoded(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except (binascii.Error, ValueError):
        return b""
