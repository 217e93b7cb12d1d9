"""Providers whose calls are relayed and timed while their dialects are not read yet.

Addresses, auth styles and error shapes only; each moves to a file of its own when it is metered.
The OpenAI-shaped ones among them are metered already: they speak dialects that exist.
"""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, ErrorShape, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS, openai_endpoints


def _anthropic_error(status: int, code: str, message: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": code, "message": message}, "request_id": None}


def _assemblyai_error(status: int, code: str, message: str) -> dict[str, object]:
    return {"error": message}


def _elevenlabs_error(status: int, code: str, message: str) -> dict[str, object]:
    return {"detail": {"type": code, "code": code, "status": code, "message": message}}


RELAYED: tuple[Provider, ...] = (
    Provider(
        "anthropic", "https://api.anthropic.com", AuthStyle.X_API_KEY, ErrorShape(_anthropic_error),
        catalogue_id="anthropic", root_paths=("/v1/messages",), missing_v1=("messages",),
    ),
    Provider(
        "groq", "https://api.groq.com", AuthStyle.BEARER, OPENAI_ERRORS, openai_endpoints("/openai/v1"),
        catalogue_id="groq",
    ),
    Provider(
        "assemblyai", "https://api.assemblyai.com", AuthStyle.RAW, ErrorShape(_assemblyai_error),
        catalogue_id="assemblyai", root_paths=("/v3/ws",), query_credentials=("token",),
    ),
    Provider(
        "elevenlabs", "https://api.elevenlabs.io", AuthStyle.XI_API_KEY, ErrorShape(_elevenlabs_error),
        catalogue_id="elevenlabs", root_paths=("/v1/text-to-speech", "/v1/speech-to-text"),
        missing_v1=("text-to-speech", "speech-to-text"), query_credentials=("xi-api-key", "single_use_token"),
    ),
    Provider(
        "ollama", "http://localhost:11434", AuthStyle.BEARER, OPENAI_ERRORS, openai_endpoints(), is_local=True,
        missing_v1=("chat",),
    ),
    Provider("whisper", "http://localhost:8000", AuthStyle.BEARER, OPENAI_ERRORS, openai_endpoints(), is_local=True),
    Provider("kokoro", "http://localhost:8880", AuthStyle.BEARER, OPENAI_ERRORS, openai_endpoints(), is_local=True),
    Provider("piper", "http://localhost:5000", AuthStyle.NONE, OPENAI_ERRORS, is_local=True),
)  # fmt: skip
