"""The procedure of every request of a unified endpoint: whose it is, who may serve it, and with what it is observed.

The counterpart of `intercept` where the agent's protocol ends here. The agent's credentials go no further: providers
are called with configured keys only.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

from msgspec.structs import replace

from voicegw_sidecar.addressing import Target
from voicegw_sidecar.admission import Admission, named_model
from voicegw_sidecar.attribution import Attribution, Caller
from voicegw_sidecar.config.address import is_loopback
from voicegw_sidecar.config.catalog import Catalog, ProviderSettings
from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.credentials import Swap, swapped_headers
from voicegw_sidecar.dialects.opaque import OpaqueRequest
from voicegw_sidecar.dialects.remembered import Remembered
from voicegw_sidecar.drivers.base import Pairs, ProviderRequest, SocketAddress
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import MissingKey, NotFound, Refused, SidecarError, UpstreamSilent, UpstreamUnreachable
from voicegw_sidecar.facades.chat import Chat
from voicegw_sidecar.facades.speech import Speech
from voicegw_sidecar.jobs import JobObservation, Jobs
from voicegw_sidecar.ledger.budget import Verdict
from voicegw_sidecar.legs import Call, Legs
from voicegw_sidecar.observation import Observation, Unobserved
from voicegw_sidecar.providers.base import Endpoint
from voicegw_sidecar.recorder import Identity, Recorder
from voicegw_sidecar.relay import Arrival, Refusal, Served, Timeouts
from voicegw_sidecar.relay.plan import Headers
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified.http import UnifiedRequest
from voicegw_sidecar.unified.listen import ListenSocket
from voicegw_sidecar.unified.models import Models
from voicegw_sidecar.unified.plan import Connection
from voicegw_sidecar.unified.speak import SpeakSocket
from voicegw_sidecar.unified.transcribe import UnifiedRecording
from voicegw_sidecar.wire.frames import RequestHead
from voicegw_sidecar.wording import refusal

_WARM_EVERY_S = 30.0


def served(
    reception_now: Callable[[], Reception], arrival: Arrival, target: Target, project_id: str
) -> Refusal | Served:
    """Return what serves a request of a unified endpoint; raises `NotFound` where nothing does."""
    reception = reception_now()
    desk = RequestDesk(reception_now, arrival, target, project_id)
    if arrival.is_socket:
        wanted = dict(target.parameters()).get("model")
        if target.path == "/v1/tts":
            return SpeakSocket(desk, wanted)
        if target.path == "/v1/stt":
            return ListenSocket(desk, wanted)
        raise NotFound(f"no socket is served at {target.path}; expected /v1/stt, /v1/tts or /v1/realtime")
    match arrival.method, target.path:
        case "POST", "/v1/chat/completions":
            return UnifiedRequest(desk, Chat)
        case "POST", "/v1/audio/speech":
            return UnifiedRequest(desk, Speech)
        case "POST", "/v1/audio/transcriptions":
            return UnifiedRecording(desk)
        case "GET" | "HEAD", "/v1/models":
            return Models(reception.legs.names(project_id), desk.answer_headers(None), desk.warms())
        case method, path:
            raise NotFound(f"nothing is served at {method} {path}; see docs/unified-endpoints.md for what is")


class Reception:
    """What all desks of one configuration share."""

    def __init__(
        self, catalog: Catalog, legs: Legs, recorder: Recorder | None, admission: Admission | None,
        attribution: Attribution, jobs: Jobs,
    ) -> None:  # fmt: skip
        self.catalog = catalog
        self.legs = legs
        self.recorder = recorder
        self.admission = admission
        self.attribution = attribution
        self.jobs = jobs

        self._warmed_s: dict[tuple[str, str], float] = {}

    def is_due(self, project: str, provider: str) -> bool:
        """Say whether a provider's connection is to be made ready: agents that start together need it once."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._warmed_s.get((project, provider), -_WARM_EVERY_S) < _WARM_EVERY_S:
            return False
        self._warmed_s[project, provider] = now_s
        return True


