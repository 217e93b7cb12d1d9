"""The scripted conversations of the benchmark: nearly all calls in the right session, none in another project."""

from __future__ import annotations

import pytest

from tests.benchmarks.stitching_trace import Shape, World


@pytest.mark.parametrize("connections", ["own", "shared", "fresh"])
def test_fifty_conversations_at_once(connections: str) -> None:
    score = World(Shape(connections=connections), seed=3).play().score()
    assert score.exchanges > 1500
    assert score.right_share >= 0.99
    assert score.wrong_project == 0
    assert score.sessions == score.conversations == 50


def test_named_requests_carry_the_rest_with_them() -> None:
    score = World(Shape(names="llm"), seed=4).play().score()
    assert score.right_share >= 0.995


def test_a_seed_gives_the_same_run() -> None:
    one, other = (World(Shape(sessions=8), seed=7).play().score() for _ in range(2))
    assert one == other
