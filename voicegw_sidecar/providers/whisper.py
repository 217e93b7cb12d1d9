"""Whisper servers (Speaches and its like): local speech-to-text by OpenAI's protocol."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, Provider
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
)
