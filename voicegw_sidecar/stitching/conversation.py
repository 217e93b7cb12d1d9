"""What is known of a conversation while it lasts: what was heard, asked and answered, and who called."""

from __future__ import annotations

from collections import deque

from voicegw_sidecar.stitching.history import History
from voicegw_sidecar.stitching.text import Text
from voicegw_sidecar.terms import NS_PER_S, Basis, Modality

KEPT_NS = 30 * NS_PER_S
"""How long texts are kept: an LLM is asked within seconds of a transcript, and spoken within seconds of its answer."""
FRESH_NS = 10 * NS_PER_S
"""A transcript that nobody asked an LLM about for so long was not meant to be answered."""
_PEERS_LIMIT = 16
_FINALS_LIMIT = 16
_CALLS_LIMIT = 4


class Process:
    """A process of this machine that calls; compared by identity, so that a process id used again is another one."""


class Peer:
    """One connection of an agent: which process is at its other end, and whose calls it carried so far."""

    __slots__ = ("conversation", "is_shared", "process")

    def __init__(self) -> None:
        self.process: Process | None = None
        """None while it is not known, and where it cannot be seen."""
        self.conversation: Conversation | None = None
        """The latest one that it certainly carried a call of."""
        self.is_shared = False
        """True once it carried calls of more than one."""


class Strand:
    """One exchange, as far as it can be matched with others."""

    __slots__ = (
        "answer", "asked", "at_ns", "basis", "conversation", "ended_ns", "history", "is_ahead", "is_cancelled",
        "is_certain", "is_continued", "modality", "peer", "project", "row_id", "searches", "source", "speakers",
        "spoken_at", "text", "text_ns",
    )  # fmt: skip

    def __init__(self, project: str, peer: Peer, modality: Modality | None, at_ns: int) -> None:
        self.project = project
        self.peer = peer
        self.modality = modality
        self.at_ns = at_ns
        self.ended_ns: int | None = None
        self.row_id: str | None = None
        self.conversation: Conversation | None = None
        self.basis: Basis | None = None
        self.is_certain = False
        """False for a choice among several that fitted as well: what comes later may show that it was wrong."""
        self.is_cancelled = False
        self.text = Text()
        """What was heard, answered or spoken."""
        self.asked = ""
        """LLM: the person's last message; kept as long as other texts."""
        self.is_ahead = False
        """LLM: asked about an utterance before its final transcript came."""
        self.is_continued = False
        """LLM: asked again about the same message, with the result of a tool."""
        self.history: History = ()
        """LLM: what was said before, as digests."""
        self.answer: int | None = None
        """Digest of the whole text, once it is whole."""
        self.source: Strand | None = None
        """TTS: the LLM exchange whose answer it speaks."""
        self.speakers: list[Strand] = []
        """LLM: the TTS exchanges that speak its answer."""
        self.searches = 0
        """TTS: how often that was looked for."""
        self.spoken_at = (0, 0)
        """TTS: from where to where in that answer it comes, in folded characters."""
        self.text_ns = at_ns
        """LLM: when the latest fragment of its answer came."""

    @property
    def is_given_up(self) -> bool:
        """LLM: cancelled before a word of it was spoken; asked ahead of the end of an utterance, mostly."""
        return self.is_cancelled and not self.speakers

    def place_of(self, text: str, speaker: Strand) -> tuple[int, int] | None:
        """Return where in an answer a text is that no other speaker has spoken; one that broke off spoke nothing."""
        taken = [one.spoken_at for one in self.speakers if one is not speaker and not one.is_cancelled]
        answer, start = self.text.folded(), 0
        while (start := answer.find(text, start)) >= 0:
            end = start + len(text)
            clash = max((until for begin, until in taken if begin < end and start < until), default=None)
            if clash is None:
                return (start, end)
            start = clash
        return None

    @property
    def is_closed(self) -> bool:
        """True once its row is written: what is found out from then on is a row of its own."""
        return self.ended_ns is not None

    def forget(self) -> None:
        """Let go of its texts."""
        self.asked = ""
        self.text.forget()


class Heard:
    """A final transcript, and the LLM exchange that it was given to."""

    __slots__ = ("at_ns", "claimed_by", "text")

    def __init__(self, text: str, at_ns: int) -> None:
        self.text = text
        self.at_ns = at_ns
        self.claimed_by: Strand | None = None

    @property
    def is_claimed(self) -> bool:
        """False again once the LLM exchange that had it was given up without a word of its answer being spoken."""
        return self.claimed_by is not None and not self.claimed_by.is_given_up


