"""Voices: the name a caller gives, to one that a provider has.

Callers who mean no vendor in particular name OpenAI's voices; at another provider each stands for its usual voice of
the same kind. OpenAI does not say of which kind they are: it is what they sound like.
Names: https://platform.openai.com/docs/guides/text-to-speech (read 2026-11-21).
"""

from __future__ import annotations

from voicegw_sidecar.drivers.base import Voices
from voicegw_sidecar.errors import BadRequest

_FEMALE = frozenset({"alloy", "coral", "marin", "nova", "sage", "shimmer"})
_MALE = frozenset({"ash", "ballad", "cedar", "echo", "fable", "onyx", "verse"})
OPENAI_NAMES = _FEMALE | _MALE
_SHOWN_CHARS = 64


def fitting_voice(provider_id: str, voices: Voices | None, wanted: str | None, *, is_substitute: bool) -> str:
    """Return the voice as `voice_of`; a provider that the caller did not choose speaks with its default in need."""
    try:
        return voice_of(provider_id, voices, wanted)
    except BadRequest:
        if not is_substitute:
            raise
        return voice_of(provider_id, voices, None)


def voice_of(provider_id: str, voices: Voices | None, wanted: str | None) -> str:
    """Return the provider's name of the voice that is wanted; none is its default.

    A name that it has is returned as it is, so asking twice changes nothing. Raises :class:`BadRequest` for a text
    that cannot be one of its voices. Of a provider whose voices are not known (None) every name is one.
    """
    if voices is None:
        return wanted or ""
    if not wanted:
        return voices.default
    if wanted in OPENAI_NAMES and voices.female not in OPENAI_NAMES:
        return voices.female if wanted in _FEMALE else voices.male
    if wanted != voices.default and not voices.is_name(wanted):
        raise BadRequest(
            f"voice: found {wanted[:_SHOWN_CHARS]!r}, which {provider_id} does not have; "
            f"expected {voices.expected}, or one of OpenAI's names such as 'alloy'"
        )
    return wanted
