"""Whether a request may go to its provider, must go to its project's local stand-in, or goes nowhere.

Joins the project's budget, the prices and what the stand-in speaks; the words of every refusal are here.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from voicegw_sidecar.body_edit import model_of
from voicegw_sidecar.budgets import Budgets
from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.dialects.base import SocketDialect
from voicegw_sidecar.errors import BudgetExceeded, BudgetThrottled, Refused, UnpricedModel
from voicegw_sidecar.events import Began
from voicegw_sidecar.ledger.budget import Verdict
from voicegw_sidecar.ledger.prices import PriceBook, Priced
from voicegw_sidecar.providers.base import Endpoint, Provider
from voicegw_sidecar.terms import NOTHING_USED, BudgetAction, Modality, RosterEntry, Unpriced
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, Side


class StandIn(Struct, frozen=True):
    """The local server that serves a throttled project's call, and as which model."""

    provider: Provider
    endpoint: Endpoint
    model: str

    @property
    def name(self) -> str:
        """``provider/model`` as the answer's header says it."""
        return _name(self.provider.id, self.model)


class Admission:
    """Admits requests; shared by all connections of one configuration."""

    def __init__(
        self, budgets: Budgets, prices: PriceBook, providers: Mapping[str, Provider], unpriced: Unpriced
    ) -> None:
        self._budgets = budgets
        self._prices = prices
        self._providers = providers
        self.blocks_unpriced = unpriced is Unpriced.BLOCK

    def admit(self, project: Project, provider: Provider, endpoint: Endpoint | None) -> Verdict | StandIn:
        """Judge a request before anything of it goes upstream; raises `Refused`. Local servers are always free."""
        if provider.is_local:
            return Verdict.ADMIT
        verdict = self._budgets.verdict(project)
        if verdict is Verdict.BLOCK:
            raise _exceeded(project)
        if verdict is not Verdict.THROTTLE:
            return verdict
        wanted = None if endpoint is None else _stand_in_of(project, endpoint.modality)
        if endpoint is None or wanted is None:
            raise _throttled(project, None, "and no stand-in is configured for it")
        found = self._stand_in(wanted, endpoint)
        if found is None:
            named = self._named(wanted, endpoint.modality)
            raise _throttled(project, named, f"and {named} does not speak this call's protocol")
        return found

    def translated(self, project: Project, provider: Provider, modality: Modality) -> Verdict | RosterEntry:
        """Judge a call whose protocol ends here: returns the stand-in where one is to serve it; raises `Refused`.

        Whatever the stand-in speaks, the call is translated.
        """
        if provider.is_local:
            return Verdict.ADMIT
        verdict = self._budgets.verdict(project)
        if verdict is Verdict.BLOCK:
            raise _exceeded(project)
        if verdict is not Verdict.THROTTLE:
            return verdict
        wanted = _stand_in_of(project, modality)
        if wanted is None:
            raise _throttled(project, None, "and no stand-in is configured for it")
        return wanted

    def next_of_socket(
        self, project: Project, provider: Provider, endpoint: Endpoint, head: RequestHead, model: str | None
    ) -> Refused | None:
        """Judge the next exchange of a socket that is open; a stand-in cannot take it over."""
        if provider.is_local:
            return None
        verdict = self._budgets.verdict(project)
        if verdict is Verdict.BLOCK:
            return _exceeded(project)
        if verdict is Verdict.THROTTLE:
            wanted = _stand_in_of(project, endpoint.modality)
            named = None if wanted is None else self._named(wanted, endpoint.modality)
            return _throttled(project, named, "and a socket that is open cannot change its provider")
        return self.unpriced(provider, endpoint, head, model)

    def unpriced(
        self, provider: Provider, endpoint: Endpoint, head: RequestHead, model: str | None
    ) -> UnpricedModel | None:
        """Return the refusal of a model without a price, where that is refused."""
        if not self.blocks_unpriced or provider.is_local:
            return None
        wire_name = None if model is None or endpoint.catalogue_model is None else endpoint.catalogue_model(model, head)
        item = Priced(
            provider.id, model, endpoint.modality, NOTHING_USED, provider.catalogue_id, wire_name, provider.is_local
        )
        if self._prices.is_priced(item):
            return None
        named = f"{provider.id}/{model}" if model else f"the model that {provider.id} uses where none is named"
        return UnpricedModel(
            f"no price is known for {named}; add it under prices: or set cost_tracking.unpriced to warn or estimate"
        )

    def blame(self, project: Project, stand_in: Provider, model: str) -> BudgetThrottled:
        """Return the refusal of a call whose stand-in could not be reached."""
        named = _name(stand_in.id, model)
        return _throttled(project, named, f"and its stand-in {named} cannot be reached")

    def _named(self, wanted: RosterEntry, modality: Modality) -> str:
        """Return a stand-in as ``provider/model``; of one that has its own models only, its provider."""
        provider = self._providers.get(wanted.provider)
        usual = None if provider is None else provider.default_model(modality)
        return _name(wanted.provider, wanted.model or usual or "")

    def _stand_in(self, wanted: RosterEntry, endpoint: Endpoint) -> StandIn | None:
        provider = self._providers.get(wanted.provider)
        if provider is None or endpoint.is_socket:
            return None
        for own in provider.endpoints:
            if own.dialect is endpoint.dialect and own.method == endpoint.method and not own.is_socket:
                model = wanted.model or provider.default_model(endpoint.modality) or ""
                return StandIn(provider, own, model)
        return None


def named_model(endpoint: Endpoint, head: RequestHead, body: bytes) -> str | None:
    """Return the model that a request names, read as its dialect reads it."""
    if body and (model := model_of(body, head.content_type)) is not None:
        return model
    dialect = endpoint.dialect(head)
    if endpoint.is_socket:
        return dialect.model if isinstance(dialect, SocketDialect) else None
    dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, body))
    began = [event for event in dialect.ended(Side.AGENT, End.COMPLETE) if isinstance(event, Began)]
    return began[0].model if began else None


def is_enforced(project: Project) -> bool:
    """Say whether a project's budget can refuse anything."""
    return project.daily_budget_nanousd is not None and project.budget_action is not BudgetAction.WARN


def _stand_in_of(project: Project, modality: Modality) -> RosterEntry | None:
    match modality:
        case Modality.STT:
            return project.throttle_to.stt
        case Modality.LLM:
            return project.throttle_to.llm
        case Modality.TTS:
            return project.throttle_to.tts
        case Modality.S2S:
            return None


def _exceeded(project: Project) -> BudgetExceeded:
    return BudgetExceeded(
        f"the daily budget of project {project.id} ({_usd(project)}) is spent; "
        "raise projects.<project>.daily_budget or wait for the next day"
    )


def _throttled(project: Project, stand_in: str | None, reason: str) -> BudgetThrottled:
    return BudgetThrottled(f"the daily budget of project {project.id} ({_usd(project)}) is spent, {reason}", stand_in)


def _name(provider: str, model: str) -> str:
    return f"{provider}/{model}" if model else provider


def _usd(project: Project) -> str:
    return f"{(project.daily_budget_nanousd or 0) / 1e9:.2f} USD"
