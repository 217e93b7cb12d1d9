"""Cartesia speaks: one context for each utterance on a socket, or one request.

Whole sentences come, so nothing is buffered (``max_buffer_delay_ms`` 0, as LiveKit's plugin 1.8 has it). An idle
socket is closed after five minutes, and no message of ours keeps it open.
Wire reference: https://docs.cartesia.ai/api-reference/tts/websocket, https://docs.cartesia.ai/api-reference/tts/bytes
(read 2026-11-21), the cartesia SDK 4.2; voices: two of those that
https://docs.cartesia.ai/build-with-cartesia/capability-guides/choosing-a-voice has best for agents.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from voicegw_sidecar.asks import Container, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.drivers.base import Messages, SocketAddress, SpeechRequest, Voices
from voicegw_sidecar.drivers.cartesia_listen import VERSION
from voicegw_sidecar.drivers.language import language_code
from voicegw_sidecar.drivers.listening import nearest_rate, text
from voicegw_sidecar.drivers.speaking import Offer, Speaking, json_request, pace, sound_to_ask, without_none
from voicegw_sidecar.drivers.voices import voice_of
from voicegw_sidecar.errors import BadRequest

_ID = "cartesia"
_HEADERS = (("Cartesia-Version", VERSION),)
_RATES_HZ = (8000, 16_000, 22_050, 24_000, 44_100, 48_000)
_OFFER = Offer(_RATES_HZ, {Container.WAV: _RATES_HZ, Container.MP3: _RATES_HZ})
_MP3_BITS_PER_S = 128_000
_LEAST_PACE, _MOST_PACE = 0.6, 1.5
_WITH_DELIVERY = ("sonic-3", "sonic-latest")  # the models that take a ``generation_config``
_DELIVERY = ("speed", "volume", "emotion")
_OWN_CODES = {"nb": "no", "nn": "no", "fil": "tl", "iw": "he", "in": "id"}
_VOICE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

CARTESIA_VOICES = Voices(
    female="f786b574-daa5-4673-aa0c-cbe3e8534c02",
    male="5ee9feff-1265-424a-9d7f-8e4d431a12c7",
    is_name=lambda name: _VOICE_ID.fullmatch(name) is not None,
    expected="a voice id such as 'f786b574-daa5-4673-aa0c-cbe3e8534c02'",
)
"""Katie, which is LiveKit's default too, and Ronald."""


class CartesiaSpeakDriver(Speaking):
    """``/tts/websocket``."""

    def __init__(self, ask: SpeakAsk) -> None:
        rate_hz = nearest_rate(ask.rate_hz, _RATES_HZ)
        super().__init__(SocketAddress("/tts/websocket", (), _HEADERS), rate_hz)
        fixed = _generation(ask.model, ask.voice, ask.language, Sound(Container.PCM, rate_hz))
        self._fields = {"max_buffer_delay_ms": 0, **_with_options(fixed, ask.model, ask.options)}
        self._prefix = secrets.token_hex(6)
        self._number = 0

    def finish(self) -> Messages:
        """The socket is closed as it is."""
        return ()

    def _first(self, text: str) -> Messages:
        self._number += 1
        return self._more(text)

    def _more(self, text: str) -> Messages:
        return self._message(text, is_continued=True)

    def _last(self) -> Messages:
        return self._message("", is_continued=False)

    def _stop(self) -> Messages:
        return text({"context_id": self._context_id, "cancel": True})

    @property
    def _context_id(self) -> str:
        return f"{self._prefix}-{self._number}"

    def _message(self, transcript: str, *, is_continued: bool) -> Messages:
        fields = {**self._fields, "context_id": self._context_id, "transcript": transcript, "continue": is_continued}
        return text(fields)


def cartesia_speech(ask: SpeechAsk) -> SpeechRequest:
    """``POST /tts/bytes``."""
    gives = sound_to_ask(_OFFER, ask.sound, _ID)
    body = _generation(ask.model, ask.voice, ask.language, gives) | {"transcript": ask.text}
    speed = pace(ask.speed, _LEAST_PACE, _MOST_PACE, ask.model)
    if speed is not None:
        if not ask.model.startswith(_WITH_DELIVERY):
            raise BadRequest(
                f"speed: found {speed:g}, which {ask.model} cannot do; expected 1, or a model like sonic-3"
            )
        body["generation_config"] = {"speed": speed}
    return SpeechRequest(json_request("/tts/bytes", body, headers=_HEADERS), gives)


def _generation(model: str, voice: str, language: str | None, sound: Sound) -> dict[str, object]:
    """Return what every message asks for."""
    code = language_code(language)
    return without_none(
        {
            "model_id": model,
            "voice": {"mode": "id", "id": voice_of(_ID, CARTESIA_VOICES, voice)},
            "output_format": _output_format(sound),
            "language": _OWN_CODES.get(code or "", code),
        }
    )


def _output_format(sound: Sound) -> dict[str, object]:
    if sound.container is Container.MP3:
        return {"container": "mp3", "bit_rate": _MP3_BITS_PER_S, "sample_rate": sound.rate_hz}
    container = "wav" if sound.container is Container.WAV else "raw"
    return {"container": container, "encoding": "pcm_s16le", "sample_rate": sound.rate_hz}


def _with_options(fixed: Mapping[str, object], model: str, options: Mapping[str, object]) -> dict[str, object]:
    """Add the caller's options; those of the delivery have a place of their own in newer models."""
    own = (*fixed, "context_id", "transcript", "continue", "cancel", "flush")
    for name in options:
        if name in own:
            raise BadRequest(f"options: found {name[:32]!r}, which follows from the call itself; leave it out")
    delivery = {name: options[name] for name in _DELIVERY if name in options}
    if not delivery or not model.startswith(_WITH_DELIVERY):
        return {**fixed, **options}
    others = {name: value for name, value in options.items() if name not in delivery}
    return {**fixed, "generation_config": delivery, **others}
