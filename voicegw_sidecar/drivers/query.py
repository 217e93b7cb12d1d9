"""A provider's query: what the driver sets, what is usual, and the caller's options by the provider's own names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from voicegw_sidecar.drivers.base import Pairs
from voicegw_sidecar.errors import BadRequest


def query(
    fixed: Mapping[str, object],
    usual: Mapping[str, object],
    options: Mapping[str, object],
    *,
    has_json_lists: bool = False,
) -> Pairs:
    """Return the pairs of an address: options go before what is usual, and none may be one of ``fixed``.

    None is left out. A list is a parameter that comes once for each item, with ``has_json_lists`` one in JSON; an
    empty one is left out. A word with its weight is ``word:weight``. Raises :class:`BadRequest` for an option that
    the driver sets by itself, unless it is the same.
    """
    for name, wish in options.items():
        if name in fixed and _text(wish) != _text(fixed[name]):
            raise BadRequest(f"options: found {name[:32]!r}, which follows from the call itself; leave it out")
    pairs: list[tuple[str, str]] = []
    for name, value in {**fixed, **usual, **options}.items():
        if isinstance(value, list | tuple) and not has_json_lists:
            pairs += [(name, _text(item)) for item in value]
        elif value is not None and value != [] and value != ():
            pairs.append((name, _text(value)))
    return tuple(pairs)


def with_terms(terms: Iterable[str], name: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return ``options`` with the terms added to those of the option ``name``, which is one term or a list of them."""
    own = options.get(name)
    known = [own] if isinstance(own, str) else own if isinstance(own, list | tuple) else []
    together = [*known, *(term for term in dict.fromkeys(terms) if term not in known)]
    return {**options, name: together} if together else dict(options)


def _text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value)
        case [str() as word, int() | float() as weight]:
            return f"{word}:{weight}"
        case _:
            return msgspec.json.encode(value).decode()
