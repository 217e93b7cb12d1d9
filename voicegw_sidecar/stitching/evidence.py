"""How well a call fits a conversation: what was heard, what was said before, and who calls, added up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from voicegw_sidecar.stitching.conversation import (
    FRESH_NS,
    LEAST_PART_CHARS,
    Conversation,
    Match,
    Peer,
    Process,
    Strand,
)
from voicegw_sidecar.stitching.history import Relation, relation
from voicegw_sidecar.terms import NS_PER_S, Basis

# Evidence adds up. What was heard and what was said before count by far the most; the process decides between
# conversations that both fit, the connection only where nothing else does: agents share their connections.
_HEARD = ((2 * NS_PER_S, 40), (4 * NS_PER_S, 34), (FRESH_NS, 26))
"""Points of a transcript that no LLM was asked about yet, by how long ago it became final."""
_HEARD_IN_PART, _HEARD_BEFORE, _NOT_HEARD = -10, 10, -30
_RELATED = {
    Relation.CONTRADICTS: 0,
    Relation.NEW: 25,
    Relation.SAME: 36,
    Relation.REVISES: 40,
    Relation.EXTENDS: 46,
    Relation.ANSWERS: 56,
    Relation.CONTINUES: 80,
}
_DOUBT = -6
_SAME_PROCESS, _OTHER_PROCESS = 20, -20
_SAME_CONNECTION = 4
_CLEAR = 10
"""A choice is certain when it is ahead of the next one by so much."""
_GIVEN_UP, _CLEAR_SPEECH = -10, 4
_BEGINNING_CHARS = 16  # by which answers are passed over quickly
_LOOKED_AT = 12  # answers with the same beginning that are read on: degenerate texts take a millisecond each
_WRITTEN = ((NS_PER_S // 4, 8), (2 * NS_PER_S, 4))


class Fit:
    """How well a conversation fits an LLM request."""

    __slots__ = ("conversation", "heard", "match", "related", "score")

    def __init__(self, conversation: Conversation, match: Match | None, heard: int, related: Relation, score: int):
        self.conversation = conversation
        self.match = match
        self.heard = heard
        self.related = related
        self.score = score

    @property
    def is_enough(self) -> bool:
        """Say whether there is any evidence from content: without, nothing but the caller speaks for it."""
        return self.heard > _HEARD_BEFORE or self.related >= Relation.EXTENDS or (self.heard > 0 and self.related > 1)

    @property
    def basis(self) -> Basis:
        """What weighed most."""
        return Basis.TRANSCRIPT if self.heard > _HEARD_BEFORE else Basis.HISTORY

    @property
    def order(self) -> tuple[int, int]:
        """Of equals the one whose person waits longest."""
        finals = self.match.finals if self.match is not None else []
        return (self.score, -finals[-1].at_ns if finals else -self.conversation.started_ns)


def fits(conversations: Iterable[Conversation], strand: Strand, users: int, at_ns: int) -> Iterator[Fit]:
    """Compare an LLM request with conversations; those that nothing speaks for are left out.

    ``users`` is how many messages of its history are the person's.
    """
    for conversation in conversations:
        conversation.forget_texts(at_ns)
        match = conversation.match(strand.asked)
        related, doubt = _related(strand, conversation, users)
        if match is None and related < Relation.EXTENDS:
            continue
        heard = _heard(match, conversation, at_ns, is_continued=strand.is_continued)
        score = heard + _RELATED[related] + doubt + _called_by(strand.peer, conversation)
        yield Fit(conversation, match, heard, related, score)


def _heard(match: Match | None, conversation: Conversation, at_ns: int, *, is_continued: bool) -> int:
    """Points for what was heard; that an open microphone did not hear what an LLM is asked about speaks against it."""
    if is_continued:
        return _HEARD_BEFORE if match is not None else 0
    if match is None:
        return _NOT_HEARD if conversation.listening else 0
    if not match.is_open:
        return _HEARD_BEFORE
    age_ns = match.age_ns(at_ns)
    points = next((points for limit_ns, points in _HEARD if age_ns <= limit_ns), _HEARD_BEFORE)
    return points if match.is_whole else points + _HEARD_IN_PART


def _related(strand: Strand, conversation: Conversation, users: int) -> tuple[Relation, int]:
    """Compare with the latest LLM exchanges of a conversation; an uncertain one of them counts a little less."""
    calls = [call for call in conversation.recent_calls() if call is not strand]
    if not calls:
        return (Relation.NEW if users <= 1 and not strand.is_continued else Relation.CONTRADICTS), 0
    return max((_relation(strand, call), 0 if call.is_certain else _DOUBT) for call in calls)


def _relation(strand: Strand, call: Strand) -> Relation:
    """Compare two requests; an answer that was spoken is not asked for again."""
    found = relation(strand.history, call.history, call.answer)
    if strand.is_continued:
        return Relation.CONTINUES if found is Relation.SAME and not call.is_given_up else Relation.CONTRADICTS
    if found in (Relation.SAME, Relation.REVISES) and call.speakers:
        return Relation.CONTRADICTS
    return found


class Choice(Struct, frozen=True):
    """A chosen conversation; ``is_clear`` is False where another one fits nearly as well."""

    fit: Fit
    is_clear: bool


def best_fit(found: list[Fit], strand: Strand) -> Choice | None:
    """Return the conversation that an LLM request belongs to, or None where content speaks for none."""
    ordered = sorted((fit for fit in found if fit.is_enough), key=lambda fit: fit.order)
    if not ordered:
        return None
    best = ordered[-1]
    if best.match is None and not best.conversation.listening:
        # its microphone's connection was lost: a new one that heard the message is its other half, not a rival
        ordered = [fit for fit in ordered if fit is best or fit.conversation.recent_calls()]
    is_clear = _is_clear(ordered) and not any(_is_guessed(fit, strand) for fit in found if fit is not best)
    return Choice(best, is_clear)


def absorbed(conversation: Conversation, found: list[Fit]) -> Fit | None:
    """Return the inferred conversation that was waiting for a request which turned out to be of another one."""
    heard = [
        fit
        for fit in found
        if fit.heard > _HEARD_BEFORE
        and fit.conversation is not conversation
        and not fit.conversation.is_named
        and not any(call.is_certain for call in fit.conversation.calls)
    ]
    heard.sort(key=lambda fit: fit.order)
    return heard[-1] if heard and _is_clear(heard) else None


def _is_guessed(fit: Fit, strand: Strand) -> bool:
    """Say whether a conversation is out of the question only since a guess gave its transcript to an equal request."""
    finals = fit.match.finals if fit.match is not None else []
    claim = finals[-1].claimed_by if finals else None
    return claim is not None and not claim.is_certain and claim.history == strand.history


def _is_clear(ordered: list[Fit]) -> bool:
    return len(ordered) == 1 or ordered[-1].score - ordered[-2].score >= _CLEAR


class Spoken(Struct, frozen=True):
    """The LLM exchange whose answer is being spoken."""

    call: Strand
    is_clear: bool


def may_be(fit: Fit, strand: Strand, *, is_own_process: bool) -> bool:
    """Say whether the calling process leaves a conversation in question.

    Another process than the conversation's may ask for it, such as a gateway for LLMs: one that has no conversation
    of its own, and only with more than a word that everybody says.
    """
    if not differ(strand.peer.process, fit.conversation.process):
        return True
    is_telling = len(strand.asked) >= LEAST_PART_CHARS or fit.related >= Relation.EXTENDS
    return is_telling and not is_own_process


def answer_spoken(
    calls: Sequence[Strand], strand: Strand, text: str, at_ns: int, *, is_own_process: bool
) -> Spoken | None:
    """Look for a text to speak in the answers of the last seconds.

    An agent speaks what its LLM has just written: of equals, the one written last. ``is_own_process``: the process
    that speaks has a conversation of its own.
    """
    found: list[tuple[int, int, Strand]] = []
    beginning, looked_at = text[:_BEGINNING_CHARS], 0
    for call in reversed(calls):
        if beginning not in call.text.folded():
            continue
        if _is_foreign(strand, call) and (is_own_process or len(text) < LEAST_PART_CHARS):
            continue
        looked_at += 1
        if looked_at > _LOOKED_AT:
            break
        if call.place_of(text, strand) is None:
            continue  # what is spoken already is not spoken again: the same words are of another conversation
        score = _GIVEN_UP if call.is_cancelled else 0
        score += next((points for since_ns, points in _WRITTEN if at_ns - call.text_ns <= since_ns), 0)
        found.append((score + _speech_called_by(strand, call), call.text_ns, call))
    if not found:
        return None
    found.sort(key=lambda one: one[:2])
    return Spoken(found[-1][2], len(found) == 1 or found[-1][0] - found[-2][0] >= _CLEAR_SPEECH)


def _is_foreign(strand: Strand, call: Strand) -> bool:
    its = call.peer.process if call.conversation is None else call.conversation.process
    return differ(strand.peer.process, its)


def _called_by(peer: Peer, conversation: Conversation) -> int:
    score = 0
    if peer.process is not None and conversation.process is not None:
        score = _SAME_PROCESS if peer.process is conversation.process else _OTHER_PROCESS
    known = peer.conversation
    return score + (_SAME_CONNECTION if known is not None and known.current() is conversation else 0)


def _speech_called_by(strand: Strand, call: Strand) -> int:
    if call.conversation is not None:
        own = strand.conversation
        if own is not None and own.is_named:
            return _SAME_PROCESS if own is call.conversation else _OTHER_PROCESS
        return _called_by(strand.peer, call.conversation)
    return _OTHER_PROCESS if differ(strand.peer.process, call.peer.process) else 0


def differ(one: Process | None, other: Process | None) -> bool:
    return one is not None and other is not None and one is not other


def is_free(greeting: Strand) -> bool:
    """Say whether nothing ties opening words to a conversation in which something was heard."""
    its = greeting.conversation
    return its is None or not greeting.is_certain or not (its.is_named or its.listening or its.recent_calls())


def distance_ns(conversation: Conversation, greeting: Strand) -> int:
    """How far opening words are from a beginning; an agent listens first and greets then, mostly."""
    after_ns = greeting.at_ns - conversation.started_ns
    return after_ns if after_ns >= 0 else -3 * after_ns
