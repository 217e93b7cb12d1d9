"""Names of projects and providers, and the ``provider/model:voice`` entries that rosters are made of.

Syntax only: whether a provider exists is for ``rule`` to say.
"""

from __future__ import annotations

import re

from voicegw_sidecar.config.kind import EnvText, Mismatch, expected, words
from voicegw_sidecar.terms import Modality, RosterEntry

_OWN_PATHS = (
    "v1 p s api mcp static brand share login logout health ready metrics routing sessions projects costs logs"
    " v2 v3 stt tts local demo"
)
RESERVED = frozenset(_OWN_PATHS.split())
"""First path segments that are the sidecar's own (contract §1): no provider may be called so."""
LOCAL_SPELLINGS = ("whisper", "kokoro", "piper")
"""Providers also written ``local/<provider>`` or ``local/<provider>-<size>``."""
LONGEST_ENTRY = 200

ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f]+")
_ID_WORDS = "lower-case letters, digits, _ and -, at most 64, first a letter or digit"
_ENTRY_WORDS = "provider, provider/model or provider/model:voice"


class ProjectId:
    """The id of a project."""

    def read(self, found: object) -> str:
        """Return the id."""
        return _identifier("a project id", found)


class ProviderId:
    """The id of a provider, which is also the first segment of its addresses."""

    def read(self, found: object) -> str:
        """Return the id; a word that begins one of the sidecar's own paths is refused."""
        provider = _identifier("a provider id", found)
        if provider in RESERVED:
            raise Mismatch(f"expected a provider id, got the reserved word {provider}; choose another name")
        return provider


def _identifier(what: str, found: object) -> str:
    text = words(what, found)
    if not ID.fullmatch(text):
        lower = text.lower()
        plain = ID.fullmatch(lower) is not None and not isinstance(found, EnvText)
        hint = f"; did you mean {lower}?" if plain else ""
        mismatch = expected(f"{what} ({_ID_WORDS})", found)
        raise Mismatch(f"{mismatch}{hint}")
    return str(text)


class Entry:
    """A roster entry of one modality; a model of an LLM may itself contain a colon (``qwen2.5:3b``)."""

    def __init__(self, modality: Modality) -> None:
        self.modality = modality

    def read(self, found: object) -> RosterEntry:
        """Return the entry with ``local/…`` spellings resolved."""
        text = str(words(_ENTRY_WORDS, found))
        provider, slash, model = text.partition("/")
        variant: str | None = None
        if self.modality is not Modality.LLM and ":" in model:
            model, _, variant = model.rpartition(":")
        well_formed = _VISIBLE.fullmatch(text) and len(text) <= LONGEST_ENTRY and ID.fullmatch(provider)
        if not well_formed or (slash and not model) or variant == "":
            raise expected(_ENTRY_WORDS, found)
        if provider == "local":
            return _local(model, variant, found)
        return RosterEntry(provider, model or None, variant)


def _local(model: str, variant: str | None, found: object) -> RosterEntry:
    for provider in LOCAL_SPELLINGS:
        if model == provider and variant is None:
            return RosterEntry(provider)
        if model == provider or model.startswith(f"{provider}-"):
            return RosterEntry(provider, model, variant)
    raise expected("local/whisper-…, local/kokoro or local/piper", found)


class PriceKey:
    """The ``provider/model`` that a price is for."""

    def read(self, found: object) -> str:
        """Return it in its usual spelling."""
        what = "provider/model"
        try:
            entry = Entry(Modality.LLM).read(found)
        except Mismatch:
            raise expected(what, found) from None
        # local/kokoro names a provider whose one model has its name.
        model = entry.model or (entry.provider if str(found).startswith("local/") else None)
        if model is None:
            raise expected(what, found)
        return f"{entry.provider}/{model}"
