"""Signed-in browsers and guessed keys: bounded, ending in time, and each address by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from voicegw_sidecar import sign_ins
from voicegw_sidecar.sign_ins import LASTS_S, Guesses, SignIns
from voicegw_sidecar.store.database import Store, open_store, read_once
from voicegw_sidecar.store.queries.operators import sign_ins as stored
from voicegw_sidecar.terms import NS_PER_S, Cost, CostSource


class SetClock:
    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def monotonic_ns(self) -> int:
        return int(self.now_s * NS_PER_S)

    wall_ns = monotonic_ns


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
async def store(tmp_path: Path, clock: SetClock) -> Iterator[Store]:  # type: ignore[misc]
    opened = open_store(tmp_path / "x.db", ZoneInfo("UTC"), clock.wall_ns(), lambda row: Cost(None, CostSource.NONE))
    yield opened  # type: ignore[misc]
    await opened.close()


async def test_a_cookie_is_good_for_twelve_hours_and_not_after_signing_out(store: Store, clock: SetClock) -> None:
    known = SignIns(store, clock, [])
    first, second = known.begin("print-1"), known.begin("print-2")
    assert first != second
    assert (known.key_print(first), known.key_print(second), known.key_print("guessed")) == ("print-1", "print-2", None)
    known.end(first)
    assert known.key_print(first) is None
    clock.now_s += LASTS_S - 1
    assert known.key_print(second) == "print-2"
    clock.now_s += 2
    assert known.key_print(second) is None


async def test_it_outlives_a_restart_and_the_database_has_no_cookie(store: Store, clock: SetClock) -> None:
    word = SignIns(store, clock, []).begin("print-1")
    await store.committed()
    rows = read_once(store.path, stored, clock.wall_ns())
    assert SignIns(store, clock, rows).key_print(word) == "print-1"
    assert word not in str(rows)
    for file in store.path.parent.glob("x.db*"):
        assert word.encode() not in file.read_bytes()


async def test_there_is_a_limit_and_the_first_to_come_goes(
    store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_ins, "LIMIT_SIGN_INS", 3)
    known = SignIns(store, clock, [])
    words = [known.begin(f"print-{number}") for number in range(5)]
    assert [known.key_print(word) is not None for word in words] == [False, False, True, True, True]
    await store.committed()
    assert len(read_once(store.path, stored, clock.wall_ns())) == 3


def test_ten_guesses_at_once_then_one_every_six_seconds(clock: SetClock) -> None:
    guesses = Guesses(clock)
    for _ in range(10):
        assert guesses.wait_s("10.0.0.1") == 0
        guesses.wrong("10.0.0.1")
    assert 0 < guesses.wait_s("10.0.0.1") <= 6
    assert guesses.wait_s("10.0.0.2") == 0  # nobody else is locked out
    clock.now_s += 6
    assert guesses.wait_s("10.0.0.1") == 0
    guesses.wrong("10.0.0.1")
    assert guesses.wait_s("10.0.0.1") > 0
    clock.now_s += 3600
    for _ in range(10):
        assert guesses.wait_s("10.0.0.1") == 0
        guesses.wrong("10.0.0.1")


def test_an_ipv6_network_is_one_guesser(clock: SetClock) -> None:
    guesses = Guesses(clock)
    for number in range(10):
        guesses.wrong(f"2001:db8::{number:x}")
    assert guesses.wait_s("2001:db8::ffff") > 0
    assert guesses.wait_s("2001:db8:0:1::1") == 0
    for _ in range(10):
        guesses.wrong("::ffff:10.0.0.1")  # how a socket of both kinds shows an IPv4 peer
    assert guesses.wait_s("10.0.0.1") > 0
    assert guesses.wait_s("::ffff:10.0.0.2") == 0


async def test_one_key_signs_nobody_else_out(store: Store, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "LIMIT_OF_KEY", 2)
    known = SignIns(store, clock, [])
    admin = known.begin("admin")
    words = [known.begin("viewer") for _ in range(5)]
    assert known.key_print(admin) == "admin"
    assert [known.key_print(word) is not None for word in words] == [False, False, False, True, True]


def test_addresses_remembered_are_bounded(clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Guesses, "LIMIT_PEERS", 4)
    guesses = Guesses(clock)
    for number in range(50):
        guesses.wrong(f"10.0.0.{number}")
    assert len(guesses._free_at_s) == 4
