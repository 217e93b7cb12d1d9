"""From a metered exchange to a stored row: price it, settle its budget, queue it. In that order.

Also holds an exchange's part of its project's budget from its beginning to its end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from msgspec import Struct

from voicegw_sidecar.budgets import Budgets
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.errors import Refused
from voicegw_sidecar.ledger.prices import NO_COST, UNKNOWN_COST, PriceBook, Priced
from voicegw_sidecar.ledger.spend import Hold
from voicegw_sidecar.meter.meter import FIRST_OUTPUT
from voicegw_sidecar.meter.running import name_of
from voicegw_sidecar.store.database import Store
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.terms import NOTHING_USED, Cost, Exchange, Mark, Modality, Moments, Status, Unpriced

logger = logging.getLogger(__name__)

_NAMED_LIMIT = 1000


class Identity(Struct, frozen=True):
    """What an exchange's connection knows of it: whose it is, and how its provider and price are named.

    ``session_id`` is what the agent names, if it does. ``model`` stands in for the one that the request names, where
    a stand-in serves it.
    """

    project: str
    session_id: str | None
    provider: str
    catalogue_provider: str | None
    is_local: bool
    model: str | None = None


class Recorder:
    """Writes rows; shared by all connections of one sidecar."""

    def __init__(
        self, store: Store, prices: PriceBook, clock: Clock, budgets: Budgets, unpriced: Unpriced = Unpriced.WARN
    ) -> None:
        self._store = store
        self.prices = prices
        self.budgets = budgets
        self._clock = clock
        self._unpriced = unpriced
        self._ids = store.ids
        self.on_closed: Callable[[ExchangeRow], None] = lambda row: None
        """Is told each row that ends an exchange."""
        self._named: set[tuple[str, str | None]] = set()

    def reprice(self, prices: PriceBook, unpriced: Unpriced) -> None:
        """Price what ends from now on by other prices."""
        self.prices = prices
        self._unpriced = unpriced
        self._named.clear()

    def next_id(self) -> str:
        """Return a fresh exchange id."""
        return self._ids.next(self._clock.wall_ns())

    def wall_ns(self, monotonic_ns: int) -> int:
        """Return the wall-clock time of a monotonic stamp of this process."""
        return self._clock.wall_ns() - (self._clock.monotonic_ns() - monotonic_ns)

    def hold(self, identity: Identity, modality: Modality | None, model: str | None = None) -> Hold | None:
        """Reserve an exchange's part of the budget; None where it cannot cost anything."""
        if identity.is_local or modality is None:
            return None
        return self.budgets.hold(identity.project, identity.provider, model, modality)

    def opened(
        self, row_id: str, identity: Identity, session_id: str | None, exchange: Exchange, price_model: str | None,
        hold: Hold | None,
    ) -> None:  # fmt: skip
        """Queue an exchange's open row, with what it has used so far: what a crash would leave of it.

        It is priced only if it comes to that, at the next start.
        """
        self._store.append(self._row(row_id, identity, session_id, exchange, UNKNOWN_COST, None, price_model))
        if hold is not None and exchange.modality is not None:
            self.budgets.name(hold, identity.provider, exchange.model, exchange.modality)
            if exchange.model is not None and not self.prices.is_priced(_priced(identity, exchange, price_model)):
                self.budgets.free(hold)

    def grown(self, identity: Identity, exchange: Exchange, price_model: str | None, hold: Hold) -> None:
        """Bring an open exchange's running cost up to date."""
        nanousd = self._cost(identity, exchange, price_model).nanousd
        if nanousd is not None:
            self.budgets.grow(hold, nanousd)

    def closed(
        self, row_id: str, identity: Identity, session_id: str | None, exchange: Exchange, price_model: str | None,
        http_status: int | None, hold: Hold | None, *, job: tuple[str, str] | None, is_unbilled: bool,
    ) -> asyncio.Future[None]:  # fmt: skip
        """Queue an exchange's final row; the future is its commit.

        ``job``: provider and id of the job that is counted with it. ``is_unbilled``: the provider refused it or was
        never reached, so nothing was used and nothing is owed.
        """
        if exchange.status is Status.REFUSED or (is_unbilled and exchange.usage == NOTHING_USED):
            cost = NO_COST
        else:
            cost = self._cost(identity, exchange, price_model)
            self._tell_unpriced(identity, exchange, cost)
        row = self._row(row_id, identity, session_id, exchange, cost, http_status, price_model)
        if hold is not None:
            self.budgets.release(hold)
        self.budgets.count(row)
        self.on_closed(row)
        return self._store.append_awaited(row, job)

    def refused(
        self, row_id: str, identity: Identity, modality: Modality | None, model: str | None, error: Refused
    ) -> None:
        """Queue the row of an exchange that was refused before anything of it went upstream."""
        now_ns = self._clock.monotonic_ns()
        marks_ns = {Mark.STARTED: now_ns, Mark.ENDED: now_ns}
        exchange = Exchange(0, modality, name_of(model), Status.REFUSED, marks_ns, error=error.code)
        self._store.append(self._row(row_id, identity, identity.session_id, exchange, NO_COST, error.status, None))

    def late(self, row_id: str) -> None:
        """Mark a row whose call went on before its commit."""
        self._store.mark_late(row_id)

    def _row(
        self, row_id: str, identity: Identity, session_id: str | None, exchange: Exchange, cost: Cost,
        http_status: int | None, price_model: str | None,
    ) -> ExchangeRow:  # fmt: skip
        ended_ns = exchange.marks_ns.get(Mark.ENDED)
        return ExchangeRow(
            id=row_id,
            project=identity.project,
            provider=identity.provider,
            started_ns=self.wall_ns(exchange.marks_ns[Mark.STARTED]),
            status=exchange.status,
            ended_ns=None if ended_ns is None else self.wall_ns(ended_ns),
            session_id=session_id,
            model=identity.model or exchange.model,
            modality=exchange.modality,
            http_status=http_status,
            first_ms=exchange.first_ms,
            first_ms_basis=exchange.first_ms_basis,
            total_ms=exchange.total_ms,
            usage=exchange.usage,
            estimated=exchange.estimated or cost.estimated,
            cost_nanousd=cost.nanousd,
            cost_source=cost.source,
            error=exchange.error,
            price_model=price_model,
            moments=self._moments(exchange),
        )

    def _moments(self, exchange: Exchange) -> Moments:
        """Return what turns are told from, on the wall clock."""
        marks_ns, first = exchange.marks_ns, FIRST_OUTPUT.get(exchange.modality)
        seen = (
            marks_ns.get(Mark.FIRST_TEXT_SENT, marks_ns.get(Mark.REQUEST_COMPLETE)),
            None if first is None else marks_ns.get(first),
            marks_ns.get(Mark.FIRST_CONTENT),
            marks_ns.get(Mark.SPEECH_BEGAN),
            marks_ns.get(Mark.SPEECH_ENDED),
        )
        return Moments(*(None if mark_ns is None else self.wall_ns(mark_ns) for mark_ns in seen))

    def _cost(self, identity: Identity, exchange: Exchange, price_model: str | None) -> Cost:
        item = _priced(identity, exchange, price_model)
        cost = self.prices.cost(item)
        if cost.nanousd is None and self._unpriced is Unpriced.ESTIMATE and exchange.modality is not None:
            return self.prices.dearest(item)
        return cost

    def _tell_unpriced(self, identity: Identity, exchange: Exchange, cost: Cost) -> None:
        """Log a model without a price once; which models there are is the agents' choice, so they are bounded."""
        name = (identity.provider, exchange.model)
        is_known = cost.nanousd is not None or exchange.modality is None or exchange.usage == NOTHING_USED
        if is_known or name in self._named or len(self._named) >= _NAMED_LIMIT:
            return
        self._named.add(name)
        logger.warning(
            "no price is known, costs are shown as unknown; see docs/pricing.md",
            extra={"provider": identity.provider, "model": exchange.model, "modality": exchange.modality},
        )


def _priced(identity: Identity, exchange: Exchange, price_model: str | None) -> Priced:
    return Priced(
        provider=identity.provider,
        model=identity.model or exchange.model,
        modality=exchange.modality,
        usage=exchange.usage,
        catalogue_provider=identity.catalogue_provider,
        catalogue_model=price_model,
        is_local=identity.is_local,
    )
