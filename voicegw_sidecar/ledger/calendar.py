"""Days of money: which calendar day an exchange counts on, in the configured zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo

from voicegw_sidecar.terms import NS_PER_S, Modality


def day_of(wall_ns: int, zone: tzinfo) -> str:
    """Return the ISO date of a moment in ``zone``."""
    return datetime.fromtimestamp(wall_ns // NS_PER_S, zone).date().isoformat()


def day_shares(
    nanousd: int, modality: Modality | None, started_ns: int, ended_ns: int | None, zone: tzinfo
) -> list[tuple[str, int]]:
    """Return how much of an exchange's cost counts on which day: the one it began on, a stream's on each it ran."""
    if modality is Modality.STT and ended_ns is not None:
        return split_over_midnight(nanousd, started_ns, ended_ns, zone)
    return [(day_of(started_ns, zone), nanousd)]


def split_over_midnight(nanousd: int, started_ns: int, ended_ns: int, zone: tzinfo) -> list[tuple[str, int]]:
    """Share a stream's cost over the days it ran on, by time; the parts sum exactly to ``nanousd``.

    The first day takes what rounding leaves. Longer than a week is the clock jumping: the first day takes all.
    """
    first = day_of(started_ns, zone)
    if ended_ns <= started_ns or day_of(ended_ns, zone) == first:
        return [(first, nanousd)]
    if ended_ns - started_ns > 7 * 86_400 * NS_PER_S:
        return [(first, nanousd)]
    shares: list[tuple[str, int]] = []
    day = date.fromisoformat(first)
    while (start_ns := midnight_ns(day := day + timedelta(days=1), zone)) < ended_ns:
        until_ns = min(ended_ns, midnight_ns(day + timedelta(days=1), zone))
        shares.append((day.isoformat(), nanousd * (until_ns - start_ns) // (ended_ns - started_ns)))
    return [(first, nanousd - sum(share for _, share in shares)), *shares]


def midnight_ns(day: date, zone: tzinfo) -> int:
    """Return the moment at which ``day`` begins in ``zone``, in nanoseconds since 1970."""
    return int(datetime.combine(day, time(), zone).astimezone(UTC).timestamp()) * NS_PER_S


def period_days(period: str, wall_ns: int, zone: tzinfo) -> tuple[str | None, str]:
    """Return first and last ISO date of ``today``, ``week`` (from Monday), ``month`` or ``all`` (no first)."""
    today = datetime.fromtimestamp(wall_ns // NS_PER_S, zone).date()
    first = {
        "today": today,
        "week": today - timedelta(days=today.weekday()),
        "month": today.replace(day=1),
        "all": None,
    }[period]
    return (None if first is None else first.isoformat()), today.isoformat()
