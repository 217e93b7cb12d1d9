"""Lines come out whole, however their bytes are cut."""

from __future__ import annotations

import pytest

from voicegw_sidecar.wire.ndjson import LineSplitter

BODY = b'{"a":1}\n\n{"b":2}\r\n{"c":3}'


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 100])
def test_any_cut_gives_the_same_lines(size: int) -> None:
    splitter = LineSplitter()
    lines = [line for start in range(0, len(BODY), size) for line in splitter.feed(BODY[start : start + size])]
    assert [line.strip() for line in lines] == [b'{"a":1}', b'{"b":2}']
    assert splitter.rest() == b'{"c":3}'
    assert splitter.rest() is None


def test_line_over_the_limit_is_dropped_and_the_next_one_is_not() -> None:
    splitter = LineSplitter(limit_bytes=8)
    assert splitter.feed(b"0123456789") == []
    assert splitter.rest() is None
    assert splitter.feed(b"still the same\nnext\n") == [b"next"]
