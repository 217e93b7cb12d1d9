"""Model names as agents write them: ``provider/model``, with a language or voice behind a colon, ``local/…``, ``auto``.

The sidecar reads them alike, in rosters and on its unified endpoints.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from voicegw_sidecar.inference.scope import PROVIDERS, RESERVED

Kind = Literal["stt", "llm", "tts"]
AUTO = "auto"
_LOCAL = ("whisper", "kokoro", "piper")
_LONGEST = 256


class Model(NamedTuple):
    """A name taken apart; ``name`` is None for the provider's usual model, ``variant`` is a language or voice."""

    provider: str
    name: str | None = None
    variant: str | None = None

    def __str__(self) -> str:
        variant = f":{self.variant}" if self.variant else ""
        return f"{self.provider}{f'/{self.name}' if self.name else ''}{variant}"


def read_model(kind: Kind, text: str) -> Model:
    """Take a name apart; raises `ValueError`. A language model's name may itself have a colon (``qwen2.5:3b``)."""
    provider, slash, name = text.partition("/")
    variant: str | None = None
    if kind != "llm" and ":" in name:
        name, _, variant = name.rpartition(":")
    is_named = PROVIDERS.fullmatch(provider) and text.isprintable() and " " not in text and len(text) <= _LONGEST
    is_reserved = provider in RESERVED and provider != "local"
    if not is_named or is_reserved or (slash and not name) or variant == "":
        example = {"stt": "'deepgram/nova-3'", "llm": "'openai/gpt-4.1-mini'", "tts": "'cartesia/sonic-3'"}[kind]
        raise ValueError(f"model: found {text[:70]!r}, expected provider/model such as {example}, or 'auto'")
    if provider != "local":
        return Model(provider, name or None, variant)
    known = next((one for one in _LOCAL if name == one or name.startswith(f"{one}-")), None)
    if known is None:
        raise ValueError(f"model: found {text[:70]!r}, expected local/whisper-…, local/kokoro or local/piper")
    return Model(known, None if name == known else name, variant)
