"""The audio clock: which moment a position in an audio stream was relayed at.

Transcripts speak of positions in the audio; latency needs times. Without this clock a lag would measure how
fast the person talks. Also finds where speech began and ended by the sound level, for protocols that do not say.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right

from voicegw_sidecar.wire.pcm import (
    NOISE_RISE,
    ONSET_S,
    SILENCE_LEVEL,
    VOICE_OVER_NOISE,
    WINDOW_S,
    PcmFormat,
    levels,
)

READ_S = 10.0
"""Seconds of one frame whose loudness is read, and at most `READ_BYTES` of it."""
READ_BYTES = 512 * 1024
KEPT_FRAMES = 4096  # over three minutes of 50 ms frames: finals come within seconds of their speech
KEPT_STRETCHES = 1024  # a person who speaks has one or two in a second
_GAP_S = 0.2  # quiet for less is within a word or between two
_TAIL_S = 0.25  # what sounds on after the end of a word, as a recogniser places it, begins nothing
_PAUSE_S = 1.5  # after more silence than this a recogniser has ended the utterance: what came before is another sound
_SAME_S = 1e-6


class AudioClock:
    """Positions in seconds from the start of the stream; times in monotonic nanoseconds."""

    def __init__(self) -> None:
        self.position_s = 0.0
        self.voiced_until_s: float | None = None
        self._heard_bytes = 0
        self._kept_from_s = 0.0
        self._ends_s: list[float] = []
        self._times_ns: list[int] = []
        self._noise_level = float(SILENCE_LEVEL)
        self._loud_from_s: float | None = None  # where it became loud, while it is
        self._stretch_starts_s: list[float] = []
        self._stretch_ends_s: list[float] = []

    def relayed(self, data: bytes, pcm: PcmFormat, at_ns: int) -> None:
        """Take note of a frame of audio and of where it is loud."""
        self._heard_bytes += len(data)
        self.position_s = pcm.seconds(self._heard_bytes)  # not a sum of seconds: those drift
        self._ends_s.append(self.position_s)
        self._times_ns.append(at_ns)
        if len(self._ends_s) > KEPT_FRAMES * 2:
            self._kept_from_s = self._ends_s[KEPT_FRAMES - 1]
            del self._ends_s[:KEPT_FRAMES], self._times_ns[:KEPT_FRAMES]
        # of a very long frame its end counts: reading the sound of all of it would hold up the call
        tail_bytes = min(len(data), round(pcm.bytes_per_s * READ_S), READ_BYTES)
        tail_bytes -= (len(data) - tail_bytes) % 2  # samples begin at even bytes
        start_s = self.position_s - pcm.seconds(tail_bytes)
        for number, level in enumerate(levels(data[len(data) - tail_bytes :], pcm)):
            if level > max(SILENCE_LEVEL, self._noise_level * VOICE_OVER_NOISE):
                self._loud(start_s + number * WINDOW_S, min(start_s + (number + 1) * WINDOW_S, self.position_s))
            else:
                self._loud_from_s = None
            self._noise_level = min(max(float(level), 1.0), self._noise_level * NOISE_RISE)

    def time_of(self, position_s: float) -> int | None:
        """Return when the audio at ``position_s`` was relayed; None before the first kept frame or without any."""
        if not self._ends_s or position_s < self._kept_from_s:
            return None
        # a word that ends with the last sample of a frame was relayed with that frame, not the next
        index = bisect_left(self._ends_s, position_s - _SAME_S)
        return self._times_ns[min(index, len(self._times_ns) - 1)]

    def time_after(self, position_s: float) -> int | None:
        """Return when the audio that follows ``position_s`` was relayed; None as for `time_of`."""
        return self.time_of(position_s + 2 * _SAME_S)  # at the end of a frame it is the next one

    def onset_s(self, end_s: float, after_s: float = -math.inf) -> float | None:
        """Return where the speech that ends at ``end_s`` began by the sound level, or None if it was not loud.

        ``after_s`` is where the speech before it ended: of a person who spoke on, the rest is the new speech.
        """
        onset_s, reach_s = None, end_s
        for index in range(bisect_right(self._stretch_starts_s, end_s - _SAME_S) - 1, -1, -1):
            start_s, until_s = self._stretch_starts_s[index], self._stretch_ends_s[index]
            is_earlier = start_s < after_s and until_s - after_s < _TAIL_S
            if is_earlier or reach_s - until_s > _PAUSE_S:
                break
            onset_s = reach_s = max(start_s, after_s)
        return onset_s

    def _loud(self, from_s: float, until_s: float) -> None:
        """Take note of a loud window; what follows another loud one closely is the same stretch of speech."""
        self.voiced_until_s = until_s
        if self._loud_from_s is None:
            self._loud_from_s = from_s
        if until_s - self._loud_from_s < ONSET_S - _SAME_S:
            return
        if self._stretch_ends_s and self._loud_from_s - self._stretch_ends_s[-1] < _GAP_S:
            self._stretch_ends_s[-1] = until_s
            return
        self._stretch_starts_s.append(self._loud_from_s)
        self._stretch_ends_s.append(until_s)
        if len(self._stretch_starts_s) > KEPT_STRETCHES * 2:
            del self._stretch_starts_s[:KEPT_STRETCHES], self._stretch_ends_s[:KEPT_STRETCHES]
