"""Kokoro-FastAPI: local text-to-speech by OpenAI's protocol."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, Baseline, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS, openai_endpoints
from voicegw_sidecar.terms import Modality

KOKORO = Provider(
    id="kokoro",
    base_url="http://localhost:8880",
    auth=AuthStyle.BEARER,
    errors=OPENAI_ERRORS,
    endpoints=openai_endpoints(),
    is_local=True,
    baselines=(
        Baseline(
            Modality.TTS, 1000, "https://github.com/remsky/Kokoro-FastAPI: under 1 s on a laptop's CPU", "2026-11-21"
        ),
    ),
    default_models=((Modality.TTS, "kokoro"),),
)
