"""ElevenLabs: text-to-speech over HTTP and WebSocket, and Scribe speech-to-text."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, ErrorShape, Provider


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    return {"detail": {"type": code, "code": code, "status": code, "message": message}}


ELEVENLABS = Provider(
    id="elevenlabs",
    base_url="https://api.elevenlabs.io",
    auth=AuthStyle.XI_API_KEY,
    errors=ErrorShape(_error_body),
    catalogue_id="elevenlabs",
    root_paths=("/v1/text-to-speech", "/v1/speech-to-text"),
    missing_v1=("text-to-speech", "speech-to-text"),
    query_credentials=("xi-api-key", "single_use_token"),
)
