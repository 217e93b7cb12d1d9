"""The procedure of every data-plane request: address, project, provider, plan. The relay does the rest.

Joins what the layers below decide and holds no rule of its own. A refusal has the provider's own error
shape, so that its SDK raises its usual exception with our message in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from voicegw_sidecar.addressing import Target, parse
from voicegw_sidecar.config.catalog import Catalog, ProviderSettings
from voicegw_sidecar.credentials import swapped_headers, swapped_query, swapped_subprotocols
from voicegw_sidecar.dialects.openai_chat import is_usage_chunk, with_usage_asked
from voicegw_sidecar.errors import BadRequest, Draining, SidecarError
from voicegw_sidecar.observation import Observation, Unobserved
from voicegw_sidecar.providers import OPENAI_ERRORS, registry
from voicegw_sidecar.providers.base import Endpoint, Provider
from voicegw_sidecar.recorder import Identity, Recorder
from voicegw_sidecar.relay import Arrival, Plan, Refusal, Timeouts
from voicegw_sidecar.wire.frames import RequestHead

_UNRECORDED_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Intercept:
    """Decides about requests; `decide` is what the relay asks."""

    def __init__(self, catalog: Catalog, recorder: Recorder | None, is_draining: Callable[[], bool]) -> None:
        self._catalog = catalog
        self._providers = registry(catalog.config.providers, *(p.providers for p in catalog.projects.values()))
        self._recorder = recorder
        self._is_draining = is_draining

    async def decide(self, arrival: Arrival) -> Plan | Refusal:
        """Return where a request goes, or why it goes nowhere."""
        provider: Provider | None = None
        try:
            headers = {name.lower(): value for name, value in arrival.headers}
            target = parse(arrival.target, headers, self._providers, is_socket=arrival.is_socket)
            provider = self._providers[target.provider]
            if self._is_draining():
                raise Draining("the sidecar is shutting down; call again once it is back")
            return self._plan(arrival, headers, target, provider)
        except SidecarError as error:
            return refusal(error, provider, {name.lower(): value for name, value in arrival.headers})

    def refused(self, arrival: Arrival, error: SidecarError) -> Refusal:
        """Word an error as the provider that the request is for would, as far as the address tells."""
        try:
            target = parse(arrival.target, {}, self._providers, is_socket=arrival.is_socket)
        except SidecarError:
            return refusal(error, None, {})
        return refusal(error, self._providers[target.provider], {n.lower(): value for n, value in arrival.headers})

    def _plan(self, arrival: Arrival, headers: dict[str, str], target: Target, provider: Provider) -> Plan:
        project = self._catalog.project(target.project or self._catalog.default_project)
        settings = self._catalog.provider_settings(project.id, provider.id)
        endpoint = provider.endpoint(arrival.method, target.path, arrival.is_socket)
        sent = swapped_headers(arrival.headers, provider, settings.api_key)
        _refuse_unsendable(sent)
        is_recorded = self._recorder is not None and (arrival.is_socket or arrival.method not in _UNRECORDED_METHODS)
        answer_headers = [("X-VoiceGW-Project", project.id)]
        if target.session_id is not None:
            answer_headers.append(("X-VoiceGW-Session", target.session_id))
        observer: Observation | Unobserved = Unobserved()
        if self._recorder is not None and is_recorded:
            observer = self._observation(arrival, headers, target, provider, endpoint, project.id)
            if not arrival.is_socket:
                answer_headers.append(("X-VoiceGW-Exchange", observer.first_id))
                if endpoint is not None:  # metered bodies are asked for plainly, so that their copy can be read
                    others = tuple(pair for pair in sent if pair[0].lower() != "accept-encoding")
                    sent = (*others, ("Accept-Encoding", "identity"))
        asks_usage = is_recorded and endpoint is not None and endpoint.asks_usage and settings.include_usage
        edit = UsageEdit() if asks_usage else None
        return Plan(
            url=_url(settings, target, provider),
            headers=sent,
            observer=observer,
            refuse=lambda error: refusal(error, provider, headers, tuple(answer_headers)),
            timeouts=_timeouts(settings),
            answer_headers=tuple(answer_headers),
            subprotocols=swapped_subprotocols(headers.get("sec-websocket-protocol"), settings.api_key),
            edit_body=edit.ask if edit else None,
            drops_event=edit.drops if edit else None,
            is_recorded=is_recorded,
        )

    def _observation(
        self, arrival: Arrival, headers: dict[str, str], target: Target, provider: Provider,
        endpoint: Endpoint | None, project_id: str,
    ) -> Observation:  # fmt: skip
        assert self._recorder is not None
        identity = Identity(project_id, target.session_id, provider.id, provider.catalogue_id, provider.is_local)
        head = RequestHead(arrival.method, target.path, target.parameters(), headers.get("content-type", ""))
        return Observation(identity, endpoint, head, self._recorder, is_socket=arrival.is_socket)


class UsageEdit:
    """Asks a streamed chat for its usage and keeps the extra chunk from an agent that did not ask."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self, body: bytes) -> bytes | None:
        """Return the body with ``include_usage`` added, or None where nothing is to be added."""
        edited = with_usage_asked(body)
        self._asked = edited is not None
        return edited

    def drops(self, data: bytes | None) -> bool:
        """Say whether an event is the chunk that only our asking brought."""
        return self._asked and is_usage_chunk(data)


def refusal(
    error: SidecarError, provider: Provider | None, asked: Mapping[str, str], more: tuple[tuple[str, str], ...] = ()
) -> Refusal:
    """Word an error as the provider would (as OpenAI would, where none is known); ``asked`` are request headers."""
    shape = provider.errors if provider is not None else OPENAI_ERRORS
    wording = shape.encode(error.status, error.code, error.message, asked)
    headers = [("Content-Type", wording.content_type), ("X-VoiceGW-Error", error.code), *more]
    if not error.retry_helps:
        headers.append(("x-should-retry", "false"))
    return Refusal(error.status, tuple(headers), wording.body)


def _url(settings: ProviderSettings, target: Target, provider: Provider) -> str:
    query = swapped_query(target.query, provider, settings.api_key)
    return f"{settings.base_url.rstrip('/')}{target.path}{'?' if query else ''}{query}"


def _timeouts(settings: ProviderSettings) -> Timeouts:
    limits = settings.timeouts
    return Timeouts(limits.connect_s, limits.first_byte_s, limits.idle_s)


def _refuse_unsendable(headers: tuple[tuple[str, str], ...]) -> None:
    for name, value in headers:
        if not value.isprintable() and any("\ud800" <= character <= "\udfff" for character in value):
            raise BadRequest(f"header {name}: found bytes that are not UTF-8; expected text")
