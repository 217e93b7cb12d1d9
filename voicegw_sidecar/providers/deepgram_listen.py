"""Deepgram speech-to-text: live (``/v1/listen``, and Flux on ``/v2/listen``) and pre-recorded.

Knows Deepgram's messages and nothing about money or sockets. Transcript positions are seconds of audio from the
start of the stream; speech is from the first word's start to the last one's end. With ``multichannel=true`` each
channel is billed (https://github.com/orgs/deepgram/discussions/932, read 2026-11-21): the seconds are then those of
all channels.
Wire reference: https://developers.deepgram.com/reference (AsyncAPI, read 2026-11-20), shapes of Flux as the deepgram
SDK 7.17 decodes them. Captures: tests/captures/deepgram_listen_*.jsonl, deepgram_flux_*.jsonl,
deepgram_prerecorded_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import NO_EVENTS, HttpDialect, ListeningDialect, decode_json
from voicegw_sidecar.events import (
    MESSAGE_LIMIT_CHARS,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    RequestComplete,
    StreamDuration,
    Used,
    UtteranceEnded,
    Word,
)
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.body import BodyCopy, short_code
from voicegw_sidecar.wire.frames import Frame, Kind, RequestHead, ResponseHead, Side
from voicegw_sidecar.wire.pcm import pcm_format
from voicegw_sidecar.wire.wav import wav_seconds

_SAME_WORD_S = 0.001
_HEAD_LIMIT_BYTES = 64 * 1024  # of an upload, only the head of a WAV file tells anything


class _Word(Struct, frozen=True):
    start: float | None = None
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
    start: float | None = None
    duration: float | None = None
    last_word_end: float | None = None
    description: str | None = None


class _Bare(Struct, frozen=True):
    """What still counts of a message whose ``channel`` is in no known shape."""

    type: str = ""
    is_final: bool | None = None
    speech_final: bool | None = None
    from_finalize: bool | None = None


class _TurnInfo(Struct, frozen=True):
    """Any message of Flux; ``words`` may lack their times."""

    type: str = ""
    event: str = ""
    transcript: str | None = None
    words: list[_Word] | None = None
    audio_window_end: float | None = None
    code: str | None = None
    description: str | None = None


class _SpokenWord(_Word, frozen=True):
    word: str | None = None
    punctuated_word: str | None = None
    confidence: float | None = None
    speaker: int | None = None


class _Spoken(Struct, frozen=True):
    """What a final transcript says of its words: most messages are not final, and theirs are not read."""

    words: list[_SpokenWord] | None = None
    languages: list[str] | None = None
    confidence: float | None = None


class _SpokenChannel(Struct, frozen=True):
    alternatives: list[_Spoken] | None = None


class _SpokenResults(Struct, frozen=True):
    channel: _SpokenChannel | list[int] | None = None


class _Metadata(Struct, frozen=True):
    duration: float | None = None
    channels: int | None = None


class _Results(Struct, frozen=True):
    channels: list[_Channel] | None = None


class _Transcribed(Struct, frozen=True):
    """The answer to an upload; with a ``callback`` it has only an id."""

    metadata: _Metadata | None = None
    results: _Results | None = None


class _DurationOnly(Struct, frozen=True):
    """What still counts of an answer whose results have a shape that is not known."""

    metadata: _Metadata | None = None


_listened = msgspec.json.Decoder(_Listened)
_bare = msgspec.json.Decoder(_Bare)
_turn_info = msgspec.json.Decoder(_TurnInfo)
_spoken_results = msgspec.json.Decoder(_SpokenResults)
_spoken_turn = msgspec.json.Decoder(_Spoken)
_transcribed = msgspec.json.Decoder(_Transcribed)
_duration_only = msgspec.json.Decoder(_DurationOnly)


class DeepgramListen(ListeningDialect):
    """``/v1/listen``: binary audio up, Results down; one utterance after the other on one socket."""

    def __init__(self, head: RequestHead) -> None:
        rate_hz, channels = head.number("sample_rate"), head.number("channels") or 1
        super().__init__(head.parameter("model"), pcm_format(head.parameter("encoding"), rate_hz, channels))
        self._billed_channels = channels if _is_multichannel(head) else 1
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
                return self._results(message, frame.data)
            case "UtteranceEnd":
                return self._gap(message.last_word_end)
            case "Metadata" if message.duration is not None:
                return (StreamDuration(message.duration * self._billed_channels),)
            case "Error":
                return (Failed("provider_error", key="*", message=(message.description or "")[:MESSAGE_LIMIT_CHARS]),)
            case _:
                return NO_EVENTS

    def _results(self, message: _Listened, data: bytes) -> Iterable[Event]:
        channel = message.channel
        best = channel.alternatives[0] if isinstance(channel, _Channel) and channel.alternatives else _Alternative()
        if not message.is_final:
            return (Interim(best.transcript),) if best.transcript else NO_EVENTS
        events: list[Event] = []
        if (self._billed_channels > 1 or self._pcm is None) and message.duration is not None:
            # what is relayed does not tell: the channels are billed each, or the audio is compressed
            events.append(StreamDuration(((message.start or 0.0) + message.duration) * self._billed_channels))
        if best.transcript:
            final = _final(best.transcript, best.words, _best_spoken(data))
            self._spoken_until_s = max(self._spoken_until_s, final.speech_end_s or 0.0)
            events.append(final)
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


def _final(transcript: str, words: list[_Word] | None, spoken: _Spoken) -> Final:
    """Return a final piece; where it was spoken is told by its words."""
    end_s, start_s = (words[-1].end, words[0].start) if words else (None, None)
    return Final(
        transcript,
        end_s,
        start_s,
        words=tuple([_word(word) for word in spoken.words or () if word.word]),
        language=spoken.languages[0] if spoken.languages else None,
        confidence=spoken.confidence,
    )


def _word(word: _SpokenWord) -> Word:
    """Return a word as the transcript has it: with its punctuation, where there is any."""
    speaker = None if word.speaker is None else str(word.speaker)
    return Word(word.punctuated_word or word.word or "", word.start, word.end, word.confidence, speaker)


def _best_spoken(data: bytes) -> _Spoken:
    channel = (decode_json(_spoken_results, data) or _SpokenResults()).channel
    return channel.alternatives[0] if isinstance(channel, _SpokenChannel) and channel.alternatives else _Spoken()


def _without_channel(data: bytes) -> _Listened | None:
    bare = decode_json(_bare, data)
    return None if bare is None else _Listened(bare.type, bare.is_final, bare.speech_final, bare.from_finalize)


class DeepgramFlux(ListeningDialect):
    """``/v2/listen``: binary audio up, turns with cumulative transcripts down."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head.parameter("model"), pcm_format(head.parameter("encoding"), head.number("sample_rate")))

    def decode(self, frame: Frame) -> Iterable[Event]:
        """Binary frames are audio, text frames JSON."""
        if frame.side is Side.AGENT:
            return self.heard(frame)
        message = decode_json(_turn_info, frame.data) if frame.kind is Kind.TEXT else None
        if message is None:
            return NO_EVENTS
        if message.type == "Error":
            described = (message.description or "")[:MESSAGE_LIMIT_CHARS]
            return (Failed(short_code(message.code) or "provider_error", key="*", message=described),)
        return self._turn(message, frame.data) if message.type == "TurnInfo" else NO_EVENTS

    def _turn(self, message: _TurnInfo, data: bytes) -> Iterator[Event]:
        if self._pcm is None and message.audio_window_end is not None:
            yield StreamDuration(message.audio_window_end)  # of compressed audio nothing else tells the seconds
        if message.event != "EndOfTurn":
            if message.transcript:
                yield Interim(message.transcript, is_eager=message.event == "EagerEndOfTurn")
        elif message.transcript:
            yield _final(message.transcript, message.words, decode_json(_spoken_turn, data) or _Spoken())
            yield UtteranceEnded()


