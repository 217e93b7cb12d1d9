"""Scripted conversations as the events that a sidecar would decode from them, with the truth beside each exchange.

Everything is drawn from a seed. What makes it hard is in it: half of what people say is "yes" or "okay", agents
answer many with the same words, greet all with the same sentence, are interrupted, ask the LLM ahead of the end of
an utterance and throw the answer away, call tools, and share connections.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from voicegw_sidecar.events import Began, Event, Final, Interim, Prompted, RequestComplete, Said, TextIn, TextOut
from voicegw_sidecar.stitching import Line, Peer, Process, Stitcher
from voicegw_sidecar.terms import NS_PER_MS, Modality

SHORT = ("Yes.", "Okay.", "No.", "Yes, please.", "Okay, thanks.", "Hello?", "Right.", "Yeah.", "Sure.", "Hm, okay.")
GREETINGS = ("Hello, this is Acme, how can I help you today?", "Hi there! What can I do for you?")
CANNED = (
    "Sure, one moment please.", "Of course.", "Okay.", "Could you say that again?", "Great, anything else?",
    "Let me check that for you. One moment.", "Thank you. Is there anything else I can do for you?",
)  # fmt: skip
THINGS = ("table", "flight", "doctor", "refund", "parcel", "invoice", "room", "haircut", "car", "ticket")
DAYS = ("Monday", "Tuesday", "tomorrow", "next week", "the third of May", "Friday evening", "today")


@dataclass
class Shape:
    """What a population of agents is like; shares are of turns, or of conversations for greetings."""

    sessions: int = 50
    turns: int = 10
    start_over_ms: int = 20_000
    short: float = 0.5
    canned: float = 0.3
    interrupted: float = 0.2
    ahead: float = 0.4
    split: float = 0.15
    tool: float = 0.15
    backchannel: float = 0.1
    greeting: float = 0.7
    connections: str = "own"
    """``own``: each agent its own; ``shared``: all from one pool; ``fresh``: a new one for each call."""
    names: str = "none"
    """``llm``: LLM requests name their session, as LiveKit's do in a job; ``none``: nothing does."""
    projects: int = 2
    """Conversations take turns between so many projects of one sidecar."""
    reconnects: float = 0.02
    """Share of turns before which the microphone's connection is lost and made anew."""


Place = tuple[str, str]
"""Project and session id."""


@dataclass
class Truth:
    """One exchange: which conversation it is of, and where it was put."""

    session: int
    kind: str
    placed: Callable[[], Place | None]


@dataclass
class Run:
    """What came out: every exchange with its truth, and each conversation's own name."""

    truths: list[Truth] = field(default_factory=list)
    names: dict[int, Place] = field(default_factory=dict)

    def score(self) -> Score:
        """Count what was put where."""
        score = Score(exchanges=len(self.truths), conversations=len(self.names), sessions=len(set(self.names.values())))
        for truth in self.truths:
            place, own = truth.placed(), self.names[truth.session]
            if place is None:
                score.nowhere += 1
            elif place[0] != own[0]:
                score.wrong_project += 1
            elif place != own:
                score.wrong += 1
        return score


@dataclass
class Score:
    """How many exchanges were put into another session than their own, into none, or into another project's."""

    exchanges: int = 0
    wrong: int = 0
    nowhere: int = 0
    wrong_project: int = 0
    conversations: int = 0
    sessions: int = 0
    """Sessions that the conversations were told apart as; fewer than conversations means that some were mixed up."""

    @property
    def right_share(self) -> float:
        """Share of exchanges in their own session."""
        return 1 - (self.wrong + self.nowhere + self.wrong_project) / self.exchanges


