"""All conversations of a sidecar, and the connections whose exchanges are put into them.

A `Line` stands for one connection: it is given the events that the meter is given, and says which session each
exchange belongs to as far as is known. All of it is in memory, bounded, and reads no clock.
"""

from __future__ import annotations

from collections.abc import Callable

from voicegw_sidecar.events import Began, Event, Final, Interim, Prompted, TextIn, TextOut
from voicegw_sidecar.stitching.conversation import Conversation, Peer, Strand
from voicegw_sidecar.stitching.pool import Pool
from voicegw_sidecar.stitching.register import Register
from voicegw_sidecar.stitching.text import Digester
from voicegw_sidecar.terms import Basis, Modality

STRANDS_LIMIT = 1024
"""Exchanges open at once on one connection; more are in no session."""
_ANSWERING = (Modality.LLM, Modality.S2S)
_READ = frozenset({Began, Prompted, TextIn, Interim, Final})


class Stitcher:
    """Owns one pool of conversations per project; ``key`` makes its digests its own."""

    def __init__(self, register: Register, new_id: Callable[[], str], key: bytes) -> None:
        self._register = register
        self._new_id = new_id
        self._digester = Digester(key)
        self._pools: dict[str, Pool] = {}

    def line(self, project: str, session_id: str | None, peer: Peer, *, is_socket: bool) -> Line:
        """Return what watches a new connection; ``session_id`` is what the agent names, if it does."""
        pool = self._pools.get(project)
        if pool is None:
            pool = self._pools[project] = Pool(project, self._register, self._new_id, self._digester)
        return Line(pool, session_id, peer, is_socket=is_socket)

    def forget(self, project: str, session_id: str) -> None:
        """Put nothing into a session any more that does not name it: it is closed."""
        if project in self._pools:
            self._pools[project].forget(session_id)

    def sweep(self, now_ns: int) -> None:
        """Let go of every text that was kept long enough; to be called every few seconds."""
        for pool in self._pools.values():
            pool.sweep(now_ns)


class Line:
    """The exchanges of one connection."""

    def __init__(self, pool: Pool, session_id: str | None, peer: Peer, *, is_socket: bool) -> None:
        self._pool = pool
        self._session_id = session_id
        self._peer = peer
        self._is_socket = is_socket
        self._strands: dict[str, Strand] = {}
        self._conversation: Conversation | None = None
        self._is_listening = False

    @property
    def is_named(self) -> bool:
        """True where the agent names the session."""
        return self._session_id is not None

    @property
    def conversation(self) -> Conversation | None:
        """The conversation that all of the connection belongs to: what the agent named, or a microphone's own."""
        return None if self._conversation is None else self._conversation.current()

    def apply(self, event: Event, at_ns: int) -> None:
        """Take one event and the time of the frame it came from."""
        if isinstance(event, TextOut):  # the most frequent event by far
            strand = self._strands.get(event.key)
            if strand is not None and not event.is_call:
                strand.text.add(event.text)
                strand.text_ns = at_ns
            return
        if type(event) not in _READ:  # sound, mostly
            return
        match event:
            case Began():
                self._strand(event.key, event.modality, at_ns)
            case Prompted():
                strand = self._strands.get(event.key)
                if strand is not None:
                    self._pool.prompted(strand, event, at_ns)
            case TextIn():
                strand = self._strands.get(event.key)
                if strand is not None:
                    strand.text.add(event.text)
                    self._pool.spoken(strand, at_ns)
            case Interim():
                if self._conversation is not None:
                    self._pool.heard_part(self._conversation, event.text, at_ns)
            case Final():
                self._heard(event, at_ns)
            case _:
                pass

    def strand(self, key: str) -> Strand | None:
        """Return an open exchange."""
        return self._strands.get(key)

    def opened(self, key: str, row_id: str, modality: Modality | None, at_ns: int) -> Strand | None:
        """Take the row of an exchange that began; return what is known of it."""
        strand = self._strand(key, modality, at_ns)
        if strand is not None:
            strand.row_id = row_id
        return strand

    def closed(
        self, key: str, row_id: str, modality: Modality | None, at_ns: int, *, is_cancelled: bool
    ) -> Strand | None:
        """Take the end of an exchange; what is found out about it later is told to the register."""
        strand = self._strand(key, modality, at_ns)
        if strand is None:
            return None
        del self._strands[key]
        strand.row_id = row_id
        strand.is_cancelled = is_cancelled
        if strand.modality is Modality.TTS:
            self._pool.spoken_all(strand, at_ns)
        elif strand.modality in _ANSWERING:
            self._pool.answered(strand)
        if strand.conversation is not None:
            strand.conversation = strand.conversation.current()
        strand.ended_ns = at_ns
        return strand

    def over(self) -> None:
        """Take the end of the connection."""
        if self._is_listening and self._conversation is not None:
            self._conversation.current().listening -= 1
            self._is_listening = False

    def _strand(self, key: str, modality: Modality | None, at_ns: int) -> Strand | None:
        strand = self._strands.get(key)
        if strand is not None and strand.modality is modality:
            return strand
        if len(self._strands) >= STRANDS_LIMIT:
            return None
        strand = self._strands[key] = Strand(self._pool.project, self._peer, modality, at_ns)
        self._place(strand, at_ns)
        if modality in _ANSWERING:
            self._pool.begun(strand)
        return strand

    def _place(self, strand: Strand, at_ns: int) -> None:
        """Put a new exchange where all of its connection belongs, if that is known."""
        modality, is_own = strand.modality, self._is_socket and strand.modality in (Modality.STT, Modality.S2S)
        if self._conversation is None:
            if self._session_id is not None:
                self._conversation = self._pool.named(self._session_id, at_ns)
            elif is_own:
                self._conversation = self._pool.inferred(self._peer, at_ns)
        if is_own and not self._is_listening and self._conversation is not None:
            self._conversation.current().listening += 1
            self._is_listening = True
        if self._conversation is not None:
            strand.conversation = self._conversation.current()
            strand.is_certain = True
            if self._session_id is not None:
                strand.basis = Basis.NAMED
                strand.conversation.meet(self._peer)
            elif modality is Modality.STT:
                strand.basis = Basis.TRANSCRIPT

    def _heard(self, event: Final, at_ns: int) -> None:
        if self._conversation is not None:
            self._pool.heard(self._conversation, event.text, at_ns)
            return
        strand = self._strands.get(event.key)
        if strand is not None:
            self._pool.uploaded(strand, event.text, at_ns)
