"""Languages as callers name them and as providers want them.

A caller names one by a BCP-47 tag, says ``multi`` where any may be spoken, or says nothing. Providers want the tag,
or its first part alone, which is an ISO 639 code.
"""

from __future__ import annotations

import re

from voicegw_sidecar.errors import BadRequest

MULTI = "multi"
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")


def language_tag(language: str | None) -> str | None:
    """Return the tag as the caller wrote it; None where any language may be spoken or none is named.

    Raises :class:`BadRequest` for what is no tag.
    """
    if language is None or language == MULTI:
        return None
    if _TAG.fullmatch(language) is None:
        raise BadRequest(
            f"language: found {language[:32]!r}, expected a BCP-47 tag such as 'en' or 'pt-BR', or 'multi' for any"
        )
    return language


def language_code(language: str | None) -> str | None:
    """Return the language without script and region, ``pt`` of ``pt-BR``; None and errors as for `language_tag`."""
    tag = language_tag(language)
    return None if tag is None else tag.partition("-")[0].lower()


def not_spoken(language: str | None, model: str, expected: str, advice: str) -> BadRequest:
    """Return the refusal of a language that a model certainly does not know."""
    return BadRequest(f"language: found {language!r}, which {model} does not know; expected {expected}; {advice}")