class Conversation:
    """One session, known by the name that the agent gave it or by what was said in it."""

    def __init__(self, project: str, session_id: str, at_ns: int, *, is_named: bool) -> None:
        self.project = project
        self.session_id = session_id
        self.is_named = is_named
        self.started_ns = at_ns
        self._process: Process | None = None
        self.mic: Peer | None = None
        """The connection that it was begun by, where no agent named it."""
        self.listening = 0
        """Speech-to-text connections that are open."""
        self.finals: deque[Heard] = deque(maxlen=_FINALS_LIMIT)
        self.interim = ""
        self.interim_ns = 0
        self.calls: deque[Strand] = deque(maxlen=_CALLS_LIMIT)
        """Its latest LLM exchanges, newest last."""
        self.peers: dict[Peer, None] = {}
        """Connections that certainly carried its calls."""
        self.opening: int | None = None
        """What its first request began with, as a digest; None before it."""
        self.has_greeting = False
        """Which exchanges spoke its opening words is settled."""
        self.greeting_tries = 0
        self.merged_into: Conversation | None = None

    @property
    def process(self) -> Process | None:
        """The process that calls, as far as it can be seen; it may be found out while calls are under way."""
        if self._process is None:
            peers = self.peers if self.mic is None else (self.mic, *self.peers)
            self._process = next((peer.process for peer in peers if peer.process is not None), None)
        return self._process

    def current(self) -> Conversation:
        """Return the conversation that this one was found to be a part of, or itself."""
        found = self
        while found.merged_into is not None:
            found = found.merged_into
        return found

    def forget_texts(self, now_ns: int) -> None:
        """Let go of the texts that were kept long enough."""
        while self.finals and now_ns - self.finals[0].at_ns > KEPT_NS:
            self.finals.popleft()
        if self.interim and now_ns - self.interim_ns > KEPT_NS:
            self.interim = ""

    def may_open_with(self, said: int) -> bool:
        """Say whether it may be the one that was opened with some words, which is still to be settled."""
        return bool(self.listening) and not self.has_greeting and self.opening in (None, said)

    def recent_calls(self) -> list[Strand]:
        """Return its LLM exchanges back to the latest one that was not given up, newest first."""
        recent: list[Strand] = []
        for call in reversed(self.calls):
            if call.history:
                recent.append(call)
                if not call.is_given_up:
                    break
        return recent

    def meet(self, peer: Peer) -> None:
        """Take note of a connection that certainly carried a call of this conversation."""
        known = peer.conversation.current() if peer.conversation is not None else None
        if known is not None and known is not self:
            peer.is_shared = True
        peer.conversation = self
        if len(self.peers) < _PEERS_LIMIT:
            self.peers[peer] = None

    def hear_part(self, text: str, at_ns: int) -> None:
        """Take a transcript that may still change."""
        self.interim, self.interim_ns = text, at_ns

    def hear(self, text: str, at_ns: int) -> None:
        """Take a final transcript; an LLM exchange that was asked ahead of it has it already."""
        self.interim = ""
        heard = Heard(text, at_ns)
        self.finals.append(heard)
        call = self.calls[-1] if self.calls else None
        if call is not None and call.is_ahead and not call.is_cancelled and at_ns - call.at_ns <= FRESH_NS:
            unclaimed = "".join(other.text for other in self.finals if not other.is_claimed)
            if _begins(unclaimed, call.asked):
                self.claim([heard], call)

    def claim(self, finals: list[Heard], call: Strand) -> None:
        """Give transcripts, and what came before them, to an LLM exchange."""
        if finals:
            for heard in self.finals:
                if heard.at_ns <= finals[-1].at_ns and not heard.is_claimed:
                    heard.claimed_by = call

    def match(self, text: str) -> Match | None:
        """Look for the last message of a request among what was heard, whole utterances and the one under way."""
        if not text:
            return None
        finals = list(self.finals)
        for end in range(len(finals), 0, -1):
            joined = ""
            for start in range(end - 1, -1, -1):
                joined = finals[start].text + joined
                if joined == text:
                    return Match(finals[start:end], is_whole=True)
                if len(joined) > len(text):
                    break
        unclaimed = "".join(heard.text for heard in finals if not heard.is_claimed)
        if self.interim and _begins(unclaimed + self.interim, text):
            return Match([], is_whole=False)
        if finals and len(finals[-1].text) >= LEAST_PART_CHARS and finals[-1].text in text:
            return Match(finals[-1:], is_whole=False)
        return None


LEAST_PART_CHARS = 12
"""A shorter text within a longer one is chance."""


class Match:
    """Final transcripts that a message is made of; none where it is an utterance that was not final yet."""

    __slots__ = ("finals", "is_whole")

    def __init__(self, finals: list[Heard], *, is_whole: bool) -> None:
        self.finals = finals
        self.is_whole = is_whole

    @property
    def is_open(self) -> bool:
        """Say whether no LLM exchange has been given it yet."""
        return not self.finals or not self.finals[-1].is_claimed

    def age_ns(self, now_ns: int) -> int:
        """Return how long ago it became final; 0 while it is not."""
        return now_ns - self.finals[-1].at_ns if self.finals else 0


def _begins(text: str, start: str) -> bool:
    """Say whether a text is another's beginning, or the same: interim transcripts change their last words."""
    if text == start:
        return True
    return min(len(text), len(start)) >= LEAST_PART_CHARS and (text.startswith(start) or start.startswith(text))
