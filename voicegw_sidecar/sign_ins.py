"""Browsers that are signed in, and how often somebody may guess a key.

A cookie holds a random word; here and in the database is only its digest, beside a keyed digest of the key it was given
for: a key that is taken out of the configuration ends what it opened.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections import OrderedDict
from collections.abc import Iterable

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.store.database import Store
from voicegw_sidecar.store.operator_records import SignInRow, forget_sign_in, write_sign_in
from voicegw_sidecar.terms import NS_PER_S

LASTS_S = 12 * 3600
LIMIT_SIGN_INS = 1000
"""Browsers signed in at once; beyond, the one that signed in first is signed out."""
LIMIT_OF_KEY = 200
"""Of them with one key: whoever has a viewer's key signs no admin out."""


class SignIns:
    """All of them; on the event loop only."""

    def __init__(self, store: Store, clock: Clock, known: Iterable[SignInRow]) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, SignInRow] = OrderedDict((row.digest, row) for row in known)

    def begin(self, key_print: str) -> str:
        """Sign a browser in and return what its cookie holds."""
        now_ns = self._clock.wall_ns()
        word = secrets.token_urlsafe(32)
        row = SignInRow(_digest(word), key_print, now_ns + LASTS_S * NS_PER_S)
        while self._known and (len(self._known) >= LIMIT_SIGN_INS or self._first().expires_ns <= now_ns):
            self._end(self._first().digest)
        same = [one.digest for one in self._known.values() if one.key_print == key_print]
        if len(same) >= LIMIT_OF_KEY:
            self._end(same[0])
        self._known[row.digest] = row
        self._store.execute(*write_sign_in(row, now_ns))
        return word

    def key_print(self, word: str) -> str | None:
        """Return whose key a cookie was given for, while that lasts."""
        row = self._known.get(_digest(word))
        return row.key_print if row is not None and row.expires_ns > self._clock.wall_ns() else None

    def end(self, word: str) -> None:
        """Sign a browser out."""
        self._end(_digest(word))

    def _end(self, digest: str) -> None:
        if self._known.pop(digest, None) is not None:
            self._store.execute(forget_sign_in(digest))

    def _first(self) -> SignInRow:
        return next(iter(self._known.values()))


class Guesses:
    """Wrong keys by address: ten at once, then one every six seconds. Each address is counted by itself."""

    AT_ONCE = 10
    EVERY_S = 6.0
    LIMIT_PEERS = 4096
    """Addresses remembered; beyond, the one that guessed longest ago is forgotten."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._free_at_s: OrderedDict[str, float] = OrderedDict()

    def wait_s(self, peer: str) -> float:
        """Return how long an address has to wait before it may try again; 0 if it may now."""
        full_at_s = self._free_at_s.get(_network(peer), 0.0)
        return max(0.0, full_at_s - self._now_s() - (self.AT_ONCE - 1) * self.EVERY_S)

    def wrong(self, peer: str) -> None:
        """Count a wrong key."""
        name = _network(peer)
        self._free_at_s[name] = max(self._free_at_s.get(name, 0.0), self._now_s()) + self.EVERY_S
        self._free_at_s.move_to_end(name)
        if len(self._free_at_s) > self.LIMIT_PEERS:
            self._free_at_s.popitem(last=False)

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / NS_PER_S


def _network(peer: str) -> str:
    """Return an address as it is counted: of IPv6 the network, for there a guesser has as many addresses as wanted."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer[:64]
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    if address.version == 6 and not address.is_loopback:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode("utf-8", "surrogateescape")).hexdigest()
