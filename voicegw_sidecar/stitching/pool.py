"""The conversations of one project, and how a call finds its own among them. Nothing here knows another project.

Each LLM request is compared with every conversation: was its last message heard there, does its history go on from
there, does the same process call. Each text to speak is looked for in the answers of the last seconds. A choice among
several that fit as well is kept as uncertain, and set right by a later request whose history shows whose it was.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from itertools import islice

from voicegw_sidecar.events import Prompted
from voicegw_sidecar.stitching.answers import Answers
from voicegw_sidecar.stitching.conversation import KEPT_NS, LEAST_PART_CHARS, Conversation, Heard, Peer, Process, Strand
from voicegw_sidecar.stitching.evidence import (
    Fit,
    absorbed,
    answer_spoken,
    best_fit,
    differ,
    distance_ns,
    fits,
    is_free,
    may_be,
)
from voicegw_sidecar.stitching.history import Relation, relation
from voicegw_sidecar.stitching.register import Register
from voicegw_sidecar.stitching.text import Digester, folded
from voicegw_sidecar.terms import Basis

CONVERSATIONS_LIMIT = 10_000
COMPARED_LIMIT = 256
"""An LLM request is compared with so many conversations, those that were active last: this takes half a millisecond."""
CALLS_LIMIT = 512
"""LLM exchanges whose answers are looked through for a text to speak, the latest ones."""
SPEAKERS_LIMIT = 64
SEARCHES_LIMIT = 64
"""How often the answer that an exchange speaks is looked for as its text grows."""
_GREETING_TRIES = 5  # requests of a conversation, after which its opening words are settled


class Pool:
    """One project's conversations."""

    def __init__(self, project: str, register: Register, new_id: Callable[[], str], digester: Digester) -> None:
        self.project = project
        self._register = register
        self._new_id = new_id
        self._digester = digester
        self.conversations: OrderedDict[str, Conversation] = OrderedDict()
        """By session id, the one that was active last at the end."""
        self._calls: deque[Strand] = deque(maxlen=CALLS_LIMIT)
        self._answers = Answers()
        self._uploads: deque[tuple[Heard, Strand]] = deque(maxlen=256)

    def named(self, session_id: str, at_ns: int) -> Conversation:
        """Return the conversation that an agent names."""
        found = self.conversations.get(session_id)
        if found is None:
            found = Conversation(self.project, session_id, at_ns, is_named=True)
            if not self._register.is_closed(self.project, session_id):
                self._add(found)
        return found.current()

    def inferred(self, peer: Peer, at_ns: int) -> Conversation:
        """Begin a conversation that no agent named."""
        conversation = self._add(Conversation(self.project, self._new_id(), at_ns, is_named=False))
        conversation.mic = peer
        return conversation

    def _add(self, conversation: Conversation) -> Conversation:
        if len(self.conversations) >= CONVERSATIONS_LIMIT:
            oldest = next((one for one in self.conversations.values() if not one.listening), None)
            if oldest is not None:
                self.forget(oldest.session_id)
        self.conversations[conversation.session_id] = conversation
        return conversation

    def _is_active(self, conversation: Conversation) -> None:
        if conversation.session_id in self.conversations:
            self.conversations.move_to_end(conversation.session_id)

    def _active(self) -> Iterable[Conversation]:
        return islice(reversed(self.conversations.values()), COMPARED_LIMIT)

    def forget(self, session_id: str) -> None:
        """Compare nothing with a conversation any more: its session is closed."""
        conversation = self.conversations.pop(session_id, None)
        if conversation is not None:
            conversation.finals.clear()
            conversation.interim = ""

    def is_compared(self, conversation: Conversation) -> bool:
        """Say whether calls may be put into a conversation that do not name it: not once it is closed."""
        return conversation.session_id in self.conversations

    def heard(self, conversation: Conversation, text: str, at_ns: int) -> None:
        """Take a final transcript of a conversation."""
        said, own = folded(text), conversation.current()
        if said and self.is_compared(own):
            own.hear(said, at_ns)
            self._is_active(own)

    def heard_part(self, conversation: Conversation, text: str, at_ns: int) -> None:
        """Take a transcript of a conversation that may still change."""
        own = conversation.current()
        if self.is_compared(own):
            own.hear_part(folded(text), at_ns)

    def uploaded(self, strand: Strand, text: str, at_ns: int) -> None:
        """Take the transcript of an upload: whose it is shows when an LLM is asked about it."""
        said = folded(text)
        if said:
            self._uploads.append((Heard(said, at_ns), strand))

    def begun(self, strand: Strand) -> None:
        """Take an exchange whose answer may be spoken by another one."""
        if strand.conversation is not None and not self.is_compared(strand.conversation):
            return
        if len(self._calls) == CALLS_LIMIT:
            self._calls[0].forget()
        self._calls.append(strand)

    def prompted(self, strand: Strand, prompt: Prompted, at_ns: int) -> None:
        """Place an LLM request by what it says."""
        if strand.conversation is not None and not self.is_compared(strand.conversation):
            return
        texts = [(folded(one.text), one.is_user) for one in prompt.said]
        strand.is_continued = prompt.is_continued
        texts = [one for one in texts if one[0]]
        strand.history = tuple(self._digest(text, is_user=is_user) for text, is_user in texts)
        strand.asked = next((text for text, is_user in reversed(texts) if is_user), "")
        own = strand.conversation
        users = sum(is_user for _, is_user in texts)
        found = list(fits(self._active(), strand, users, at_ns))
        is_own_process = self._has_process(strand.peer.process)
        choice = best_fit([fit for fit in found if may_be(fit, strand, is_own_process=is_own_process)], strand)
        if own is not None:
            self._ask(strand, own, next((fit for fit in found if fit.conversation is own), None))
        elif choice is not None:
            best = choice.fit
            self._join(strand, best.conversation, best.basis, is_certain=choice.is_clear)
            self._ask(strand, best.conversation, best)
        else:
            self._guess(strand)
            if strand.conversation is not None:
                self._ask(strand, strand.conversation, None)
        self._take_upload(strand, at_ns)
        conversation = strand.conversation
        if conversation is None:
            return
        if strand.is_certain and self.is_compared(conversation):
            self._absorb(conversation, strand, found)
            self._confirm(conversation, strand)

    def _ask(self, strand: Strand, conversation: Conversation, fit: Fit | None) -> None:
        """Let a conversation know of an LLM exchange of its own."""
        if strand not in conversation.calls:
            conversation.calls.append(strand)
        self._is_active(conversation)
        if fit is not None and fit.match is not None:
            strand.is_ahead = not fit.match.finals
            conversation.claim(fit.match.finals, strand)

    def _guess(self, strand: Strand) -> None:
        """Place an exchange that content says nothing about: by its connection or its process, with doubt."""
        known = strand.peer.conversation.current() if strand.peer.conversation is not None else None
        is_its_own = known is not None and not strand.peer.is_shared and not differ(strand.peer.process, known.process)
        if known is not None and is_its_own and self.is_compared(known):
            self._join(strand, known, Basis.CONNECTION, is_certain=False)
        else:
            self._join_process(strand)

    def _has_process(self, process: Process | None) -> bool:
        """Say whether a process has a conversation of its own here: then its calls are of no other one's."""
        return process is not None and any(one.process is process for one in self._active())

    def _join_process(self, strand: Strand) -> None:
        process = strand.peer.process
        if process is None:
            return
        of_process = [one for one in self._active() if one.process is process]
        if len(of_process) == 1:
            self._join(strand, of_process[0], Basis.PROCESS, is_certain=False)

    def _take_upload(self, strand: Strand, at_ns: int) -> None:
        """Find the upload whose transcript an LLM is asked about."""
        if not strand.asked:
            return
        for heard, upload in self._uploads:
            if heard.is_claimed or at_ns - heard.at_ns > KEPT_NS or not strand.asked.endswith(heard.text):
                continue
            if differ(upload.peer.process, strand.peer.process):
                continue
            conversation = strand.conversation
            if conversation is None:
                conversation = self.inferred(strand.peer, at_ns)
                self._join(strand, conversation, Basis.TRANSCRIPT, is_certain=True)
                self._ask(strand, conversation, None)
            heard.claimed_by = strand
            if upload.conversation is None:
                self._join(upload, conversation, Basis.TRANSCRIPT, is_certain=True)
            return

    def _absorb(self, conversation: Conversation, strand: Strand, found: list[Fit]) -> None:
        """Take over a conversation that was begun because a microphone's connection came without a name, or anew."""
        other = None if conversation.listening or not strand.asked else absorbed(conversation, found)
        if other is not None:
            self._merge(other.conversation, conversation, Basis.TRANSCRIPT)
            if other.match is not None:
                conversation.claim(other.match.finals, strand)

    def _confirm(self, conversation: Conversation, strand: Strand) -> None:
        """The answers that a request of a conversation repeats were given in that conversation."""
        for place, said in enumerate(strand.history):
            for call in self._answers.of(said):
                if not call.history or differ(call.peer.process, strand.peer.process):
                    continue
                is_its = relation(strand.history[: place + 1], call.history, said) is Relation.ANSWERS
                if is_its and call.conversation is conversation:
                    call.is_certain = True
                elif is_its and not call.is_certain:
                    self._set_right(call, conversation)
        if strand.history and conversation.opening is None:
            conversation.opening = strand.history[0]
        if strand.history and not conversation.has_greeting:
            self._greeted(conversation, strand)

    def _greeted(self, conversation: Conversation, strand: Strand) -> None:
        """Find the exchanges of the words that a conversation was opened with, once its connections are known.

        Many conversations open with the same words: those count that came on one of its own connections, else those
        that came closest to its beginning, unless they came closer to another's, which gets the first choice.
        """
        found = [
            one
            for one in self._answers.of(strand.history[0])
            if not one.history and not differ(one.peer.process, strand.peer.process)
        ]
        if any(one.conversation is conversation for one in found):
            conversation.has_greeting = True
            return
        if not any(call.speakers for call in conversation.calls):
            return
        conversation.greeting_tries += 1
        free = [one for one in found if is_free(one)]
        free.sort(key=lambda one: distance_ns(conversation, one))
        own = [one for one in free if one.peer in conversation.peers and not one.peer.is_shared]
        if not own and conversation.greeting_tries < _GREETING_TRIES:
            rivals = [one for one in self._active() if one is not conversation and one.may_open_with(strand.history[0])]
            free = [
                one
                for one in free
                if all(distance_ns(rival, one) >= distance_ns(conversation, one) for rival in rivals)
            ]
        greeting = next(iter(own or free), None)
        conversation.has_greeting = greeting is not None or conversation.greeting_tries >= _GREETING_TRIES
        if greeting is None:
            return
        if greeting.conversation is None:
            self._join(greeting, conversation, Basis.HISTORY, is_certain=True)
        elif not greeting.is_certain:
            self._move(greeting, conversation, Basis.HISTORY, is_certain=True)
        else:
            self._merge(greeting.conversation, conversation, Basis.HISTORY)

    def _set_right(self, strand: Strand, conversation: Conversation) -> None:
        """Move an exchange to where it belongs; what was taken for it there goes the other way."""
        before = strand.conversation
        mistaken = next(
            (
                call
                for call in conversation.calls
                if not call.is_certain and call.modality is strand.modality and len(call.history) == len(strand.history)
            ),
            None,
        )
        self._move(strand, conversation, Basis.HISTORY, is_certain=True)
        if before is not None and mistaken is not None:
            self._move(mistaken, before, Basis.HISTORY, is_certain=False)

    def _move(self, strand: Strand, conversation: Conversation, basis: Basis, *, is_certain: bool) -> None:
        for moving in (strand, *strand.speakers):
            before = moving.conversation
            if before is not None and moving in before.calls:
                before.calls.remove(moving)
                conversation.calls.append(moving)
            self._join(moving, conversation, basis, is_certain=is_certain)

    def spoken(self, strand: Strand, at_ns: int) -> None:
        """Look for the LLM exchange whose answer is being spoken; called again as more of the text comes."""
        text = strand.text.folded()
        if not text or (strand.is_certain and strand.source is not None) or strand.searches >= SEARCHES_LIMIT:
            return
        strand.searches += 1
        is_own_process = self._has_process(strand.peer.process)
        choice = answer_spoken(self._calls, strand, text, at_ns, is_own_process=is_own_process)
        if choice is not None:
            self._speak(strand, choice.call, is_certain=choice.is_clear, at_ns=at_ns)

    def _speak(self, strand: Strand, call: Strand, *, is_certain: bool, at_ns: int) -> None:
        if strand.source is not call:
            if strand.source is not None and strand in strand.source.speakers:
                strand.source.speakers.remove(strand)
            strand.source = call
            if len(call.speakers) < SPEAKERS_LIMIT:
                call.speakers.append(strand)
        strand.spoken_at = call.place_of(strand.text.folded(), strand) or (0, 0)
        own, its = strand.conversation, call.conversation
        if own is not None and own.is_named:
            if its is None:
                self._join(call, own, Basis.SPEECH, is_certain=is_certain)
                self._ask(call, own, None)
            return
        if its is None:
            its = self.inferred(strand.peer, at_ns)
            self._join(call, its, Basis.SPEECH, is_certain=True)
            self._ask(call, its, None)
        self._join(strand, its, Basis.SPEECH, is_certain=is_certain and call.is_certain)

    def spoken_all(self, strand: Strand, at_ns: int) -> None:
        """Take the end of a text to speak; one that no LLM wrote is remembered until a history repeats it."""
        self.spoken(strand, at_ns)
        text = strand.text.folded()
        strand.text.forget()
        if strand.source is not None:
            return
        if strand.conversation is None:
            self._guess(strand)
        if text:
            self._answers.add(strand, self._digest(text, is_user=False))

    def answered(self, strand: Strand) -> None:
        """Take the end of an LLM's answer."""
        self._doubt(strand)
        text = strand.text.folded()
        if text:
            self._answers.add(strand, self._digest(text, is_user=False))

    def _doubt(self, strand: Strand) -> None:
        """Think again about a short request that was placed before it was seen which process calls."""
        its = strand.conversation
        if its is None or its.is_named or strand.speakers or len(strand.asked) >= LEAST_PART_CHARS:
            return
        if differ(strand.peer.process, its.process):
            if strand in its.calls:
                its.calls.remove(strand)
            its.peers.pop(strand.peer, None)
            for heard in its.finals:
                if heard.claimed_by is strand:
                    heard.claimed_by = None
            strand.peer.conversation = strand.conversation = strand.basis = None
            self._join_process(strand)

    def _join(self, strand: Strand, conversation: Conversation, basis: Basis, *, is_certain: bool) -> None:
        """Put an exchange into a conversation, and learn from it which connection and process call for that one."""
        is_elsewhere = strand.conversation is not conversation
        strand.conversation, strand.basis, strand.is_certain = conversation, basis, is_certain
        if is_elsewhere and strand.is_closed:
            self._register.moved(strand)
        if is_certain:
            conversation.meet(strand.peer)

    def _merge(self, gone: Conversation, into: Conversation, basis: Basis) -> None:
        """Make two conversations one. Exchanges that are under way find it by `Conversation.current`."""
        gone.merged_into = into
        self.conversations.pop(gone.session_id, None)
        into.listening += gone.listening
        into.started_ns = min(into.started_ns, gone.started_ns)
        into.mic = gone.mic or into.mic
        into.peers.update(gone.peers)
        into.finals.extend(gone.finals)
        into.interim = gone.interim or into.interim
        into.calls = type(into.calls)((*gone.calls, *into.calls), maxlen=into.calls.maxlen)
        for strand in (*self._answers.all(), *self._calls):
            if strand.conversation is gone:
                strand.conversation = into
        self._register.merged(gone, into, basis)

    def sweep(self, now_ns: int) -> None:
        """Let go of texts, and in time of digests, that were kept long enough."""
        for conversation in self.conversations.values():
            conversation.forget_texts(now_ns)
        for call in [call for call in self._calls if call.ended_ns is not None and now_ns - call.ended_ns > KEPT_NS]:
            self._calls.remove(call)
            call.forget()
        while self._uploads and now_ns - self._uploads[0][0].at_ns > KEPT_NS:
            self._uploads.popleft()
        self._answers.sweep(now_ns)

    def _digest(self, text: str, *, is_user: bool) -> int:
        return self._digester.of(("u" if is_user else "a") + text)
