"""Whisper servers (Speaches and its like): local speech-to-text by OpenAI's protocol."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, Baseline, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS, openai_endpoints
from voicegw_sidecar.terms import Modality

WHISPER = Provider(
    id="whisper",
    base_url="http://localhost:8000",
    auth=AuthStyle.BEARER,
    errors=OPENAI_ERRORS,
    endpoints=openai_endpoints(),
    is_local=True,
    default_models=((Modality.STT, "large-v3"),),
    baselines=(
        Baseline(
            Modality.STT,
            500,
            "https://zarvent.github.io/voice2machine/en/adr/003-faster-whisper: 5 s of audio, consumer GPU",
            "2026-11-21",
        ),
    ),
)
