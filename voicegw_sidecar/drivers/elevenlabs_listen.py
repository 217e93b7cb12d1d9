"""ElevenLabs Scribe, live: everything is JSON, audio in base64.

Scribe commits by itself after some silence, and where it is told to. A commit of less than 0.3 s of audio ends the
session, and what Scribe committed by itself a moment ago cannot be known, so silence comes before each. Nothing is
asked for that would bring each transcript twice, its words and language among it.
Wire reference: the elevenlabs SDK 2.78 (``realtime/scribe.py`` names ranges and limits), and LiveKit's plugin 1.8 for
the least of a commit and the message that keeps a session open.
"""

from __future__ import annotations

import binascii

import msgspec
from msgspec import Struct

from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.base import ListenFactory, Messages, SocketAddress
from voicegw_sidecar.drivers.language import language_code
from voicegw_sidecar.drivers.listening import Listening, Pieces, nearest_rate, silence, text
from voicegw_sidecar.drivers.query import query, with_terms

_RATES_HZ = (8000, 16_000, 22_050, 24_000, 44_100, 48_000)
_LEAST_MS, _MOST_MS = 50, 1000
_COMMIT_LEAST_MS = 300
_KEEPALIVE_S = 10.0
_SILENCE_S = 0.5  # ElevenLabs' own 1.5 s would hold up every answer of an agent
_TERMS_LIMIT, _TERM_LIMIT_CHARS = 50, 20
_WISHES_FOR_A_COPY = ("include_timestamps", "include_language_detection")


class _Told(Struct, frozen=True):
    message_type: str = ""
    error: str | None = None


_told = msgspec.json.Decoder(_Told)


def listening(model: str) -> ListenFactory | None:
    """Return how a model of ElevenLabs' listens; None for those that transcribe recordings only."""
    return ElevenLabsListenDriver if "realtime" in model else None


class ElevenLabsListenDriver(Listening):
    """``/v1/speech-to-text/realtime``."""

    finish_transcribes = True

    keepalive_s = _KEEPALIVE_S

    def __init__(self, ask: ListenAsk) -> None:
        rate_hz = nearest_rate(ask.rate_hz, _RATES_HZ)
        is_manual = ask.options.get("commit_strategy") == "manual"
        fixed: dict[str, object] = {"model_id": ask.model, "audio_format": f"pcm_{rate_hz}"}
        usual: dict[str, object] = {
            "commit_strategy": "vad",
            "vad_silence_threshold_secs": None if is_manual else _SILENCE_S,
            "language_code": language_code(ask.language),
        }
        terms = [term for term in ask.keyterms if len(term) <= _TERM_LIMIT_CHARS][:_TERMS_LIMIT]
        options = with_terms(terms, "keyterms", ask.options)
        super().__init__(SocketAddress("/v1/speech-to-text/realtime", query(fixed, usual, options)), rate_hz)
        comes_twice = any(ask.options.get(wish) in (True, "true") for wish in _WISHES_FOR_A_COPY)
        self._last = "committed_transcript_with_timestamps" if comes_twice else "committed_transcript"
        self._pieces = Pieces(rate_hz, _LEAST_MS, _MOST_MS)
        self._is_finishing = False

    def audio(self, samples: bytes) -> Messages:
        """Send what makes a piece; the rest waits for more."""
        return tuple([message for piece in self._pieces.feed(samples) for message in self._chunk(piece)])

    def finalize(self) -> Messages:
        """Commit what was sent so far."""
        rest = self._pieces.rest()
        before = self._chunk(rest) if rest else ()
        return before + self._chunk(silence(self.rate_hz, _COMMIT_LEAST_MS), is_commit=True)

    def keepalive(self) -> Messages:
        """A chunk without audio: a ping of the socket does not count."""
        return self._chunk(b"")

    def finish(self) -> Messages:
        """Commit once more: Scribe knows no end, and what comes of this is the last."""
        self._is_finishing = True
        return self.finalize()

    def is_over(self, data: bytes) -> bool:
        """The transcript of the last commit, empty as it may be, or an error in its place."""
        if not self._is_finishing:
            return False
        try:
            told = _told.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        return told.message_type == self._last or told.error is not None

    def _chunk(self, samples: bytes, *, is_commit: bool = False) -> Messages:
        chunk = {
            "message_type": "input_audio_chunk",
            "audio_base_64": binascii.b2a_base64(samples, newline=False).decode(),
            "commit": is_commit,
            "sample_rate": self.rate_hz,
        }
        return text(chunk)
