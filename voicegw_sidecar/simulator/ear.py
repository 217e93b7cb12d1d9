"""Finding speech in sound: where it starts and ends, in seconds of audio.

Judges by loudness only and reads no clock: the caller says when each frame arrived. Understands the
encodings `wire.pcm.levels` understands; in others it hears silence.
"""

from __future__ import annotations

from msgspec import Struct

from voicegw_sidecar.wire.pcm import WINDOW_S, PcmFormat, levels

_LOUD = 200  # of 32767, about -44 dBFS
_LOUD_WINDOWS = 3  # 30 ms: a click is shorter, a syllable longer


class SpeechStarted(Struct, frozen=True):
    """Speech began at this position."""

    at_s: float


class SpeechEnded(Struct, frozen=True):
    """Speech lasted from one position to the other; ``end_ns`` is when the frame with its end arrived."""

    start_s: float
    end_s: float
    end_ns: int


class Ear:
    """Hears one connection's audio. ``silence_s`` of quiet after speech ends it."""

    def __init__(self, pcm: PcmFormat | None, silence_s: float) -> None:
        self._pcm = pcm
        self._window_bytes = round(pcm.rate_hz * WINDOW_S) * (pcm.bytes_per_s // pcm.rate_hz) if pcm else 1
        self._window_s = pcm.seconds(self._window_bytes) if pcm else WINDOW_S
        self._silence_windows = max(1, round(silence_s / WINDOW_S))
        self._rest = b""
        self._windows = 0
        self._loud_run = 0
        self._start: int | None = None
        self._last_loud = 0
        self._last_loud_ns = 0
        self._bytes = 0

    @property
    def audio_s(self) -> float:
        """Seconds of audio heard; 0.0 for compressed audio."""
        return self._pcm.seconds(self._bytes) if self._pcm else 0.0

    @property
    def speaking_since_s(self) -> float | None:
        """Position at which the running speech began; None in silence."""
        return None if self._start is None else self._position_s(self._start)

    def hear(self, data: bytes, at_ns: int) -> list[SpeechStarted | SpeechEnded]:
        """Take in a frame and return what it decided."""
        self._bytes += len(data)
        if self._pcm is None:
            return []
        data = self._rest + data
        whole = len(data) // self._window_bytes * self._window_bytes
        self._rest = data[whole:]
        heard: list[SpeechStarted | SpeechEnded] = []
        for start in range(0, whole, self._window_bytes):
            level = max(levels(data[start : start + self._window_bytes], self._pcm), default=0)
            self._window(level > _LOUD, at_ns, heard)
        return heard

    def stop(self) -> SpeechEnded | None:
        """End the running speech here, if there is any."""
        if self._start is None:
            return None
        ended = SpeechEnded(self._position_s(self._start), self._position_s(self._last_loud), self._last_loud_ns)
        self._start = None
        self._loud_run = 0
        return ended

    def _window(self, loud: bool, at_ns: int, heard: list[SpeechStarted | SpeechEnded]) -> None:
        self._windows += 1
        self._loud_run = self._loud_run + 1 if loud else 0
        if loud:
            self._last_loud, self._last_loud_ns = self._windows, at_ns
        if self._start is None and self._loud_run >= _LOUD_WINDOWS:
            self._start = self._windows - self._loud_run
            heard.append(SpeechStarted(self._position_s(self._start)))
        elif self._start is not None and self._windows - self._last_loud >= self._silence_windows:
            ended = self.stop()
            assert ended is not None
            heard.append(ended)

    def _position_s(self, window: int) -> float:
        return round(window * self._window_s, 3)
