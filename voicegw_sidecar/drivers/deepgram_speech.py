"""Deepgram speaks: Aura on ``/v1/speak``, Flux on ``/v2/speak``, each by socket or by request.

The voice is part of the model: ``aura-2-thalia-en``. A caller may name it whole or by its name alone (``thalia``), as
LiveKit Inference has it. Aura speaks what it was told once it is told to (``Flush``), which it may be twenty times a
minute, and the more often the worse it sounds. So an utterance has two: after its first sentence, which is heard at
once, and at its end. Flux finds the places by itself; its ``Flush`` is the end.
Wire reference: https://developers.deepgram.com/docs/tts-ws-flush, /docs/tts-media-output-settings, /docs/tts-models,
/docs/flux-tts/voices, /docs/flux-tts/feature-overview, /docs/tts-voice-controls (read 2026-11-21), and the deepgram
SDK 7.17.
"""

from __future__ import annotations

import re
from typing import ClassVar

from voicegw_sidecar.asks import Container, SpeakAsk, SpeechAsk
from voicegw_sidecar.drivers.base import Messages, SocketAddress, SpeakDriver, SpeechRequest, Voices
from voicegw_sidecar.drivers.language import language_code, not_spoken
from voicegw_sidecar.drivers.listening import nearest_rate, text
from voicegw_sidecar.drivers.query import query
from voicegw_sidecar.drivers.speaking import Offer, Speaking, json_request, pace, sound_to_ask
from voicegw_sidecar.drivers.voices import OPENAI_NAMES, voice_of

_ID = "deepgram"
_FLUX = "flux-"
_PACKED = {
    Container.MP3: (22_050,), Container.OPUS: (48_000,), Container.AAC: (22_050,),
    Container.FLAC: (8000, 16_000, 22_050, 32_000, 48_000),
}  # fmt: skip
_AURA_HZ = (8000, 16_000, 24_000, 32_000, 48_000)
_FLUX_HZ = (8000, 16_000, 24_000, 32_000, 44_100, 48_000)
_CONTAINERS = {Container.PCM: "none", Container.WAV: "wav", Container.OPUS: "ogg"}
_FIXED_RATE = (Container.MP3, Container.OPUS, Container.AAC)
_FLUX_STEP = 0.05
_VOICE = re.compile(r"(?P<family>aura|aura-2|flux)-(?P<name>[a-z]+)-(?P<language>[a-z]{2})")
_NAME = re.compile(r"[a-z]{2,24}")
_USUAL = {
    "aura-2": {
        "en": ("thalia", "apollo"), "es": ("celeste", "nestor"), "nl": ("rhea", "sander"), "fr": ("agathe", "hector"),
        "de": ("viktoria", "julius"), "it": ("livia", "dionisio"), "ja": ("izanami", "fujin"),
    },
    "aura": {"en": ("asteria", "orion")},
    "flux": {"en": ("alexis", "cole")},
}  # fmt: skip
"""By family and language, a female voice and a male one: of Aura-2 the featured ones."""
_USUAL_MODEL = "aura-2-thalia-en"  # what Deepgram's name without a model stands for
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")
_CLOSING = " \t\r\n\"')]”’»"

DEEPGRAM_VOICES = Voices(
    female="",
    male="apollo",
    is_name=lambda name: bool(_VOICE.fullmatch(name) or _NAME.fullmatch(name)),
    expected="a voice such as 'aura-2-thalia-en' or 'thalia'",
)
"""Without a name it is the model's own voice, or the usual one of the language."""


def deepgram_speak(ask: SpeakAsk) -> SpeakDriver:
    """Return the driver of the socket that the voice is on."""
    model = voice_model(ask.model, ask.voice, ask.language)
    return DeepgramFluxSpeakDriver(ask, model) if model.startswith(_FLUX) else DeepgramSpeakDriver(ask, model)


