"""Deepgram, live: Nova and its elders on ``/v1/listen``, Flux on ``/v2/listen``.

What is asked for where the caller says nothing is what LiveKit's plugin 1.8 asks for (Nova), and what LiveKit
Inference does (Flux: ends of turns are told early). Closing a Flux stream does not end its turn, so that is forced.
Wire reference: https://developers.deepgram.com/docs/audio-keep-alive, its pages on keywords, keyterm,
multilingual-code-switching, flux/force-end-turn and flux/close-stream, and the changelog of 2025-10-16 for the rates
of Flux (read 2026-11-21).
"""

from __future__ import annotations

from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.base import ListenFactory, Messages, SocketAddress
from voicegw_sidecar.drivers.language import MULTI, language_code, language_tag, not_spoken
from voicegw_sidecar.drivers.listening import Listening, nearest_rate, text
from voicegw_sidecar.drivers.query import query, with_terms

_KEEPALIVE_S = 5.0  # a socket without audio or message is closed after 10 s
_FLUX_RATES_HZ = (8000, 16_000, 24_000, 44_100, 48_000)
_FLUX_FAMILY = ("flux", "flux-general")
_FLUX_ENGLISH, _FLUX_MULTI = "flux-general-en", "flux-general-multi"
_EAGER_THRESHOLD = 0.5
_CODE_SWITCHING = ("nova-2", "nova-3")
_ENGLISH_ONLY = tuple(
    f"nova-2-{domain}"
    for domain in (
        "meeting", "phonecall", "finance", "conversationalai", "voicemail", "video", "medical", "drivethru",
        "automotive", "atc",
    )
)  # fmt: skip
_USUAL: dict[str, object] = {
    "punctuate": True,
    "smart_format": False,
    "no_delay": True,
    "interim_results": True,
    "vad_events": True,
    "endpointing": 25,
    "filler_words": True,
}


def listening(model: str) -> ListenFactory | None:
    """Return how a model of Deepgram's listens: each of them can."""
    return DeepgramFluxDriver if model.startswith("flux") else DeepgramListenDriver


class DeepgramListenDriver(Listening):
    """``/v1/listen``."""

    keepalive_s = _KEEPALIVE_S

    def __init__(self, ask: ListenAsk) -> None:
        fixed: dict[str, object] = {
            "model": ask.model,
            "encoding": "linear16",
            "sample_rate": ask.rate_hz,
            "channels": 1,
        }
        options = with_terms(ask.keyterms, "keyterm", ask.options)
        if not ask.model.startswith("nova-3"):  # its elders take single words, by another name
            words = [term for term in ask.keyterms if " " not in term]
            options = with_terms(words, "keywords", ask.options)
        usual = {**_USUAL, "language": _spoken(ask.model, ask.language)}
        super().__init__(SocketAddress("/v1/listen", query(fixed, usual, options)), ask.rate_hz)

    def finalize(self) -> Messages:
        """``Finalize`` flushes what was not transcribed yet."""
        return text({"type": "Finalize"})

    def keepalive(self) -> Messages:
        """``KeepAlive``, as text: as binary it would be audio."""
        return text({"type": "KeepAlive"})

    def finish(self) -> Messages:
        """``CloseStream`` brings the last results and the metadata."""
        return text({"type": "CloseStream"})


class DeepgramFluxDriver(Listening):
    """``/v2/listen``: the model finds the turns itself."""

    def __init__(self, ask: ListenAsk) -> None:
        rate_hz = nearest_rate(ask.rate_hz, _FLUX_RATES_HZ)
        code = language_code(ask.language)
        model = ask.model
        if model in _FLUX_FAMILY:
            model = _FLUX_ENGLISH if code in (None, "en") and ask.language != MULTI else _FLUX_MULTI
        if model.endswith("-en") and (code not in (None, "en") or ask.language == MULTI):
            raise not_spoken(ask.language, model, "'en'", f"use {_FLUX_MULTI} for it")
        fixed: dict[str, object] = {"model": model, "encoding": "linear16", "sample_rate": rate_hz}
        hint = None if model.endswith("-en") else code
        usual: dict[str, object] = {"eager_eot_threshold": _EAGER_THRESHOLD, "language_hint": hint}
        options = with_terms(ask.keyterms, "keyterm", ask.options)
        super().__init__(SocketAddress("/v2/listen", query(fixed, usual, options)), rate_hz)

    def finalize(self) -> Messages:
        """``ForceEndTurn`` ends the turn on what was transcribed so far; without a turn it does nothing."""
        return text({"type": "ForceEndTurn"})

    def finish(self) -> Messages:
        """End the turn, then the stream: ``CloseStream`` alone would leave the turn without its end."""
        return self.finalize() + text({"type": "CloseStream"})


def _spoken(model: str, language: str | None) -> str | None:
    """Return the ``language`` to ask for; None leaves Deepgram its own default, which is English."""
    if language == MULTI:
        if not model.startswith(_CODE_SWITCHING) or model in _ENGLISH_ONLY:
            raise not_spoken(language, model, "one language", "use nova-3 for several")
        return MULTI
    if model in _ENGLISH_ONLY and language_code(language) not in (None, "en"):
        raise not_spoken(language, model, "'en'", "use nova-3 or nova-2 for it")
    return language_tag(language)
