"""What was answered and said of late, as digests: found again when the history of a later request repeats it."""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice

from voicegw_sidecar.stitching.conversation import Strand
from voicegw_sidecar.terms import NS_PER_S

ANSWERS_LIMIT = 4096
KEPT_NS = 600 * NS_PER_S
"""How long an answer's digest is remembered: until the request after it repeats the answer."""
SAME_LIMIT = 64
"""Exchanges that answered the same words and are looked at, the latest ones."""


class Answers:
    """The latest answers of one project; exchanges by the digest of what they answered or spoke."""

    def __init__(self) -> None:
        self._in_order: OrderedDict[int, Strand] = OrderedDict()
        self._same: dict[int, dict[int, Strand]] = {}
        self._number = 0

    def __len__(self) -> int:
        return len(self._in_order)

    def add(self, strand: Strand, answer: int) -> None:
        """Remember an exchange by its answer's digest."""
        strand.answer = answer
        self._number += 1
        self._in_order[self._number] = strand
        self._same.setdefault(answer, {})[self._number] = strand
        if len(self._in_order) > ANSWERS_LIMIT:
            self._drop()

    def of(self, said: int) -> list[Strand]:
        """Return the latest exchanges that answered or spoke the same words, newest first."""
        return list(islice(reversed(self._same.get(said, {}).values()), SAME_LIMIT))

    def all(self) -> list[Strand]:
        """Return all that are remembered."""
        return list(self._in_order.values())

    def sweep(self, now_ns: int) -> None:
        """Forget what was remembered long enough."""
        while self._in_order and now_ns - next(iter(self._in_order.values())).at_ns > KEPT_NS:
            self._drop()

    def _drop(self) -> None:
        number, strand = self._in_order.popitem(last=False)
        assert strand.answer is not None
        same = self._same[strand.answer]
        del same[number]
        if not same:
            del self._same[strand.answer]
