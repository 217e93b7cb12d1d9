"""What turns are told from and told in: the exchanges of a session by their times, its turns, its figures.

Values only. All times are wall-clock nanoseconds, None where a moment was not seen.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from voicegw_sidecar.terms import NS_PER_S, Modality, Status

_MOST_SECONDS = 10.0**7


class Timed(Struct, frozen=True):
    """One exchange of a session. Which moment a field holds depends on its modality."""

    modality: Modality | None
    status: Status
    started_ns: int
    ended_ns: int | None = None
    asked_ns: int | None = None
    """LLM and uploads: the request was complete. TTS: the first text was sent."""
    first_ns: int | None = None
    """STT: the final transcript. LLM: the first token. TTS and S2S: the first audio."""
    content_ns: int | None = None
    """LLM: the first content; a call that only called tools has none."""
    speech_began_ns: int | None = None
    speech_ended_ns: int | None = None
    """STT and S2S: what the person said."""
    audio_out_s: float | None = None
    """TTS and S2S: seconds of audio."""
    id: str = ""

    @property
    def at_ns(self) -> int:
        """When it was asked for; where that was not seen, when it began."""
        return self.started_ns if self.asked_ns is None else self.asked_ns

    @property
    def audio_ns(self) -> int:
        """How long its audio plays; 0 where that is not known, so that what is summed is a lower bound."""
        seconds = self.audio_out_s
        return round(seconds * NS_PER_S) if seconds is not None and 0 <= seconds <= _MOST_SECONDS else 0


class Turn(Struct, frozen=True):
    """One turn: what the person said and what the agent answered, in whole milliseconds that sum exactly.

    ``stt_ms + llm_ms + tts_ms + agent_ms == total_ms`` wherever ``agent_ms`` is known. The moments are as they were
    seen, in any order; the parts are told from them in theirs.
    """

    index: int
    stt_ms: int | None = None
    llm_ms: int | None = None
    tts_ms: int | None = None
    agent_ms: int | None = None
    total_ms: int | None = None
    interrupted: bool = False
    llm_calls: int = 0
    """All LLM calls of the turn; of a speech-to-speech session, all responses."""
    abandoned: int = 0
    """Those of them that nobody heard because the agent gave them up."""
    has_filler: bool = False
    """True where the agent said something by its own words while it waited."""
    speech_ended_ns: int | None = None
    final_ns: int | None = None
    asked_ns: int | None = None
    """The request of the LLM call that was answered with."""
    token_ns: int | None = None
    text_ns: int | None = None
    audio_ns: int | None = None
    unplayed_s: float = 0.0
    """Seconds of its audio that came and were not played, as the turn was interrupted."""


class Figures(Struct, frozen=True):
    """What a session comes to when it is closed."""

    turns: int
    interruptions: int
    budget_ms_used: float | None
    """Median of ``total_ms`` over the turns that were not interrupted."""
    user_talk_s: float | None
    agent_talk_s: float | None


def in_order(exchanges: Iterable[Timed]) -> list[Timed]:
    """Return exchanges by when they were asked for, the same for any order they came in."""
    return sorted(exchanges, key=_place)


def _place(exchange: Timed) -> tuple[int | str, ...]:
    one = exchange
    moments = (one.started_ns, one.ended_ns, one.first_ns, one.content_ns, one.speech_began_ns, one.speech_ended_ns)
    told = [-1 if moment is None else moment for moment in moments]
    return one.at_ns, one.id, str(one.modality), one.status, *told, repr(one.audio_out_s)


def playout(exchanges: Iterable[Timed]) -> list[tuple[int, int]]:
    """Return from when until when the audio of each exchange plays that has any, each after the one before."""
    spans: list[tuple[int, int]] = []
    for exchange in exchanges:
        if exchange.first_ns is not None:
            start_ns = max(exchange.first_ns, spans[-1][1]) if spans else exchange.first_ns
            spans.append((start_ns, start_ns + exchange.audio_ns))
    return spans
