"""Recordings to AssemblyAI: uploaded, handed in, and asked for until they are done.

Where no language is named, AssemblyAI takes English for granted, so it is asked to find it out instead.
Wire reference: https://www.assemblyai.com/docs/api-reference/transcripts and
https://www.assemblyai.com/docs/pre-recorded-audio/select-the-speech-model (read 2026-11-21), shapes as the assemblyai
SDK 1.8 types them.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.dialects.base import decode_json
from voicegw_sidecar.drivers.base import ProviderRequest, RecordingFactory, Transcript
from voicegw_sidecar.drivers.language import language_code
from voicegw_sidecar.events import Word

_LIVE_ONLY = ("universal-streaming", "u3-", "whisper-rt")
_MS_PER_S = 1000
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class _Word(Struct, frozen=True):
    text: str = ""
    start: float | None = None
    end: float | None = None
    confidence: float | None = None


class _Answer(Struct, frozen=True):
    """Any answer: an upload has an address, a job an id and a status."""

    upload_url: str | None = None
    id: str = ""
    status: str = ""
    text: str | None = None
    language_code: str | None = None
    audio_duration: float | None = None
    words: list[_Word] | None = None


_answer = msgspec.json.Decoder(_Answer)


def recording(model: str) -> RecordingFactory | None:
    """Return how a model of AssemblyAI's transcribes recordings."""
    return None if model.startswith(_LIVE_ONLY) else AssemblyAIRecordingDriver


class AssemblyAIRecordingDriver:
    """``POST /v2/upload``, ``POST /v2/transcript``, ``GET /v2/transcript/{}``. OpenAI's kind of prompt it has not."""

    def __init__(self, ask: RecordingAsk) -> None:
        self._ask = ask
        code = language_code(ask.language)
        self._wishes: dict[str, object] = {"speech_models": [ask.model]}
        self._wishes |= {"language_detection": True} if code is None else {"language_code": code}

    def request(self) -> ProviderRequest:
        """The upload."""
        headers = (("Content-Type", "application/octet-stream"),)
        return ProviderRequest("POST", "/v2/upload", (), headers, self._ask.audio)

    def answered(self, body: bytes) -> Transcript | ProviderRequest | None:
        """Hand in what was uploaded, then ask until it is done; None where it failed."""
        answer = decode_json(_answer, body) or _Answer()
        if answer.upload_url is not None:
            job = msgspec.json.encode({"audio_url": answer.upload_url, **self._wishes})
            return ProviderRequest("POST", "/v2/transcript", (), (("Content-Type", "application/json"),), job)
        if answer.status in ("queued", "processing") and _ID.fullmatch(answer.id):
            return ProviderRequest("GET", f"/v2/transcript/{answer.id}", (), (), b"")
        if answer.status != "completed" or answer.text is None:
            return None
        words = tuple([_word(word) for word in answer.words or () if word.text])
        return Transcript(answer.text, answer.language_code, answer.audio_duration, words)


def _word(word: _Word) -> Word:
    return Word(word.text, _seconds(word.start), _seconds(word.end), word.confidence)


def _seconds(position_ms: float | None) -> float | None:
    return None if position_ms is None else position_ms / _MS_PER_S
