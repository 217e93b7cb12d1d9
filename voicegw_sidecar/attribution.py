"""Which session each exchange belongs to: what the agent names, else what was found out from what is said.

Joins the stitcher, which finds out, with the sessions, which begin and end, and with the store, where what was found
late becomes a row of its own. Nothing here may break the metering that asks it: a fault is logged once, and from then
on the connection's exchanges have the session that the agent named, or none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from weakref import WeakKeyDictionary, WeakSet

from voicegw_sidecar.clock import Clock
from voicegw_sidecar.events import Event
from voicegw_sidecar.processes import Processes
from voicegw_sidecar.recorder import Identity
from voicegw_sidecar.sessions import SessionKey, Sessions
from voicegw_sidecar.stitching import Conversation, Line, Peer, Process, Stitcher, Strand
from voicegw_sidecar.store.database import Store
from voicegw_sidecar.store.session_records import join_session, move_session
from voicegw_sidecar.terms import Basis, Exchange, Modality, SessionOrigin, Status

logger = logging.getLogger(__name__)

PROCESS_WAIT_S = 0.1
"""How long a call whose route depends on its process waits to learn it; milliseconds are usual."""
_LISTENING = (Modality.STT, Modality.S2S)  # a session lasts while a socket that hears the person is open


class Caller:
    """Where a request came from: ``connection`` is what its connection is recognised by, while it lasts."""

    __slots__ = ("connection", "is_local", "own_port", "port")

    def __init__(self, connection: object, port: int, own_port: int, *, is_local: bool) -> None:
        self.connection = connection
        self.port = port
        self.own_port = own_port
        self.is_local = is_local


class _Known:
    """A connection of an agent, and whether its process has been looked for: named calls do not need it."""

    def __init__(self) -> None:
        self.peer = Peer()
        self.is_looked_up = False
        self.is_answered = asyncio.Event()

    def is_of(self, process: Process | None) -> None:
        if process is not None:
            self.peer.process = process
        self.is_answered.set()


class Attribution:
    """Puts the exchanges of all connections into sessions; on the event loop only."""

    def __init__(self, store: Store, sessions: Sessions, clock: Clock) -> None:
        self._store = store
        self._sessions = sessions
        self._clock = clock
        self._ids = store.ids
        self._processes = Processes()
        self._known: WeakKeyDictionary[object, _Known] = WeakKeyDictionary()
        self._lines: WeakSet[LineAttribution] = WeakSet()
        self._stitcher = Stitcher(self, sessions.new_id, os.urandom(32))
        sessions.on_close = self._stitcher.forget

    def line(self, identity: Identity, caller: Caller, *, is_socket: bool) -> LineAttribution:
        """Return what puts the exchanges of a new connection, or request, into sessions."""
        try:
            peer = self._peer(caller, is_named=identity.session_id is not None)
        except Exception as error:  # the call comes first: it is one of which it is not seen where it comes from
            logger.error("caller cannot be looked up", extra={"error": type(error).__name__})
            peer = Peer()
        line = self._stitcher.line(identity.project, identity.session_id, peer, is_socket=is_socket)
        attribution = LineAttribution(self._sessions, line, identity, is_socket=is_socket)
        self._lines.add(attribution)
        return attribution

    def _peer(self, caller: Caller, *, is_named: bool) -> Peer:
        known = self._known.get(caller.connection)
        if known is None:
            known = self._known[caller.connection] = _Known()
        if caller.is_local and not is_named and not known.is_looked_up:
            known.is_looked_up = True
            self._processes.find(caller.port, caller.own_port, known.is_of)
        return known.peer

    async def process(self, caller: Caller) -> Process | None:
        """Return the process that calls, where it can be seen; waits for it `PROCESS_WAIT_S` at most."""
        self._peer(caller, is_named=False)
        known = self._known[caller.connection]
        if known.is_looked_up and not known.is_answered.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROCESS_WAIT_S):
                    await known.is_answered.wait()
        return known.peer.process

    def called(self, identity: Identity) -> None:
        """Take note of a call that names a session and has no exchange of its own there: refused, or not recorded."""
        if identity.session_id is not None:
            key = (identity.project, identity.session_id)
            self._sessions.exchange_began(key, SessionOrigin.NAMED, None, identity.provider, None)
            self._sessions.exchange_ended(key)

    def listens(self, project: str, session_id: str, change: int) -> bool:
        """Take note that the agent's own speech-to-text socket opened (1) or closed (-1); False without a session."""
        if self._sessions.find(project, session_id) is None:
            return False
        self._sessions.listens((project, session_id), change)
        return True

    def is_under_way(self, project: str, session_id: str | None) -> bool:
        """Say whether a call is of an open session; one whose session cannot be told is, while there is any."""
        if session_id is None:
            return self._sessions.has_open(project)
        return self._sessions.find(project, session_id) is not None

    def sweep(self) -> None:
        """Let go of texts that were kept long enough."""
        self._stitcher.sweep(self._clock.monotonic_ns())

    def close(self) -> None:
        """Look for no more callers."""
        self._processes.close()

    def is_closed(self, project: str, session_id: str) -> bool:
        """Say whether a session is closed: nothing that does not name it is put into it any more."""
        return self._sessions.is_closed((project, session_id))

    def moved(self, strand: Strand) -> None:
        """Write that an exchange belongs to another session than its row says."""
        if strand.row_id is None or strand.conversation is None:
            return
        now_ns = self._clock.wall_ns()
        session_id = strand.conversation.current().session_id
        basis = strand.basis or Basis.HISTORY
        self._store.execute(
            join_session(
                self._ids.next(now_ns), self._store.node_id, strand.row_id, strand.project, session_id, basis, now_ns
            )
        )

    def merged(self, gone: Conversation, into: Conversation, basis: Basis) -> None:
        """Write that two sessions are one."""
        now_ns = self._clock.wall_ns()
        origin = SessionOrigin.NAMED if into.is_named else SessionOrigin.INFERRED
        before, after = (gone.project, gone.session_id), (into.project, into.session_id)
        if not self._sessions.merged(before, after, origin):
            return
        for line in self._lines:
            line.merged(before, after)
        self._store.execute(
            move_session(
                self._ids.next(now_ns), self._store.node_id, into.project, gone.session_id, into.session_id, basis,
                now_ns,
            )
        )  # fmt: skip


