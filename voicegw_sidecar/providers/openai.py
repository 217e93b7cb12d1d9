"""OpenAI: chat completions, responses, speech, transcriptions and realtime; and what compatible servers share of it.

Knows OpenAI's addresses and nothing about money or sockets.
Wire reference: https://platform.openai.com/docs/api-reference (read 2026-11-20).
"""

from __future__ import annotations

import re

from voicegw_sidecar.dialects.base import DialectFactory
from voicegw_sidecar.dialects.openai_audio import OpenAISpeech, OpenAITranscription
from voicegw_sidecar.dialects.openai_chat import OpenAIChat
from voicegw_sidecar.dialects.openai_realtime import OpenAIRealtime
from voicegw_sidecar.dialects.openai_responses import OpenAIResponses, OpenAIResponsesSocket, background_response
from voicegw_sidecar.providers.base import AuthStyle, Baseline, Endpoint, ErrorShape, JobState, Provider
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.body import short_code
from voicegw_sidecar.wire.frames import RequestHead

# What OpenAI's own clients match on when money is the matter; other codes are our own words.
_NATIVE_CODES = {"budget_exceeded": "insufficient_quota", "budget_throttled": "insufficient_quota"}


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    native = _NATIVE_CODES.get(code, code)
    kind = native if code in _NATIVE_CODES else "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": native}}


def _error_frame(key: str, code: str, message: str) -> dict[str, object]:
    """Word a refusal as an ``error`` event: both sockets have the same, and neither ties it to a response."""
    return {"type": "error", "event_id": f"event_{code}", **_error_body(402, code, message)}


OPENAI_ERRORS = ErrorShape(_error_body)


def openai_endpoints(prefix: str = "/v1", transcription: DialectFactory = OpenAITranscription) -> tuple[Endpoint, ...]:
    """Return the endpoints that every OpenAI-compatible server has below ``prefix``."""
    return (
        Endpoint("POST", f"{prefix}/chat/completions", Modality.LLM, OpenAIChat, asks_usage=True),
        Endpoint("POST", f"{prefix}/audio/speech", Modality.TTS, OpenAISpeech),
        Endpoint("POST", f"{prefix}/audio/transcriptions", Modality.STT, transcription),
    )


def _job_state(answer: bytes) -> JobState | None:
    """Say how a response stands that is made in the background."""
    found = background_response(answer)
    if found is None:
        return None
    response, usage = found
    failed = response.error.code if response.error is not None else "response_failed"
    return JobState(
        response.id or "",
        is_done=response.status in ("completed", "incomplete", "cancelled"),
        model=response.model,
        usage=usage,
        error=(short_code(failed) or "response_failed") if response.status == "failed" else None,
    )


def _realtime_modality(head: RequestHead) -> Modality:
    return Modality.STT if head.parameter("intent") == "transcription" else Modality.S2S


def _mended_query(path: str, query: str) -> str:
    """Mend a realtime address: no vendor's name in the model, as unified names have it, and none for transcription.

    LiveKit adds ``model`` to a transcription session's address, where OpenAI refuses it.
    """
    if path != "/v1/realtime":
        return query
    parts = query.split("&")
    if "intent=transcription" in parts:
        return "&".join(part for part in parts if not part.startswith("model="))
    return "&".join(re.sub("^model=openai(/|%2F)", "model=", part, flags=re.IGNORECASE) for part in parts)


OPENAI = Provider(
    id="openai",
    base_url="https://api.openai.com",
    auth=AuthStyle.BEARER,
    errors=OPENAI_ERRORS,
    endpoints=(
        *openai_endpoints(),
        Endpoint("POST", "/v1/responses", Modality.LLM, OpenAIResponses),
        Endpoint("GET", "/v1/responses/{}", Modality.LLM, OpenAIResponses, reads_job=_job_state),
        Endpoint(
            "GET",
            "/v1/responses",
            Modality.LLM,
            OpenAIResponsesSocket,
            is_socket=True,
            refusal_frame=_error_frame,
        ),
        Endpoint(
            "GET",
            "/v1/realtime",
            Modality.S2S,
            OpenAIRealtime,
            is_socket=True,
            refusal_frame=_error_frame,
            modality_by=_realtime_modality,
        ),
    ),
    catalogue_id="openai",
    baselines=(
        Baseline(Modality.STT, 500, "curated", "2026-05-11"),
        Baseline(Modality.LLM, 300, "curated", "2026-05-11"),
        Baseline(Modality.TTS, 600, "curated", "2026-05-11"),
    ),
    default_models=(
        (Modality.STT, "gpt-4o-mini-transcribe"),
        (Modality.LLM, "gpt-4.1-mini"),
        (Modality.TTS, "gpt-4o-mini-tts"),
    ),
    root_paths=("/v1/realtime",),
    missing_v1=("chat", "audio", "models", "responses", "realtime", "embeddings"),
    bare_root="/v1/responses",
    bare_realtime_root="/v1/realtime",
    mend_query=_mended_query,
)
