"""Kokoro-FastAPI: local text-to-speech by OpenAI's protocol."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS, openai_endpoints

KOKORO = Provider(
    id="kokoro",
    base_url="http://localhost:8880",
    auth=AuthStyle.BEARER,
    errors=OPENAI_ERRORS,
    endpoints=openai_endpoints(),
    is_local=True,
)
