"""How one request's history stands to another's."""

from __future__ import annotations

import pytest

from voicegw_sidecar.stitching.history import History, Relation, relation

ANSWER = 99


@pytest.mark.parametrize(
    ("history", "earlier", "expected"),
    [
        ((1,), (), Relation.CONTRADICTS),
        ((1, 2), (1, 2), Relation.SAME),
        ((1, 2, ANSWER, 3), (1, 2), Relation.ANSWERS),
        ((1, 2, 7, 3), (1, 2), Relation.EXTENDS),
        ((1, 3), (1, 2), Relation.REVISES),
        ((3,), (2,), Relation.REVISES),
        ((4, 5), (2,), Relation.CONTRADICTS),
        ((4, 5, 6), (1, 2), Relation.CONTRADICTS),
        ((4, 5), (3, 4, 5), Relation.SAME),  # the older messages left the window
        ((4, 5, ANSWER, 6), (1, 2, 3, 4, 5), Relation.ANSWERS),
        ((5, 6), (3, 4, 5), Relation.CONTRADICTS),  # one message in common is chance
        ((2, 1, 2), (1, 2), Relation.SAME),
    ],
)
def test_relation(history: History, earlier: History, expected: Relation) -> None:
    assert relation(history, earlier, ANSWER) is expected
