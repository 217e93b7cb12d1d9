"""Copies of bodies: bounded, decoded, and error codes that leak no text."""

from __future__ import annotations

import gzip
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.wire.body import BodyCopy, decoded, error_code, short_code


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", b"hello"),
        (" Identity ", b"hello"),
        ("gzip", gzip.compress(b"hello")),
        ("x-gzip", gzip.compress(b"hello")),
        ("deflate", zlib.compress(b"hello")),
        ("deflate", raw_deflate(b"hello")),
    ],
)
def test_copy_is_decoded(encoding: str, packed: bytes) -> None:
    copy = BodyCopy(encoding)
    for byte in packed:
        copy.add(bytes((byte,)))
    assert copy.content() == b"hello"


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("br", b"hello"),
        ("zstd", b"hello"),
        ("gzip", b"hello"),
        ("gzip", gzip.compress(b"hello")[:-4]),
        ("deflate", b"\xff\xff"),
    ],
)
def test_what_cannot_be_decoded_is_none(encoding: str, packed: bytes) -> None:
    copy = BodyCopy(encoding)
    copy.add(packed)
    assert copy.content() is None


def test_bomb_is_given_up_at_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert decoded(bomb, "gzip", 1000) is None
    assert decoded(gzip.compress(bytes(1000)), "gzip", 1000) == bytes(1000)
    assert decoded(gzip.compress(bytes(1001)), "gzip", 1000) is None


def test_body_over_its_limit_keeps_its_beginning_only() -> None:
    copy = BodyCopy(limit_bytes=10)
    for _ in range(5):
        copy.add(b"abc")
    assert copy.content() is None
    assert (copy.head(), copy.size_bytes) == (b"abcabcabca", 15)
    copy.clear()
    assert copy.head() == b""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": {"message": "no", "type": "invalid_request_error", "code": "invalid_api_key"}}, "invalid_api_key"),
        ({"error": {"message": "no", "type": "rate_limit_exceeded", "code": None}}, "rate_limit_exceeded"),
        ({"type": "error", "error": {"type": "billing_error", "message": "no"}}, "billing_error"),
        ({"err_code": "INVALID_AUTH", "err_msg": "no", "request_id": "1"}, "INVALID_AUTH"),
        ({"error_code": "concurrency_limited", "title": "T", "message": "no"}, "concurrency_limited"),
        ({"detail": {"status": "quota_exceeded", "message": "no"}}, "quota_exceeded"),
        ({"category": "DATA-0000", "message": "no"}, "DATA-0000"),
        ({"error": {"code": "My name is Ann and", "type": "server_error"}}, "server_error"),
        ({"error": {"code": "sk-abcdefghijklmnop"}}, None),
        ({"error": {"code": "a0b1c2d3e4f5a6b7c8"}}, None),
        ({"error": "some text"}, None),
        ({"code": 429}, None),
        (["code"], None),
        ("text", None),
    ],
)
def test_error_code_is_the_providers_own(body: Any, code: str | None) -> None:
    assert error_code(msgspec.json.encode(body)) == code


@pytest.mark.parametrize("body", [None, b"", b"no json", b"\xff", b"[" * 100_000])
def test_body_without_a_code_has_none(body: bytes | None) -> None:
    assert error_code(body) is None


@given(st.text())
def test_a_code_is_never_a_text(text: str) -> None:
    code = short_code(text)
    assert code is None or (len(code) <= 64 and code.isascii() and not any(map(str.isspace, code)))


@given(
    st.recursive(
        st.none() | st.text() | st.integers(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "code", "detail", "type"]), inner),
    )
)
def test_error_code_never_raises(body: Any) -> None:
    try:
        encoded = msgspec.json.encode(body)
    except UnicodeEncodeError:
        return
    error_code(encoded)
