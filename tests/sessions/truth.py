"""A conversation as the simulator knows it: which of its entries are of which turn, and what each part really was.

Which LLM call answered, and which was made for nothing, is known from what is said in the turn, not from any times.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from tests.sessions.scene import Turn
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.terms import NS_PER_MS, NS_PER_S

PARTS = ("stt_ms", "llm_ms", "tts_ms", "total_ms")


class Truth(Struct, frozen=True):
    """The entries of one turn, in the order in which they began; of the calls the last one is the answer's."""

    turn: Turn
    heard: list[Entry]
    calls: list[Entry]
    voice: Entry

    @property
    def began_ns(self) -> int:
        """When it was noticed that the person speaks, in monotonic nanoseconds."""
        return self.heard[0].started_ns

    @property
    def spoken_s(self) -> float:
        """For how long the person spoke, in seconds."""
        return sum(_moment(one.speech_end_ns) - one.started_ns for one in self.heard) / NS_PER_S

    def parts_ms(self) -> dict[str, float]:
        """Return what the parts of the turn really were."""
        ended_ns, final_ns = _moment(self.heard[-1].speech_end_ns), _moment(self.heard[-1].final_ns)
        *earlier, answering = self.calls
        token_ns = _moment(answering.first_output_ns)
        waits_ns = [token_ns - max(_moment(answering.request_complete_ns), final_ns)]
        if self.turn.asks_tool:  # a tool call is needed whole, and only then the other call is made
            waits_ns += [_moment(one.ended_ns) - max(_moment(one.request_complete_ns), final_ns) for one in earlier]
        text_ns = max(_moment(self.voice.first_text_ns), token_ns)
        audio_ns = _moment(self.voice.first_output_ns)
        parts_ns = (final_ns - ended_ns, sum(waits_ns), audio_ns - text_ns, audio_ns - ended_ns)
        return {name: part_ns / NS_PER_MS for name, part_ns in zip(PARTS, parts_ns, strict=True)}

    def played_s(self, following: Truth | None) -> float:
        """Return how many seconds of the answer were played: all of it, or what there was until the person cut in."""
        if following is not None and following.turn.cuts_in:
            return (following.began_ns - _moment(self.voice.first_output_ns)) / NS_PER_S
        return self.voice.audio_out_s or 0.0


class Held(Struct, frozen=True):
    """A conversation that was held."""

    greeting: Entry
    turns: list[Truth]

    @property
    def calls(self) -> list[Entry]:
        """Every LLM call."""
        return [call for truth in self.turns for call in truth.calls]

    @property
    def voices(self) -> list[Entry]:
        """Everything that was synthesised."""
        return [self.greeting, *(truth.voice for truth in self.turns)]


def held(turns: Sequence[Turn], greeting: Sequence[Entry], entries: Sequence[Sequence[Entry]]) -> Held:
    """Sort the entries of each turn; fail where the conversation did not go as it was meant to."""
    truths = [_truth(turn, found) for turn, found in zip(turns, entries, strict=True)]
    [greeted] = _work(greeting, "cartesia.tts")
    return Held(greeted, truths)


def _truth(turn: Turn, entries: Sequence[Entry]) -> Truth:
    heard, voices = _work(entries, "deepgram.listen"), _work(entries, "cartesia.tts")
    calls = [one for one in entries if one.endpoint == "openai.chat"]
    assert (len(heard), len(calls), len(voices)) == (len(turn.pieces), turn.call_count, 1), turn.says
    return Truth(turn, heard, calls, voices[0])


def _work(entries: Sequence[Entry], endpoint: str) -> list[Entry]:
    """Return what was done on an endpoint's connections, without the connections' own entries."""
    return [one for one in entries if one.endpoint == endpoint and one.key]


def _moment(stamp_ns: int | None) -> int:
    assert stamp_ns is not None
    return stamp_ns