class DeepgramSpeakDriver(Speaking):
    """``/v1/speak``."""

    path: ClassVar[str] = "/v1/speak"
    rates_hz: ClassVar[tuple[int, ...]] = _AURA_HZ

    def __init__(self, ask: SpeakAsk, model: str) -> None:
        rate_hz = nearest_rate(ask.rate_hz, self.rates_hz)
        fixed: dict[str, object] = {"model": model, "encoding": "linear16", "sample_rate": rate_hz}
        super().__init__(SocketAddress(self.path, query(fixed, {}, ask.options)), rate_hz)
        self._has_sentence = False
        self._has_unflushed = False

    @property
    def is_due(self) -> bool:
        """See `SpeakDriver.is_due`: a sentence, or what was flushed."""
        return self._ends > 0 and (self._has_sentence or not self._is_open)

    def ended(self) -> None:
        """Nothing has ended: what is told goes on until it is flushed."""

    def finish(self) -> Messages:
        """``Close``."""
        return text({"type": "Close"})

    def _first(self, text: str) -> Messages:
        self._has_sentence = self._has_unflushed = False
        return self._more(text)

    def _more(self, text: str) -> Messages:
        if not self._has_unflushed:
            if not text.strip():
                return ()
            self._has_unflushed = True
            self._ends += self._has_sentence
        messages = self._said(text)
        if not self._has_sentence and _ends_sentence(text):
            self._has_sentence, self._has_unflushed = True, False
            messages += self._flushed()
        return messages

    def _last(self) -> Messages:
        return self._flushed() if self._has_unflushed else ()

    def _stop(self) -> Messages:
        return text({"type": "Clear"})

    def _said(self, words: str) -> Messages:
        return text({"type": "Speak", "text": words})

    def _flushed(self) -> Messages:
        return text({"type": "Flush"})


class DeepgramFluxSpeakDriver(DeepgramSpeakDriver):
    """``/v2/speak``: an utterance is a turn, and only a ``Flush`` ends it."""

    path: ClassVar[str] = "/v2/speak"
    rates_hz: ClassVar[tuple[int, ...]] = _FLUX_HZ

    def _first(self, text: str) -> Messages:
        self._has_sentence = False
        return self._more(text)

    def _more(self, text: str) -> Messages:
        self._has_sentence = self._has_sentence or _ends_sentence(text)
        return self._said(text)

    def _last(self) -> Messages:
        return self._flushed()

    def _stop(self) -> Messages:
        return text({"type": "Interrupt"})


def _ends_sentence(text: str) -> bool:
    return text.rstrip(_CLOSING).endswith(_SENTENCE_ENDS)


def deepgram_speech(ask: SpeechAsk) -> SpeechRequest:
    """``POST /v1/speak`` or ``/v2/speak``."""
    model = voice_model(ask.model, ask.voice, ask.language)
    is_flux = model.startswith(_FLUX)
    rates_hz = _FLUX_HZ if is_flux else _AURA_HZ
    gives = sound_to_ask(Offer(rates_hz, {**_PACKED, Container.WAV: rates_hz}), ask.sound, _ID)
    speed = pace(ask.speed, 0.5 if is_flux else 0.7, 1.5, model)
    if speed is not None and is_flux:  # it takes whole steps only
        speed = round(round(speed / _FLUX_STEP) * _FLUX_STEP, 2)
    is_plain = gives.container in (Container.PCM, Container.WAV)
    fields: dict[str, object] = {
        "model": model,
        "encoding": "linear16" if is_plain else gives.container.value,
        "container": _CONTAINERS.get(gives.container),
        "sample_rate": None if gives.container in _FIXED_RATE else gives.rate_hz,
        "speed": speed,
    }
    path = DeepgramFluxSpeakDriver.path if is_flux else DeepgramSpeakDriver.path
    return SpeechRequest(json_request(path, {"text": ask.text}, query(fixed=fields, usual={}, options={})), gives)


def voice_model(model: str, wanted: str, language: str | None) -> str:
    """Return the model that speaks with a voice: named whole, by its name alone, or not at all.

    Without a name it is the voice that ``model`` names, else the usual one of the language. Raises
    :class:`BadRequest` for a language that the voice does not speak.
    """
    own, code = _VOICE.fullmatch(model), language_code(language)
    if own is not None and wanted in OPENAI_NAMES:
        wanted = ""  # it names nobody, and the model does
    named = voice_of(_ID, DEEPGRAM_VOICES, wanted)
    whole = _VOICE.fullmatch(named)
    if whole is None and not named and (model != _USUAL_MODEL or code is None):
        whole = own
    if whole is not None:
        if code not in (None, whole["language"]):
            raise not_spoken(language, whole[0], whole["language"], "name a voice of that language, or none")
        return whole[0]
    family = own["family"] if own is not None else model
    if family not in _USUAL:
        return model  # of a kind that is not known: it says by itself who speaks
    code = code or (own["language"] if own is not None else "en")
    if code not in _USUAL[family]:
        raise not_spoken(language, family, ", ".join(_USUAL[family]), "use another provider for it")
    if named in ("", DEEPGRAM_VOICES.male):
        named = _USUAL[family][code][1 if named else 0]
    return f"{family}-{named}-{code}"
