"""Recordings to Cartesia: one form, one answer in OpenAI's shape. Ink-Whisper only; Ink-2 has no such endpoint.

Wire reference: https://docs.cartesia.ai/api-reference/stt/transcribe (read 2026-11-21).
"""

from __future__ import annotations

from voicegw_sidecar.asks import RecordingAsk
from voicegw_sidecar.drivers.base import ProviderRequest, RecordingFactory, Transcript
from voicegw_sidecar.drivers.cartesia_listen import VERSION, whisper_language
from voicegw_sidecar.drivers.openai_recording import form_request, transcript


def recording(model: str) -> RecordingFactory | None:
    """Return how a model of Cartesia's transcribes recordings."""
    return CartesiaRecordingDriver if model.startswith("ink-whisper") else None


class CartesiaRecordingDriver:
    """``POST /stt``. It takes no prompt and no temperature, and knows words but no sentences."""

    def __init__(self, ask: RecordingAsk) -> None:
        self._ask = ask
        self._language = whisper_language(ask.language, ask.model)

    def request(self) -> ProviderRequest:
        """The form."""
        fields = [("model", self._ask.model)]
        fields += [("language", self._language)] if self._language is not None else []
        fields += [("timestamp_granularities[]", "word")] if self._ask.wants_words else []
        return form_request("/stt", fields, self._ask, (("Cartesia-Version", VERSION),))

    def answered(self, body: bytes) -> Transcript | None:
        """Read the one answer."""
        return transcript(body)
