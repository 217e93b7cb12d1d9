"""JSON that strict decoders refuse: what fits is read, what does not is left out, and nothing raises."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import Struct

from voicegw_sidecar.dialects.base import decode_json
from voicegw_sidecar.dialects.tolerant import LIMIT_BYTES, read_tolerantly


class Inner(Struct, frozen=True):
    rate: int | None = None
    name: str = ""


class Outer(Struct, frozen=True):
    text: str | None = None
    inner: Inner | None = None
    items: list[Inner] | None = None


class Needs(Struct, frozen=True):
    must: str


DECODER = msgspec.json.Decoder(Outer)


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b'{"text":"a"}', Outer("a")),
        (b'{"text":"so \\ud83d sad"}', Outer("so ? sad")),
        (b'\xef\xbb\xbf{"text":"a"}', Outer("a")),
        (b'{"inner":{"rate":16000.0}}', Outer(inner=Inner(16000))),
        (b'{"inner":{"rate":16000.5,"name":"n"}}', Outer(inner=Inner(name="n"))),
        (b'{"text":5,"inner":{"rate":1}}', Outer(inner=Inner(1))),
        (b'{"text":"a","items":[{"rate":"odd"}]}', Outer("a")),
        (b'{"text":"a","inner":NaN}', Outer("a")),
        (b'{"text":"a","inner":[]}', Outer("a")),
        (b"[]", None),
        (b"no json", None),
        (b"", None),
        (None, None),
        (b'{"inner":' * 2000 + b"1" + b"}" * 2000, Outer()),
        (b'{"text":5,"x":' + b"[" * 200 + b"]" * 200 + b"}", Outer()),
    ],
)
def test_what_fits_is_read(payload: bytes | None, expected: Outer | None) -> None:
    found = decode_json(DECODER, payload)
    assert found == expected or (expected == Outer() and isinstance(found, Outer | None))


def test_what_must_be_there_and_is_not_is_nothing() -> None:
    assert read_tolerantly(b'{"must":5}', Needs) is None
    assert read_tolerantly(b'{"must":"a"}', Needs) == Needs("a")


def test_long_payloads_are_not_read_twice() -> None:
    assert decode_json(DECODER, b'{"text":5,"x":"' + b"a" * LIMIT_BYTES + b'"}') is None
