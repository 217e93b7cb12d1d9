"""Agents of a few calls, as a test writes them down: who is heard, asked and spoken by, and where it was put."""

from __future__ import annotations

from voicegw_sidecar.events import Began, Final, Interim, Prompted, Said, TextIn, TextOut
from voicegw_sidecar.stitching import Conversation, Line, Peer, Process, Stitcher, Strand
from voicegw_sidecar.terms import NS_PER_MS, Basis, Modality


class Told:
    """A register that remembers what it is told."""

    def __init__(self) -> None:
        self.moves: list[tuple[str | None, str]] = []
        self.merges: list[tuple[str, str, Basis]] = []
        self.closed: set[tuple[str, str]] = set()

    def is_closed(self, project: str, session_id: str) -> bool:
        return (project, session_id) in self.closed

    def moved(self, strand: Strand) -> None:
        assert strand.conversation is not None
        self.moves.append((strand.row_id, strand.conversation.session_id))

    def merged(self, gone: Conversation, into: Conversation, basis: Basis) -> None:
        self.merges.append((gone.session_id, into.session_id, basis))


class Played:
    """One sidecar's stitcher, and a clock that the test moves."""

    def __init__(self) -> None:
        self.told = Told()
        self.at_ms = 0
        self._ids = 0
        self.stitcher = Stitcher(self.told, self._next_id, b"key of this test")

    def _next_id(self) -> str:
        self._ids += 1
        return f"inferred-{self._ids}"

    def after(self, ms: int) -> None:
        self.at_ms += ms

    @property
    def now_ns(self) -> int:
        return self.at_ms * NS_PER_MS

    def sweep(self) -> None:
        self.stitcher.sweep(self.now_ns)


class Agent:
    """One agent: a microphone, and calls that each have a connection of their own unless it says otherwise."""

    def __init__(self, played: Played, project: str = "acme", process: Process | None = None) -> None:
        self.played = played
        self.project = project
        self.process = process
        self.said: list[Said] = []
        self._rows = 0
        self.mic = self.line(is_socket=True)
        self._strand_of_mic()

    def line(self, name: str | None = None, peer: Peer | None = None, *, is_socket: bool = False) -> Line:
        peer = peer or Peer()
        peer.process = peer.process or self.process
        return self.played.stitcher.line(self.project, name, peer, is_socket=is_socket)

    @property
    def session(self) -> str | None:
        return None if self.mic.conversation is None else self.mic.conversation.session_id

    def _strand_of_mic(self) -> None:
        self.mic.apply(Began(Modality.STT), self.played.now_ns)
        self.mic.opened("", self._row(), Modality.STT, self.played.now_ns)

    def _row(self) -> str:
        self._rows += 1
        return f"row-{id(self)}-{self._rows}"

    def reconnect(self) -> None:
        self.mic.closed("", self._row(), Modality.STT, self.played.now_ns, is_cancelled=True)
        self.mic.over()
        self.mic = self.line(is_socket=True)
        self._strand_of_mic()

    def interim(self, text: str) -> None:
        self.mic.apply(Interim(text), self.played.now_ns)

    def hear(self, text: str) -> None:
        """A final transcript comes, and closes its exchange."""
        self.mic.apply(Final(text), self.played.now_ns)
        self.mic.closed("", self._row(), Modality.STT, self.played.now_ns, is_cancelled=False)
        self._strand_of_mic()

    def ask(
        self, text: str | None = None, *, name: str | None = None, peer: Peer | None = None, is_continued: bool = False
    ) -> Call:
        """Ask the LLM: ``text`` is a last message that is not kept in the history."""
        said = self.said if text is None else [*self.said, Said(text, is_user=True)]
        line = self.line(name, peer)
        line.apply(Began(Modality.LLM), self.played.now_ns)
        line.apply(Prompted(tuple(said[-12:]), is_continued=is_continued), self.played.now_ns)
        line.opened("", row := self._row(), Modality.LLM, self.played.now_ns)
        return Call(self, line, row)

    def turn(self, heard: str, answer: str, peer: Peer | None = None) -> tuple[Strand, Strand]:
        """A whole turn; returns the LLM's and the speech's exchange."""
        self.hear(heard)
        self.played.after(100)
        self.said.append(Said(heard, is_user=True))
        call = self.ask(peer=peer)
        self.played.after(200)
        call.answer(answer)
        speech = self.speak(answer)
        self.said.append(Said(answer, is_user=False))
        self.played.after(1500)
        return call.strand, speech

    def speak(self, text: str, peer: Peer | None = None, name: str | None = None, *, is_cut: bool = False) -> Strand:
        """Speak a text, whole."""
        line = self.line(name, peer, is_socket=True)
        line.apply(Began(Modality.TTS, "c"), self.played.now_ns)
        line.apply(TextIn(text, "c"), self.played.now_ns)
        line.opened("c", row := self._row(), Modality.TTS, self.played.now_ns)
        strand = line.closed("c", row, Modality.TTS, self.played.now_ns, is_cancelled=is_cut)
        assert strand is not None
        line.over()
        return strand


class Call:
    """An LLM exchange under way."""

    def __init__(self, agent: Agent, line: Line, row: str) -> None:
        self.agent, self.line, self.row = agent, line, row
        strand = line.strand("")
        assert strand is not None
        self.strand = strand

    def answer(self, text: str) -> Strand:
        """It answers, word by word, and ends."""
        for word in text.split(" "):
            self.line.apply(TextOut(f"{word} "), self.agent.played.now_ns)
        return self._close(is_cancelled=False)

    def give_up(self) -> Strand:
        """The agent cancels it."""
        return self._close(is_cancelled=True)

    def call_tool(self) -> Strand:
        """It answers with a tool call alone."""
        self.line.apply(TextOut('look_up{"a":1}', is_call=True), self.agent.played.now_ns)
        return self._close(is_cancelled=False)

    def _close(self, *, is_cancelled: bool) -> Strand:
        now_ns = self.agent.played.now_ns
        strand = self.line.closed("", self.row, Modality.LLM, now_ns, is_cancelled=is_cancelled)
        assert strand is not None
        self.line.over()
        return strand


def session_of(strand: Strand) -> str | None:
    """The session that an exchange is in by now."""
    return None if strand.conversation is None else strand.conversation.current().session_id
