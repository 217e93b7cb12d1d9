"""Days of money in any zone: clock changes, and streams over midnight that sum exactly."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.ledger.calendar import day_of, day_shares, midnight_ns, period_days, split_over_midnight
from voicegw_sidecar.terms import NS_PER_S, Modality

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "America/Sao_Paulo",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Australia/Lord_Howe",
]
HOUR_NS = 3600 * NS_PER_S


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * NS_PER_S


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2026-03-28T23:59:59+00:00", "UTC", "2026-03-28"),
        ("2026-03-28T23:00:00+00:00", "Europe/Berlin", "2026-03-29"),
        ("2026-03-29T21:59:59+00:00", "Europe/Berlin", "2026-03-29"),
        ("2026-03-29T22:00:00+00:00", "Europe/Berlin", "2026-03-30"),
        ("2026-01-01T04:59:59+00:00", "America/New_York", "2025-12-31"),
    ],
)
def test_day_is_the_zones(moment: str, zone: str, day: str) -> None:
    assert day_of(ns(moment), ZoneInfo(zone)) == day


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        ("2026-03-29", "Europe/Berlin", 23),
        ("2026-10-25", "Europe/Berlin", 25),
        ("2026-07-01", "Europe/Berlin", 24),
        ("2018-11-04", "America/Sao_Paulo", 23),
        ("2018-02-17", "America/Sao_Paulo", 25),
        ("2026-11-01", "America/Havana", 25),
    ],
)
def test_days_of_clock_changes_have_their_real_length(day: str, zone: str, hours: int) -> None:
    start, info = date.fromisoformat(day), ZoneInfo(zone)
    assert midnight_ns(start + timedelta(days=1), info) - midnight_ns(start, info) == hours * HOUR_NS


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_begins_at_its_midnight_and_not_before(zone: str) -> None:
    info = ZoneInfo(zone)
    for number in range(3650):
        day = date(2010, 1, 1) + timedelta(days=number)
        if zone == "Pacific/Apia" and day == date(2011, 12, 30):
            continue  # the day that Samoa left out
        start = midnight_ns(day, info)
        assert day_of(start, info) == day.isoformat()
        assert day_of(start - NS_PER_S, info) < day.isoformat()


def test_stream_over_midnight_counts_on_both_days() -> None:
    zone = ZoneInfo("Europe/Berlin")
    midnight = midnight_ns(date(2026, 3, 29), zone)
    parts = split_over_midnight(100, midnight - HOUR_NS, midnight + 3 * HOUR_NS, zone)
    assert parts == [("2026-03-28", 25), ("2026-03-29", 75)]


def test_stream_over_two_midnights_of_a_clock_change() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = midnight_ns(date(2026, 3, 29), zone) - HOUR_NS
    assert split_over_midnight(25, start, start + 25 * HOUR_NS, zone) == [
        ("2026-03-28", 1), ("2026-03-29", 23), ("2026-03-30", 1),
    ]  # fmt: skip


@pytest.mark.parametrize(("started", "ended"), [(0, 0), (5, 3), (0, 8 * 86_400)])
def test_no_length_a_clock_set_back_or_a_jump_count_on_the_first_day(started: int, ended: int) -> None:
    assert split_over_midnight(7, started * NS_PER_S, ended * NS_PER_S, UTC) == [("1970-01-01", 7)]


def test_a_stream_that_ends_at_midnight_is_of_one_day() -> None:
    assert split_over_midnight(7, 0, 86_400 * NS_PER_S, UTC) == [("1970-01-01", 7)]


@given(
    st.integers(0, 10**15),
    st.integers(10**18, 2 * 10**18),
    st.integers(0, 9 * 86_400 * NS_PER_S),
    st.sampled_from(ZONES),
)
def test_shares_sum_exactly_and_days_follow_each_other(nanousd: int, started: int, length: int, zone: str) -> None:
    shares = split_over_midnight(nanousd, started, started + length, ZoneInfo(zone))
    assert sum(share for _, share in shares) == nanousd
    assert all(share >= 0 for _, share in shares)
    days = [day for day, _ in shares]
    assert days == sorted(set(days))


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("today", ("2026-11-21", "2026-11-21")),
        ("week", ("2026-11-16", "2026-11-21")),
        ("month", ("2026-11-01", "2026-11-21")),
        ("all", (None, "2026-11-21")),
    ],
)
def test_periods_are_of_the_calendar(period: str, expected: tuple[str | None, str]) -> None:
    assert period_days(period, ns("2026-11-21T12:00:00+00:00"), UTC) == expected


def test_only_streams_are_shared_out_over_midnight() -> None:
    start, end = ns("2026-11-20T23:59:50+00:00"), ns("2026-11-21T00:00:10+00:00")
    assert day_shares(100, Modality.STT, start, end, UTC) == [("2026-11-20", 50), ("2026-11-21", 50)]
    assert day_shares(100, Modality.STT, start, None, UTC) == [("2026-11-20", 100)]
    assert day_shares(100, Modality.LLM, start, end, UTC) == [("2026-11-20", 100)]
