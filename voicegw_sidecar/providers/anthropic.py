"""Anthropic: messages, as JSON and as named server-sent events."""

from __future__ import annotations

from voicegw_sidecar.providers.base import AuthStyle, ErrorShape, Provider


def _error_body(status: int, code: str, message: str) -> dict[str, object]:
    return {"type": "error", "error": {"type": code, "message": message}, "request_id": None}


ANTHROPIC = Provider(
    id="anthropic",
    base_url="https://api.anthropic.com",
    auth=AuthStyle.X_API_KEY,
    errors=ErrorShape(_error_body),
    catalogue_id="anthropic",
    root_paths=("/v1/messages",),
    missing_v1=("messages",),
)