class Agent:
    """One conversation, as a generator of steps: each yields the milliseconds until the next."""

    def __init__(self, world: World, number: int) -> None:
        self.world = world
        self.number = number
        self.random = random.Random(f"{world.seed}/{number}")
        self.peers = {kind: Peer() for kind in ("stt", "llm", "tts")}
        for peer in self.peers.values():
            peer.process = world.process
        self.said: list[Said] = []
        self.keys = 0
        self.mic: Line | None = None

    def line(self, kind: str, *, is_socket: bool) -> Line:
        shape = self.world.shape
        peer = self.peers[kind]
        if kind != "stt" and shape.connections == "shared":
            peer = self.random.choice(self.world.shared[kind])
        elif kind != "stt" and shape.connections == "fresh":
            peer = Peer()
            peer.process = self.world.process
        named = shape.names == "llm" and kind == "llm"
        session_id = f"AJ_{self.number}" if named else None
        return self.world.stitcher.line(self.project, session_id, peer, is_socket=is_socket)

    @property
    def project(self) -> str:
        return f"project{self.number % self.world.shape.projects}"

    def run(self) -> Iterator[int]:
        shape, rnd = self.world.shape, self.random
        self.mic = self.line("stt", is_socket=True)
        yield rnd.randrange(shape.start_over_ms)
        self.hear_begin()
        if rnd.random() < shape.greeting:
            yield from self.greet()
        for _ in range(shape.turns):
            yield rnd.randrange(1500, 6000)
            if rnd.random() < shape.reconnects:
                yield from self.reconnect()
            yield from self.turn()
        yield 500
        assert self.mic is not None
        self.mic.over()

    def greet(self) -> Iterator[int]:
        text = self.random.choice(GREETINGS)
        yield self.random.randrange(50, 400)
        if self.random.random() < 0.5:
            yield from self.answer(text)
        else:
            yield from self.speak(text)
        self.said.append(Said(text, is_user=False))

    def turn(self) -> Iterator[int]:
        shape, rnd = self.world.shape, self.random
        words = rnd.choice(SHORT) if rnd.random() < shape.short else self.sentence()
        pieces = [words]
        if rnd.random() < shape.split:
            pieces = [words, self.sentence()]
        heard = ""
        for index, piece in enumerate(pieces):
            yield from self.hear(piece)
            heard = f"{heard} {piece}".strip()
            is_last = index == len(pieces) - 1
            if not is_last or rnd.random() < shape.ahead:
                yield rnd.randrange(30, 120)
                yield from self.ask(heard, is_cancelled=True)
                if not is_last:
                    yield rnd.randrange(300, 900)
        yield rnd.randrange(40, 400)
        self.said.append(Said(heard, is_user=True))
        has_called = False
        if rnd.random() < shape.tool:
            yield from self.ask(None, is_cancelled=False)
            yield rnd.randrange(100, 1500)
            has_called = True
        text = rnd.choice(CANNED) if rnd.random() < shape.canned else self.reply(heard)
        is_interrupted = rnd.random() < shape.interrupted
        spoken = yield from self.answer(text, is_continued=has_called, is_interrupted=is_interrupted)
        self.said.append(Said(spoken, is_user=False))

    def sentence(self) -> str:
        rnd = self.random
        return rnd.choice((
            f"I would like to book a {rnd.choice(THINGS)} for {rnd.choice(DAYS)}.",
            f"My number is {rnd.randrange(10**6)}.",
            f"Can you move the {rnd.choice(THINGS)} to {rnd.choice(DAYS)}?",
            f"It is about the {rnd.choice(THINGS)}.",
        ))  # fmt: skip

    def reply(self, heard: str) -> str:
        rnd = self.random
        return rnd.choice((
            f"I have noted that: {heard} Shall I go on?",
            f"The {rnd.choice(THINGS)} is set for {rnd.choice(DAYS)}. Anything else?",
            f"Let me repeat. {heard} Is that right?",
            f"Your reference is {rnd.randrange(10**6)}. It is done.",
        ))  # fmt: skip

    def reconnect(self) -> Iterator[int]:
        """Lose the microphone's connection, and listen on another one."""
        assert self.mic is not None
        self.close(self.mic, "", "stt", Modality.STT, is_cancelled=True)
        self.mic.over()
        yield self.random.randrange(100, 1000)
        self.mic = self.line("stt", is_socket=True)
        self.hear_begin()

    def hear_begin(self) -> None:
        assert self.mic is not None
        self.apply(self.mic, Began(Modality.STT))
        self.row(self.mic, "", Modality.STT)

    def hear(self, text: str) -> Iterator[int]:
        assert self.mic is not None
        words = text.split()
        for count in range(1, len(words)):
            self.apply(self.mic, Interim(" ".join(words[:count])))
            yield self.random.randrange(100, 250)
        yield self.random.randrange(150, 400)
        self.apply(self.mic, Final(text))
        self.close(self.mic, "", "stt", Modality.STT)
        self.row(self.mic, "", Modality.STT)

    def ask(self, heard: str | None, *, is_cancelled: bool) -> Iterator[int]:
        """Ask the LLM; with ``heard``, ahead of the end of the turn."""
        line, key = self.line("llm", is_socket=False), ""
        said = [*self.said, Said(heard, is_user=True)] if heard is not None else self.said
        self.apply(line, Began(Modality.LLM))
        self.apply(line, Prompted(tuple(said[-12:])))
        self.apply(line, RequestComplete())
        self.row(line, key, Modality.LLM)
        yield self.random.randrange(60, 500)
        if not is_cancelled:
            self.apply(line, TextOut("look_up{}", is_call=True))
        self.close(line, key, "llm", Modality.LLM, is_cancelled=is_cancelled)

    def answer(self, text: str, *, is_continued: bool = False, is_interrupted: bool = False) -> Iterator[int]:
        """Ask the LLM and speak what it answers; returns what the history keeps of it."""
        llm = self.line("llm", is_socket=False)
        self.apply(llm, Began(Modality.LLM))
        self.apply(llm, Prompted(tuple(self.said[-12:]), is_continued=is_continued))
        self.row(llm, "", Modality.LLM)
        yield self.random.randrange(80, 600)
        tts, key = self.line("tts", is_socket=True), self.next_key()
        words, sentence = text.split(), ""
        has_begun = False
        for word in words:
            self.apply(llm, TextOut(f"{word} "))
            sentence = f"{sentence}{word} "
            yield self.random.randrange(2, 15)
            if word[-1] in ".?!":
                if not has_begun:
                    self.apply(tts, Began(Modality.TTS, key))
                    self.row(tts, key, Modality.TTS)
                    has_begun = True
                self.apply(tts, TextIn(sentence, key))
                sentence = ""
        self.close(llm, "", "llm", Modality.LLM)
        yield self.random.randrange(100, 400)
        if self.random.random() < self.world.shape.backchannel:
            yield from self.hear("Okay.")
        kept = text
        if is_interrupted:
            kept = " ".join(words[: self.random.randrange(len(words))])
        else:
            yield len(text) * 50
        if has_begun:
            self.close(tts, key, "tts", Modality.TTS, is_cancelled=is_interrupted)
        return kept

    def speak(self, text: str) -> Iterator[int]:
        """Say something that no LLM wrote."""
        tts, key = self.line("tts", is_socket=True), self.next_key()
        self.apply(tts, Began(Modality.TTS, key))
        self.apply(tts, TextIn(text, key))
        self.row(tts, key, Modality.TTS)
        yield len(text) * 50
        self.close(tts, key, "tts", Modality.TTS)

    def next_key(self) -> str:
        self.keys += 1
        return f"{self.number}-{self.keys}"

    def apply(self, line: Line, event: Event) -> None:
        line.apply(event, self.world.now_ns)

    def row(self, line: Line, key: str, modality: Modality) -> None:
        line.opened(key, self.world.row_id(), modality, self.world.now_ns)

    def close(self, line: Line, key: str, kind: str, modality: Modality, *, is_cancelled: bool = False) -> None:
        strand = line.closed(key, self.world.row_id(), modality, self.world.now_ns, is_cancelled=is_cancelled)
        assert strand is not None

        def placed() -> Place | None:
            found = None if strand.conversation is None else strand.conversation.current()
            return None if found is None else (found.project, found.session_id)

        self.world.result.truths.append(Truth(self.number, kind, placed))


