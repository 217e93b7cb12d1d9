"""A provider's sound: told from what is none, and made samples at the rate that is wanted.

Of samples a WAV head is taken off, and another rate is converted. Providers declare their sound in many ways:
``audio/…`` (OpenAI, Groq, Cartesia, Deepgram, ElevenLabs, Kokoro, Piper), ``application/octet-stream``, or nothing.
So what is no sound is told by what it says it is.
"""

from __future__ import annotations

from voicegw_sidecar.asks import Container, Sound
from voicegw_sidecar.errors import BadRequest, UpstreamSilent
from voicegw_sidecar.sound.resample import Resampler
from voicegw_sidecar.wire.frames import ResponseHead
from voicegw_sidecar.wire.wav import WavHead, WavStream

_NO_SOUND = ("text/", "application/json", "application/xml", "application/xhtml")
_NO_SOUND_ENDS = ("+json", "+xml")
_TYPE_LIMIT_CHARS = 60


def require_sound(provider_id: str, head: ResponseHead) -> None:
    """Raise `UpstreamSilent` for an answer of status 2xx whose head says that it is no sound, or packed once more.

    Sound is asked for with ``Accept-Encoding: identity``: an answer that is encoded all the same cannot be played.
    """
    encoding = head.content_encoding.strip().lower()
    if encoding not in ("", "identity"):
        raise no_sound(provider_id, f"content encoding {encoding[:_TYPE_LIMIT_CHARS]}")
    kind = head.content_type.partition(";")[0].strip().lower()
    if kind.startswith(_NO_SOUND) or kind.endswith(_NO_SOUND_ENDS):
        raise no_sound(provider_id, kind[:_TYPE_LIMIT_CHARS])


def no_sound(provider_id: str, found: str) -> UpstreamSilent:
    """Return the error of an answer of status 2xx that cannot be played."""
    return UpstreamSilent(f"{provider_id} answered with {found}, not with sound")


class Samples:
    """One body of sound, PCM or WAV, as it comes; gives 16-bit little-endian mono samples at ``rate_hz``."""

    def __init__(self, gives: Sound, rate_hz: int, provider_id: str = "the provider") -> None:
        self._rate_hz = rate_hz
        self._provider_id = provider_id
        """Names it in errors."""
        self._has_bytes = False
        self._wav = WavStream() if gives.container is Container.WAV else None
        self._resampler = None if self._wav is not None else Resampler(gives.rate_hz or rate_hz, rate_hz)

    def feed(self, data: bytes) -> bytes:
        """Return the samples that are ready; raises `UpstreamSilent` for a WAV file of which none can be made."""
        self._has_bytes = self._has_bytes or bool(data)
        if self._wav is not None:
            data = self._wav.samples(data)
            if self._resampler is None and (self._wav.head is not None or not self._wav.is_wav):
                self._resampler = self._resampler_of(self._wav.head)
        return self._resampler.feed(data) if self._resampler is not None and data else b""

    def _resampler_of(self, head: WavHead | None) -> Resampler:
        pcm = None if head is None else head.pcm
        if pcm is None or pcm.encoding != "pcm_s16le" or pcm.channels != 1:
            found = "no WAV file" if head is None else "another encoding" if pcm is None else f"{pcm.encoding}"
            raise self._unreadable(f"{found}, not 16-bit mono WAV")
        try:
            return Resampler(pcm.rate_hz, self._rate_hz)
        except BadRequest:  # the rate is the provider's, and so is the fault
            raise self._unreadable(f"{pcm.rate_hz} Hz") from None

    def _unreadable(self, found: str) -> UpstreamSilent:
        return UpstreamSilent(f"{self._provider_id} answered with sound that cannot be read: {found}")

    def rest(self) -> bytes:
        """Return what was held back; raises `UpstreamSilent` for a body that was empty, or a WAV head cut short."""
        if not self._has_bytes:
            raise no_sound(self._provider_id, "nothing")
        if self._resampler is None:
            raise self._unreadable("a WAV file cut short in its head")
        return self._resampler.rest()