class DeepgramPrerecorded(HttpDialect):
    """``POST /v1/listen``: an upload, or the address of a recording, and its whole transcript."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._request = BodyCopy(limit_bytes=_HEAD_LIMIT_BYTES)
        self._answer = BodyCopy()
        self._model = head.parameter("model")
        self._is_multichannel = _is_multichannel(head)

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        """Always JSON."""
        self._answer = BodyCopy(head.content_encoding)
        return super().answered(head)

    def _begun(self) -> Iterator[Event]:
        audio_s = wav_seconds(self._request.head(), self._request.size_bytes)
        yield Began(Modality.STT, model=self._model, audio_s=None if self._is_multichannel else audio_s)
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        self._answer.add(data)
        return NO_EVENTS

    def _answer_complete(self) -> Iterator[Event]:
        body = self._answer.content()
        self._answer.clear()
        answer = decode_json(_transcribed, body)
        if answer is None:
            answer = _Transcribed((decode_json(_duration_only, body) or _DurationOnly()).metadata)
        if answer.results is not None:
            channels = answer.results.channels or ()
            heard = [channel.alternatives[0].transcript or "" for channel in channels if channel.alternatives]
            yield Final("\n".join(heard))
        metadata = answer.metadata or _Metadata()
        if metadata.duration is not None:
            count = (metadata.channels or 1) if self._is_multichannel else 1
            yield Used(Usage(audio_s=metadata.duration * count))
        yield Finished()


def _is_multichannel(head: RequestHead) -> bool:
    return (head.parameter("multichannel") or "").lower() == "true"
