"""Share links: signed, of one project, expiring, revocable; a token alone is worth nothing."""

from __future__ import annotations

import jwt
import pytest
from msgspec.structs import replace

from tests.test_sign_ins import SetClock
from voicegw_sidecar.errors import BadRequest, NotFound
from voicegw_sidecar.shares import Shares

KEY = b"k" * 32


def test_a_link_is_valid_until_it_expires() -> None:
    clock = SetClock()
    shares = Shares(KEY, clock, [])
    row = shares.draft("acme", 30, "for them", "admin key 1")
    token = shares.token(row)
    assert shares.find(token) is None  # it is a link once it is stored
    shares.add(row)
    assert shares.find(token) == row
    clock.now_s += 30 * 86_400 - 1
    assert shares.find(token) == row
    clock.now_s += 2
    assert shares.find(token) is None


def test_a_revoked_link_ends_and_stays_ended() -> None:
    shares = Shares(KEY, SetClock(), [])
    row = shares.draft("acme", 1, "", "x")
    shares.add(row)
    ended = shares.revoke(row)
    assert ended.revoked_ns is not None
    assert shares.revoke(ended) == ended
    assert shares.find(shares.token(row)) is None
    assert [one.id for one in shares.of("acme")] == [row.id]
    assert shares.of("globex") == []
    with pytest.raises(NotFound):
        shares.one("nope")


def test_no_other_token_opens_it() -> None:
    clock = SetClock()
    shares = Shares(KEY, clock, [])
    row = shares.draft("acme", 1, "", "x")
    shares.add(row)
    good = shares.token(row)
    claims = {"jti": row.id, "sub": "acme", "aud": "voicegw-share", "exp": 2_000_000_000}
    forged = [
        good[:-2] + ("AA" if good[-2:] != "AA" else "BB"), good + ".x", "", "x" * 700, good.rpartition(".")[0],
        jwt.encode(claims, b"o" * 32, "HS256"), jwt.encode(claims, "", "none"),
        jwt.encode({**claims, "sub": "globex"}, KEY),
        jwt.encode({**claims, "aud": "other"}, KEY), jwt.encode({**claims, "jti": "other"}, KEY),
        jwt.encode({name: value for name, value in claims.items() if name != "jti"}, KEY),
        jwt.encode(claims, KEY * 2, "HS512"),
    ]  # fmt: skip
    assert [shares.find(token) for token in forged] == [None] * len(forged)
    assert Shares(KEY, clock, [replace(row, project="globex")]).find(good) is None
    assert Shares(b"o" * 32, clock, [row]).find(good) is None
    assert Shares(KEY, clock, [row]).find(good) == row


@pytest.mark.parametrize(("days", "label"), [(0, ""), (3651, ""), (-1, ""), (1, "a" * 121), (1, "a\nb"), (1, "\x00")])
def test_bad_input_is_named(days: int, label: str) -> None:
    with pytest.raises(BadRequest):
        Shares(KEY, SetClock(), []).draft("acme", days, label, "x")
