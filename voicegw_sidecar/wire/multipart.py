"""multipart/form-data as SDKs upload audio: field values and the head of the file, read from a copy.

Reads only; the upload itself is relayed untouched. Tolerates a copy cut anywhere.
Reference: RFC 7578.
"""

from __future__ import annotations

import re

from msgspec import Struct

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname="([^"]*)"')
_FILENAME = re.compile(rb"\bfilename\*?=")
_HEAD_LIMIT_BYTES = 8192


class Part(Struct, frozen=True):
    """One field or file of an upload."""

    name: str
    is_file: bool
    data: bytes


def boundary(content_type: str) -> bytes | None:
    """Return the boundary that a Content-Type names, or None."""
    match = _BOUNDARY.search(content_type)
    return match.group(1).encode() if match and content_type.lower().startswith("multipart/") else None


def parts(body: bytes, mark: bytes) -> list[Part]:
    """Split ``body`` into its parts; a part whose head is broken is left out."""
    found: list[Part] = []
    delimiter = b"--" + mark
    for piece in (b"\r\n" + body).split(b"\r\n" + delimiter)[1:]:
        if piece.startswith(b"--"):
            break
        head, separator, data = piece.partition(b"\r\n\r\n")
        name = _NAME.search(head[:_HEAD_LIMIT_BYTES])
        if separator and name:
            found.append(Part(name.group(1).decode("utf-8", "replace"), bool(_FILENAME.search(head)), data))
    return found
