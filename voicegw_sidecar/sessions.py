"""The sessions of a running sidecar, from their beginning to their end.

One is opened by the API, by a call that names it, or by calls that were found to belong together; it is closed by the
API, by silence, or when the sidecar stops. It keeps its triple whatever happens to the configuration. The database has
its row from the beginning; its figures are written once, when it closes, and never again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable

import apsw
from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar import tasks
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.config.catalog import Catalog
from voicegw_sidecar.config.schema import Project
from voicegw_sidecar.picks import model_of
from voicegw_sidecar.route import RouteLeg, read_route, written_route
from voicegw_sidecar.routing.router import Decision
from voicegw_sidecar.session_figures import closed_row
from voicegw_sidecar.store.database import Store
from voicegw_sidecar.store.session_records import SessionRow, close_session, forget_session, open_session
from voicegw_sidecar.terms import NS_PER_S, ROUTED, Modality, SessionOrigin

logger = logging.getLogger(__name__)

OPEN_LIMIT = 10_000
"""Sessions open at once; beyond, the one that was active longest ago is closed."""
CLOSED_LIMIT = 10_000
"""Closed sessions remembered, so that a call that still names one does not open it again."""
_NAMES_LIMIT = 16
_STUCK_NS = 3600 * NS_PER_S  # an exchange that is open for so long without a sign holds up no session's end

SessionKey = tuple[str, str]
"""Project and the session's id in it."""


class Session(Struct):
    """An open session. ``active_ns`` is monotonic: when anything of it last happened."""

    uid: str
    project: str
    id: str
    origin: SessionOrigin
    started_ns: int
    budget_ms: int
    predicted_ms: float | None
    is_overrun: bool | None
    route: dict[Modality, RouteLeg]
    active_ns: int
    active_wall_ns: int
    running: int = 0
    listening: int = 0

    @property
    def key(self) -> SessionKey:
        """How it is found."""
        return (self.project, self.id)

    def row(self) -> SessionRow:
        """Return its row as it stands."""
        return SessionRow(
            uid=self.uid, project=self.project, id=self.id, origin=self.origin, started_ns=self.started_ns,
            budget_ms=self.budget_ms, predicted_ms=self.predicted_ms, budget_overrun=self.is_overrun,
            route=written_route(self.route),
        )  # fmt: skip


