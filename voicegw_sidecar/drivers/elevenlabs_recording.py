"""Recordings to ElevenLabs: one form, one answer. The models named ``…_realtime`` transcribe none.

Sounds that are no speech are not wanted in the text. Of the times only those of words are told.
Wire reference: https://elevenlabs.io/docs/api-reference/speech-to-text/convert (read 2026-11-21), shapes as the
elevenlabs SDK 2.78 types them.
"""

from __future__ import annotations

import math

import msgspec
from msgspec import Struct

from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.dialects.base import decode_json
from voicegw_sidecar.drivers.base import ProviderRequest, RecordingFactory, Transcript
from voicegw_sidecar.drivers.language import language_code
from voicegw_sidecar.drivers.openai_recording import form_request
from voicegw_sidecar.events import Word


class _Word(Struct, frozen=True):
    text: str = ""
    start: float | None = None
    end: float | None = None
    type: str = "word"
    logprob: float | None = None


class _Answer(Struct, frozen=True):
    text: str | None = None
    language_code: str | None = None
    audio_duration_secs: float | None = None
    words: list[_Word] | None = None


_answer = msgspec.json.Decoder(_Answer)


def recording(model: str) -> RecordingFactory | None:
    """Return how a model of ElevenLabs' transcribes recordings."""
    return None if "realtime" in model else ElevenLabsRecordingDriver


class ElevenLabsRecordingDriver:
    """``POST /v1/speech-to-text``. It takes no prompt."""

    def __init__(self, ask: RecordingAsk) -> None:
        self._ask = ask
        self._language = language_code(ask.language)

    def request(self) -> ProviderRequest:
        """The form."""
        fields = [("model_id", self._ask.model), ("tag_audio_events", "false")]
        fields += [("timestamps_granularity", "word" if self._ask.wants_words else "none")]
        fields += [("language_code", self._language)] if self._language is not None else []
        fields += [("temperature", str(self._ask.temperature))] if self._ask.temperature is not None else []
        return form_request("/v1/speech-to-text", fields, self._ask)

    def answered(self, body: bytes) -> Transcript | None:
        """Read the one answer."""
        answer = decode_json(_answer, body)
        if answer is None or answer.text is None:
            return None
        words = [_word(word) for word in answer.words or () if word.type == "word" and word.text]
        return Transcript(answer.text, answer.language_code, answer.audio_duration_secs, tuple(words))


def _word(word: _Word) -> Word:
    confidence = None if word.logprob is None or word.logprob > 0 else math.exp(word.logprob)
    return Word(word.text, word.start, word.end, confidence)
