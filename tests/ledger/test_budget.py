"""Verdicts, and what an exchange is expected to cost."""

from __future__ import annotations

import pytest

from voicegw_sidecar.ledger.budget import (
    DEFAULT_RESERVATION_NANOUSD,
    KEPT_COSTS,
    KEPT_KINDS,
    RecentCosts,
    Verdict,
    verdict,
)
from voicegw_sidecar.terms import BudgetAction, Modality

USD = 10**9


@pytest.mark.parametrize(
    ("spent", "in_flight", "limit", "action", "expected"),
    [
        (0, 0, None, BudgetAction.BLOCK, Verdict.ADMIT),
        (99 * USD, 99 * USD, None, BudgetAction.BLOCK, Verdict.ADMIT),
        (0, 0, 5 * USD, BudgetAction.BLOCK, Verdict.ADMIT),
        (5 * USD - 1, 0, 5 * USD, BudgetAction.BLOCK, Verdict.ADMIT),
        (5 * USD, 0, 5 * USD, BudgetAction.BLOCK, Verdict.BLOCK),
        (4 * USD, 1 * USD, 5 * USD, BudgetAction.BLOCK, Verdict.BLOCK),
        (4 * USD, 1 * USD, 5 * USD, BudgetAction.THROTTLE, Verdict.THROTTLE),
        (4 * USD, 1 * USD, 5 * USD, BudgetAction.WARN, Verdict.ADMIT),
        (5 * USD, 0, 5 * USD, BudgetAction.WARN, Verdict.WARN),
    ],
)
def test_verdict_changes_when_the_limit_is_reached(
    spent: int, in_flight: int, limit: int | None, action: BudgetAction, expected: Verdict
) -> None:
    assert verdict(spent, in_flight, limit, action) is expected


def test_the_default_is_reserved_until_there_was_one_of_the_kind() -> None:
    recent = RecentCosts()
    assert recent.expected("openai", "gpt-4.1", Modality.LLM) == DEFAULT_RESERVATION_NANOUSD[Modality.LLM]
    recent.note("openai", "gpt-4.1", Modality.LLM, 70)
    assert recent.expected("openai", "gpt-4.1", Modality.LLM) == 70
    assert recent.expected("openai", None, Modality.LLM) == 70
    assert recent.expected("openai", "other", Modality.LLM) == DEFAULT_RESERVATION_NANOUSD[Modality.LLM]
    assert recent.expected("openai", "gpt-4.1", Modality.TTS) == DEFAULT_RESERVATION_NANOUSD[Modality.TTS]


def test_the_dearest_of_the_recent_ones_is_reserved_and_forgotten_in_time() -> None:
    recent = RecentCosts()
    recent.note("openai", "m", Modality.LLM, 1000)
    for _ in range(KEPT_COSTS - 1):
        recent.note("openai", "m", Modality.LLM, 1)
    assert recent.expected("openai", "m", Modality.LLM) == 1000
    recent.note("openai", "m", Modality.LLM, 1)
    assert recent.expected("openai", "m", Modality.LLM) == 1


def test_names_from_the_wire_are_bounded_and_the_longest_unused_goes() -> None:
    recent = RecentCosts()
    recent.note("openai", "first", Modality.LLM, 7)
    for number in range(KEPT_KINDS):
        recent.note("openai", f"m{number}", Modality.LLM, 5)
    assert recent.expected("openai", "first", Modality.LLM) == DEFAULT_RESERVATION_NANOUSD[Modality.LLM]
    assert recent.expected("openai", f"m{KEPT_KINDS - 1}", Modality.LLM) == 5
    assert recent.expected("openai", None, Modality.LLM) == 5