class Sessions:
    """All open sessions; on the event loop only."""

    def __init__(self, store: Store, clock: Clock, catalog: Callable[[], Catalog]) -> None:
        self._store = store
        self._clock = clock
        self._catalog = catalog
        self._ids = store.ids
        self._open: dict[SessionKey, Session] = {}
        self._closed: OrderedDict[SessionKey, None] = OrderedDict()
        self._closing: dict[SessionKey, asyncio.Task[None]] = {}
        self.on_close: Callable[[str, str], None] = lambda project, session_id: None
        """Is told which session takes no more calls that do not name it."""
        self.on_written: Callable[[SessionRow], None] = lambda row: None
        """Is told each session whose figures are written."""

    def new_id(self) -> str:
        """Return an id for a session that nobody named."""
        return self._ids.next(self._clock.wall_ns())

    def find(self, project: str, session_id: str) -> Session | None:
        """Return an open session, or None."""
        return self._open.get((project, session_id))

    def is_closed(self, key: SessionKey) -> bool:
        """Say whether a session is closed, as far as is remembered."""
        return key in self._closed

    def is_known(self, key: SessionKey) -> bool:
        """Say whether there is or was such a session, as far as is remembered."""
        return key in self._open or key in self._closed

    def remember_closed(self, keys: Iterable[SessionKey]) -> None:
        """Know the sessions that earlier runs closed, oldest first."""
        for key in keys:
            self._closed[key] = None

    def named(self, project: str | None, session_id: str) -> list[Session]:
        """Return the open sessions of an id: of one project, or with None of any."""
        return [one for one in self._open.values() if one.id == session_id and project in (None, one.project)]

    def has_open(self, project: str) -> bool:
        """Say whether a project has an open session."""
        return any(session.project == project for session in self._open.values())

    def take_over(self, row: SessionRow, active_wall_ns: int) -> None:
        """Go on with a session that an earlier run of the sidecar left open."""
        age_ns = max(0, self._clock.wall_ns() - active_wall_ns)
        session = Session(
            row.uid, row.project, row.id, row.origin, row.started_ns, row.budget_ms, row.predicted_ms,
            row.budget_overrun, read_route(row.route), self._clock.monotonic_ns() - age_ns, active_wall_ns,
        )  # fmt: skip
        self._open[session.key] = session

    def begin(self, project: str, session_id: str, origin: SessionOrigin, decision: Decision | None = None) -> Session:
        """Open a session; its row is queued. One that is open already is returned as it is."""
        found = self._open.get((project, session_id))
        if found is not None:
            return found
        now_ns = self._clock.wall_ns()
        catalog = self._catalog()
        session = Session(
            uid=self._ids.next(now_ns), project=project, id=session_id, origin=origin, started_ns=now_ns,
            budget_ms=catalog.projects.get(project, Project()).routing.budget_ms,  # a reload may have removed it
            predicted_ms=None if decision is None else decision.predicted_ms,
            is_overrun=None if decision is None else decision.is_overrun,
            route={} if decision is None else _picked(catalog, decision),
            active_ns=self._clock.monotonic_ns(), active_wall_ns=now_ns,
        )  # fmt: skip
        if len(self._open) >= OPEN_LIMIT:
            oldest = min(self._open.values(), key=lambda one: (one.running + one.listening > 0, one.active_ns))
            _ = self.close(oldest)
        self._open[session.key] = session
        self._store.execute(open_session(session.row(), self._store.node_id))
        return session

    def exchange_began(
        self, key: SessionKey, origin: SessionOrigin, modality: Modality | None, provider: str, model: str | None
    ) -> None:
        """Take note of an exchange; the first one of a session that nobody opened opens it."""
        session = self._open.get(key)
        if session is None:
            if key in self._closed:
                return
            session = self.begin(*key, origin)
        session.running += 1
        self._touch(session)
        if modality in ROUTED:
            self._used(session, modality, provider, model)

    def exchange_ended(self, key: SessionKey) -> None:
        """Take note of the end of an exchange."""
        session = self._open.get(key)
        if session is not None:
            session.running = max(0, session.running - 1)
            self._touch(session)

    def listens(self, key: SessionKey, change: int) -> None:
        """Take note of a speech-to-text socket that opened (1) or closed (-1)."""
        session = self._open.get(key)
        if session is not None:
            session.listening = max(0, session.listening + change)
            self._touch(session)

    def merged(self, gone: SessionKey, into: SessionKey, origin: SessionOrigin) -> bool:
        """Two sessions turned out to be one; False where that one is closed and takes no more."""
        if into in self._closed:
            return False
        if gone not in self._open:  # closed: its figures stay, and its exchanges are known to be of the other
            return True
        lost = self._open.pop(gone)
        self._store.execute(forget_session(*gone))
        session = self._open.get(into) or self.begin(*into, origin)
        if lost.started_ns < session.started_ns:
            session.started_ns = lost.started_ns
            self._store.execute((
                "UPDATE session SET started_ns = ? WHERE uid = ? AND ended_ns IS NULL",
                (session.started_ns, session.uid),
            ))  # fmt: skip
        session.running += lost.running
        session.listening += lost.listening
        for modality, leg in lost.route.items():
            for name in leg.used:
                provider, _, model = name.partition("/")
                self._used(session, modality, provider, model or None)
        self._touch(session)
        return True

    def idle(self, idle_s: float) -> list[Session]:
        """Return the sessions in which nothing has happened for so long, no speech-to-text socket being open."""
        now_ns = self._clock.monotonic_ns()
        limit_ns, stuck_ns = now_ns - round(idle_s * NS_PER_S), now_ns - max(_STUCK_NS, round(idle_s * NS_PER_S))
        return [
            one
            for one in self._open.values()
            if not one.listening and one.active_ns <= (stuck_ns if one.running else limit_ns)
        ]

    def all_open(self) -> list[Session]:
        """Return every open session."""
        return list(self._open.values())

    def close(self, session: Session, ended_ns: int | None = None) -> asyncio.Task[None]:
        """Close a session: nothing is added to its figures from now on. The task writes them.

        ``ended_ns`` is the wall-clock time of its end; without, the last that happened in it.
        """
        running = self._closing.get(session.key)
        if running is not None:
            return running
        self._open.pop(session.key, None)
        self._closed[session.key] = None
        if len(self._closed) > CLOSED_LIMIT:
            self._closed.popitem(last=False)
        self.on_close(session.project, session.id)
        work = self._write_figures(session, session.active_wall_ns if ended_ns is None else ended_ns)
        task = tasks.spawn(work, name=f"close session {session.uid}")
        self._closing[session.key] = task
        task.add_done_callback(lambda _: self._closing.pop(session.key, None))
        return task

    def all_closing(self) -> list[asyncio.Task[None]]:
        """Return what is writing figures."""
        return list(self._closing.values())

    def closing(self, key: SessionKey) -> asyncio.Task[None] | None:
        """Return the task that is writing a session's figures, if it is under way."""
        return self._closing.get(key)

    async def _write_figures(self, session: Session, ended_ns: int) -> None:
        await self._store.committed()  # every row of it is in the database before its figures are read from there
        try:
            row, turns = await self._store.read(closed_row, session.row(), ended_ns)
        except apsw.Error as error:
            # the row stays open in the database; the next start closes it
            logger.error("a session's figures could not be read", extra={"error": type(error).__name__})
            return
        # its first row may have been dropped, when more waited to be written than may wait
        await self._store.committed(open_session(row, self._store.node_id), *close_session(row, turns))
        self.on_written(row)

    def _touch(self, session: Session) -> None:
        session.active_ns = self._clock.monotonic_ns()
        session.active_wall_ns = self._clock.wall_ns()

    def _used(self, session: Session, modality: Modality, provider: str, model: str | None) -> None:
        """Let the route say what a leg really used."""
        name = provider if model is None else f"{provider}/{model}"
        leg = session.route.get(modality)
        if leg is None:
            leg = RouteLeg(provider, model)
        if name in leg.used or len(leg.used) >= _NAMES_LIMIT:
            return
        session.route = {**session.route, modality: replace(leg, used=(*leg.used, name))}
        self._store.execute((
            "UPDATE session SET route = ? WHERE uid = ? AND ended_ns IS NULL",
            (written_route(session.route), session.uid),
        ))  # fmt: skip


def _picked(catalog: Catalog, decision: Decision) -> dict[Modality, RouteLeg]:
    return {
        modality: RouteLeg(
            leg.entry.provider, model_of(catalog, modality, leg.entry), leg.expected.ms, leg.expected.source,
            leg.expected.samples, variant=leg.entry.variant,
        )
        for modality, leg in decision.legs.items()
    }  # fmt: skip
