"""The procedure of every data-plane request: address, project, provider, plan. The relay does the rest.

Joins what the layers below decide and holds no rule of its own. What is for a unified endpoint goes on to `unify`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from voicegw_sidecar.addressing import UNIFIED, Target, parse
from voicegw_sidecar.admission import Admission, StandIn, is_enforced, named_model
from voicegw_sidecar.agent_keys import AgentKeys, has_livekit_token
from voicegw_sidecar.attribution import Attribution, Caller
from voicegw_sidecar.body_edit import BodyEdit
from voicegw_sidecar.config.address import is_loopback
from voicegw_sidecar.config.catalog import Catalog, ProviderSettings
from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.credentials import Headers, Swap, swapped_headers, swapped_query, swapped_subprotocols
from voicegw_sidecar.dialects.base import carries_many
from voicegw_sidecar.errors import BadRequest, Draining, MissingKey, Refused, SidecarError, UpstreamUnreachable
from voicegw_sidecar.gate import SocketGate
from voicegw_sidecar.jobs import JobObservation, Jobs
from voicegw_sidecar.ledger.budget import Verdict
from voicegw_sidecar.legs import Legs
from voicegw_sidecar.observation import Observation, Unobserved
from voicegw_sidecar.providers import registry
from voicegw_sidecar.providers.base import Endpoint, Provider
from voicegw_sidecar.recorder import Identity, Recorder
from voicegw_sidecar.relay import Arrival, Plan, Refusal, Served, Timeouts
from voicegw_sidecar.relay.plan import HOLD_LIMIT_BYTES
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unify import Reception, served
from voicegw_sidecar.wire.frames import RequestHead
from voicegw_sidecar.wording import refusal

_STAND_IN_HEADERS = frozenset({"accept", "content-type", "user-agent"})  # nothing that could be a credential
_WHOLE_BODY_BYTES = 32 * 1024 * 1024  # above the largest upload that speech-to-text providers take at once
_UNRECORDED_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Intercept:
    """Decides about requests of one configuration; `decide` is what the relay asks."""

    def __init__(
        self, catalog: Catalog, agent_keys: AgentKeys, recorder: Recorder | None, attribution: Attribution, jobs: Jobs,
        legs: Callable[[Mapping[str, Provider]], Legs], is_draining: Callable[[], bool],
        reception_now: Callable[[], Reception],
    ) -> None:  # fmt: skip
        self._catalog = catalog
        self._agent_keys = agent_keys
        self._providers = registry(catalog.config.providers, *(p.providers for p in catalog.projects.values()))
        self._recorder = recorder
        self._attribution = attribution
        self._jobs = jobs
        self._is_draining = is_draining
        self._reception_now = reception_now
        self._admission: Admission | None = None
        if recorder is not None:
            unpriced = catalog.config.cost_tracking.unpriced
            self._admission = Admission(recorder.budgets, recorder.prices, self._providers, unpriced)
        self.reception = Reception(catalog, legs(self._providers), recorder, self._admission, attribution, jobs)

    async def decide(self, arrival: Arrival) -> Plan | Refusal | Served:
        """Return where a request goes, or why it goes nowhere."""
        provider: Provider | None = None
        headers = {name.lower(): value for name, value in arrival.headers}
        try:
            target = self._target(arrival, headers)
            if target.provider == UNIFIED:
                return self._unified(arrival, target)
            provider = self._providers[target.provider]
            call = self._call(arrival, headers, target, provider)
            if self._is_draining() and not self._attribution.is_under_way(call.project.id, target.session_id):
                raise Draining("the sidecar is shutting down; call again once it is back")
            return self._plan(call)
        except SidecarError as error:
            return refusal(error, provider, headers)

    def refused(self, arrival: Arrival, error: SidecarError) -> Refusal:
        """Word an error as the provider that the request is for would, as far as the address tells."""
        headers = {name.lower(): value for name, value in arrival.headers}
        try:
            target = self._target(arrival, {})
        except SidecarError:
            return refusal(error, None, headers)
        return refusal(error, self._providers.get(target.provider), headers)

    def _target(self, arrival: Arrival, headers: Mapping[str, str]) -> Target:
        return parse(arrival.target, headers, self._providers, method=arrival.method, is_socket=arrival.is_socket)

    def _unified(self, arrival: Arrival, target: Target) -> Refusal | Served:
        """Serve a unified endpoint: by the rules of keys and shutdown that hold for every call."""
        owner = self._agent_keys.owner(arrival.headers, target.query)
        project_id = self._agent_keys.project(owner, target.project, self._catalog.default_project)
        project = self._catalog.project(project_id)
        if self._is_draining() and not self._attribution.is_under_way(project.id, target.session_id):
            raise Draining("the sidecar is shutting down; call again once it is back")
        return served(self._reception_now, arrival, target, project.id)

    def _call(self, arrival: Arrival, headers: dict[str, str], target: Target, provider: Provider) -> Call:
        """Find out whose call it is and what for; raises where the credential says no."""
        owner = self._agent_keys.owner(arrival.headers, target.query)
        project_id = self._agent_keys.project(owner, target.project, self._catalog.default_project)
        project = self._catalog.project(project_id)
        settings = self._catalog.provider_settings(project.id, provider.id)
        endpoint = provider.endpoint(arrival.method, target.path, arrival.is_socket)
        head = RequestHead(arrival.method, target.path, target.parameters(), headers.get("content-type", ""))
        has_key = settings.api_key is not None
        is_vendor = provider.catalogue_id is not None  # local servers and those that YAML declares may need no key
        is_for_us = owner is not None or has_livekit_token(arrival.headers)
        return Call(
            arrival=arrival, headers=headers, target=target, project=project, provider=provider, settings=settings,
            endpoint=endpoint, head=head,
            swap=Swap(settings.api_key, not has_key and not is_for_us, self._agent_keys.is_key),
            lacks_key=is_for_us and is_vendor and not has_key,
            is_recorded=self._recorder is not None
            and (arrival.is_socket or arrival.method not in _UNRECORDED_METHODS),
        )  # fmt: skip

    def _plan(self, call: Call) -> Plan | Refusal:
        try:
            if call.lacks_key:
                raise MissingKey(
                    f"project {call.project.id} has no key for {call.provider.id}; "
                    f"set projects.{call.project.id}.providers.{call.provider.id}.api_key"
                )
            admitted: Verdict | StandIn = Verdict.ADMIT
            if self._admission is not None and call.is_recorded:
                admitted = self._admission.admit(call.project, call.provider, call.endpoint)
                if call.endpoint is not None and not isinstance(admitted, StandIn):
                    self._refuse_unpriced(call, call.endpoint)
        except Refused as error:
            return self._refuse(call, error)
        if isinstance(admitted, StandIn):
            return self._stand_in_plan(call, admitted)
        more = (("X-VoiceGW-Budget", "warn"),) if admitted is Verdict.WARN else ()
        return self._relay_plan(call, more)

    def _refuse_unpriced(self, call: Call, endpoint: Endpoint) -> None:
        """Refuse a model without a price as soon as the address tells which it is."""
        assert self._admission is not None
        if not self._admission.blocks_unpriced:
            return
        model = named_model(endpoint, call.head, b"")
        is_last_chance = endpoint.is_socket and not carries_many(endpoint.dialect(call.head))
        if model is not None or is_last_chance:
            error = self._admission.unpriced(call.provider, endpoint, call.head, model)
            if error is not None:
                raise error

    def _relay_plan(self, call: Call, more: tuple[tuple[str, str], ...]) -> Plan:
        """Relay to the provider that was asked for."""
        sent = swapped_headers(call.arrival.headers, call.provider, call.swap)
        _refuse_unsendable(sent)
        answer_headers = [*call.answer_headers(), *more]
        observer: Observation | JobObservation | Unobserved = Unobserved()
        gate: SocketGate | None = None
        if self._recorder is not None and call.is_recorded:
            observer = self._observation(call, call.provider, call.endpoint, None)
            gate = self._gate(call, observer)
            if not call.arrival.is_socket:
                answer_headers.append(("X-VoiceGW-Exchange", observer.first_id))
                sent = _asked_plainly(sent) if call.endpoint is not None else sent
        elif call.target.session_id is not None:
            self._attribution.called(self._identity(call, call.provider, None))
        job = self._job_observation(call)
        if job is not None:
            observer, sent = job, _asked_plainly(sent)
        edit = self._edit(call)
        return Plan(
            url=_url(call.provider, call.settings, call.target.path, swapped_query(call.target.query, call.swap)),
            headers=sent,
            observer=observer,
            refuse=lambda error: refusal(error, call.provider, call.headers, tuple(answer_headers)),
            timeouts=_timeouts(call.settings),
            answer_headers=tuple(answer_headers),
            subprotocols=swapped_subprotocols(call.arrival.headers, call.swap),
            edit_body=edit.edit if edit.has_work else None,
            drops_event=edit.filter if edit.asks_usage else None,
            is_recorded=call.is_recorded or job is not None,
            hold_limit_bytes=_WHOLE_BODY_BYTES if edit.check is not None else HOLD_LIMIT_BYTES,
            must_hold=edit.check is not None,
            gate=gate,
        )

    def _stand_in_plan(self, call: Call, stand_in: StandIn) -> Plan:
        """Relay to the local server that stands in; nothing of the agent's credentials goes there."""
        assert self._recorder is not None
        assert self._admission is not None
        blame = self._admission.blame(call.project, stand_in.provider, stand_in.model)
        settings = self._catalog.provider_settings(call.project.id, stand_in.provider.id)
        swap = Swap(settings.api_key)
        observer = self._observation(call, stand_in.provider, stand_in.endpoint, stand_in.model or None)
        answer_headers = (
            *call.answer_headers(),
            ("X-VoiceGW-Throttled", stand_in.name),
            ("X-VoiceGW-Exchange", observer.first_id),
        )
        edit = BodyEdit(
            asks_usage=stand_in.endpoint.asks_usage and settings.include_usage,
            model=stand_in.model or None,
            content_type=call.head.content_type,
        )
        return Plan(
            url=_url(stand_in.provider, settings, stand_in.endpoint.path, ""),
            headers=_asked_plainly(swapped_headers(_only(_STAND_IN_HEADERS, call), stand_in.provider, swap)),
            observer=observer,
            refuse=lambda error: refusal(error, call.provider, call.headers, answer_headers),
            timeouts=_timeouts(settings),
            answer_headers=answer_headers,
            edit_body=edit.edit,
            drops_event=edit.filter if edit.asks_usage else None,
            is_recorded=True,
            hold_limit_bytes=_WHOLE_BODY_BYTES,
            must_hold=True,
            blame=lambda error: blame if isinstance(error, UpstreamUnreachable) else error,
        )

    def _identity(self, call: Call, provider: Provider, model: str | None) -> Identity:
        return Identity(
            call.project.id, call.target.session_id, provider.id, provider.catalogue_id, provider.is_local, model
        )

    def _observation(self, call: Call, provider: Provider, endpoint: Endpoint | None, model: str | None) -> Observation:
        assert self._recorder is not None
        identity = self._identity(call, provider, model)
        is_socket = call.arrival.is_socket
        line = self._attribution.line(identity, call.caller(), is_socket=is_socket)
        observation = Observation(
            identity, endpoint, call.head, self._recorder, line, is_socket=is_socket, defer=self._jobs.defer
        )
        if endpoint is not None and (not endpoint.is_socket or endpoint.modality is Modality.STT):
            observation.expect(endpoint.modality)  # a speech socket holds nothing before its first text
        return observation

    def _job_observation(self, call: Call) -> JobObservation | None:
        """Watch a question about a job: it has no exchange of its own, but may end the job's."""
        endpoint = call.endpoint
        if self._recorder is None or endpoint is None or endpoint.reads_job is None:
            return None
        return JobObservation(
            self._jobs, call.provider.id, endpoint.reads_job,
            lambda: self._observation(call, call.provider, endpoint, None),
        )  # fmt: skip

    def _gate(self, call: Call, observation: Observation) -> SocketGate | None:
        admission, endpoint = self._admission, call.endpoint
        if admission is None or endpoint is None or call.provider.is_local or not observation.carries_many:
            return None
        if not (is_enforced(call.project) or admission.blocks_unpriced):
            return None
        return SocketGate(
            observation,
            endpoint,
            lambda model: admission.next_of_socket(call.project, call.provider, endpoint, call.head, model),
        )

    def _edit(self, call: Call) -> BodyEdit:
        """Return what may have to be done to the request's body, once it is there."""
        admission, endpoint = self._admission, call.endpoint
        if endpoint is None or endpoint.is_socket or not call.is_recorded:
            return BodyEdit()
        check: Callable[[bytes], None] | None = None
        if admission is not None and admission.blocks_unpriced and not call.provider.is_local:

            def check(body: bytes) -> None:
                model = named_model(endpoint, call.head, body)
                error = admission.unpriced(call.provider, endpoint, call.head, model)
                if error is not None:
                    raise error

        return BodyEdit(asks_usage=endpoint.asks_usage and call.settings.include_usage, check=check)

    def _refuse(self, call: Call, error: Refused) -> Refusal:
        """Answer in the provider's own shape, and leave a row where the call would have had one."""
        headers = call.answer_headers()
        if self._recorder is not None and call.is_recorded:
            identity = Identity(
                call.project.id, call.target.session_id, call.provider.id, call.provider.catalogue_id, is_local=False
            )
            self._attribution.called(identity)
            row_id = self._recorder.next_id()
            modality = call.endpoint.modality_of(call.head) if call.endpoint is not None else None
            self._recorder.refused(row_id, identity, modality, None, error)
            headers = (*headers, ("X-VoiceGW-Exchange", row_id))
        return refusal(error, call.provider, call.headers, headers)


