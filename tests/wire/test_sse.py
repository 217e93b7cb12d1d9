"""Server-sent events, cut anywhere."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.wire.sse import SseFilter, SseSplitter


def split(stream: bytes, *offsets: int, limit: int = 1 << 20) -> list[bytes | None]:
    splitter = SseSplitter(limit)
    found: list[bytes | None] = []
    edges = [0, *offsets, len(stream)]
    for start, stop in itertools.pairwise(edges):
        found += [event.data for event in splitter.feed(stream[start:stop])]
    return found


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_ends_an_event(newline: bytes) -> None:
    stream = b"data: one" + newline * 2 + b"data: two" + newline * 2
    for offset in range(len(stream) + 1):
        assert [data for data in split(stream, offset) if data is not None] == [b"one", b"two"]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"\xef\xbb\xbfdata: x\n\n", [b"x"]),
        (b": comment\n\ndata: x\n\n", [None, b"x"]),
        (b"event: e\nid: 1\ndata: x\n\n", [b"x"]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data:x\n\n", [b"x"]),
        (b"data:  x\n\n", [b" x"]),
        (b"data\n\n", [b""]),
        (b"data: a:b\n\n", [b"a:b"]),
        (b"retry: 3\r\ndata: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
        (b"data: x\n", []),
    ],
)
def test_fields_are_read_by_the_rules(stream: bytes, expected: list[bytes | None]) -> None:
    assert split(stream) == expected


def test_event_without_its_blank_line_is_the_rest() -> None:
    splitter = SseSplitter()
    splitter.feed(b"data: one\n\ndata: two\n")
    assert splitter.rest() == b"two"
    assert splitter.rest() is None


def test_event_over_the_limit_is_dropped_and_counted() -> None:
    splitter = SseSplitter(64)
    found = [
        event.data
        for piece in (b"data: " + b"x" * 100, b"y" * 100, b"\n", b"\ndata: z\n\n")
        for event in splitter.feed(piece)
    ]
    assert found == [b"z"]
    assert splitter.dropped == 1
    assert len(splitter.pending) <= 64


def test_rest_of_a_dropped_event_is_none() -> None:
    splitter = SseSplitter(8)
    splitter.feed(b"data: too long to keep")
    assert splitter.rest() is None


lines = st.sampled_from(
    [b"data: a", b"data: drop", b"data", b": c", b"event: e", b"\xef\xbb\xbf", b"", b"data: " + b"x" * 30]
)
streams = st.lists(st.tuples(lines, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=20).map(
    lambda pairs: b"".join(line + end for line, end in pairs)
)
cuts = st.lists(st.integers(0, 400), max_size=12)


def pieces(stream: bytes, offsets: list[int]) -> list[bytes]:
    edges = [0, *sorted(offset for offset in offsets if offset < len(stream)), len(stream)]
    return [stream[start:stop] for start, stop in itertools.pairwise(edges)]


@given(streams, cuts)
def test_any_cut_gives_the_same_data(stream: bytes, offsets: list[int]) -> None:
    def data(parts: list[bytes]) -> list[bytes]:
        splitter = SseSplitter()
        return [event.data for part in parts for event in splitter.feed(part) if event.data is not None]

    assert data(pieces(stream, offsets)) == data([stream])


@given(streams | st.binary(max_size=300), cuts, st.sampled_from([8, 24, 1 << 20]))
def test_filter_that_drops_nothing_loses_nothing(stream: bytes, offsets: list[int], limit: int) -> None:
    keep = SseFilter(lambda data: False, limit)
    assert b"".join(keep.feed(part) for part in pieces(stream, offsets)) + keep.rest() == stream


@given(streams, cuts)
def test_filter_leaves_out_exactly_the_dropped_events(stream: bytes, offsets: list[int]) -> None:
    keep = SseFilter(lambda data: data == b"drop")
    kept = b"".join(keep.feed(part) for part in pieces(stream, offsets)) + keep.rest()
    before, after = SseSplitter(), SseSplitter()
    wanted = [event.data for event in before.feed(stream) if event.data not in (None, b"drop")]
    assert [event.data for event in after.feed(kept) if event.data is not None] == wanted
    assert b"".join(event.raw for event in SseSplitter().feed(stream)) + before.pending == stream


def test_filter_passes_everything_once_an_event_is_too_long() -> None:
    keep = SseFilter(lambda data: True, 16)
    huge = b"data: " + b"x" * 1000  # one piece far over the limit: nothing of it may be lost
    assert keep.feed(huge) == huge
    assert keep.feed(b"\n\ndata: y\n\n") == b"\n\ndata: y\n\n"
    assert keep.rest() == b""
