"""Groq speaks: Orpheus by OpenAI's protocol, a short text in, a WAV file out.

Two hundred characters are the most that Orpheus takes at once: longer texts are cut into `pieces`, each of which is a
request, wherever what comes back can be played one after the other. Each model speaks one language.
Wire reference: https://console.groq.com/docs/text-to-speech/orpheus (read 2026-11-21), the groq SDK 1.7.
"""

from __future__ import annotations

import re

from voicegw_sidecar.asks import SpeechAsk
from voicegw_sidecar.drivers.base import SpeechRequest, Voices
from voicegw_sidecar.drivers.language import language_code, not_spoken
from voicegw_sidecar.drivers.speaking import Offer, json_request, pace, sound_to_ask
from voicegw_sidecar.drivers.voices import voice_of
from voicegw_sidecar.errors import BadRequest

_ID = "groq"
_PATH = "/openai/v1/audio/speech"
_OFFER = Offer(())
_LIMIT_CHARS = 200
_LEAST_PACE, _MOST_PACE = 0.5, 5.0
_NAME = re.compile(r"[a-z]{2,24}")
_ORPHEUS = "canopylabs/orpheus-"
_ARABIC = "canopylabs/orpheus-arabic"
_ARABIC_USUAL = {"hannah": "lulwa", "troy": "fahad"}

GROQ_VOICES = Voices(
    female="hannah",
    male="troy",
    is_name=lambda name: _NAME.fullmatch(name) is not None,
    expected="a voice such as 'hannah' or 'troy'",
)


def groq_speech_limit_chars(model: str) -> int | None:
    """See `Drivers.speech_limit_chars`."""
    return _LIMIT_CHARS if model.startswith(_ORPHEUS) else None


def groq_speech(ask: SpeechAsk) -> SpeechRequest:
    """``POST /openai/v1/audio/speech``; raises :class:`BadRequest` for a text over the model's limit."""
    voice, code = voice_of(_ID, GROQ_VOICES, ask.voice), language_code(ask.language)
    is_arabic = ask.model.startswith(_ARABIC)
    if ask.model.startswith(_ORPHEUS):
        spoken = "ar" if is_arabic else "en"
        if code not in (None, spoken):
            raise not_spoken(ask.language, ask.model, spoken, "use another provider for it")
    limit_chars = groq_speech_limit_chars(ask.model)
    if limit_chars is not None and len(ask.text) > limit_chars:
        raise BadRequest(
            f"input: found {len(ask.text)} characters, expected {limit_chars} at most, which is what {ask.model} "
            "takes at once; send sentence by sentence, or use another provider"
        )
    gives = sound_to_ask(_OFFER, ask.sound, _ID)
    body = {
        "model": ask.model,
        "input": ask.text,
        "voice": _ARABIC_USUAL.get(voice, voice) if is_arabic else voice,
        "response_format": gives.container,
        "speed": pace(ask.speed, _LEAST_PACE, _MOST_PACE, ask.model),
    }
    return SpeechRequest(json_request(_PATH, body), gives)
