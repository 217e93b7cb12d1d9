"""Forms: of texts, and multipart ones with a file, read piece by piece, within a limit, into memory."""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from msgspec import Struct

from voicegw_sidecar.errors import BadRequest, TooLarge, UnsupportedType

FIELD_BYTES, FORM_BYTES = 16 * 1024, 128 * 1024
PARTS = 60


class Form(Struct, frozen=True):
    """What a form sent: texts by name, and files that were chosen by name."""

    fields: dict[str, str]
    files: dict[str, bytes]


async def read_form(request: web.Request, file_limit_bytes: int) -> Form:
    """Read a multipart form; raises `UnsupportedType`, `TooLarge` or `BadRequest`.

    A file may be one byte longer than the limit: what it is for says how it is refused.
    """
    if request.content_type != "multipart/form-data":
        raise UnsupportedType(f"found a body of type {request.content_type[:80]!r}, expected multipart/form-data")
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    try:
        reader = await request.multipart()
        count = 0
        while (part := await reader.next()) is not None:
            count += 1
            if count > PARTS or not isinstance(part, BodyPartReader):
                raise BadRequest(f"body: expected at most {PARTS} fields, and no parts within parts")
            name = part.name or ""
            if part.filename is None:
                fields[name] = (await _content(part, FIELD_BYTES, name)).decode("utf-8", "replace")
            elif content := await _content(part, file_limit_bytes, name):
                files[name] = content
    except (ValueError, RuntimeError, LookupError, HttpProcessingError):
        raise BadRequest("body: found no multipart form, expected one with a file") from None
    return Form(fields, files)


async def read_fields(request: web.Request) -> dict[str, str]:
    """Read the texts of a form of either kind; raises `TooLarge` and `BadRequest`."""
    if request.content_type == "multipart/form-data":
        return (await read_form(request, 0)).fields
    if request.content_type != "application/x-www-form-urlencoded":
        raise UnsupportedType(f"found a body of type {request.content_type[:80]!r}, expected a form")
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > FORM_BYTES:
            raise TooLarge(f"the form is longer than {FORM_BYTES} bytes")
    try:
        # as UTF-8, whatever is declared: that is what pages are written in
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=PARTS))
    except ValueError:
        raise BadRequest(f"body: found no form of at most {PARTS} fields") from None


async def _content(part: BodyPartReader, limit_bytes: int, name: str) -> bytes:
    found = bytearray()
    while piece := await part.read_chunk(64 * 1024):
        found += piece
        if len(found) > limit_bytes:
            raise TooLarge(f"{name[:40]}: found more than {limit_bytes} bytes, expected at most {limit_bytes}")
    return bytes(found)
