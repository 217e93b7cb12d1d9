"""Request bodies of the API: JSON of a known shape, of a bounded size, or a refusal that names what is wrong."""

from __future__ import annotations

import difflib
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.errors import BadRequest, TooLarge, UnsupportedType

T = TypeVar("T", bound=Struct)

LIMIT_BYTES = 64 * 1024


async def json_object(request: web.Request) -> dict[str, Any]:
    """Read a JSON object; raises `UnsupportedType`, `TooLarge` or `BadRequest`."""
    if request.content_type != "application/json":
        raise UnsupportedType(f"found a body of type {request.content_type[:80]!r}, expected application/json")
    body = b""
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > LIMIT_BYTES:
            raise TooLarge(f"the body is longer than {LIMIT_BYTES} bytes")
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("body: found no JSON, expected a JSON object") from None
    if not isinstance(found, dict):
        raise BadRequest(f"body: found {_kind(found)}, expected a JSON object")
    return found


async def json_body(request: web.Request, shape: type[T]) -> T:
    """Read a JSON object of texts and whole numbers as ``shape`` has them; raises as `json_object` does."""
    found = await json_object(request)
    names = shape.__struct_encode_fields__
    for name in found:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise BadRequest(f"{name[:40]}: unknown field, expected {' or '.join(names)}{hint}")
    for name, value in found.items():
        kind = int if _is_whole(shape, name) else str
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
            wanted = "a whole number" if kind is int else "text"
            raise BadRequest(f"{name}: found {_kind(value)}, expected {wanted}")
    try:
        return msgspec.convert(found, shape)
    except msgspec.ValidationError:
        missing = [field.encode_name for field in msgspec.structs.fields(shape) if field.required]
        raise BadRequest(f"body: expected {' and '.join(missing)}") from None


def _is_whole(shape: type[Struct], name: str) -> bool:
    return any(field.encode_name == name and field.type is int for field in msgspec.structs.fields(shape))


def _kind(found: object) -> str:
    if found is None:
        return "null"
    if isinstance(found, bool):
        return "true" if found else "false"
    names: dict[type, str] = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}
    return names.get(type(found), "something else")
