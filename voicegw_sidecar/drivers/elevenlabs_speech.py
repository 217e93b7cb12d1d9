"""ElevenLabs speaks: one context for each utterance on a socket, or one request.

A context is opened by a blank, told sentence by sentence with ``flush``, so that each is spoken at once, and ended by
``close_context``, which also stops it. Models from Eleven v3 on have the same in other words, as a dialogue.
Wire reference: https://elevenlabs.io/docs/api-reference (read 2026-11-21), messages as LiveKit's plugin 1.8 sends
them, the one that keeps a socket open as the elevenlabs SDK 2.78 types it and Pipecat 1.14 sends it. Samples above
24 kHz are not for every account, so they are not asked for. Voices: LiveKit's default, and the one of ElevenLabs'
quickstart.
"""

from __future__ import annotations

import re
import secrets

from voicegw_sidecar.asks import Container, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.drivers.base import Messages, SocketAddress, SpeakDriver, SpeechRequest, Voices
from voicegw_sidecar.drivers.language import language_code
from voicegw_sidecar.drivers.listening import nearest_rate, text
from voicegw_sidecar.drivers.query import query
from voicegw_sidecar.drivers.speaking import Offer, Speaking, json_request, pace, sound_to_ask, without_none
from voicegw_sidecar.drivers.voices import voice_of
from voicegw_sidecar.errors import BadRequest

_ID = "elevenlabs"
_RATES_HZ = (8000, 16_000, 22_050, 24_000)
_OFFER = Offer(_RATES_HZ, {Container.MP3: (44_100,), Container.OPUS: (48_000,)})
_FORMATS = {Container.MP3: "mp3_44100_128", Container.OPUS: "opus_48000_64"}
_INACTIVITY_S = 180  # the most that a connection may be idle
_KEEPALIVE_S = 120.0
_DIALOGUE_KEEPALIVE_S = 10.0  # a context that is told nothing for 20 s is ended
_DIALOGUE_MODELS = ("eleven_v3", "eleven_v4")
_WITH_LANGUAGE = ("eleven_flash_v2_5", "eleven_turbo_v2_5", *_DIALOGUE_MODELS)
"""The others refuse a language and hear by themselves which it is."""
_OWN_CODES = {"nb": "no", "nn": "no", "tl": "fil", "iw": "he", "in": "id"}
_LEAST_PACE, _MOST_PACE = 0.7, 1.2
_DELIVERY = ("stability", "similarity_boost", "style", "use_speaker_boost", "speed")
_VOICE_ID = re.compile(r"[A-Za-z0-9]{16,32}")

ELEVENLABS_VOICES = Voices(
    female="hpp4J3VqNfWAUOO0d1Us",
    male="JBFqnCBsd6RMkjVDRZzb",
    is_name=lambda name: _VOICE_ID.fullmatch(name) is not None,
    expected="a voice id such as 'hpp4J3VqNfWAUOO0d1Us'",
)
"""Bella and George."""


def elevenlabs_speak(ask: SpeakAsk) -> SpeakDriver:
    """Return the driver of the socket that the model is on."""
    return ElevenLabsDialogueDriver(ask) if _is_dialogue(ask.model) else ElevenLabsSpeakDriver(ask)


