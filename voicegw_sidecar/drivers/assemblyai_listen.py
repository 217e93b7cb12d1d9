"""AssemblyAI, live: turns over ``/v3/ws``.

``universal-streaming`` stands for the English or the multilingual model, as the language has it. Its turns are not
written with capitals and punctuation unless ``format_turns`` is asked for; then their end comes twice, and the first,
plain one is what the dialect takes. The Universal-3 models format by themselves. A session is billed by the time it is
open and has no limit of silence unless it is asked for, so nothing keeps it open.
Wire reference: https://www.assemblyai.com/docs/api-reference/streaming-api/universal-streaming,
https://www.assemblyai.com/docs/streaming/select-the-speech-model (read 2026-11-21), and the assemblyai SDK 1.8.
"""

from __future__ import annotations

from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.base import ListenFactory, Messages, SocketAddress
from voicegw_sidecar.drivers.language import MULTI, language_code, not_spoken
from voicegw_sidecar.drivers.listening import Listening, Pieces, binary, message_type, text
from voicegw_sidecar.drivers.query import query, with_terms

_LEAST_MS, _MOST_MS = 50, 1000  # a message of another length ends the session with error 3007
_FAMILY = "universal-streaming"
_ENGLISH, _MULTILINGUAL = f"{_FAMILY}-english", f"{_FAMILY}-multilingual"
_MULTILINGUAL_CODES = ("en", "es", "de", "fr", "pt", "it")
_STEERED = ("universal-3", "u3-")  # they take the languages to expect
_SILENCE_MS = 100
_RECORDED_ONLY = ("universal", "universal-2", "universal-3-pro", "slam-1", "best", "nano")


def listening(model: str) -> ListenFactory | None:
    """Return how a model of AssemblyAI's listens; None for those that transcribe recordings only."""
    return None if model in _RECORDED_ONLY else AssemblyAIListenDriver


class AssemblyAIListenDriver(Listening):
    """``/v3/ws``: binary audio in pieces of 50 ms to 1 s."""

    def __init__(self, ask: ListenAsk) -> None:
        code = language_code(ask.language)
        model = _model(ask.model, ask.language, code)
        fixed: dict[str, object] = {
            "speech_model": model,
            "sample_rate": ask.rate_hz,
            "encoding": "pcm_s16le",
        }
        usual: dict[str, object] = {}
        is_steered = model.startswith(_STEERED)
        if "mode" not in ask.options:
            # short, as LiveKit's plugin asks by default: agents judge themselves whether a turn has ended
            silence_ms = ask.options.get("min_turn_silence", _SILENCE_MS)
            usual |= {"min_turn_silence": silence_ms, "max_turn_silence": silence_ms if is_steered else None}
        if is_steered and code is not None:
            usual["language_codes"] = [code]
        if model != _ENGLISH:
            usual["language_detection"] = True  # reports the language; it steers nothing
        options = with_terms(ask.keyterms, "keyterms_prompt", ask.options)
        pairs = query(fixed, usual, options, has_json_lists=True)
        super().__init__(SocketAddress("/v3/ws", pairs), ask.rate_hz)
        self._pieces = Pieces(ask.rate_hz, _LEAST_MS, _MOST_MS)
        self._is_finishing = False

    def audio(self, samples: bytes) -> Messages:
        """Send what makes a piece; the rest waits for more."""
        return tuple([message for piece in self._pieces.feed(samples) for message in binary(piece)])

    def finalize(self) -> Messages:
        """``ForceEndpoint`` ends the turn."""
        return binary(self._pieces.rest()) + text({"type": "ForceEndpoint"})

    def finish(self) -> Messages:
        """``Terminate`` ends the turn and the session, and with it what is billed."""
        self._is_finishing = True
        return binary(self._pieces.rest()) + text({"type": "Terminate"})

    def is_over(self, data: bytes) -> bool:
        """``Termination`` is the last message."""
        return self._is_finishing and message_type(data) == "Termination"


def _model(model: str, language: str | None, code: str | None) -> str:
    """Return the model that knows the language; where none is named, the family's name means its English model."""
    if model == _FAMILY:
        model = _ENGLISH if code in (None, "en") and language != MULTI else _MULTILINGUAL
    if model == _ENGLISH and (code not in (None, "en") or language == MULTI):
        raise not_spoken(language, model, "'en'", f"use {_MULTILINGUAL} or universal-3-6-pro for it")
    if model == _MULTILINGUAL and code not in (None, *_MULTILINGUAL_CODES):
        raise not_spoken(language, model, f"one of {', '.join(_MULTILINGUAL_CODES)}", "use universal-3-6-pro for it")
    return model
