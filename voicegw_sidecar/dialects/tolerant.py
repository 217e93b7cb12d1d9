"""Reading JSON that a strict decoder refuses and many servers take.

Lone halves of surrogate pairs (a split emoji, as JavaScript and Python write it), a byte order mark, 16000.0 for
a whole number, NaN; and of an object with a field in a shape that is not known, all the other fields.
"""

from __future__ import annotations

import json
import types
from typing import Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct

LIMIT_BYTES = 2 * 1024 * 1024
"""Longer payloads are not read a second time: it takes ten times as long as the strict reading."""
_DEEPEST = 8  # structs within structs
_DEEPEST_VALUE = 64
_LARGEST_WHOLE = 2.0**53


def read_tolerantly(payload: bytes, kind: Any) -> object | None:
    """Return what of ``payload`` fits ``kind``, or None where it is no JSON or nothing of it fits."""
    if len(payload) > LIMIT_BYTES:
        return None
    try:
        plain = json.loads(payload)  # noqa: TID251 - it takes what the strict decoder does not
    except (ValueError, RecursionError):
        return None
    return _fitted(_cleaned(plain, 0), kind, 0)


def _fitted(plain: object, kind: Any, depth: int) -> object | None:
    try:
        found: object = msgspec.convert(plain, kind)
        return found
    except (msgspec.ValidationError, RecursionError, TypeError, OverflowError):
        pass
    struct = _struct_of(kind)
    if struct is None or not isinstance(plain, dict) or depth >= _DEEPEST:
        return None
    values = {}
    for field in msgspec.structs.fields(struct):
        if field.encode_name in plain:
            value = _fitted(plain[field.encode_name], field.type, depth + 1)
            if value is not None:
                values[field.name] = value
    try:
        return struct(**values)
    except TypeError:  # a field that must be there is not
        return None


def _struct_of(kind: Any) -> type[Struct] | None:
    """Return the one struct that a kind is, or may be besides None."""
    choices = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    structs = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, Struct)]
    return structs[0] if len(structs) == 1 else None


def _cleaned(plain: object, depth: int) -> object:
    """Return the value without half characters, and with whole numbers as such."""
    if isinstance(plain, str):
        return plain if plain.isascii() else plain.encode("utf-8", "replace").decode()
    if isinstance(plain, float):
        return int(plain) if plain.is_integer() and abs(plain) < _LARGEST_WHOLE else plain
    if depth >= _DEEPEST_VALUE:
        return None
    if isinstance(plain, list):
        return [_cleaned(item, depth + 1) for item in plain]
    if isinstance(plain, dict):
        return {str(_cleaned(key, 0)): _cleaned(value, depth + 1) for key, value in plain.items()}
    return plain
