"""What was said on a stream of speech and not transcribed for good yet.

Clients ask for a final transcript at every pause, and providers that are asked about silence transcribe it, and bill
it; words of which no transcript has come must not be lost at the end. Sans IO.
"""

from __future__ import annotations

from collections import deque

from voicegw_sidecar.drivers.segments import Segmenter, Utterance
from voicegw_sidecar.events import Final

_NEAR_S = 0.4
"""Providers find the end of a word a little before or after where it stops to be loud."""
_FORGOTTEN_S = 15.0
"""What has no transcript by then was a cough: only providers that do not tell where a transcript ends need it."""
_GAP_S = 0.2
"""No provider ends an utterance after less silence: a transcript that comes then is of something before."""
_SILENCE_LEVEL = 60
"""About -55 dBFS: a quiet voice is heard by providers too, and one question too many costs less than its words."""
_SAMPLE_BYTES = 2


class Unheard:
    """Follows one stream of 16-bit little-endian mono samples and its final transcripts."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._segmenter = Segmenter(rate_hz, silence_level=_SILENCE_LEVEL)
        self._ends_s: deque[float] = deque()
        self._fed_bytes = 0
        self._base_s = 0.0
        self._heard_until_s = 0.0

    def feed(self, samples: bytes) -> list[Utterance]:
        """Take what was said; return the utterances that ended in it."""
        self._fed_bytes += len(samples)
        ended = self._segmenter.feed(samples)
        self._ends_s.extend(end_s for one in ended if (end_s := one.said_until_s) > self._heard_until_s)
        return ended

    def begin(self, kept_bytes: int, pause_s: float) -> None:
        """Another provider listens from here on, or from ``kept_bytes`` before: its positions count from there.

        ``pause_s`` is the silence after which it gives a final transcript.
        """
        self._segmenter.pause_s = pause_s
        self._base_s = self._seconds(self._fed_bytes - kept_bytes)

    def heard(self, final: Final) -> None:
        """Take a final transcript into account."""
        until_s = self._segmenter.said_until_s
        if final.speech_end_s is not None:
            self._heard_until_s = max(self._heard_until_s, self._base_s + final.speech_end_s + _NEAR_S)
        else:
            while self._ends_s and self._ends_s[0] < self._seconds(self._fed_bytes) - _FORGOTTEN_S:
                self._ends_s.popleft()
            if self._ends_s:  # transcripts come in order
                self._heard_until_s = max(self._heard_until_s, self._ends_s.popleft())
            elif (
                until_s is not None and self._segmenter.quiet_s >= _GAP_S
            ):  # the provider ended the utterance before a pause was seen here
                self._heard_until_s = max(self._heard_until_s, until_s)
        while self._ends_s and self._ends_s[0] <= self._heard_until_s:
            self._ends_s.popleft()

    @property
    def is_any(self) -> bool:
        """Whether something was said of which no final transcript has come."""
        until_s = self._segmenter.said_until_s
        return bool(self._ends_s) or (until_s is not None and until_s > self._heard_until_s)

    def _seconds(self, size_bytes: int) -> float:
        return size_bytes / (_SAMPLE_BYTES * self._rate_hz)
