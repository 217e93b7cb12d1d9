"""multipart/form-data as SDKs upload audio: field values and the head of the file, read from a copy.

Reading tolerates a copy cut anywhere; a field is replaced in whole bodies only, every other byte kept.
Reference: RFC 7578.
"""

from __future__ import annotations

import re

from msgspec import Struct

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname=(?:"([^"]*)"|([^";\s]+))')
_FILENAME = re.compile(rb"\bfilename\*?=")
_HEAD_LIMIT_BYTES = 8192
PARTS_LIMIT = 64
"""Fields and files looked at; what comes after them is taken for part of the last."""


class Part(Struct, frozen=True):
    """One field or file of an upload."""

    name: str
    is_file: bool
    data: bytes


def boundary(content_type: str) -> bytes | None:
    """Return the boundary that a Content-Type names, or None."""
    match = _BOUNDARY.search(content_type)
    if match is None or not content_type.lower().startswith("multipart/"):
        return None
    return match.group(1).strip().encode("utf-8", "replace")


def parts(body: bytes, mark: bytes) -> list[Part]:
    """Split ``body`` into its parts; a part whose head is broken is left out."""
    found: list[Part] = []
    delimiter = b"--" + mark
    for piece in (b"\r\n" + body).split(b"\r\n" + delimiter, PARTS_LIMIT)[1:]:
        if piece.startswith(b"--"):
            break
        head, separator, data = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head[:_HEAD_LIMIT_BYTES])
        if separator and name:
            text = (name.group(1) or name.group(2) or b"").decode("utf-8", "replace")
            found.append(Part(text, bool(_FILENAME.search(head)), data))
    return found


def with_field(body: bytes, mark: bytes, name: str, value: bytes) -> bytes:
    """Return ``body`` with the plain field ``name`` set to ``value``; put first where there was none."""
    delimiter = b"\r\n--" + mark
    pieces = (b"\r\n" + body).split(delimiter)
    for index, piece in enumerate(pieces[1:], start=1):
        head, separator, _ = piece.partition(b"\r\n\r\n")
        found = _NAME.search(head[:_HEAD_LIMIT_BYTES])
        if separator and found and (found.group(1) or found.group(2)) == name.encode() and not _FILENAME.search(head):
            pieces[index] = head + separator + value
            return delimiter.join(pieces)[2:]
    field = b'\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value
    return delimiter.join([pieces[0], field, *pieces[1:]])[2:]