class World:
    """All agents of one run, in the order of their events."""

    def __init__(self, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.seed = seed
        self.now_ns = 0
        self.process: Process | None = Process()
        self.rows = 0
        self.result = Run()
        self.stitcher = Stitcher(_Silent(), lambda: f"inferred-{self.row_id()}", b"key")
        self.shared = {kind: [Peer() for _ in range(8)] for kind in ("llm", "tts")}
        for peers in self.shared.values():
            for peer in peers:
                peer.process = self.process

    def row_id(self) -> str:
        self.rows += 1
        return str(self.rows)

    def play(self) -> Run:
        """Play all conversations."""
        agents = [Agent(self, number) for number in range(self.shape.sessions)]
        steps = [(0, agent.number, agent.run()) for agent in agents]
        heapq.heapify(steps)
        swept_ms = 0
        while steps:
            at_ms, number, step = heapq.heappop(steps)
            self.now_ns = at_ms * NS_PER_MS
            if at_ms - swept_ms > 1000:
                self.stitcher.sweep(self.now_ns)
                swept_ms = at_ms
            try:
                heapq.heappush(steps, (at_ms + next(step), number, step))
            except StopIteration:
                continue
        for agent in agents:
            assert agent.mic is not None
            mic = agent.mic.conversation
            assert mic is not None
            self.result.names[agent.number] = (mic.project, mic.session_id)
        return self.result


class _Silent:
    def is_closed(self, project: object, session_id: object) -> bool:
        return False

    def moved(self, strand: object) -> None:
        pass

    def merged(self, gone: object, into: object, basis: object) -> None:
        pass
