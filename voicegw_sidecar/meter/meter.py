"""The meter of one connection: events and their times in, exchanges opened and closed out.

Every latency is defined here and nowhere else (docs/measuring.md says the same in words). The meter never
reads a clock and never raises on an order of events that no protocol should bring: it ignores it.
"""

from __future__ import annotations

import math

from msgspec import Struct

from voicegw_sidecar.events import (
    Answered,
    AudioIn,
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Heard,
    Interim,
    Named,
    OtherRates,
    Reasoned,
    RequestComplete,
    SpeechEnded,
    Stopped,
    StreamDuration,
    TextIn,
    TextOut,
    Used,
    UtteranceEnded,
)
from voicegw_sidecar.meter.audio_clock import AudioClock
from voicegw_sidecar.meter.running import Running, name_of
from voicegw_sidecar.meter.usage import DIGITS, MOST_SECONDS, plausible, usage_of
from voicegw_sidecar.terms import NS_PER_MS, NS_PER_S, Exchange, FirstBasis, Mark, Modality, Status, Usage

_REMAINDER_S = 0.005  # below this, what is left of a stream is rounding
FIRST_OUTPUT: dict[Modality | None, Mark] = {
    Modality.LLM: Mark.FIRST_TOKEN,
    Modality.TTS: Mark.FIRST_AUDIO,
    Modality.STT: Mark.FINAL,
    Modality.S2S: Mark.FIRST_AUDIO,
}
"""The mark of what an exchange is first useful with."""


class Opened(Struct, frozen=True):
    """An exchange began; ``exchange`` is what is known of it so far, its status ``open``."""

    exchange: Exchange


class Closed(Struct, frozen=True):
    """An exchange ended; nothing of it changes any more."""

    exchange: Exchange


Change = Opened | Closed


