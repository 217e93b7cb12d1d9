"""Bounded copies of HTTP bodies, decoded from their content encoding for metering only.

The bytes that are relayed are never touched. A body over its limit, or one that inflates beyond it, is
given up (None): the exchange is then metered without what the body would have told.
"""

from __future__ import annotations

import re
import zlib

import msgspec

BODY_LIMIT_BYTES = 8 * 1024 * 1024
ERROR_BODY_LIMIT_BYTES = 64 * 1024
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_CODE_DIGITS = 5  # as in ``DATA-0000``; a key or a number out of a prompt has more
_CODE_KEYS = ("code", "err_code", "error_code", "type", "status", "category")


class BodyCopy:
    """Collects a body up to a limit; `content` gives it back decoded, or None where it cannot be had."""

    def __init__(self, content_encoding: str = "", limit_bytes: int = BODY_LIMIT_BYTES) -> None:
        self._encoding = content_encoding.strip().lower()
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    def add(self, piece: bytes) -> None:
        """Take one more piece; past the limit only the beginning is kept."""
        left_bytes = self._limit_bytes - self.size_bytes
        self.size_bytes += len(piece)
        if left_bytes > 0:
            self._pieces.append(piece[:left_bytes] if len(piece) > left_bytes else piece)

    def content(self) -> bytes | None:
        """Return the decoded body, or None if it was too long or its encoding is not understood."""
        if self.size_bytes > self._limit_bytes:
            return None
        return decoded(b"".join(self._pieces), self._encoding, self._limit_bytes)

    def head(self) -> bytes:
        """Return the beginning of the body as it was sent, the whole of it where it is within the limit."""
        return b"".join(self._pieces)

    def clear(self) -> None:
        """Let go of what was collected."""
        self._pieces.clear()


def decoded(body: bytes, encoding: str, limit_bytes: int) -> bytes | None:
    """Undo gzip or deflate; None for other encodings, broken data and anything that grows past the limit."""
    if encoding in ("", "identity"):
        return body
    if encoding in ("gzip", "x-gzip"):
        return _inflated(body, zlib.MAX_WBITS | 16, limit_bytes)
    if encoding == "deflate":  # a zlib stream by the book, a bare one from some servers
        content = _inflated(body, zlib.MAX_WBITS, limit_bytes)
        return _inflated(body, -zlib.MAX_WBITS, limit_bytes) if content is None else content
    return None


def _inflated(body: bytes, window_bits: int, limit_bytes: int) -> bytes | None:
    stream = zlib.decompressobj(window_bits)
    try:
        content = stream.decompress(body, limit_bytes + 1)
    except zlib.error:
        return None
    return content if stream.eof and len(content) <= limit_bytes else None


def short_code(value: object) -> str | None:
    """Return ``value`` where it looks like an error code, else None: no text and no key can pass as one."""
    if not isinstance(value, str) or _CODE.fullmatch(value) is None:
        return None
    return value if sum(map(str.isdigit, value)) <= _CODE_DIGITS and not value.startswith("sk-") else None


def error_code(body: bytes | None) -> str | None:
    """Find the provider's own short error code in an error body; never its message.

    Looks in the ``error`` and ``detail`` members and in the top object; what does not look like a code is
    ignored.
    """
    if not body:
        return None
    try:
        top = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    if not isinstance(top, dict):
        return None
    for holder in (top.get("error"), top.get("detail"), top):
        if isinstance(holder, dict):
            for key in _CODE_KEYS:
                code = short_code(holder.get(key))
                if code is not None:
                    return code
    return None
