"""Ids: time-ordered, unique, and what they claim to be."""

from __future__ import annotations

import uuid

from voicegw_sidecar.ids import IdSource, is_exchange_id

NOW_NS = 1_795_262_400 * 10**9


def test_ids_of_one_source_sort_as_they_were_made_even_if_the_clock_goes_back() -> None:
    source = IdSource()
    made = [source.next(NOW_NS + shift * 1_000_000) for shift in (0, 0, 0, 5, 5, -1000, -1000, 6)]
    made += [source.next(NOW_NS) for _ in range(10_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_are_uuids_of_version_7_that_tell_their_millisecond() -> None:
    made = uuid.UUID(IdSource().next(NOW_NS))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == NOW_NS // 1_000_000


def test_two_sources_never_meet() -> None:
    first, second = IdSource(), IdSource()
    assert not {first.next(NOW_NS) for _ in range(1000)} & {second.next(NOW_NS) for _ in range(1000)}


def test_other_texts_are_not_ids() -> None:
    assert is_exchange_id(IdSource().next(NOW_NS))
    for text in ("", "1", "not-an-id", str(uuid.uuid4())):
        assert not is_exchange_id(text)


def test_ids_go_on_after_the_greatest_there_is_and_ignore_what_is_none() -> None:
    ahead = IdSource().next(2_000_000_000 * 10**9)
    source = IdSource()
    for other in (ahead, "None", "no id", "ffffffff-ffff-ffff-ffff-ffffffffffff", IdSource().next(10**18)):
        source.start_after(other)
    made = [source.next(1_700_000_000 * 10**9) for _ in range(3)]
    assert [ahead, *made] == sorted([ahead, *made])
    assert all(is_exchange_id(one) for one in made)
