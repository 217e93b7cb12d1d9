"""Recordings to OpenAI, Groq, Whisper servers and all that speak OpenAI's protocol: one form, one answer.

Times of words and sentences are in ``verbose_json``, which Whisper models know; OpenAI's own newer ones, which are
named ``gpt-…``, know ``json`` only and give the text alone.
Wire reference: https://platform.openai.com/docs/api-reference/audio/createTranscription,
https://console.groq.com/docs/speech-to-text (read 2026-11-21), shapes as the openai SDK 3.52 types them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
from msgspec import Struct

from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.dialects.base import decode_json
from voicegw_sidecar.drivers.base import ProviderRequest, RecordingFactory, Segment, Transcript
from voicegw_sidecar.drivers.language import language_code
from voicegw_sidecar.events import Word
from voicegw_sidecar.wire.multipart import Part, form

_LIVE_ONLY = ("gpt-realtime", "gpt-live")
_WITHOUT_TIMES = "gpt-"


class _Word(Struct, frozen=True):
    word: str = ""
    start: float | None = None
    end: float | None = None


class _Segment(Struct, frozen=True):
    text: str = ""
    start: float = 0.0
    end: float = 0.0


class _Language(Struct, frozen=True):
    code: str | None = None


class _Answer(Struct, frozen=True):
    """The answer in ``json`` or ``verbose_json``; some servers write its duration as text."""

    text: str | None = None
    language: str | None = None
    languages: list[_Language] | None = None
    duration: float | str | None = None
    words: list[_Word] | None = None
    segments: list[_Segment] | None = None


_answer = msgspec.json.Decoder(_Answer)


def recording(prefix: str) -> Callable[[str], RecordingFactory | None]:
    """Return, for a server whose protocol begins at ``prefix``, how each of its models transcribes recordings."""

    def of_model(model: str) -> RecordingFactory | None:
        return None if model.startswith(_LIVE_ONLY) else partial(OpenAIRecordingDriver, prefix)

    return of_model


class OpenAIRecordingDriver:
    """``POST …/audio/transcriptions``."""

    def __init__(self, prefix: str, ask: RecordingAsk) -> None:
        self._path = f"{prefix}/audio/transcriptions"
        self._ask = ask
        self._language = language_code(ask.language)

    def request(self) -> ProviderRequest:
        """The form, its file last as SDKs have it."""
        ask = self._ask
        wanted = [kind for kind, is_wanted in (("word", ask.wants_words), ("segment", ask.wants_segments)) if is_wanted]
        has_times = bool(wanted) and not ask.model.startswith(_WITHOUT_TIMES)
        fields = [("model", ask.model), ("response_format", "verbose_json" if has_times else "json")]
        fields += [("timestamp_granularities[]", kind) for kind in wanted if has_times]
        fields += [("language", self._language)] if self._language is not None else []
        fields += [("prompt", ask.prompt)] if ask.prompt is not None else []
        fields += [("temperature", str(ask.temperature))] if ask.temperature is not None else []
        return form_request(self._path, fields, ask)

    def answered(self, body: bytes) -> Transcript | None:
        """Read the one answer."""
        return transcript(body)


def form_request(
    path: str, fields: list[tuple[str, str]], ask: RecordingAsk, headers: tuple[tuple[str, str], ...] = ()
) -> ProviderRequest:
    """Return the upload of an ask's recording as ``file``, after the plain fields."""
    upload = form(fields, Part("file", True, ask.audio, ask.filename, ask.content_type))
    return ProviderRequest("POST", path, (), (*headers, ("Content-Type", upload.content_type)), upload.body)


def transcript(body: bytes) -> Transcript | None:
    """Read an answer in OpenAI's shape; None where it has no text."""
    answer = decode_json(_answer, body)
    if answer is None or answer.text is None:
        return None
    languages = [language.code for language in answer.languages or () if language.code]
    return Transcript(
        answer.text,
        answer.language or (languages[0] if languages else None),
        _number(answer.duration),
        tuple([Word(word.word, word.start, word.end) for word in answer.words or () if word.word]),
        tuple([Segment(segment.text, segment.start, segment.end) for segment in answer.segments or ()]),
    )


def _number(value: float | str | None) -> float | None:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return None
