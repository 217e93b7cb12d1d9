"""Keys that are accepted and checked but that this version does not act on yet.

Shown to the operator at start and by ``check``, so that no setting is silently without effect.
"""

from __future__ import annotations

NOT_IN_FORCE = (
    # Operations.
    "otlp",
)
"""Dotted keys; ``*`` is any one key. A key that comes into force is taken out here and in the documentation."""


def keys_not_in_force(document: object) -> tuple[str, ...]:
    """Return the dotted keys that a parsed file sets without effect; one that is left empty is not set."""
    return tuple(path for pattern in NOT_IN_FORCE for path in _matches(document, pattern.split("."), ()))


def _matches(found: object, pattern: list[str], path: tuple[str, ...]) -> list[str]:
    if not pattern:
        return [] if found is None or found == [] or found == {} else [".".join(path)]
    if not isinstance(found, dict):
        return []
    keys = [key for key in found if pattern[0] in ("*", key) and isinstance(key, str)]
    return [match for key in keys for match in _matches(found[key], pattern[1:], (*path, key))]
