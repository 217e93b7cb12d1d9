"""OpenAI speaks, and so do Kokoro and whatever else speaks its protocol: one request, one body of sound.

OpenAI's plain samples are at 24 kHz, and Kokoro's too. Of a server that is only known to be compatible neither the
rate nor the voices are known, so it is asked for a WAV file, which says its rate, and given any voice.
Wire reference: https://platform.openai.com/docs/api-reference/audio/createSpeech,
https://github.com/remsky/Kokoro-FastAPI/blob/master/api/src/structures/schemas.py, voices of Kokoro-82M by
https://huggingface.co/hexgrad/Kokoro-82M/blob/main/VOICES.md (read 2026-11-21). OpenAI's usual voices are two that
each of its models has.
"""

from __future__ import annotations

import re

from voicegw_sidecar.asks import Container, SpeechAsk
from voicegw_sidecar.drivers.base import SpeechRequest, Voices
from voicegw_sidecar.drivers.language import language_code, not_spoken
from voicegw_sidecar.drivers.speaking import USUAL_HZ, Offer, json_request, pace, sound_to_ask
from voicegw_sidecar.drivers.voices import OPENAI_NAMES, voice_of

_PATH = "/v1/audio/speech"
_EVERY_PACKING: dict[Container, tuple[int, ...]] = {
    container: () for container in Container if container is not Container.PCM
}
_OFFER = Offer((USUAL_HZ,), _EVERY_PACKING)
_COMPATIBLE_OFFER = Offer((), _EVERY_PACKING)
_LEAST_PACE, _MOST_PACE = 0.25, 4.0
_WITHOUT_INSTRUCTIONS = ("tts-1",)
_OWN_VOICE = "voice_"  # what the ids of voices begin with that a customer had made
_KOKORO_VOICE = re.compile(r"[a-z]{2}_[a-z0-9_]+(\(\d+(\.\d+)?\))?([+-][a-z]{2}_[a-z0-9_]+(\(\d+(\.\d+)?\))?)*")
_KOKORO_USUAL = {
    "en": ("af_heart", "am_michael"), "es": ("ef_dora", "em_alex"), "fr": ("ff_siwis", "ff_siwis"),
    "hi": ("hf_alpha", "hm_omega"), "it": ("if_sara", "im_nicola"), "ja": ("jf_alpha", "jm_kumo"),
    "pt": ("pf_dora", "pm_alex"), "zh": ("zf_xiaobei", "zm_yunjian"),
}  # fmt: skip
"""A female and a male voice of each language; French has one only."""

OPENAI_VOICES = Voices(
    female="coral",
    male="onyx",
    is_name=lambda name: name in OPENAI_NAMES or name.startswith(_OWN_VOICE),
    expected=f"one of {', '.join(sorted(OPENAI_NAMES))}, or the id of a voice of your own",
)
KOKORO_VOICES = Voices(
    female=_KOKORO_USUAL["en"][0],
    male=_KOKORO_USUAL["en"][1],
    is_name=lambda name: _KOKORO_VOICE.fullmatch(name) is not None,
    expected="a voice such as 'af_heart', or several as 'af_bella+af_sky'",
)
COMPATIBLE_VOICES = Voices(female="alloy", male="onyx", is_name=bool, expected="any name")


def openai_speech(ask: SpeechAsk) -> SpeechRequest:
    """``POST /v1/audio/speech`` of OpenAI itself. Its models hear by themselves which language it is."""
    named = voice_of("openai", OPENAI_VOICES, ask.voice)
    voice = {"id": named} if named.startswith(_OWN_VOICE) else named
    instructions = None if ask.model.startswith(_WITHOUT_INSTRUCTIONS) else ask.instructions
    return _request(ask, voice, _OFFER, "openai", {"instructions": instructions})


def kokoro_speech(ask: SpeechAsk) -> SpeechRequest:
    """``POST /v1/audio/speech`` of Kokoro-FastAPI: each voice has its language, which decides between the usual ones.

    Raises :class:`BadRequest` for a language that none of Kokoro's voices speaks, unless the voice is named too.
    """
    voice, code = voice_of("kokoro", KOKORO_VOICES, ask.voice), language_code(ask.language)
    usual = _KOKORO_USUAL["en"]
    if code is not None and voice in usual:
        if code not in _KOKORO_USUAL:
            advice = "name a voice that speaks it, or use another provider"
            raise not_spoken(ask.language, "kokoro", ", ".join(_KOKORO_USUAL), advice)
        voice = _KOKORO_USUAL[code][usual.index(voice)]
    return _request(ask, voice, _OFFER, "kokoro", {})


def compatible_speech(ask: SpeechAsk) -> SpeechRequest:
    """``POST /v1/audio/speech`` of a server that is like OpenAI's; for ``instructions`` it need not have a place."""
    return _request(ask, voice_of("the server", COMPATIBLE_VOICES, ask.voice), _COMPATIBLE_OFFER, ask.model, {})


def _request(ask: SpeechAsk, voice: object, offer: Offer, provider_id: str, more: dict[str, object]) -> SpeechRequest:
    gives = sound_to_ask(offer, ask.sound, provider_id)
    body = {
        "model": ask.model,
        "input": ask.text,
        "voice": voice,
        "response_format": gives.container,
        "speed": pace(ask.speed, _LEAST_PACE, _MOST_PACE, ask.model),
    }
    return SpeechRequest(json_request(_PATH, body | more), gives)
