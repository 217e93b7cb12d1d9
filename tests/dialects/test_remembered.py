"""One dialect and two readers: each gets the same events, and the dialect reads everything once."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from tests.replay import Capture, captures, replay
from voicegw_sidecar.dialects.remembered import Remembered
from voicegw_sidecar.events import Event, TextOut
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side


class Counting:
    """A dialect whose events are numbered: one that reads anything twice says so."""

    def __init__(self) -> None:
        self._read = 0

    def _next(self) -> Iterable[Event]:
        self._read += 1
        yield TextOut(str(self._read))

    def answered(self, head: ResponseHead) -> Iterable[Event]:
        return self._next()

    def decode(self, frame: Frame) -> Iterable[Event]:
        return self._next()

    def ended(self, side: Side, end: End) -> Iterable[Event]:
        return self._next()


def frame(side: Side = Side.PROVIDER) -> Frame:
    return Frame(side, Kind.BODY, 0, b"a")


def test_the_second_reader_of_a_frame_gets_the_events_of_the_first() -> None:
    dialect, one, another = Remembered(Counting()), frame(), frame()
    assert [*dialect.decode(one), *dialect.decode(one)] == [TextOut("1"), TextOut("1")]
    assert [*dialect.decode(another), *dialect.decode(another)] == [TextOut("2"), TextOut("2")]


def test_frames_that_are_alike_are_two() -> None:
    dialect = Remembered(Counting())
    assert [list(dialect.decode(frame())) for _ in range(3)] == [[TextOut("1")], [TextOut("2")], [TextOut("3")]]


def test_the_second_reader_of_a_head_gets_the_events_of_the_first() -> None:
    dialect, head = Remembered(Counting()), ResponseHead(200)
    assert list(dialect.answered(head)) == list(dialect.answered(head)) == [TextOut("1")]
    assert list(dialect.answered(ResponseHead(200))) == [TextOut("2")]


def test_what_the_other_side_says_meanwhile_changes_nothing() -> None:
    dialect, told, asked = Remembered(Counting()), frame(), frame(Side.AGENT)
    assert list(dialect.decode(told)) == [TextOut("1")]
    assert [*dialect.decode(asked), *dialect.decode(asked)] == [TextOut("2"), TextOut("2")]
    assert list(dialect.decode(told)) == [TextOut("1")]


def test_what_only_one_reader_asks_about_is_read_for_that_one() -> None:
    dialect, one, other = Remembered(Counting()), frame(), frame()
    assert list(dialect.decode(one)) == [TextOut("1")]
    assert list(dialect.decode(other)) == [TextOut("2")]
    assert list(dialect.decode(other)) == [TextOut("2")]


def test_a_side_ends_once() -> None:
    dialect = Remembered(Counting())
    assert list(dialect.ended(Side.AGENT, End.COMPLETE)) == [TextOut("1")]
    assert list(dialect.ended(Side.PROVIDER, End.COMPLETE)) == [TextOut("2")]
    assert list(dialect.ended(Side.AGENT, End.BROKEN)) == [TextOut("1")]
    assert list(dialect.ended(Side.PROVIDER, End.CANCELLED)) == [TextOut("2")]


def test_a_reader_may_go_through_its_events_more_than_once() -> None:
    dialect, one = Remembered(Counting()), frame()
    events = dialect.decode(one)
    assert list(events) == list(events) == [TextOut("1")]


def twice(capture: Capture) -> tuple[list[Event], list[Event]]:
    """What two readers of one dialect get, the second right after the first."""
    head = capture.head
    request = RequestHead(head.method, head.path, tuple(head.query), head.content_type)
    dialect = Remembered(capture.endpoint.dialect(request))
    readers: tuple[list[Event], list[Event]] = ([], [])
    answer, has_answer = ResponseHead(head.status, head.answer_type), False
    for line in capture.lines:
        kind = Kind.BODY if not capture.is_socket else Kind.TEXT if line.text is not None else Kind.BINARY
        piece = Frame(line.side, kind, line.at_ns, line.data)
        end = End.COMPLETE if line.end is True else End(line.end) if line.end else None
        if line.side is Side.PROVIDER and not has_answer:
            has_answer = True
            for reader in readers:
                reader.extend(dialect.answered(answer))
        for reader in readers:
            if end is None:
                reader.extend(dialect.decode(piece))
            elif end is not End.CANCELLED:
                reader.extend(dialect.ended(line.side, end))
    return readers


@pytest.mark.parametrize("capture", [one for one in captures() if one.head.status < 400], ids=str)
def test_both_readers_of_every_capture_get_what_one_alone_gets(capture: Capture) -> None:
    first, second = twice(capture)
    assert first == second
    assert first == [event for _, event in replay(capture).events]
