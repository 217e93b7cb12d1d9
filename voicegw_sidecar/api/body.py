"""Request bodies of the API: JSON of a known shape, of a bounded size, or a refusal that names what is wrong.

A body is declared beside its handler, and read and described by that declaration.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar, get_args

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.upload import read_form
from voicegw_sidecar.errors import BadRequest, SidecarError, TooLarge, UnsupportedType

T = TypeVar("T", bound=Struct)
T_co = TypeVar("T_co", covariant=True)

LIMIT_BYTES = 64 * 1024
_SHOWN_MOST = 10**15
_JSON = "application/json"
Shape = type[Struct] | dict[str, Any]
"""A Struct, or JSON schema where what is taken is no Struct."""


class Body(Protocol[T_co]):
    """What a route takes."""

    @property
    def media_type(self) -> str:
        """Its content type, and no other is taken."""

    @property
    def is_required(self) -> bool:
        """False where the request may as well have none."""

    @property
    def refuses(self) -> tuple[type[SidecarError], ...]:
        """What reading it may be refused with."""

    async def read(self, request: web.Request) -> T_co:
        """Read it, or raise."""

    def shape(self) -> Shape:
        """Say what is in it."""


class JsonBody(Struct, Generic[T], frozen=True):
    """A JSON object of texts and whole numbers, as a Struct has them; one that is not required may be left out."""

    struct: type[T]
    is_required: bool = True

    media_type = _JSON
    refuses = (BadRequest, TooLarge, UnsupportedType)

    async def read(self, request: web.Request) -> T:
        """Read it; a body that is left out has nothing but defaults."""
        if not self.is_required and not request.can_read_body:
            return self.struct()
        return checked(await json_object(request), self.struct)

    def shape(self) -> Shape:
        """Return the Struct."""
        return self.struct


class SettingsBody(Struct, frozen=True):
    """A JSON object that is checked where it is put in force; ``schema`` is made of what checks it there."""

    schema: Callable[[], dict[str, Any]]

    media_type = _JSON
    is_required = True
    refuses = (BadRequest, TooLarge, UnsupportedType)

    async def read(self, request: web.Request) -> dict[str, Any]:
        """Read it."""
        return await json_object(request)

    def shape(self) -> Shape:
        """Return the schema."""
        return self.schema()


class FileBody(Struct, frozen=True):
    """A multipart form with one file; any other field is ignored."""

    field: str
    what: str
    limit_bytes: int

    media_type = "multipart/form-data"
    is_required = True
    refuses = (BadRequest, TooLarge, UnsupportedType)

    async def read(self, request: web.Request) -> bytes:
        """Return what is in the file."""
        file = (await read_form(request, self.limit_bytes)).files.get(self.field)
        if file is None:
            raise BadRequest(f"{self.field}: found nothing, expected {self.what} in the form field {self.field}")
        return file

    def shape(self) -> Shape:
        """Return the form."""
        about = f"{self.what[0].upper()}{self.what[1:]} of at most {self.limit_bytes} bytes."
        file = {"type": "string", "contentMediaType": "application/octet-stream", "description": about}
        return {"type": "object", "properties": {self.field: file}, "required": [self.field]}


async def json_object(request: web.Request) -> dict[str, Any]:
    """Read a JSON object; raises `UnsupportedType`, `TooLarge` or `BadRequest`."""
    if request.content_type != _JSON:
        raise UnsupportedType(f"found a body of type {request.content_type[:80]!r}, expected {_JSON}")
    body = b""
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > LIMIT_BYTES:
            raise TooLarge(f"the body is longer than {LIMIT_BYTES} bytes")
    try:
        found = msgspec.json.decode(body)
    except msgspec.ValidationError:
        raise BadRequest("body: found a number that is too large, expected one of 64 bits at most") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("body: found no JSON, expected a JSON object") from None
    if not isinstance(found, dict):
        raise BadRequest(f"body: found {_kind(found)}, expected a JSON object")
    return found


def checked(found: dict[str, Any], shape: type[T]) -> T:
    """Return an object as the Struct has it, or raise `BadRequest` with the first field that is wrong."""
    names = shape.__struct_encode_fields__
    for name in found:
        if name not in names:
            close = difflib.get_close_matches(name, names, 1)
            hint = f"; did you mean {close[0]}?" if close else ""
            expected = " or ".join(names) if names else "an empty object"
            raise BadRequest(f"{name[:40]}: unknown field, expected {expected}{hint}")
    read: dict[str, Any] = {}
    for field in msgspec.structs.fields(shape):
        if field.encode_name not in found:
            if field.required:
                raise BadRequest(f"body: expected {field.encode_name}")
            continue
        value = found[field.encode_name]
        try:
            read[field.encode_name] = msgspec.convert(_as_json_means(value), field.type)
        except msgspec.ValidationError:
            raise BadRequest(_mismatch(field.encode_name, value, field.type)) from None
    return msgspec.convert(read, shape)


def _as_json_means(value: object) -> object:
    """Return a whole number as one, however it is written: JSON has one kind of number, and 7.0 is 7."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _mismatch(name: str, value: object, annotation: object) -> str:
    """Word what a field is and what it should be, by its description."""
    value = _as_json_means(value)
    parts = (annotation, *get_args(annotation))
    is_whole = any(part is int or getattr(part, "__origin__", None) is int for part in parts)
    if not isinstance(value, int if is_whole else str) or isinstance(value, bool):
        return f"{name}: found {_kind(value)}, expected {'a whole number' if is_whole else 'text'}"
    metas = (meta for part in parts for meta in getattr(part, "__metadata__", ()))
    expected = next(meta.description for meta in metas if meta.description)
    return f"{name}: found {_shown(value)}, expected {expected}"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:64])
    return str(value) if isinstance(value, int) and abs(value) < _SHOWN_MOST else "a very large number"


def _kind(found: object) -> str:
    if found is None:
        return "null"
    if isinstance(found, bool):
        return "true" if found else "false"
    names: dict[type, str] = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number"}
    return names.get(type(found), "something else")
