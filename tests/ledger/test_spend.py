"""What is spent and in flight: sums that always come back to nothing, and days that end when they should."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.ledger.spend import KEPT_DAYS, Hold, Spend
from voicegw_sidecar.terms import NS_PER_S

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_NS = 3600 * NS_PER_S


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * NS_PER_S


NOON = at("2026-11-20T12:00:00+01:00")


def test_a_hold_counts_its_reservation_until_it_has_cost_more() -> None:
    spend = Spend(UTC)
    hold = spend.hold("acme", 100, NOON)
    assert spend.in_flight("acme") == 100
    spend.grow(hold, 40, NOON)
    assert spend.in_flight("acme") == 100
    spend.grow(hold, 250, NOON)
    assert spend.in_flight("acme") == 250
    spend.reserve(hold, 300)
    assert spend.in_flight("acme") == 300
    assert spend.in_flight("globex") == 0
    spend.settle(hold)
    spend.settle(hold)
    spend.grow(hold, 999, NOON)
    assert (spend.in_flight("acme"), spend.open_holds) == (0, 0)


def test_over_midnight_only_what_came_since_counts_on_the_new_day() -> None:
    spend = Spend(BERLIN)
    before, after = at("2026-11-20T23:59:59+01:00"), at("2026-11-21T00:00:01+01:00")
    hold = spend.hold("acme", 10, before)
    spend.grow(hold, 500, before)
    spend.grow(hold, 520, after)
    assert spend.in_flight("acme") == 20
    spend.grow(hold, 600, after)
    assert spend.in_flight("acme") == 100
    spend.settle(hold)
    assert spend.in_flight("acme") == 0


def test_each_day_has_its_own_money_and_a_clock_set_back_finds_yesterdays() -> None:
    spend = Spend(BERLIN)
    spend.add("acme", "2026-11-19", 5)
    spend.add("acme", "2026-11-20", 7)
    assert spend.spent("acme", NOON) == 7
    assert spend.spent("acme", NOON - 24 * HOUR_NS) == 5
    assert spend.spent("acme", NOON + 24 * HOUR_NS) == 0
    assert spend.spent("acme", NOON) == 7


def test_a_clock_far_off_does_not_lose_the_day_it_counts_on() -> None:
    spend = Spend(BERLIN)
    for number in range(1, KEPT_DAYS + 3):
        spend.add("acme", f"2026-11-{number:02}", 1)
    spend.add("acme", "2020-01-01", 9)
    assert spend.spent("acme", at("2020-01-01T12:00:00+01:00")) == 9


def test_the_day_of_a_changing_clock_is_as_long_as_it_is() -> None:
    spend = Spend(BERLIN)
    for first, last in (
        ("2026-03-29T00:00:00+01:00", "2026-03-29T23:59:59+02:00"),
        ("2026-10-25T00:00:00+02:00", "2026-10-25T23:59:59+01:00"),
    ):
        day = first[:10]
        assert (spend.today(at(first)), spend.today(at(last))) == (day, day)
        assert spend.today(at(first) - 1) < day < spend.today(at(last) + NS_PER_S)
    hours = (at("2026-03-29T23:59:59+02:00") - at("2026-03-29T00:00:00+01:00")) // HOUR_NS
    assert hours == 22  # and 59 minutes: a day of 23 hours


steps = st.lists(
    st.tuples(
        st.sampled_from(["hold", "grow", "reserve", "settle"]), st.integers(0, 5), st.integers(0, 1000),
        st.integers(0, 72),
    ),
    max_size=60,
)  # fmt: skip


@given(steps)
def test_what_is_in_flight_is_never_below_nothing_and_ends_at_nothing(
    orders: list[tuple[str, int, int, int]],
) -> None:
    spend, holds = Spend(BERLIN), list[Hold]()
    for order, which, nanousd, hours in orders:
        wall_ns = NOON + hours * HOUR_NS
        if order == "hold":
            holds.append(spend.hold(f"p{which % 2}", nanousd, wall_ns))
        elif holds:
            hold = holds[which % len(holds)]
            match order:
                case "grow":
                    spend.grow(hold, nanousd, wall_ns)
                case "reserve":
                    spend.reserve(hold, nanousd)
                case _:
                    spend.settle(hold)
        assert min(spend.in_flight("p0"), spend.in_flight("p1")) >= 0
    for hold in holds:
        spend.settle(hold)
    assert (spend.in_flight("p0"), spend.in_flight("p1"), spend.open_holds) == (0, 0, 0)
