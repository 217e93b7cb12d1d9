"""multipart/form-data as SDKs upload audio: field values and the head of the file, read from a copy; and its writing.

Reading tolerates a copy cut anywhere; a field is replaced in whole bodies only, every other byte kept. Uploads are
long: they are searched and copied a stretch at a time, or a thread that does so would hold up all others meanwhile.
Reference: RFC 7578.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

_BOUNDARY = re.compile(r'boundary="?([^";,]+)"?', re.IGNORECASE)
_NAME = re.compile(rb'\bname=(?:"([^"]*)"|([^";\s]+))')
_FILENAME = re.compile(rb"\bfilename\*?=")
_FILENAME_VALUE = re.compile(rb'\bfilename="([^"]*)"')
_CONTENT_TYPE = re.compile(rb"^content-type:([\t -~]*)\r?$", re.IGNORECASE | re.MULTILINE)
_HEAD_LIMIT_BYTES = 8192
_STRETCH_BYTES = 1024 * 1024  # 0.1 ms of copying
_NO_LINES = str.maketrans("", "", "\r\n")
PARTS_LIMIT = 64
"""Fields and files looked at; what comes after them is taken for part of the last."""


class Part(Struct, frozen=True):
    """One field or file of an upload; a file has a name and a type of its own, where they were sent.

    A type that no header could have, as one with control characters, counts as none.
    """

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
    for number, (start, end) in enumerate(_spans(body, mark), start=1):
        if body.startswith(b"--", start):
            break
        if number == PARTS_LIMIT:
            end = len(body)
        head, data_start = _head(body, start, end)
        name = _NAME.search(head)
        if name:
            text = (name.group(1) or name.group(2) or b"").decode("utf-8", "replace")
            filename, kind = _FILENAME_VALUE.search(head), _CONTENT_TYPE.search(head)
            found.append(
                Part(
                    text,
                    bool(_FILENAME.search(head)),
                    b"".join(_stretches(body, data_start, end)),
                    "" if filename is None else filename.group(1).decode("utf-8", "replace"),
                    "" if kind is None else kind.group(1).decode("ascii").strip(),
                )
            )
        if number == PARTS_LIMIT:
            break
    return found


def _spans(body: bytes, mark: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each part begins, right after its delimiter, and where it ends."""
    delimiter = b"\r\n--" + mark
    before = _first(body, delimiter)
    while before is not None:
        start = before + len(delimiter)
        before = _found(body, delimiter, start)
        yield start, len(body) if before is None else before


def _first(body: bytes, delimiter: bytes) -> int | None:
    """Return where the first delimiter begins: at -2, as it were, where the body begins with it."""
    return -2 if body.startswith(delimiter[2:]) else _found(body, delimiter, 0)


def _head(body: bytes, start: int, end: int) -> tuple[bytes, int]:
    """Return the head of a part and where its data begins; an empty one where it is broken."""
    head_end = body.find(b"\r\n\r\n", start, min(end, start + _HEAD_LIMIT_BYTES))
    return (b"", end) if head_end < 0 else (body[start:head_end], head_end + 4)


def _found(body: bytes, words: bytes, start: int) -> int | None:
    """Return where words stand first, from ``start`` on."""
    for at in range(start, len(body), _STRETCH_BYTES):
        found = body.find(words, at, at + _STRETCH_BYTES + len(words))
        if found >= 0:
            return found
    return None


def _stretches(body: bytes, start: int, end: int) -> list[bytes]:
    """Return a copy in stretches, to be joined: that lets other threads on by itself."""
    return [body[at : min(at + _STRETCH_BYTES, end)] for at in range(start, end, _STRETCH_BYTES)]


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
        if _found(file.data, mark, 0) is None and mark not in file_head and not any(mark in head for head in heads)
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
    for start, end in _spans(body, mark):
        head, data_start = _head(body, start, end)
        found = _NAME.search(head)
        if found and (found.group(1) or found.group(2)) == name.encode() and not _FILENAME.search(head):
            return b"".join([*_stretches(body, 0, data_start), value, *_stretches(body, end, len(body))])
    delimiter = b"\r\n--" + mark
    field = b'\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value
    before = _first(body, delimiter)
    if before == -2:
        return b"".join([delimiter[2:], field, b"\r\n", *_stretches(body, 0, len(body))])
    before = len(body) if before is None else before
    return b"".join([body[:before], delimiter, field, *_stretches(body, before, len(body))])
