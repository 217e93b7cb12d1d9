"""Whether a project's next exchange may begin, and what one exchange is expected to cost. Pure.

A budget is compared with what was spent today and what is in flight; the new exchange's own estimate is not
counted, so that a day's first call is always served (contract §2).
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque

from voicegw_sidecar.terms import BudgetAction, BudgetStatus, Modality

WARNING_PERCENT = 80
KEPT_COSTS = 20
"""Recent exchanges of one provider, model and modality that a reservation is taken from."""
KEPT_KINDS = 1000
"""Providers, models and modalities remembered at once; the longest unused goes first."""
DEFAULT_RESERVATION_NANOUSD: dict[Modality, int] = {
    Modality.LLM: 10_000_000,  # 4 000 tokens of prompt and 250 of answer at 2 and 8 USD a million
    Modality.STT: 5_000_000,  # a minute of streamed speech
    Modality.TTS: 10_000_000,  # 200 characters at 0.05 USD a thousand
    Modality.S2S: 50_000_000,  # ten seconds heard and ten spoken at 32 and 64 USD a million, with their context
}
"""What an exchange is expected to cost before there was any of its kind."""


class Verdict(enum.Enum):
    """What a budget says about the next exchange."""

    ADMIT = "admit"
    WARN = "warn"
    """Serve it, and say that the budget is passed."""
    THROTTLE = "throttle"
    """Serve it from the local stand-in, or refuse it."""
    BLOCK = "block"


_PAST_THE_LIMIT = {
    BudgetAction.WARN: Verdict.WARN,
    BudgetAction.THROTTLE: Verdict.THROTTLE,
    BudgetAction.BLOCK: Verdict.BLOCK,
}


def budget_status(spent_nanousd: int, limit_nanousd: int) -> BudgetStatus:
    """Say how a day stands: ``warning`` from `WARNING_PERCENT` of the budget on."""
    if spent_nanousd >= limit_nanousd:
        return BudgetStatus.EXCEEDED
    return BudgetStatus.WARNING if spent_nanousd * 100 >= limit_nanousd * WARNING_PERCENT else BudgetStatus.OK


def verdict(spent_nanousd: int, in_flight_nanousd: int, limit_nanousd: int | None, action: BudgetAction) -> Verdict:
    """Judge the next exchange; ``limit_nanousd`` None is no budget. A warning waits for money really spent."""
    if limit_nanousd is None:
        return Verdict.ADMIT
    counted = spent_nanousd if action is BudgetAction.WARN else spent_nanousd + in_flight_nanousd
    return Verdict.ADMIT if counted < limit_nanousd else _PAST_THE_LIMIT[action]


class RecentCosts:
    """The latest costs by provider, model and modality; the dearest of them is what the next one reserves."""

    def __init__(self) -> None:
        self._kinds: OrderedDict[tuple[str, str | None, Modality], deque[int]] = OrderedDict()

    def note(self, provider: str, model: str | None, modality: Modality, nanousd: int) -> None:
        """Remember what an exchange cost, for its model and for its provider's models together."""
        for name in {model, None}:
            kind = (provider, name, modality)
            self._kinds.setdefault(kind, deque(maxlen=KEPT_COSTS)).append(nanousd)
            self._kinds.move_to_end(kind)
        while len(self._kinds) > KEPT_KINDS:
            self._kinds.popitem(last=False)

    def expected(self, provider: str, model: str | None, modality: Modality) -> int:
        """Return what to reserve for the next exchange, in nano-dollars; ``model`` None is any of the provider's."""
        costs = self._kinds.get((provider, model, modality))
        return max(costs) if costs else DEFAULT_RESERVATION_NANOUSD[modality]
