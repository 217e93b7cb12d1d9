"""Utterances cut out of a stream, for providers that transcribe recordings only; and the files they are put in.

Speech begins where it becomes loud, judged as the meter's audio clock judges it, and ends with a pause. Some of the
silence around it is kept: recognisers lose words that begin or end with the sound. At most half a minute is held.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from voicegw_sidecar.wire.pcm import (
    NOISE_RISE,
    ONSET_S,
    SILENCE_LEVEL,
    VOICE_OVER_NOISE,
    WINDOW_S,
    PcmFormat,
    levels,
)

PAUSE_S = 0.5
_LEAD_WINDOWS = 30
_TAIL_WINDOWS = 20
_MOST_WINDOWS = 3000
_CUT_WINDOWS = 200  # of an utterance that is too long, the end in which a quiet place is looked for
_ONSET_WINDOWS = round(ONSET_S / WINDOW_S)
_SAMPLE_BYTES = 2


class Utterance(Struct, frozen=True):
    """Someone's speech from its beginning to a pause: 16-bit little-endian mono samples.

    ``start_s`` is where they begin, in seconds from the start of the stream, and ``said_until_s`` where they were last
    loud; some silence is kept on both sides.
    """

    samples: bytes
    start_s: float
    said_until_s: float


class Segmenter:
    """Cuts one stream of 16-bit little-endian mono samples into utterances."""

    def __init__(self, rate_hz: int, *, pause_s: float = PAUSE_S, silence_level: int = SILENCE_LEVEL) -> None:
        self.pause_s = pause_s
        """The silence that ends an utterance."""
        self._silence_level = silence_level
        self._pcm = PcmFormat("pcm_s16le", rate_hz)
        self._window_bytes = max(1, round(rate_hz * WINDOW_S)) * _SAMPLE_BYTES
        self._rest = b""
        self._held = bytearray()  # whole windows: the lead while it is quiet, the utterance once someone speaks
        self._held_levels: list[int] = []
        self._dropped = 0  # windows before those held
        self._noise_level = float(silence_level)
        self._loud_run = 0
        self._loud_end: int | None = None  # how many of the held windows there are up to the last loud one

    @property
    def is_speaking(self) -> bool:
        """Whether speech has begun that was not given yet."""
        return self._loud_end is not None

    @property
    def said_until_s(self) -> float | None:
        """Where the speech that was not given yet was last loud, in seconds from the start; None in silence."""
        return None if self._loud_end is None else (self._dropped + self._loud_end) * self._window_s

    @property
    def quiet_s(self) -> float:
        """How long it has been quiet since the speech that was not given yet was last loud."""
        return 0.0 if self._loud_end is None else (len(self._held_levels) - self._loud_end) * self._window_s

    def feed(self, samples: bytes) -> list[Utterance]:
        """Take samples as they come; return the utterances that ended in them."""
        samples = self._rest + samples
        whole = len(samples) // self._window_bytes * self._window_bytes
        self._rest = samples[whole:]
        found: list[Utterance] = []
        for number, level in enumerate(levels(samples[:whole], self._pcm)):
            start = number * self._window_bytes
            self._held += samples[start : start + self._window_bytes]
            self._held_levels.append(level)
            utterance = self._judge(level)
            if utterance is not None:
                found.append(utterance)
        return found

    def finalize(self) -> Utterance | None:
        """Return the speech that has not ended yet, as far as it has come; None where nobody speaks."""
        if self._loud_end is None:
            return None
        return self._cut(self._loud_end + _TAIL_WINDOWS)

    def _judge(self, level: int) -> Utterance | None:
        """Take one more window into account, and give an utterance that ends with it."""
        is_loud = level > max(self._silence_level, self._noise_level * VOICE_OVER_NOISE)
        self._noise_level = min(max(float(level), 1.0), self._noise_level * NOISE_RISE)
        self._loud_run = self._loud_run + 1 if is_loud else 0
        count = len(self._held_levels)
        if self._loud_run >= _ONSET_WINDOWS:
            self._loud_end = count
        if self._loud_end is None:
            self._drop(count - _LEAD_WINDOWS - self._loud_run)
            return None
        if count - self._loud_end >= round(self.pause_s / WINDOW_S):
            return self._cut(self._loud_end + _TAIL_WINDOWS)
        if count >= _MOST_WINDOWS:
            last = self._held_levels[-_CUT_WINDOWS:]
            return self._cut(count - len(last) + last.index(min(last)) + 1)
        return None

    def _cut(self, count: int) -> Utterance:
        """Give the first ``count`` windows; what comes after them goes on as speech where it is loud."""
        count = min(count, len(self._held_levels))
        said = count if self._loud_end is None else min(self._loud_end, count)
        until_s = (self._dropped + said) * self._window_s
        cut = Utterance(bytes(self._held[: count * self._window_bytes]), self._dropped * self._window_s, until_s)
        self._drop(count)
        if self._loud_end is not None:
            self._loud_end = self._loud_end - count if self._loud_end > count else None
        return cut

    def _drop(self, count: int) -> None:
        """Let go of the first ``count`` windows that are held."""
        if count > 0:
            del self._held[: count * self._window_bytes], self._held_levels[:count]
            self._dropped += count

    @property
    def _window_s(self) -> float:
        return self._pcm.seconds(self._window_bytes)


def wav_file(samples: bytes, rate_hz: int) -> bytes:
    """Return a WAV file of 16-bit little-endian mono samples."""
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, rate_hz * _SAMPLE_BYTES, _SAMPLE_BYTES, 8 * _SAMPLE_BYTES)
    head = struct.pack("<4sI4s4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", len(form))
    return head + form + struct.pack("<4sI", b"data", len(samples)) + samples
