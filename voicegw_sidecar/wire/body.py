"""Bounded copies of HTTP bodies, decoded from their content encoding for metering only.

The bytes that are relayed are never touched. A body over its limit, or one that inflates beyond it, is
given up (None): the exchange is then metered without what the body would have told.
"""

from __future__ import annotations

import zlib

import msgspec

BODY_LIMIT_BYTES = 8 * 1024 * 1024
ERROR_BODY_LIMIT_BYTES = 64 * 1024
_CODE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_CODE_KEYS = ("code", "err_code", "error_code", "type", "status", "category")


class BodyCopy:
    """Collects a body up to a limit; `content` gives it back decoded, or None where it cannot be had."""

    def __init__(self, content_encoding: str = "", limit_bytes: int = BODY_LIMIT_BYTES) -> None:
        self._encoding = content_encoding.strip().lower()
        self._limit_bytes = limit_bytes
        self._pieces: list[bytes] = []
        self.size_bytes = 0

    def add(self, piece: bytes) -> None:
        """Take one more piece; past the limit everything collected is let go."""
        self.size_bytes += len(piece)
        if self.size_bytes > self._limit_bytes:
            self._pieces.clear()
        else:
            self._pieces.append(piece)

    def content(self) -> bytes | None:
        """Return the decoded body, or None if it was too long or its encoding is not understood."""
        if self.size_bytes > self._limit_bytes:
            return None
        return decoded(b"".join(self._pieces), self._encoding, self._limit_bytes)


def decoded(body: bytes, encoding: str, limit_bytes: int) -> bytes | None:
    """Undo gzip or deflate; None for other encodings, broken data and anything that grows past the limit."""
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        return None
    inflater = Inflater(encoding)
    try:
        content = inflater.feed(body, limit_bytes)
    except zlib.error:
        return None
    return content if inflater.complete else None


class Inflater:
    """Streamed gzip or deflate for the metering copy; `feed` never returns more than it is allowed."""

    def __init__(self, encoding: str) -> None:
        wants_zlib = encoding == "deflate"
        self._stream = zlib.decompressobj(zlib.MAX_WBITS if wants_zlib else zlib.MAX_WBITS | 16)

    @property
    def complete(self) -> bool:
        """True once the end of the compressed stream was read within the limits."""
        return self._stream.eof

    def feed(self, piece: bytes, limit_bytes: int) -> bytes:
        """Return what ``piece`` inflates to, cut at ``limit_bytes``; raises zlib.error on broken data."""
        return self._stream.decompress(piece, limit_bytes)


def error_code(body: bytes | None) -> str | None:
    """Find the provider's own short error code in an error body; never its message.

    Looks in the top object and in its ``error`` and ``detail`` members; anything that does not look like
    a code is ignored, so that no text of a prompt or key can pass as one.
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
                code = holder.get(key)
                if isinstance(code, str) and 0 < len(code) <= 64 and _CODE_CHARACTERS.issuperset(code):
                    return code
    return None
