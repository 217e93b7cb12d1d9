"""Recordings to Deepgram: the file is the whole body, all wishes are in the query. Flux transcribes none.

Deepgram takes English for granted where no language is named, so it is asked to find it out instead. It takes no
prompt and no temperature.
Wire reference: https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded (read 2026-11-21), shapes
as the deepgram SDK 7.17 types them.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.dialects.base import decode_json
from voicegw_sidecar.drivers.base import ProviderRequest, RecordingFactory, Segment, Transcript
from voicegw_sidecar.drivers.language import MULTI, language_tag
from voicegw_sidecar.drivers.query import query
from voicegw_sidecar.events import Word


class _Word(Struct, frozen=True):
    word: str = ""
    punctuated_word: str | None = None
    start: float | None = None
    end: float | None = None
    confidence: float | None = None


class _Alternative(Struct, frozen=True):
    transcript: str = ""
    words: list[_Word] | None = None
    languages: list[str] | None = None


class _Channel(Struct, frozen=True):
    alternatives: list[_Alternative] | None = None
    detected_language: str | None = None


class _Utterance(Struct, frozen=True):
    transcript: str = ""
    start: float = 0.0
    end: float = 0.0


class _Results(Struct, frozen=True):
    channels: list[_Channel] | None = None
    utterances: list[_Utterance] | None = None


class _Metadata(Struct, frozen=True):
    duration: float | None = None


class _Answer(Struct, frozen=True):
    metadata: _Metadata | None = None
    results: _Results | None = None


_answer = msgspec.json.Decoder(_Answer)


def recording(model: str) -> RecordingFactory | None:
    """Return how a model of Deepgram's transcribes recordings."""
    return None if model.startswith("flux") else DeepgramRecordingDriver


class DeepgramRecordingDriver:
    """``POST /v1/listen``."""

    def __init__(self, ask: RecordingAsk) -> None:
        self._ask = ask
        tag = language_tag(ask.language)
        spoken = MULTI if ask.language == MULTI else tag
        usual: dict[str, object] = {
            "language": spoken,
            "detect_language": True if spoken is None else None,
            "punctuate": True,
            "smart_format": True,
            "utterances": True if ask.wants_segments else None,
        }
        self._query = query({"model": ask.model}, usual, {})

    def request(self) -> ProviderRequest:
        """The file."""
        headers = (("Content-Type", self._ask.content_type),)
        return ProviderRequest("POST", "/v1/listen", self._query, headers, self._ask.audio)

    def answered(self, body: bytes) -> Transcript | None:
        """Read the one answer: its first channel, as recordings for an agent have no other."""
        answer = decode_json(_answer, body) or _Answer()
        results = answer.results
        if results is None or not results.channels:
            return None
        channel = results.channels[0]
        best = channel.alternatives[0] if channel.alternatives else _Alternative()
        return Transcript(
            best.transcript,
            channel.detected_language or (best.languages[0] if best.languages else None),
            (answer.metadata or _Metadata()).duration,
            tuple([_word(word) for word in best.words or () if word.word]),
            tuple([Segment(part.transcript, part.start, part.end) for part in results.utterances or ()]),
        )


def _word(word: _Word) -> Word:
    return Word(word.punctuated_word or word.word, word.start, word.end, word.confidence)
