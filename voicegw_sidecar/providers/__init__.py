"""Every vendor and local server the sidecar knows with no configuration: one file each, listed here.

A further vendor is one file and one line in ``ALL``. An OpenAI-compatible server needs no code: YAML names it.
"""

from __future__ import annotations

from collections.abc import Iterable

from voicegw_sidecar.providers.anthropic import ANTHROPIC
from voicegw_sidecar.providers.assemblyai import ASSEMBLYAI
from voicegw_sidecar.providers.base import AuthStyle, Endpoint, ErrorShape, Provider
from voicegw_sidecar.providers.cartesia import CARTESIA
from voicegw_sidecar.providers.deepgram import DEEPGRAM
from voicegw_sidecar.providers.elevenlabs import ELEVENLABS
from voicegw_sidecar.providers.groq import GROQ
from voicegw_sidecar.providers.kokoro import KOKORO
from voicegw_sidecar.providers.ollama import OLLAMA
from voicegw_sidecar.providers.openai import OPENAI, OPENAI_ERRORS, openai_endpoints
from voicegw_sidecar.providers.piper import PIPER
from voicegw_sidecar.providers.whisper import WHISPER

ALL: tuple[Provider, ...] = (
    OPENAI, ANTHROPIC, GROQ, DEEPGRAM, ASSEMBLYAI, CARTESIA, ELEVENLABS, OLLAMA, WHISPER, KOKORO, PIPER,
)  # fmt: skip
BY_ID: dict[str, Provider] = {provider.id: provider for provider in ALL}

__all__ = ["ALL", "BY_ID", "OPENAI_ERRORS", "AuthStyle", "Endpoint", "ErrorShape", "Provider", "registry"]


def registry(*configured: Iterable[str]) -> dict[str, Provider]:
    """Return every provider by id: the known ones, and the OpenAI-compatible ones that YAML declares."""
    found = dict(BY_ID)
    for provider_id in (name for names in configured for name in names):
        if provider_id not in found:
            found[provider_id] = Provider(provider_id, "", AuthStyle.BEARER, OPENAI_ERRORS, openai_endpoints())
    return found
