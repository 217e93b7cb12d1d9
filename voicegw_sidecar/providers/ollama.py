"""Ollama: a local language model server, by OpenAI's protocol and by its own."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS, openai_endpoints

OLLAMA = Provider(
    id="ollama",
    base_url="http://localhost:11434",
    auth=AuthStyle.BEARER,
    errors=OPENAI_ERRORS,
    endpoints=openai_endpoints(),
    is_local=True,
    missing_v1=("chat",),
)
