"""AssemblyAI: live speech-to-text over WebSocket, and recordings transcribed by id."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, ErrorShape, Provider


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    return {"error": message}


ASSEMBLYAI = Provider(
    id="assemblyai",
    base_url="https://api.assemblyai.com",
    auth=AuthStyle.RAW,
    errors=ErrorShape(_error_body),
    catalogue_id="assemblyai",
    root_paths=("/v3/ws",),
    query_credentials=("token",),
)
