"""Piper's HTTP server speaks: a text in, a WAV file out.

The voice is left out where none is named: the server was started with one. Piper's models are its voices, so that a
model that is named like one is one.
Wire reference: https://github.com/OHF-Voice/piper1-gpl/blob/main/docs/API_HTTP.md and ``http_server.py`` beside it,
which takes a text at ``/synthesize`` (read 2026-11-21).
"""

from __future__ import annotations

import re

from voicegw_sidecar.asks import SpeechAsk
from voicegw_sidecar.drivers.base import SpeechRequest, Voices
from voicegw_sidecar.drivers.language import language_code, not_spoken
from voicegw_sidecar.drivers.speaking import Offer, json_request, pace, sound_to_ask
from voicegw_sidecar.drivers.voices import voice_of

_ID = "piper"
_OFFER = Offer(())
_LEAST_PACE, _MOST_PACE = 0.25, 4.0
_NAME = re.compile(r"\w[\w.-]{0,79}")  # of a file beside the server: no way leads out of its folder
_LANGUAGE = re.compile(r"([a-z]{2,3})_[A-Z]{2}-.*")

PIPER_VOICES = Voices(
    female="",
    male="",
    is_name=lambda name: _NAME.fullmatch(name) is not None,
    expected="a voice such as 'en_US-lessac-medium'",
)
"""Without a name it is the server's own."""


def piper_speech(ask: SpeechAsk) -> SpeechRequest:
    """``POST /synthesize``. Raises :class:`BadRequest` for another language than the one in the voice's name."""
    voice, code = voice_of(_ID, PIPER_VOICES, ask.voice), language_code(ask.language)
    if not voice and _LANGUAGE.fullmatch(ask.model):
        voice = voice_of(_ID, PIPER_VOICES, ask.model)
    spoken = _LANGUAGE.fullmatch(voice)
    if spoken is not None and code not in (None, spoken[1]):
        raise not_spoken(ask.language, voice, spoken[1], "name a voice of that language, or none")
    speed = pace(ask.speed, _LEAST_PACE, _MOST_PACE, _ID)
    body = {
        "text": ask.text,
        "voice": voice or None,
        "length_scale": None if speed is None else round(1 / speed, 4),
    }
    return SpeechRequest(json_request("/synthesize", body), sound_to_ask(_OFFER, ask.sound, _ID))
