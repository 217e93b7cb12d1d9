"""OpenAI: chat completions, speech and transcriptions; and the error shape that compatible servers share.

Knows OpenAI's addresses and nothing about money or sockets.
Wire reference: https://platform.openai.com/docs/api-reference (read 2026-11-20).
"""

from __future__ import annotations

from voicegw_sidecar.dialects.openai_audio import OpenAISpeech, OpenAITranscription
from voicegw_sidecar.dialects.openai_chat import OpenAIChat
from voicegw_sidecar.providers.base import AuthStyle, Endpoint, ErrorShape, Provider
from voicegw_sidecar.terms import Modality

# What OpenAI's own clients match on when money is the matter; other codes are our own words.
_NATIVE_CODES = {"budget_exceeded": "insufficient_quota", "budget_throttled": "insufficient_quota"}


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    native = _NATIVE_CODES.get(code, code)
    kind = native if code in _NATIVE_CODES else "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": native}}


OPENAI_ERRORS = ErrorShape(_error_body)


def openai_endpoints(prefix: str = "/v1") -> tuple[Endpoint, ...]:
    """Return the endpoints that every OpenAI-compatible server has below ``prefix``."""
    return (
        Endpoint("POST", f"{prefix}/chat/completions", Modality.LLM, OpenAIChat, asks_usage=True),
        Endpoint("POST", f"{prefix}/audio/speech", Modality.TTS, OpenAISpeech),
        Endpoint("POST", f"{prefix}/audio/transcriptions", Modality.STT, OpenAITranscription),
    )


OPENAI = Provider(
    id="openai",
    base_url="https://api.openai.com",
    auth=AuthStyle.BEARER,
    errors=OPENAI_ERRORS,
    endpoints=openai_endpoints(),
    catalogue_id="openai",
    missing_v1=("chat", "audio", "models", "responses", "realtime", "embeddings"),
)
