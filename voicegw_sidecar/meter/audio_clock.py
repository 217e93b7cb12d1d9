"""The audio clock: which moment a position in an audio stream was relayed at.

Transcripts speak of positions in the audio; latency needs times. Without this clock a lag would measure how
fast the person talks. Also finds where speech ended by the sound level, for protocols that do not say.
"""

from __future__ import annotations

from bisect import bisect_left

from voicegw_sidecar.wire.pcm import WINDOW_S, PcmFormat, levels

READ_S = 10.0
"""Seconds of one frame whose loudness is read, and at most `READ_BYTES` of it."""
READ_BYTES = 512 * 1024
KEPT_FRAMES = 4096  # over three minutes of 50 ms frames: finals come within seconds of their speech
_SILENCE_LEVEL = 200  # of 32767, about -44 dBFS: below it a telephone line is quiet
_VOICE_OVER_NOISE = 3.0
_NOISE_RISE = 1.005  # per 10 ms window: forgets a quiet room in some seconds, ignores a syllable


class AudioClock:
    """Positions in seconds from the start of the stream; times in monotonic nanoseconds."""

    def __init__(self) -> None:
        self.position_s = 0.0
        self.voiced_until_s: float | None = None
        self._heard_bytes = 0
        self._kept_from_s = 0.0
        self._ends_s: list[float] = []
        self._times_ns: list[int] = []
        self._noise_level = float(_SILENCE_LEVEL)

    def relayed(self, data: bytes, pcm: PcmFormat, at_ns: int) -> None:
        """Take note of a frame of audio and of its last loud window."""
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
            if level > max(_SILENCE_LEVEL, self._noise_level * _VOICE_OVER_NOISE):
                self.voiced_until_s = min(start_s + (number + 1) * WINDOW_S, self.position_s)
            self._noise_level = min(max(float(level), 1.0), self._noise_level * _NOISE_RISE)

    def time_of(self, position_s: float) -> int | None:
        """Return when the audio at ``position_s`` was relayed; None before the first kept frame or without any."""
        if not self._ends_s or position_s < self._kept_from_s:
            return None
        # a word that ends with the last sample of a frame was relayed with that frame, not the next
        index = bisect_left(self._ends_s, position_s - 1e-6)
        return self._times_ns[min(index, len(self._times_ns) - 1)]
