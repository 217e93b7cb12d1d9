"""What the configuration tests share: the built-in providers, and one way from YAML text to errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from voicegw_sidecar.config import BuiltinProvider, Config, check_document
from voicegw_sidecar.config.document import parse

CLOUD = ("openai", "anthropic", "groq", "deepgram", "assemblyai", "cartesia", "elevenlabs")
LOCAL = ("ollama", "whisper", "kokoro", "piper")

Read = Callable[..., tuple[Config, list[str]]]


@pytest.fixture
def builtin() -> dict[str, BuiltinProvider]:
    cloud = {name: BuiltinProvider(f"https://api.{name}.example", is_local=False) for name in CLOUD}
    local = {name: BuiltinProvider(f"http://localhost/{name}", is_local=True) for name in LOCAL}
    return cloud | local


@pytest.fixture
def read(builtin: dict[str, BuiltinProvider]) -> Read:
    """Parse and check a text; the errors are their lines."""

    def reading(text: str, environ: Mapping[str, str] | None = None) -> tuple[Config, list[str]]:
        document = parse(text.encode(), "voicegw.yaml")
        config, errors = check_document(document, builtin, {} if environ is None else environ)
        return config, [str(error) for error in errors]

    return reading
