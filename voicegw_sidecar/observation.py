"""Watches one connection for the relay: frames to a dialect, events to the meter, changes to the recorder.

Everything here is synchronous and in memory but `settle`, which waits for commits and never longer than
the contract allows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from voicegw_sidecar.attribution import LineAttribution
from voicegw_sidecar.dialects.base import Ask, Dialect, SocketDialect, carries_many
from voicegw_sidecar.dialects.opaque import OpaqueRequest, OpaqueSocket
from voicegw_sidecar.errors import Refused, SidecarError, UpstreamSilent, UpstreamUnreachable
from voicegw_sidecar.events import Began, Deferred, Event, Failed, Final, Finished, Named, Used
from voicegw_sidecar.ledger.spend import Hold
from voicegw_sidecar.meter import Meter, Opened
from voicegw_sidecar.providers.base import Endpoint, JobState
from voicegw_sidecar.recorder import Identity, Recorder
from voicegw_sidecar.store.database import HOLD_S
from voicegw_sidecar.terms import NS_PER_S, Exchange, Mark, Modality, Status
from voicegw_sidecar.wire.body import ERROR_BODY_LIMIT_BYTES, BodyCopy, error_code
from voicegw_sidecar.wire.frames import End, Frame, RequestHead, ResponseHead, Side

CHECKPOINT_NS = 5 * NS_PER_S
"""How often an open exchange's row is brought up to date: what a crash can lose of its price."""
GROWTH_NS = NS_PER_S
"""How often an open exchange's running cost is brought up to date in its project's budget."""
_STATUS_OF_END = {End.COMPLETE: Status.OK, End.BROKEN: Status.UPSTREAM_ERROR, End.CANCELLED: Status.CANCELLED}


Defer = Callable[[tuple[str, str], "Observation", int], None]
"""Takes over an exchange whose result comes on other connections: provider and job id, its observer, the time."""


