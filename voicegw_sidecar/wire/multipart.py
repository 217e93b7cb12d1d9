"""multipart/form-data as SDKs upload audio: field values and the head of the file, read from a copy; and its writing.

Reading tolerates a copy cut anywhere; a field is replaced in whole bodies only, every other byte kept.
Reference: RFC 7578.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from msgspec import Struct

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname=(?:"([^"]*)"|([^";\s]+))')
_FILENAME = re.compile(rb"\bfilename\*?=")
_FILENAME_VALUE = re.compile(rb'\bfilename="([^"]*)"')
_CONTENT_TYPE = re.compile(rb"^content-type:([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
_HEAD_LIMIT_BYTES = 8192
_NO_LINES = str.maketrans("", "", "\r\n")
PARTS_LIMIT = 64
"""Fields and files looked at; what comes after them is taken for part of the last."""


class Part(Struct, frozen=True):
    """One field or file of an upload; a file has a name and a type of its own, where they were sent."""

    name: str
    is_file: bool
    data: bytes
    filename: str = ""
    content_type: str = ""


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
            filename, kind = _FILENAME_VALUE.search(head), _CONTENT_TYPE.search(head)
            found.append(
                Part(
                    text,
                    bool(_FILENAME.search(head)),
                    data,
                    "" if filename is None else filename.group(1).decode("utf-8", "replace"),
                    "" if kind is None else kind.group(1).decode("latin-1").strip(),
                )
            )
    return found


class Form(Struct, frozen=True):
    """A whole form, and the type that says where its parts begin."""

    content_type: str
    body: bytes


def form(fields: Iterable[tuple[str, str]], file: Part) -> Form:
    """Write a form of plain fields and, after them, one file."""
    place = f'form-data; name="{_quoted(file.name)}"; filename="{_quoted(file.filename)}"'
    content_type = file.content_type.translate(_NO_LINES)
    file_head = f"Content-Disposition: {place}\r\nContent-Type: {content_type}\r\n\r\n".encode()
    heads = [
        f'Content-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}'.encode() for name, value in fields
    ]
    mark = next(
        mark
        for mark in (b"voicegw-form-%d" % number for number in itertools.count())
        if mark not in file.data and mark not in file_head and not any(mark in head for head in heads)
    )
    delimiter = b"--" + mark
    pieces = [piece for head in heads for piece in (delimiter, b"\r\n", head, b"\r\n")]
    body = b"".join([*pieces, delimiter, b"\r\n", file_head, file.data, b"\r\n", delimiter, b"--\r\n"])
    return Form(f"multipart/form-data; boundary={mark.decode()}", body)


def _quoted(name: str) -> str:
    """Return a name as it may stand between quotes, by the WHATWG's rules."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


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
