"""multipart/form-data as SDKs upload audio: field values and the head of the file, read from a copy.

Reads only; the upload itself is relayed untouched. Tolerates a copy cut anywhere.
Reference: RFC 7578.
"""

from __future__ import annotations

import re

from msgspec import Struct

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname=(?:"([^"]*)"|([^";\s]+))')
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
    if match is None or not content_type.lower().startswith("multipart/"):
        return None
    return match.group(1).strip().encode("utf-8", "replace")


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
            text = (name.group(1) or name.group(2) or b"").decode("utf-8", "replace")
            found.append(Part(text, bool(_FILENAME.search(head)), data))
    return found
