"""Which provider and model serve a call of a unified endpoint: what it names, or what its session's route has.

A call that names no model, or ``auto``, takes its session's pick; where the session is not known yet, that of its
process, and where the process cannot be seen either, the project's current one (contract §5).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.config.catalog import Catalog
from voicegw_sidecar.config.entry import Entry
from voicegw_sidecar.config.kind import Mismatch
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.ledger.prices import PriceBook, Priced, catalogue_models
from voicegw_sidecar.picks import latencies_of, pick
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.providers.base import Provider
from voicegw_sidecar.rollup import Rollup
from voicegw_sidecar.routing.latency import LEAST_SAMPLES, Latencies
from voicegw_sidecar.routing.router import Decision
from voicegw_sidecar.sessions import Sessions
from voicegw_sidecar.stitching import Process
from voicegw_sidecar.terms import NOTHING_USED, NS_PER_S, Modality, RosterEntry, SessionOrigin

AUTO = "auto"
_NOTHING_NAMED = frozenset({"", AUTO, "NOT_GIVEN"})  # the last is what LiveKit's client sends where no model is given
LEAST_PATIENCE_MS = 1000.0
"""A provider is given at least so long until its first output, before another is tried."""
_PATIENCE_FACTOR = 2.0  # of the 95th percentile that was observed, or of the baseline where too little was


class Call(Struct, frozen=True):
    """What is known of the call that a leg is wanted for; ``is_stream`` marks a socket that listens to one session."""

    project: str
    session_id: str | None
    process: Process | None
    is_stream: bool = False


class _ProcessPick:
    """The route that a process was given for its latest session."""

    def __init__(self, decision: Decision, now_ns: int) -> None:
        self.decision = decision
        self.used_ns = now_ns
        self.has_stream = False


class Legs:
    """Chooses legs by one configuration."""

    def __init__(
        self, catalog: Catalog, providers: Mapping[str, Provider], rollup: Rollup, sessions: Sessions,
        prices: PriceBook, clock: Clock, memory: ProcessMemory,
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._providers = providers
        self._rollup = rollup
        self._sessions = sessions
        self._prices = prices
        self._clock = clock
        self._memory = memory

    def of(self, call: Call, modality: Modality, wanted: str | None) -> list[Leg]:
        """Return who may serve a call, the first choice first; more than one only where failover is on.

        Raises `NoRoute`, and `BadRequest` for a name that means no model here.
        """
        text = (wanted or "").strip()
        if text in _NOTHING_NAMED:
            return self._picked(call, modality)
        return [self.named(call.project, modality, text)]

    def is_auto(self, wanted: str | None) -> bool:
        """Say whether a call leaves the choice to the sidecar."""
        return (wanted or "").strip() in _NOTHING_NAMED

    def named(self, project: str, modality: Modality, text: str) -> Leg:
        """Return the leg that a name means: ``provider/model``, or a model that one configured provider lists."""
        if "/" not in text and text.partition(":")[0] not in self._providers:
            return self.leg(modality, self._listed(project, modality, text))
        try:
            entry = Entry(modality).read(text)
        except Mismatch as mismatch:
            raise BadRequest(f"model: {mismatch}") from None
        if entry.provider not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise BadRequest(
                f"model: found {text[:100]!r}, but no provider {entry.provider!r}; expected one of {known}"
            )
        if modality is Modality.LLM and not _is_llm(self._providers[entry.provider]):
            others = [one.id for one in self._providers.values() if _is_llm(one)]
            such_as = next((other for other in others if self._is_configured(project, other)), others[0])
            raise BadRequest(f"model: {entry.provider} is no LLM provider; expected one that is, such as {such_as}")
        return self.leg(modality, entry)

    def leg(self, modality: Modality, entry: RosterEntry, patience_ms: float | None = None) -> Leg:
        """Return the leg of a roster entry: with the provider's default model where it names none."""
        provider = self._providers[entry.provider]
        model = entry.model or provider.default_model(modality)
        if model is None and provider.is_local:
            model = ""  # such a server has one of its own
        if model is None:
            raise BadRequest(
                f"model: {entry.provider} has no usual model for {modality.value}; name one as {entry.provider}/<model>"
            )
        return Leg(modality, provider, model, entry.variant, patience_ms, is_declared=provider.id not in BY_ID)

    def names(self, project: str) -> list[str]:
        """Return what a call may name: ``auto`` and the models of the configured providers, as ``provider/model``."""
        found = [AUTO]
        for provider in self._providers.values():
            if self._is_configured(project, provider.id):
                usual = [model for _, model in provider.default_models]
                listed = dict.fromkeys((*usual, *catalogue_models(provider.catalogue_id)))
                found += [f"{provider.id}/{model}" for model in listed]
        return found

    def stand_in(self, modality: Modality, entry: RosterEntry) -> Leg:
        """Return the leg of a spent budget's stand-in."""
        return replace(self.leg(modality, entry), is_stand_in=True, is_substitute=True)

    def _listed(self, project: str, modality: Modality, text: str) -> RosterEntry:
        model, variant = text, None
        if modality is not Modality.LLM and ":" in text:
            model, _, variant = text.rpartition(":")
        listing = [one for one in self._providers.values() if self._lists(one, model, modality)]
        found = [one.id for one in listing if self._is_configured(project, one.id)]
        if len(found) == 1:
            return RosterEntry(found[0], model, variant)
        if found:
            names = ", ".join(f"{provider}/{model}" for provider in found)
            raise BadRequest(f"model: {model[:100]!r} is listed by several providers; name one of {names}")
        others = ", ".join(one.id for one in listing)
        hint = f"; {others} has it, but is not configured" if others else ""
        raise BadRequest(
            f"model: found {text[:100]!r}, which no configured provider lists{hint}; expected provider/model, or auto"
        )

    def _lists(self, provider: Provider, model: str, modality: Modality) -> bool:
        if provider.default_model(modality) == model:
            return True
        return self._prices.is_priced(Priced(provider.id, model, modality, NOTHING_USED, provider.catalogue_id))

    def _is_configured(self, project: str, provider_id: str) -> bool:
        config = self._catalog.config
        return (
            provider_id in config.providers
            or provider_id in self._catalog.project(project).providers
            or self._catalog.provider_settings(project, provider_id).api_key is not None
        )

    def _picked(self, call: Call, modality: Modality) -> list[Leg]:
        first = self._pick(call, modality)
        project = self._catalog.project(call.project)
        if not project.routing.failover:
            return [self.leg(modality, first)]
        latencies = latencies_of(self._catalog, call.project, self._rollup.seen(call.project))
        roster: tuple[RosterEntry, ...] = getattr(project.routing.rosters, modality.value)
        legs: list[Leg] = []
        for entry in self._with_keys(call.project, (first, *roster)):
            leg = self.leg(modality, entry, _patience_ms(latencies, modality, entry))
            leg = replace(leg, is_substitute=bool(legs))
            if leg.name not in [other.name for other in legs]:
                legs.append(leg)
        return [*legs[:-1], replace(legs[-1], patience_ms=None)]  # after the last there is nobody to give way to

    def _with_keys(self, project: str, entries: tuple[RosterEntry, ...]) -> list[RosterEntry]:
        """Leave out the vendors that have no key: they cannot take over. Of none that could the first stays."""
        usable = [entry for entry in entries if not self.lacks_key(project, self._providers[entry.provider])]
        return usable or [entries[0]]

    def lacks_key(self, project: str, provider: Provider) -> bool:
        """Say whether a vendor's key is missing; servers of one's own need none."""
        settings = self._catalog.provider_settings(project, provider.id)
        return provider.catalogue_id is not None and settings.api_key is None

    def _pick(self, call: Call, modality: Modality) -> RosterEntry:
        if call.session_id is not None:
            session = self._sessions.find(call.project, call.session_id)
            if session is None and not self._sessions.is_closed((call.project, call.session_id)):
                decision = self._decide(call.project)
                session = self._sessions.begin(call.project, call.session_id, SessionOrigin.NAMED, decision)
            leg = None if session is None else session.route.get(modality)
            if leg is not None and leg.source is not None and leg.provider in self._providers:
                return RosterEntry(leg.provider, leg.model, leg.variant)
            return self._decide(call.project).legs[modality].entry
        if call.process is None:
            return self._decide(call.project).legs[modality].entry
        is_start = call.is_stream and modality is Modality.STT
        idle_ns = round(self._catalog.config.sessions.idle_seconds * NS_PER_S)
        kept = self._memory.decision(call, self._clock.monotonic_ns(), idle_ns, is_start=is_start)
        if kept is not None and kept.legs[modality].entry.provider in self._providers:  # a reload may have removed it
            return kept.legs[modality].entry
        decision = self._decide(call.project)
        self._memory.keep(call, decision, self._clock.monotonic_ns(), is_start=is_start)
        return decision.legs[modality].entry

    def _decide(self, project: str) -> Decision:
        draw = random.random()  # noqa: S311 - which sessions explore is no secret
        return pick(self._catalog, project, self._rollup.seen(project), None, draw)