class Meter:
    """Feed it `apply` and, once, `close`; take what happened with `changes`."""

    def __init__(self) -> None:
        self._open: dict[str, Running] = {}
        self._opened: list[Running] = []
        self._closed: list[Exchange] = []
        self._next_ref = 0
        self._clock = AudioClock()
        self._is_stream = False
        self._stream_model: str | None = None
        self._billed_s = 0.0
        self._heard_until_s: dict[Modality | None, float] = {}  # audio position when the previous one of a kind ended
        self._spoken_until_s: dict[Modality | None, float] = {}  # where the speech of the previous one of a kind ended
        self._duration_s: float | None = None
        self._billed_since_ns: int | None = None  # set where the session's time is billed, not its audio
        self._now_ns = 0

    def changes(self) -> list[Change]:
        """Return what opened and closed since the last call; what did both is only closed."""
        if not self._opened and not self._closed:
            return []
        changes: list[Change] = [
            Opened(self._exchange(running, Status.OPEN, None))
            for running in self._opened
            if Mark.ENDED not in running.marks_ns
        ]
        changes.extend(Closed(exchange) for exchange in self._closed)
        self._opened.clear()
        self._closed.clear()
        return changes

    def running(self) -> list[Exchange]:
        """Return every open exchange as it stands: for checkpoints and running costs."""
        return [self._exchange(running, Status.OPEN, None) for running in self._open.values()]

    def apply(self, event: Event, at_ns: int) -> None:
        """Take one event and the time of the frame it came from."""
        if isinstance(event, TextOut):  # the most frequent event by far, kept out of the long match
            running = self._open.get(event.key)
            if running is not None:
                running.output_chars += len(event.text)
                if not running.has_content:
                    running.said(at_ns, is_call=event.is_call)
            return
        self._now_ns = at_ns
        match event:
            case AudioIn():
                self._heard(event, at_ns)
            case Heard():
                if event.pcm is not None:
                    self._clock.relayed(event.data, event.pcm, at_ns)
            case Began():
                self._begin(event, at_ns)
            case StreamDuration():
                if 0.0 <= event.audio_s <= MOST_SECONDS:
                    self._duration_s = event.audio_s
            case Failed() if event.key == "*" and "*" not in self._open:
                for key in list(self._open):
                    self._fail(key, event.code, at_ns)
            case _:
                self._apply_to(event, at_ns)

    def close(self, status: Status, at_ns: int, error: str | None = None) -> None:
        """End everything still open with ``status``; a stream's silent remainder becomes ``idle``."""
        self._now_ns = at_ns
        if self._is_stream and not self._open and self._heard_s() - self._billed_s > _REMAINDER_S:
            self._open_stream(at_ns)  # the provider bills more than was relayed since the last utterance
        for key, running in list(self._open.items()):
            ending = self._ending(running, status)
            self._finish(key, ending, at_ns, error if ending not in (Status.IDLE, Status.OK) else None)

    def _ending(self, running: Running, status: Status) -> Status:
        """What becomes of an exchange that had no protocol end when its connection ended with ``status``."""
        is_listening = self._is_stream and running.modality is Modality.STT
        if is_listening and Mark.FINAL in running.marks_ns:
            return Status.OK
        if is_listening and not running.has_interim and status in (Status.OK, Status.CANCELLED):
            return Status.IDLE
        if status is Status.UPSTREAM_ERROR and (running.has_output or running.has_interim):
            return Status.PARTIAL
        return Status.CANCELLED if status is Status.OK else status

    def _apply_to(self, event: Event, at_ns: int) -> None:
        assert not isinstance(event, Heard)
        running = self._open.get(event.key)
        if running is None:
            return
        match event:
            case RequestComplete():
                running.mark(Mark.REQUEST_COMPLETE, at_ns)
            case Answered():
                running.mark(Mark.FIRST_BYTE, at_ns)
            case Reasoned():
                running.output_chars += len(event.text)
            case TextIn():
                if running.spoken.add(event.text):
                    running.mark(Mark.FIRST_TEXT_SENT, at_ns)
            case AudioOut():
                running.mark(Mark.FIRST_AUDIO, at_ns)
                if event.audio_s is None:
                    running.audio_out_known = False
                else:
                    running.audio_out_s = (running.audio_out_s or 0.0) + event.audio_s
            case Interim():
                running.has_interim = True
            case Final():
                self._finalise(running, event, at_ns)
            case SpeechEnded():
                self._place_speech(running, at_ns, event.position_s)
            case UtteranceEnded():
                if Mark.FINAL in running.marks_ns:
                    self._finish(event.key, Status.OK, at_ns)
            case Used():
                running.reported = plausible(event.usage)
            case Named():
                running.model = name_of(event.model)
            case OtherRates():
                running.has_other_rates = True
            case Finished():
                self._finish(event.key, Status.OK, at_ns)
            case Stopped():
                self._finish(event.key, Status.CANCELLED, at_ns)
            case Failed():
                self._fail(event.key, event.code, at_ns)
            case _:
                pass

    def _begin(self, event: Began, at_ns: int) -> None:
        if event.key in self._open:
            self._finish(event.key, Status.CANCELLED, at_ns)
        running = Running(self._next_ref, event, at_ns)
        self._next_ref += 1
        self._open[event.key] = running
        if event.modality is Modality.STT:
            self._stream_model = event.model
        if event.bills_session and self._billed_since_ns is None:
            self._is_stream = True
            self._billed_since_ns = at_ns
        self._opened.append(running)

    def _heard(self, event: AudioIn, at_ns: int) -> None:
        self._is_stream = True
        if event.key not in self._open:
            self._open_stream(at_ns)
        if event.pcm is not None:
            self._clock.relayed(event.data, event.pcm, at_ns)

    def _open_stream(self, at_ns: int) -> None:
        self._begin(Began(Modality.STT, model=self._stream_model), at_ns)

    def _finalise(self, running: Running, event: Final, at_ns: int) -> None:
        """Stamp the final transcript; of several pieces the last one counts."""
        running.marks_ns[Mark.FINAL] = at_ns
        if self._is_stream:
            self._place_speech(running, at_ns, event.speech_end_s, event.speech_start_s)

    def _place_speech(
        self, running: Running, at_ns: int, end_s: float | None = None, start_s: float | None = None
    ) -> None:
        """Stamp both ends of the speech: where the provider puts them, else by the level of the sound."""
        basis = FirstBasis.PROVIDER
        if end_s is None:
            end_s, basis = self._clock.voiced_until_s, FirstBasis.SOUND_LEVEL
            if end_s is not None and end_s <= self._heard_until_s.get(running.modality, 0.0):
                end_s = None  # nothing loud since the previous utterance: that one's end is not this one's
        ended_ns = None if end_s is None else self._clock.time_of(end_s)
        if end_s is None or ended_ns is None:
            running.marks_ns.pop(Mark.SPEECH_ENDED, None)
            running.first_basis = None
            return
        running.marks_ns[Mark.SPEECH_ENDED] = min(ended_ns, at_ns)
        running.first_basis, running.speech_end_s = basis, end_s
        if running.speech_start_s is None or running.speech_start_s > end_s:
            self._place_onset(running, end_s, start_s)  # of several final pieces the first one tells where it began

    def _place_onset(self, running: Running, end_s: float, start_s: float | None) -> None:
        if start_s is None:
            start_s = self._clock.onset_s(end_s, self._spoken_until_s.get(running.modality, -math.inf))
        running.speech_start_s = start_s
        began_ns = None if start_s is None or start_s > end_s else self._clock.time_after(start_s)
        if began_ns is None:
            running.marks_ns.pop(Mark.SPEECH_BEGAN, None)
        else:
            running.marks_ns[Mark.SPEECH_BEGAN] = min(began_ns, running.marks_ns[Mark.SPEECH_ENDED])

    def _fail(self, key: str, code: str, at_ns: int) -> None:
        running = self._open[key]
        has_output = running.has_output or running.has_interim
        self._finish(key, Status.PARTIAL if has_output else Status.UPSTREAM_ERROR, at_ns, code)

    def _finish(self, key: str, status: Status, at_ns: int, error: str | None = None) -> None:
        running = self._open.pop(key)
        running.marks_ns[Mark.ENDED] = at_ns
        self._closed.append(self._exchange(running, status, error))
        if running.modality in (Modality.STT, Modality.S2S):
            self._heard_until_s[running.modality] = self._clock.position_s
            if running.speech_end_s is not None:
                self._spoken_until_s[running.modality] = running.speech_end_s
        if self._is_stream and running.modality is Modality.STT:
            self._billed_s = max(self._billed_s, self._heard_s())

    def _exchange(self, running: Running, status: Status, error: str | None) -> Exchange:
        marks_ns = running.marks_ns
        usage, estimated = self._usage(running, status)
        ended_ns = marks_ns.get(Mark.ENDED)
        output = FIRST_OUTPUT.get(running.modality)
        first_ms = _between_ms(marks_ns, self._start_of(running), output)
        return Exchange(
            ref=running.ref,
            modality=running.modality,
            model=running.model,
            status=status,
            marks_ns=dict(marks_ns),
            usage=usage,
            first_ms=first_ms,
            first_ms_basis=running.first_basis if first_ms is not None else None,
            total_ms=None if ended_ns is None else (ended_ns - marks_ns[Mark.STARTED]) / NS_PER_MS,
            estimated=estimated or running.has_other_rates,
            key=running.key,
            error=error,
        )

    def _start_of(self, running: Running) -> Mark:
        """The mark that an exchange's first output is timed from."""
        if running.modality is Modality.S2S:
            return Mark.SPEECH_ENDED
        if running.modality is Modality.STT and (self._is_stream or Mark.SPEECH_ENDED in running.marks_ns):
            return Mark.SPEECH_ENDED
        if running.modality is Modality.TTS and Mark.REQUEST_COMPLETE not in running.marks_ns:
            return Mark.FIRST_TEXT_SENT
        return Mark.REQUEST_COMPLETE

    def _usage(self, running: Running, status: Status) -> tuple[Usage, bool]:
        """Say what an exchange used so far, and whether that is an estimate."""
        is_listening = self._is_stream and running.modality is Modality.STT
        if is_listening and running.reported is None and status is not Status.REFUSED:
            return Usage(audio_s=self._stretch_s()), False
        heard_s = self._clock.position_s - self._heard_until_s.get(running.modality, 0.0)
        return usage_of(running, status, heard_s)

    def _heard_s(self) -> float:
        """Seconds of the whole stream so far: as the provider counts them once it has said so, else as relayed.

        Of a session that is billed by its time, the time since it began.
        """
        if self._duration_s is not None:
            return round(self._duration_s, DIGITS)
        if self._billed_since_ns is not None:
            return round((self._now_ns - self._billed_since_ns) / NS_PER_S, DIGITS)
        return round(self._clock.position_s, DIGITS)

    def _stretch_s(self) -> float | None:
        """Seconds of audio since the previous exchange of the stream; None for compressed audio."""
        heard_s = self._heard_s()
        return max(0.0, round(heard_s - self._billed_s, DIGITS)) if heard_s else None


def _between_ms(marks_ns: dict[Mark, int], start: Mark, end: Mark | None) -> float | None:
    if end is None or start not in marks_ns or end not in marks_ns:
        return None
    return max(0, marks_ns[end] - marks_ns[start]) / NS_PER_MS
