"""What vendors' clients read from the environment: their keys, and the addresses their calls go to.

Names only; a value is never repeated. Each was tried with the vendor's own client: tests/cli/test_client_lines.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from msgspec import Struct

KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    "openai": ("OPENAI_API_KEY",),
    "anthropic": ("ANTHROPIC_API_KEY",),
    "groq": ("GROQ_API_KEY",),
    "deepgram": ("DEEPGRAM_API_KEY",),
    "assemblyai": ("ASSEMBLYAI_API_KEY",),
    "cartesia": ("CARTESIA_API_KEY",),
    "elevenlabs": ("ELEVEN_API_KEY", "ELEVENLABS_API_KEY"),  # LiveKit's plugin reads the first, the SDK the second
})  # fmt: skip
"""The variables that hold a vendor's key, by provider."""


class BaseUrl(Struct, frozen=True):
    """A variable that moves a vendor's clients to another address; ``default`` is where they go without it."""

    name: str
    provider: str
    default: str
    suffix: str = ""
    """What follows the provider in the sidecar's address: some clients want the version, some add it."""


BASE_URLS = (
    BaseUrl("OPENAI_BASE_URL", "openai", "https://api.openai.com/v1", "/v1"),
    BaseUrl("ANTHROPIC_BASE_URL", "anthropic", "https://api.anthropic.com"),
    BaseUrl("GROQ_BASE_URL", "groq", "https://api.groq.com"),
)
# Not CARTESIA_BASE_URL: the speech socket of Cartesia's SDK takes its host from there and insists on TLS.


def key_variable(provider: str, environ: Mapping[str, str]) -> str | None:
    """Return the name of the variable that holds a provider's key here, or None; an empty one holds none."""
    return next((name for name in KEYS.get(provider, ()) if environ.get(name)), None)


def project_path(project: str | None) -> str:
    """Return what stands before the provider in an address; nothing where no project has to be named."""
    return "" if project is None else f"/p/{project}"