class ProcessMemory:
    """Which route each calling process was given; kept over a change of the configuration, as sessions are.

    A stream of speech marks the beginning of a session; everything else of a process takes its latest route, as long
    as something is heard of it.
    """

    def __init__(self) -> None:
        self._picks: WeakKeyDictionary[Process, dict[str, _ProcessPick]] = WeakKeyDictionary()

    def decision(self, call: Call, now_ns: int, idle_ns: int, *, is_start: bool) -> Decision | None:
        """Return the route in force for a call's process, or None where a new one is due."""
        assert call.process is not None
        found = self._picks.get(call.process, {}).get(call.project)
        if found is None or now_ns - found.used_ns > idle_ns or (is_start and found.has_stream):
            return None
        found.used_ns = now_ns
        found.has_stream = found.has_stream or is_start
        return found.decision

    def keep(self, call: Call, decision: Decision, now_ns: int, *, is_start: bool) -> None:
        """Remember the route that a process is given."""
        assert call.process is not None
        kept = _ProcessPick(decision, now_ns)
        kept.has_stream = is_start
        self._picks.setdefault(call.process, {})[call.project] = kept


def _is_llm(provider: Provider) -> bool:
    """Say whether a provider writes: local servers of one kind have addresses of OpenAI's protocol that they lack."""
    known = provider.id in BY_ID
    return not known or provider.default_model(Modality.LLM) is not None


def _patience_ms(latencies: Latencies, modality: Modality, entry: RosterEntry) -> float:
    seen = latencies.seen(modality, entry)
    usual_ms = latencies.baseline_ms(modality, entry.provider)
    if seen is not None and seen.sample_count >= LEAST_SAMPLES:
        usual_ms = seen.p95_ms
    return max(LEAST_PATIENCE_MS, _PATIENCE_FACTOR * (usual_ms or 0.0))