class LineAttribution:
    """Puts the exchanges of one connection into sessions."""

    def __init__(self, sessions: Sessions, line: Line, identity: Identity, *, is_socket: bool) -> None:
        self._sessions = sessions
        self._line = line
        self._identity = identity
        self._is_socket = is_socket
        self._counted: dict[int, SessionKey] = {}
        """The session in which each open exchange was taken note of."""
        self._listening_key: SessionKey | None = None
        """The session that an open socket of the person's speech was taken note of in."""
        self._has_failed = False

    def apply(self, event: Event, at_ns: int) -> None:
        """Take one event of the connection."""
        if self._has_failed:
            return
        try:
            self._line.apply(event, at_ns)
        except Exception as error:
            self._fail(error)

    def opened(self, exchange: Exchange, row_id: str, at_ns: int) -> str | None:
        """Take an exchange that began; return the id of its session as far as it is known."""
        if self._has_failed:
            return self._identity.session_id
        try:
            strand = self._line.opened(exchange.key, row_id, exchange.modality, at_ns)
            key = self._key(strand)
            if key is not None:
                self._begin(exchange, key, strand)
            return None if key is None else key[1]
        except Exception as error:
            return self._fail(error)

    def closed(self, exchange: Exchange, row_id: str, at_ns: int) -> str | None:
        """Take an exchange that ended; return the id of its session as far as it is known."""
        if self._has_failed:
            return self._identity.session_id
        try:
            strand = self._line.closed(
                exchange.key, row_id, exchange.modality, at_ns, is_cancelled=exchange.status is not Status.OK
            )
            key = self._key(strand)
            counted = self._counted.pop(exchange.ref, None)
            if counted != key:
                if counted is not None:
                    self._sessions.exchange_ended(counted)
                if key is not None:
                    self._begin(exchange, key, strand)
                    self._counted.pop(exchange.ref, None)
            if key is not None:
                self._sessions.exchange_ended(key)
            return None if key is None else key[1]
        except Exception as error:
            return self._fail(error)

    def connected(self, modality: Modality | None) -> None:
        """Take the opening of a socket: a session lasts while one that hears the person is open."""
        session_id = self._identity.session_id
        if session_id is None or modality not in _LISTENING or not self._is_socket:
            return
        key = (self._identity.project, session_id)
        if self._listening_key is None and self._sessions.find(*key) is not None:
            self._listening_key = key
            self._sessions.listens(key, 1)

    def merged(self, gone: SessionKey, into: SessionKey) -> None:
        """Two sessions are one: what was taken note of in the one ends in the other."""
        for ref, key in self._counted.items():
            if key == gone:
                self._counted[ref] = into
        if self._listening_key == gone:
            self._listening_key = into

    def session_of(self, exchange: Exchange) -> str | None:
        """Return the id of an open exchange's session as far as it is known."""
        key = None if self._has_failed else self._key(self._line.strand(exchange.key))
        return self._identity.session_id if key is None else key[1]

    def over(self) -> None:
        """Take the end of the connection."""
        if self._has_failed:
            return
        try:
            if self._listening_key is not None:
                self._sessions.listens(self._listening_key, -1)
            self._listening_key = None
            self._line.over()
        except Exception as error:
            self._fail(error)

    def _begin(self, exchange: Exchange, key: SessionKey, strand: Strand | None) -> None:
        conversation = strand.conversation if strand is not None else None
        is_named = conversation is None or conversation.current().is_named
        origin = SessionOrigin.NAMED if is_named else SessionOrigin.INFERRED
        model = self._identity.model or exchange.model
        self._sessions.exchange_began(key, origin, exchange.modality, self._identity.provider, model)
        self._counted[exchange.ref] = key
        if self._is_socket and exchange.modality in _LISTENING and self._listening_key is None:
            self._listening_key = key
            self._sessions.listens(key, 1)

    def _key(self, strand: Strand | None) -> SessionKey | None:
        if strand is not None and strand.conversation is not None:
            return (self._identity.project, strand.conversation.current().session_id)
        return None if self._identity.session_id is None else (self._identity.project, self._identity.session_id)

    def _fail(self, error: Exception) -> str | None:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = "unknown" if where is None else f"{where.tb_frame.f_code.co_name}:{where.tb_lineno}"
        logger.error("calls cannot be put into sessions", extra={"error": type(error).__name__, "at": place})
        self._has_failed = True
        return self._identity.session_id