class ElevenLabsSpeakDriver(Speaking):
    """``/v1/text-to-speech/{voice}/multi-stream-input``."""

    keepalive_s = _KEEPALIVE_S

    def __init__(self, ask: SpeakAsk) -> None:
        rate_hz = nearest_rate(ask.rate_hz, _RATES_HZ)
        self._voice = voice_of(_ID, ELEVENLABS_VOICES, ask.voice)
        self._delivery = {name: ask.options[name] for name in _DELIVERY if name in ask.options}
        options = {name: value for name, value in ask.options.items() if name not in _DELIVERY}
        fixed: dict[str, object] = {"model_id": ask.model, "output_format": f"pcm_{rate_hz}"}
        super().__init__(SocketAddress(self._path(), query(fixed, self._usual(ask), options)), rate_hz)
        self._prefix = secrets.token_hex(6)
        self._number = 0

    def keepalive(self) -> Messages:
        """An empty text counts and says nothing; it is for the utterance where one is waiting for more."""
        return text({"text": "", "context_id": self._context_id} if self._is_open else {"text": ""})

    def finish(self) -> Messages:
        """``close_socket``."""
        return text({"close_socket": True})

    def _path(self) -> str:
        return f"/v1/text-to-speech/{self._voice}/multi-stream-input"

    def _usual(self, ask: SpeakAsk) -> dict[str, object]:
        return {
            "language_code": _language(ask.language, ask.model),
            "auto_mode": True,
            "inactivity_timeout": _INACTIVITY_S,
            "apply_text_normalization": "auto",
            "enable_logging": True,
        }

    @property
    def _context_id(self) -> str:
        return f"{self._prefix}-{self._number}"

    def _first(self, text: str) -> Messages:
        self._number += 1
        return self._beginning() + self._more(text)

    def _more(self, text: str) -> Messages:
        return self._said(text if text.endswith(" ") else f"{text} ")

    def _last(self) -> Messages:
        return self._said("") + self._stop()

    def _stop(self) -> Messages:
        return text({"context_id": self._context_id, "close_context": True})

    def _beginning(self) -> Messages:
        return text({"text": " ", "voice_settings": self._delivery, "context_id": self._context_id})

    def _said(self, words: str) -> Messages:
        return text({"text": words, "context_id": self._context_id, "flush": True})


class ElevenLabsDialogueDriver(ElevenLabsSpeakDriver):
    """``/v1/text-to-dialogue/multi-stream-input``: the voice is told with the text."""

    keepalive_s = _DIALOGUE_KEEPALIVE_S

    def keepalive(self) -> Messages:
        """Keeps an utterance that is waiting for more text; nothing is known to keep an idle socket."""
        return text({"context_id": self._context_id, "keep_alive": True}) if self._is_open else ()

    def _path(self) -> str:
        return "/v1/text-to-dialogue/multi-stream-input"

    def _usual(self, ask: SpeakAsk) -> dict[str, object]:
        unknown = ("auto_mode", "inactivity_timeout")
        return {name: value for name, value in super()._usual(ask).items() if name not in unknown}

    def _beginning(self) -> Messages:
        begun: dict[str, object] = {"context_id": self._context_id, "voices": [self._voice]}
        stability = self._delivery.get("stability")  # the one setting that it knows
        return text(begun if stability is None else begun | {"voice_settings": {"stability": stability}})

    def _said(self, words: str) -> Messages:
        inputs = [{"text": words, "voice_id": self._voice}]
        return text({"context_id": self._context_id, "inputs": inputs, "flush": True})


def elevenlabs_speech(ask: SpeechAsk) -> SpeechRequest:
    """``POST /v1/text-to-speech/{voice}/stream``, of newer models ``/v1/text-to-dialogue/stream``."""
    voice, gives = voice_of(_ID, ELEVENLABS_VOICES, ask.voice), sound_to_ask(_OFFER, ask.sound, _ID)
    speed = pace(ask.speed, _LEAST_PACE, _MOST_PACE, ask.model)
    body: dict[str, object] = {"model_id": ask.model, "language_code": _language(ask.language, ask.model)}
    if _is_dialogue(ask.model):
        if speed is not None:
            raise BadRequest(f"speed: found {speed:g}, which {ask.model} cannot do; expected 1, or another model")
        path = "/v1/text-to-dialogue/stream"
        body["inputs"] = [{"text": ask.text, "voice_id": voice}]
    else:
        path = f"/v1/text-to-speech/{voice}/stream"
        body |= without_none({"text": ask.text, "voice_settings": None if speed is None else {"speed": speed}})
    return SpeechRequest(json_request(path, body, (("output_format", _format(gives)),)), gives)


def _format(sound: Sound) -> str:
    return _FORMATS.get(sound.container, f"pcm_{sound.rate_hz}")


def _is_dialogue(model: str) -> bool:
    return model.startswith(_DIALOGUE_MODELS)


def _language(language: str | None, model: str) -> str | None:
    code = language_code(language)
    return _OWN_CODES.get(code or "", code) if model.startswith(_WITH_LANGUAGE) else None