class Call(Struct, frozen=True):
    """A request whose address and credentials are understood."""

    arrival: Arrival
    headers: dict[str, str]
    target: Target
    project: Project
    provider: Provider
    settings: ProviderSettings
    endpoint: Endpoint | None
    head: RequestHead
    swap: Swap
    lacks_key: bool
    is_recorded: bool

    def caller(self) -> Caller:
        """Return where it came from."""
        arrival = self.arrival
        return Caller(arrival.connection, arrival.peer_port, arrival.own_port, is_local=is_loopback(arrival.peer))

    def answer_headers(self) -> tuple[tuple[str, str], ...]:
        """Return the headers that every answer to it has."""
        session = self.target.session_id
        project = ("X-VoiceGW-Project", self.project.id)
        return (project,) if session is None else (project, ("X-VoiceGW-Session", session))


def _only(names: frozenset[str], call: Call) -> Headers:
    return tuple(pair for pair in call.arrival.headers if pair[0].lower() in names)


def _url(provider: Provider, settings: ProviderSettings, path: str, query: str) -> str:
    return f"{provider.address_of(path, settings.base_url)}{path}{'?' if query else ''}{query}"


def _asked_plainly(headers: Headers) -> Headers:
    """Metered bodies are asked for uncompressed, so that their copy can be read."""
    others = tuple(pair for pair in headers if pair[0].lower() != "accept-encoding")
    return (*others, ("Accept-Encoding", "identity"))


def _timeouts(settings: ProviderSettings) -> Timeouts:
    limits = settings.timeouts
    return Timeouts(limits.connect_s, limits.first_byte_s, limits.idle_s)


def _refuse_unsendable(headers: tuple[tuple[str, str], ...]) -> None:
    for name, value in headers:
        if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
            raise BadRequest(f"header {name}: found bytes that are not UTF-8; expected text")
