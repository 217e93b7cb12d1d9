"""The words of a refusal: in the provider's own error shape, so that its SDK raises its usual exception with them."""

from __future__ import annotations

from collections.abc import Mapping

from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.providers import OPENAI_ERRORS
from voicegw_sidecar.providers.base import Provider
from voicegw_sidecar.relay import Refusal


def refusal(
    error: SidecarError, provider: Provider | None, asked: Mapping[str, str], more: tuple[tuple[str, str], ...] = ()
) -> Refusal:
    """Word an error as the provider would (as OpenAI would, where none is known); ``asked`` are request headers."""
    shape = provider.errors if provider is not None else OPENAI_ERRORS
    wording = shape.encode(error.status, error.code, error.message, asked)
    headers = [("Content-Type", wording.content_type), ("X-VoiceGW-Error", error.code), *error.headers, *more]
    if not error.retry_helps:
        headers.append(("x-should-retry", "false"))
    return Refusal(error.status, tuple(headers), wording.body, error.code)
