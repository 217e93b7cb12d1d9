"""Every capture gives the events and exchanges written beside it, however its bytes are cut and wherever it stops."""

from __future__ import annotations

import random

import pytest

from tests.replay import Capture, Replay, captures, replay, written
from voicegw_sidecar.terms import Mark, Status
from voicegw_sidecar.wire.frames import Side

ALL = captures()
HTTP = [capture for capture in ALL if not capture.is_socket]
BREAKS = {
    Status.CANCELLED: {Status.CANCELLED, Status.IDLE, Status.OK},
    Status.UPSTREAM_ERROR: {Status.PARTIAL, Status.UPSTREAM_ERROR, Status.OK},
}


@pytest.mark.parametrize("capture", ALL, ids=str)
def test_capture_gives_the_events_and_exchanges_beside_it(capture: Capture) -> None:
    run = replay(capture)
    assert written(run) == capture.expected.read_text()
    assert sorted(run.opened) == sorted({exchange.ref for exchange in run.closed if exchange.ref in run.opened})
    assert [exchange.ref for exchange in run.closed] == list(dict.fromkeys(exchange.ref for exchange in run.closed))


@pytest.mark.parametrize("capture", HTTP, ids=str)
def test_any_cut_of_a_body_gives_the_same_exchanges(capture: Capture) -> None:
    expected = replay(capture).closed
    for number, line in enumerate(capture.lines):
        data = line.data
        offsets = range(1, len(data)) if len(data) < 1500 else sorted(random.Random(7).sample(range(1, len(data)), 300))
        for offset in offsets:
            assert _cut(capture, number, [data[:offset], data[offset:]]) == expected, (number, offset)


@pytest.mark.parametrize("capture", HTTP, ids=str)
def test_byte_by_byte_gives_the_same_exchanges(capture: Capture) -> None:
    run = Replay(capture)
    for line in capture.lines:
        run.line(line, [bytes((byte,)) for byte in line.data])
    assert run.closed == replay(capture).closed


@pytest.mark.parametrize("capture", HTTP, ids=str)
@pytest.mark.parametrize("seed", range(20))
def test_random_pieces_give_the_same_exchanges(capture: Capture, seed: int) -> None:
    rng = random.Random(seed)
    run = Replay(capture)
    for line in capture.lines:
        data, pieces = line.data, []
        while data:
            size = rng.randint(1, 40)
            pieces.append(data[:size])
            data = data[size:]
        run.line(line, pieces)
    assert run.closed == replay(capture).closed


@pytest.mark.parametrize("status", BREAKS)
@pytest.mark.parametrize("capture", ALL, ids=str)
def test_capture_cut_short_at_any_line_closes_what_is_open(capture: Capture, status: Status) -> None:
    for count in range(len(capture.lines)):
        run = Replay(capture)
        for line in capture.lines[:count]:
            run.line(line)
        before = len(run.closed)
        run.close(status, 10**12)
        assert run.meter.running() == []
        assert set(run.opened) <= {exchange.ref for exchange in run.closed}
        for exchange in run.closed[before:]:
            was_refused = capture.head.status >= 400 and exchange.status is Status.UPSTREAM_ERROR
            assert was_refused or exchange.status in BREAKS[status]
            if exchange.status is Status.OK:
                assert Mark.FINAL in exchange.marks_ns
            if exchange.status is Status.PARTIAL:
                assert exchange.error == "connection_broken"


def _cut(capture: Capture, number: int, pieces: list[bytes]) -> object:
    run = Replay(capture)
    for at, line in enumerate(capture.lines):
        run.line(line, pieces if at == number else None)
    return run.closed


def test_no_event_of_a_capture_holds_a_key_or_an_error_text() -> None:
    for capture in ALL:
        for exchange in replay(capture).closed:
            assert exchange.error is None or " " not in exchange.error
            assert "sk-" not in (exchange.error or "")


def test_captures_name_their_source() -> None:
    for capture in ALL:
        assert capture.head.source.startswith(("http", "livekit", "Kokoro", "DeepSeek", "recorded with")), capture.name
        assert any(line.side is Side.PROVIDER for line in capture.lines)
