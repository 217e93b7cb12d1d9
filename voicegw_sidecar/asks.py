"""What a caller of a unified endpoint asks for, in neutral words: recognised, spoken, transcribed.

Facades read it from the caller's protocol, drivers put it into a provider's. Values only.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

NO_OPTIONS: Mapping[str, object] = MappingProxyType({})


class Container(enum.StrEnum):
    """How sound is packed; the words are those of OpenAI's ``response_format``."""

    PCM = "pcm"
    """16-bit little-endian mono samples and nothing else."""
    WAV = "wav"
    MP3 = "mp3"
    OPUS = "opus"
    """Opus in Ogg."""
    FLAC = "flac"
    AAC = "aac"


class Sound(Struct, frozen=True):
    """Sound of one channel; ``rate_hz`` is None where the packing says it itself."""

    container: Container
    rate_hz: int | None = None


class ListenAsk(Struct, frozen=True):
    """A stream of speech to be recognised as it is spoken: 16-bit little-endian mono samples at ``rate_hz``.

    ``language`` is a BCP-47 tag, ``multi`` for any, or None where the caller leaves it open; ``options`` are those of
    the provider by its own names, passed on as they are.
    """

    model: str
    rate_hz: int
    language: str | None = None
    keyterms: tuple[str, ...] = ()
    options: Mapping[str, object] = NO_OPTIONS


class SpeakAsk(Struct, frozen=True):
    """Utterances to be spoken as their text comes: answered with 16-bit little-endian mono samples at ``rate_hz``."""

    model: str
    voice: str
    rate_hz: int
    language: str | None = None
    options: Mapping[str, object] = NO_OPTIONS


class SpeechAsk(Struct, frozen=True):
    """A whole text to be spoken. ``speed`` is 1.0 for the voice's own pace; ``instructions`` are for the speaker."""

    model: str
    voice: str
    text: str
    sound: Sound
    language: str | None = None
    speed: float | None = None
    instructions: str | None = None


class RecordingAsk(Struct, frozen=True):
    """A recording to be transcribed: ``audio`` is a whole file of the type ``content_type``.

    ``wants_words`` asks for the times of words, ``wants_segments`` for those of sentences or so.
    """

    model: str
    audio: bytes
    filename: str
    content_type: str
    language: str | None = None
    prompt: str | None = None
    temperature: float | None = None
    wants_words: bool = False
    wants_segments: bool = False
