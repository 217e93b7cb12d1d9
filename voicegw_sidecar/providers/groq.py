"""Groq: OpenAI's protocols below ``/openai/v1``."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS, openai_endpoints

GROQ = Provider(
    id="groq",
    base_url="https://api.groq.com",
    auth=AuthStyle.BEARER,
    errors=OPENAI_ERRORS,
    endpoints=openai_endpoints("/openai/v1"),
    catalogue_id="groq",
)
