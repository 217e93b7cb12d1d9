"""A provider's sound to samples at the rate that is wanted: a WAV head is taken off, another rate converted."""

from __future__ import annotations

from voicegw_sidecar.asks import Container, Sound
from voicegw_sidecar.errors import UpstreamSilent
from voicegw_sidecar.sound.resample import Resampler
from voicegw_sidecar.wire.wav import WavHead, WavStream


class Samples:
    """One body of sound, PCM or WAV, as it comes; gives 16-bit little-endian mono samples at ``rate_hz``."""

    def __init__(self, gives: Sound, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._wav = WavStream() if gives.container is Container.WAV else None
        self._resampler = None if self._wav is not None else Resampler(gives.rate_hz or rate_hz, rate_hz)

    def feed(self, data: bytes) -> bytes:
        """Return the samples that are ready."""
        if self._wav is not None:
            data = self._wav.samples(data)
            if self._resampler is None and (self._wav.head is not None or not self._wav.is_wav):
                self._resampler = Resampler(self._rate_of(self._wav.head), self._rate_hz)
        return self._resampler.feed(data) if self._resampler is not None and data else b""

    def _rate_of(self, head: WavHead | None) -> int:
        pcm = None if head is None else head.pcm
        if pcm is None or pcm.encoding != "pcm_s16le" or pcm.channels != 1:
            found = "no WAV file" if head is None else "another encoding" if pcm is None else f"{pcm.encoding}"
            raise UpstreamSilent(f"the provider answered with sound that cannot be read: {found}, not 16-bit mono WAV")
        return pcm.rate_hz

    def rest(self) -> bytes:
        """Return what was held back."""
        return b"" if self._resampler is None else self._resampler.rest()
