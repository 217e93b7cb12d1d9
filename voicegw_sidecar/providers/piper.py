"""Piper's HTTP server: local text-to-speech, JSON in and a WAV file out."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS

PIPER = Provider(
    id="piper",
    base_url="http://localhost:5000",
    auth=AuthStyle.NONE,
    errors=OPENAI_ERRORS,
    is_local=True,
)