class RequestDesk:
    """Decides about one request; see `unified.plan.Desk`.

    A socket outlives configurations: each of its calls is decided by the one in force then.
    """

    def __init__(
        self, reception_now: Callable[[], Reception], arrival: Arrival, target: Target, project_id: str
    ) -> None:
        self._reception_now = reception_now
        self._arrival = arrival
        self._target = target
        self._is_over_budget = False
        self._stand_in: Leg | None = None
        self._streams_legs: list[Leg] | None = None
        """Those that ``auto`` means on a stream: it listens to one session, which has one route."""
        self.exchange_prefix = secrets.token_hex(12)
        self.project_id = project_id
        self._is_listening = False

    @property
    def configuration(self) -> object:
        """See `Desk.configuration`."""
        return self._reception

    @property
    def _reception(self) -> Reception:
        return self._reception_now()

    @property
    def _project(self) -> Project:
        """The project as it is now; raises `UnknownProject` once it was removed."""
        return self._reception.catalog.project(self.project_id)

    def listens(self, change: int) -> None:
        """See `Desk.listens`."""
        session_id = self._target.session_id
        if session_id is None or self._is_listening == (change > 0):
            return
        if self._reception.attribution.listens(self.project_id, session_id, change):
            self._is_listening = change > 0

    async def legs(self, modality: Modality, wanted: Sequence[str | None], *, is_stream: bool = False) -> list[Leg]:
        """See `Desk.legs`: what is named in the second place serves where the first cannot."""
        reception, target = self._reception, self._target
        is_auto = reception.legs.is_auto(wanted[0])
        process = None
        if is_auto and target.session_id is None:
            process = await reception.attribution.process(self._caller())
        call = Call(self._project.id, target.session_id, process, is_stream)
        if not (is_auto and is_stream):
            found = reception.legs.of(call, modality, wanted[0])
        else:
            self._streams_legs = self._streams_legs or reception.legs.of(call, modality, wanted[0])
            found = [*self._streams_legs]
        for name in wanted[1:]:
            if name and not reception.legs.is_auto(name):
                leg = reception.legs.named(self._project.id, modality, name)
                found.append(replace(leg, is_substitute=True))
        return found

    def admit(self, leg: Leg) -> Leg:
        """See `Desk.admit`."""
        admission = self._reception.admission
        if admission is None:
            return leg
        try:
            self._is_over_budget = False
            verdict = admission.translated(self._project, leg.provider, leg.modality)
            if isinstance(verdict, Verdict):
                self._is_over_budget = verdict is Verdict.WARN
                return leg
        except Refused as error:
            self._leave_row(leg, error)
            raise
        self._stand_in = self._reception.legs.stand_in(leg.modality, verdict)
        return self._stand_in

    def warms(self) -> tuple[Connection, ProviderRequest] | None:
        """Return what makes the connection of the LLM ready that ``auto`` would take now, where one is due."""
        try:
            [leg, *_] = self._reception.legs.of(Call(self._project.id, None, None), Modality.LLM, None)
            asked = warming_request(leg)
            if asked is None or self._lacks_key(leg) or not self._reception.is_due(self._project.id, leg.provider.id):
                return None  # nobody asked for a call, so none is refused
            return self.request(leg, asked), asked
        except SidecarError:
            return None  # there is no route: whoever asks for more is told

    def require_key(self, leg: Leg) -> None:
        """See `Desk.require_key`."""
        if self._lacks_key(leg):
            error = MissingKey(
                f"project {self._project.id} has no key for {leg.provider.id}, which serves this call; "
                f"set providers.{leg.provider.id}.api_key"
            )
            self._leave_row(leg, error)
            raise error

    def includes_usage(self, leg: Leg) -> bool:
        """See `Desk.includes_usage`."""
        return self._settings(leg).include_usage

    def request(self, leg: Leg, request: ProviderRequest) -> Connection:
        """See `Desk.request`."""
        content_type = next((value for name, value in request.headers if name.lower() == "content-type"), "")
        head = RequestHead(request.method, request.path, request.query, content_type)
        headers = (*request.headers, ("Accept-Encoding", "identity"))
        return self._connection(leg, head, headers, is_socket=False)

    def socket(self, leg: Leg, address: SocketAddress) -> Connection:
        """See `Desk.socket`."""
        return self._connection(leg, RequestHead("GET", address.path, address.query), address.headers, is_socket=True)

    def answer_headers(self, connection: Connection | None) -> Headers:
        """See `Desk.answer_headers`."""
        session = self._target.session_id
        headers = [("X-VoiceGW-Project", self._project.id)]
        if session is not None:
            headers.append(("X-VoiceGW-Session", session))
        if connection is not None:
            headers.append(("X-VoiceGW-Model", _printable(connection.leg.name)))
            if connection.exchange_id is not None:
                headers.append(("X-VoiceGW-Exchange", connection.exchange_id))
            if connection.leg.is_stand_in:
                headers.append(("X-VoiceGW-Throttled", _printable(connection.leg.name)))
        if self._is_over_budget:
            headers.append(("X-VoiceGW-Budget", "warn"))
        return tuple(headers)

    def blamed(self, error: SidecarError, leg: Leg) -> SidecarError:
        """See `Desk.blamed`."""
        admission = self._reception.admission
        was_reached = not isinstance(error, UpstreamUnreachable) or isinstance(error, UpstreamSilent)
        if admission is None or not leg.is_stand_in or was_reached:
            return error
        return admission.blame(self._project, leg.provider, leg.model)

    def refusal(self, error: SidecarError, connection: Connection | None = None) -> Refusal:
        """See `Desk.refusal`."""
        if connection is not None:
            error = self.blamed(error, connection.leg)
        asked = {name.lower(): value for name, value in self._arrival.headers}
        return refusal(error, None, asked, self.answer_headers(connection))

    def _connection(self, leg: Leg, head: RequestHead, headers: Pairs, *, is_socket: bool) -> Connection:
        self.require_key(leg)
        reception, settings = self._reception, self._settings(leg)
        endpoint = leg.provider.endpoint(head.method, head.path, is_socket)
        if endpoint is not None and reception.admission is not None:
            named = named_model(endpoint, head, b"") if is_socket else None
            error = reception.admission.unpriced(leg.provider, endpoint, head, named or leg.model)
            if error is not None:
                self._leave_row(leg, error)
                raise error
        dialect = Remembered(OpaqueRequest(head) if endpoint is None else endpoint.dialect(head))
        observer, exchange_id, expect = self._observer(leg, endpoint, head, dialect, is_socket=is_socket)
        query = urlencode(head.query, quote_via=quote)
        url = f"{leg.provider.address_of(head.path, settings.base_url)}{head.path}{'?' if query else ''}{query}"
        limits = settings.timeouts
        return Connection(
            leg=leg,
            url=url,
            headers=swapped_headers(headers, leg.provider, Swap(settings.api_key)),
            observer=observer,
            dialect=dialect,
            timeouts=Timeouts(limits.connect_s, limits.first_byte_s, limits.idle_s),
            exchange_id=exchange_id,
            abandon=observer.abandon if isinstance(observer, Observation) else lambda code: None,
            expect=expect,
        )

    def _observer(
        self, leg: Leg, endpoint: Endpoint | None, head: RequestHead, dialect: Remembered, *, is_socket: bool
    ) -> tuple[Observation | JobObservation | Unobserved, str | None, Callable[[], None]]:
        """Return who watches a connection, the id of its first row, and what reserves for an exchange on it."""
        reception = self._reception
        if reception.recorder is None or endpoint is None:
            return Unobserved(), None, _nothing
        if endpoint.reads_job is not None:  # a question about work that was asked for earlier
            watching = JobObservation(
                reception.jobs, leg.provider.id, endpoint.reads_job,
                lambda: self._observation(leg, endpoint, head, dialect, is_socket=False),
            )  # fmt: skip
            return watching, None, _nothing
        observation = self._observation(leg, endpoint, head, dialect, is_socket=is_socket)
        if not is_socket or leg.modality is Modality.STT:
            observation.expect(leg.modality, leg.model)
        return observation, observation.first_id, lambda: observation.expect(leg.modality, leg.model)

    def _observation(
        self, leg: Leg, endpoint: Endpoint, head: RequestHead, dialect: Remembered, *, is_socket: bool
    ) -> Observation:
        reception, identity = self._reception, self._identity(leg)
        assert reception.recorder is not None
        line = reception.attribution.line(identity, self._caller(), is_socket=is_socket)
        return Observation(
            identity, _shared(endpoint, dialect), head, reception.recorder, line, is_socket=is_socket,
            defer=reception.jobs.defer,
        )  # fmt: skip

    def _leave_row(self, leg: Leg, error: Refused) -> None:
        reception = self._reception
        if reception.recorder is None:
            return
        identity = self._identity(leg)
        reception.attribution.called(identity)
        reception.recorder.refused(reception.recorder.next_id(), identity, leg.modality, leg.model, error)

    def _identity(self, leg: Leg) -> Identity:
        provider = leg.provider
        return Identity(
            self._project.id, self._target.session_id, provider.id, provider.catalogue_id, provider.is_local,
            leg.model if provider.is_local else None,  # local servers do not always tell; others name it themselves
        )  # fmt: skip

    def _lacks_key(self, leg: Leg) -> bool:
        return self._reception.legs.lacks_key(self._project.id, leg.provider)

    def _settings(self, leg: Leg) -> ProviderSettings:
        return self._reception.catalog.provider_settings(self._project.id, leg.provider.id)

    def _caller(self) -> Caller:
        arrival = self._arrival
        return Caller(arrival.connection, arrival.peer_port, arrival.own_port, is_local=is_loopback(arrival.peer))


def warming_request(leg: Leg) -> ProviderRequest | None:
    """Return the cheapest question to an LLM's provider: which models it has."""
    chat = next((one.path for one in leg.provider.endpoints if one.modality is Modality.LLM), None)
    if chat is None:
        return None
    path = chat.removesuffix("/chat/completions").removesuffix("/messages") + "/models"
    return ProviderRequest("GET", path, (), (("anthropic-version", "2023-06-01"),), b"")


def _shared(endpoint: Endpoint, dialect: Remembered) -> Endpoint:
    return replace(endpoint, dialect=lambda head: dialect)


def _nothing() -> None:
    """Nothing is reserved for what has no row."""


def _printable(text: str) -> str:
    return quote(text, safe="/:@._-+")