class Observation:
    """An observer (see ``relay.plan``) of one metered connection."""

    def __init__(
        self, identity: Identity, endpoint: Endpoint | None, head: RequestHead, recorder: Recorder,
        line: LineAttribution, *, is_socket: bool, defer: Defer | None = None,
    ) -> None:  # fmt: skip
        self._identity = identity
        self._line = line
        self._endpoint = endpoint
        self._head = head
        self._recorder = recorder
        self._is_socket = is_socket
        self._modality = None if endpoint is None else endpoint.modality_of(head)
        self._dialect = _dialect(endpoint, head, is_socket=is_socket)
        self._meter = Meter()
        self._row_ids: dict[int, str] = {}
        self._commits: list[tuple[str, asyncio.Future[None]]] = []
        self._http_status: int | None = None
        self._error_body: BodyCopy | None = None
        self._failure: SidecarError | None = None
        self._abandoned: str | None = None
        self._last_checkpoint_ns = 0
        self._last_growth_ns = 0
        self._has_begun = False
        self._holds: dict[int, Hold] = {}
        self._waiting: deque[tuple[Modality | None, Hold]] = deque()
        """Reserved for exchanges that were asked for and have not begun, oldest first."""
        self._is_over = False
        self._defer = defer
        self._job: tuple[str, str] | None = None
        self.first_id = recorder.next_id()
        """The row id of the connection's first exchange: of the only one, where it is an HTTP request."""

    def answered(self, head: ResponseHead, at_ns: int) -> None:
        """Take the provider's status; an error's body is searched for its code, not decoded as an answer."""
        self._http_status = head.status
        if head.status >= 400 or (self._is_socket and head.status != 101):
            self._error_body = BodyCopy(head.content_encoding, ERROR_BODY_LIMIT_BYTES)
            self._begin_unless_begun(at_ns)
            return
        self._apply(self._dialect.answered(head), at_ns)
        if self._is_socket:
            self._line.connected(self._modality)

    def frame(self, frame: Frame) -> None:
        """Decode and meter one frame."""
        if self._error_body is not None and frame.side is Side.PROVIDER:
            self._error_body.add(frame.data)
            return
        meter, line, at_ns = self._meter, self._line, frame.at_ns
        for event in self._dialect.decode(frame):
            meter.apply(event, at_ns)
            line.apply(event, at_ns)
        self._record(at_ns)
        if self._waiting:
            self._release_declined(frame)
        if at_ns - self._last_growth_ns > GROWTH_NS:
            self._grow(at_ns)
        if self._is_socket and at_ns - self._last_checkpoint_ns > CHECKPOINT_NS:
            self._checkpoint(at_ns)

    def ended(self, side: Side, end: End, at_ns: int) -> None:
        """One side is through."""
        if self._error_body is None:
            self._apply(self._dialect.ended(side, end), at_ns)

    def failed(self, error: SidecarError, at_ns: int) -> None:
        """The provider was not reached, or did not answer: the row says so in our own words."""
        self._failure = error
        self._http_status = error.status
        self._begin_unless_begun(at_ns)

    def abandon(self, code: str) -> None:
        """Say why the sidecar itself is about to end the connection."""
        self._abandoned = code

    def closed(self, end: End, at_ns: int) -> None:
        """Close what is still open; work that the provider goes on with is handed over as it is."""
        self._is_over = True
        if self._job is not None and self._defer is not None and self._row_ids:
            self._release()
            self._defer(self._job, self, at_ns)
            return
        if self._waiting and end is End.BROKEN:
            self._begin_unless_begun(at_ns)  # it was about to begin
        status, error = _STATUS_OF_END[end], None
        if self._failure is not None:
            is_ours = isinstance(self._failure, Refused)
            status, error = Status.REFUSED if is_ours else Status.UPSTREAM_ERROR, self._failure.code
        elif self._error_body is not None:
            status = Status.UPSTREAM_ERROR
            error = error_code(self._error_body.content()) or f"http_{self._http_status}"
        elif end is End.BROKEN:
            error = "connection_broken"
        self._meter.close(status, at_ns, error)
        self._record(at_ns)
        self._release()
        self._line.over()

    def finish(self, state: JobState, job: tuple[str, str], at_ns: int) -> None:
        """Close the exchange of a job, now that it is known how it ended."""
        self._job = job if state.is_done else None
        if not self._has_begun:
            self._apply((Began(self._modality, model=state.model),), at_ns)
        events: list[Event] = [] if state.model is None else [Named(state.model)]
        if state.error is not None:
            events.append(Failed(state.error))
        else:
            events += [*_result(self._modality), Used(state.usage), Finished()]
        self._apply(events, at_ns)
        self._release()

    def let_go(self) -> None:
        """Reserve nothing any more for a job that takes its time; it costs what it costs once that is told."""
        for hold in self._holds.values():
            self._recorder.budgets.release(hold)

    def forget(self, at_ns: int) -> None:
        """Give up waiting for a job: what it used is not known."""
        self._meter.close(Status.PARTIAL, at_ns, "job_not_asked_for")
        self._record(at_ns)

    def expect(self, modality: Modality | None, model: str | None = None) -> None:
        """Reserve for an exchange that is about to begin."""
        if self._is_over:  # frames may still come while closes are exchanged: nothing begins any more
            return
        hold = self._recorder.hold(self._identity, modality, model)
        if hold is not None:
            self._waiting.append((modality, hold))

    def asks(self, frame: Frame) -> Ask | None:
        """Say what a frame that has not gone on yet asks the provider for."""
        return self._dialect.asks(frame) if isinstance(self._dialect, SocketDialect) else None

    @property
    def carries_many(self) -> bool:
        """True for a socket on which exchange follows exchange, each of which can be refused."""
        return carries_many(self._dialect)

    def refused(self, ask: Ask, error: Refused) -> None:
        """Record that the next exchange of an open socket was refused."""
        modality = self._modality
        self._recorder.refused(self._recorder.next_id(), self._identity, modality, ask.model, error)

    @property
    def is_running(self) -> bool:
        """True while an exchange is open."""
        return bool(self._row_ids)

    def degrade(self, at_ns: int) -> None:
        """Metering failed: close the rows that exist, or leave one that says so; usage stays unknown."""
        self._is_over = True
        self._release()
        for hold in self._holds.values():  # first of all: a hold that stays would eat the budget for good
            self._recorder.budgets.release(hold)
        for ref in list(self._row_ids) or [0]:
            row_id = self._row_ids.pop(ref, self.first_id)
            modality = self._modality
            marks_ns = {Mark.STARTED: at_ns, Mark.ENDED: at_ns}
            exchange = Exchange(ref, modality, None, Status.DEGRADED, marks_ns, error="metering_failed")
            self._close(row_id, exchange, at_ns)
        self._line.over()

    async def settle(self) -> None:
        """Wait for the commits of what has closed, `HOLD_S` at most; what is later is marked so."""
        waiting = [(row_id, commit) for row_id, commit in self._commits if not commit.done()]
        self._commits.clear()
        if not waiting:
            return
        newest = waiting[-1][1]  # the writer commits in order: the newest row comes last
        timer = asyncio.get_running_loop().call_later(HOLD_S, _resolve, newest)
        late_after = timer.when()
        await newest
        timer.cancel()
        if asyncio.get_running_loop().time() >= late_after:
            for row_id, _ in waiting:
                self._recorder.late(row_id)

    def _begin_unless_begun(self, at_ns: int) -> None:
        """A refused handshake, or an answer before the upload was through, is an exchange all the same."""
        if not self._has_begun:
            self._apply((Began(self._modality),), at_ns)

    def _apply(self, events: Iterable[Event], at_ns: int) -> None:
        for event in events:
            if isinstance(event, Deferred):
                self._job = (self._identity.provider, event.job_id)
            self._meter.apply(event, at_ns)
            self._line.apply(event, at_ns)
        self._record(at_ns)

    def _record(self, at_ns: int) -> None:
        for change in self._meter.changes():
            self._has_begun = True
            exchange = change.exchange
            if isinstance(change, Opened):
                row_id = self._row_ids[exchange.ref] = self._row_id(exchange.ref)
                hold, model = self._hold(exchange), self._catalogue_model(exchange)
                session_id = self._line.opened(exchange, row_id, at_ns)
                self._recorder.opened(row_id, self._identity, session_id, exchange, model, hold)
            else:
                row_id = self._row_ids.pop(exchange.ref, "") or self._row_id(exchange.ref)
                self._close(row_id, exchange, at_ns)

    def _close(self, row_id: str, exchange: Exchange, at_ns: int) -> None:
        if self._abandoned is not None and exchange.status is Status.CANCELLED:
            exchange = replace(exchange, error=self._abandoned)
        if self._is_socket and len(self._commits) > 1:
            self._commits = [pair for pair in self._commits if not pair[1].done()]
        is_dial_failure = isinstance(self._failure, UpstreamUnreachable) and not isinstance(
            self._failure, UpstreamSilent
        )
        session_id = self._line.closed(exchange, row_id, at_ns)
        commit = self._recorder.closed(
            row_id, self._identity, session_id, exchange, self._catalogue_model(exchange), self._http_status,
            self._holds.get(exchange.ref), job=self._job,
            is_unbilled=self._error_body is not None or is_dial_failure,
        )  # fmt: skip
        self._holds.pop(exchange.ref, None)
        self._commits.append((row_id, commit))

    def _hold(self, exchange: Exchange) -> Hold | None:
        """Give an exchange that opens the part reserved for it, or reserve it now."""
        hold = self._taken(exchange.modality)
        if hold is None:
            hold = self._recorder.hold(self._identity, exchange.modality, exchange.model)
        if hold is not None:
            self._holds[exchange.ref] = hold
        return hold

    def _taken(self, modality: Modality | None) -> Hold | None:
        """Take the oldest part reserved for an exchange of this kind that has not begun."""
        for index, (wanted, hold) in enumerate(self._waiting):
            if wanted is modality:
                del self._waiting[index]
                return hold
        return None

    def _release(self) -> None:
        """Let go of what was reserved for exchanges that did not begin."""
        for _, hold in self._waiting:
            self._recorder.budgets.release(hold)
        self._waiting.clear()

    def _release_declined(self, frame: Frame) -> None:
        """Let go of what was reserved for an exchange that now will not begin."""
        dialect = self._dialect
        if not isinstance(dialect, SocketDialect) or not self._is_socket or not self.carries_many:
            return
        if frame.side is Side.AGENT and not dialect.opens_later:
            self._release()  # what the frame asked for has begun by now
        elif frame.side is Side.PROVIDER and dialect.declines(frame):
            self._recorder.budgets.release(self._waiting.popleft()[1])

    def _grow(self, at_ns: int) -> None:
        self._last_growth_ns = at_ns
        for exchange in self._meter.running():
            hold = self._holds.get(exchange.ref)
            if hold is not None:
                self._recorder.grown(self._identity, exchange, self._catalogue_model(exchange), hold)

    def _row_id(self, ref: int) -> str:
        return self.first_id if ref == 0 else self._recorder.next_id()

    def _catalogue_model(self, exchange: Exchange) -> str | None:
        if self._endpoint is None or self._endpoint.catalogue_model is None or exchange.model is None:
            return None
        return self._endpoint.catalogue_model(exchange.model, self._head)

    def _checkpoint(self, at_ns: int) -> None:
        is_first = self._last_checkpoint_ns == 0
        self._last_checkpoint_ns = at_ns
        if is_first:
            return
        for exchange in self._meter.running():
            if exchange.ref in self._row_ids:
                row_id = self._row_ids[exchange.ref]
                session_id = self._line.session_of(exchange)
                self._recorder.opened(
                    row_id, self._identity, session_id, exchange, self._catalogue_model(exchange), None
                )


class Unobserved:
    """The observer of requests that have no row: GETs and the like."""

    def answered(self, head: ResponseHead, at_ns: int) -> None:
        """Nothing."""

    def frame(self, frame: Frame) -> None:
        """Nothing."""

    def ended(self, side: Side, end: End, at_ns: int) -> None:
        """Nothing."""

    def failed(self, error: SidecarError, at_ns: int) -> None:
        """Nothing."""

    def closed(self, end: End, at_ns: int) -> None:
        """Nothing."""

    def degrade(self, at_ns: int) -> None:
        """Nothing."""

    async def settle(self) -> None:
        """Nothing."""


def _dialect(endpoint: Endpoint | None, head: RequestHead, *, is_socket: bool) -> Dialect:
    if endpoint is not None:
        return endpoint.dialect(head)
    return OpaqueSocket(head) if is_socket else OpaqueRequest(head)


def _result(modality: Modality | None) -> list[Event]:
    """What a job brought, without keeping it."""
    return [Final("…")] if modality is Modality.STT else []


def _resolve(commit: asyncio.Future[None]) -> None:
    if not commit.done():
        commit.set_result(None)
