"""OpenAI, live: a realtime session that transcribes, in the form of the general API.

The sound is 24 kHz. The provider finds the ends of speech itself, as LiveKit's plugin 1.8 asks by default; the models
that cannot are told them, by `finalize` alone. The session has no end of its own: after the last commit its transcript
is waited for.
Wire reference: https://developers.openai.com/api/reference/resources/realtime and
https://developers.openai.com/api/docs/guides/realtime-vad (read 2026-11-21), shapes as the openai SDK 3.52 types them.
"""

from __future__ import annotations

import binascii

import msgspec
from msgspec import Struct

from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.base import ListenFactory, Messages, SocketAddress
from voicegw_sidecar.drivers.language import language_code
from voicegw_sidecar.drivers.listening import Listening, text
from voicegw_sidecar.drivers.query import with_terms

_RATE_HZ = 24_000
_WITHOUT_TURNS = ("gpt-realtime-whisper", "gpt-live-transcribe")
_WITH_HINTS = ("gpt-transcribe", "gpt-live-transcribe")
_PAUSE_MS = 350
_TURNS: dict[str, object] = {
    "type": "server_vad",
    "threshold": 0.5,
    "prefix_padding_ms": 600,
    "silence_duration_ms": _PAUSE_MS,
}
_LAST_COMMIT = "last_commit"
_TRANSCRIPTION = "conversation.item.input_audio_transcription"
_TOLD = (f"{_TRANSCRIPTION}.completed", f"{_TRANSCRIPTION}.failed")


class _Error(Struct, frozen=True):
    event_id: str | None = None


class _Told(Struct, frozen=True):
    type: str = ""
    item_id: str = ""
    error: _Error | None = None


_told = msgspec.json.Decoder(_Told)


def listening(model: str) -> ListenFactory | None:
    """Return how a model of OpenAI's listens; None for ``whisper-1``, which transcribes recordings."""
    return None if model.startswith("whisper") else OpenAIListenDriver


class OpenAIListenDriver(Listening):
    """``/v1/realtime?intent=transcription``: the model is named in the session, never in the address."""

    finish_transcribes = True
    pause_s = _PAUSE_MS / 1000

    def __init__(self, ask: ListenAsk) -> None:
        super().__init__(SocketAddress("/v1/realtime", (("intent", "transcription"),)), _RATE_HZ)
        self._session = _session(ask)
        self._untold: set[str] = set()  # items that were committed and whose transcript has not come
        self._is_finishing = False
        self._is_answered = False

    def opening(self) -> Messages:
        """Say what to listen for; what is heard before it is confirmed counts all the same."""
        return text({"type": "session.update", "session": self._session})

    def audio(self, samples: bytes) -> Messages:
        """Append the samples in base64."""
        if not samples:
            return ()
        encoded = binascii.b2a_base64(samples, newline=False).decode()
        return text({"type": "input_audio_buffer.append", "audio": encoded})

    def finalize(self) -> Messages:
        """Commit what was heard; an error says that the provider has done so already."""
        return text({"type": "input_audio_buffer.commit"})

    def finish(self) -> Messages:
        """Commit once more, by a name that an error would repeat."""
        self._is_finishing = True
        return text({"type": "input_audio_buffer.commit", "event_id": _LAST_COMMIT})

    def is_over(self, data: bytes) -> bool:
        """The last commit is answered and each item transcribed; shown every message, in order, to know them all."""
        try:
            told = _told.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        match told.type:
            case "input_audio_buffer.committed":
                self._untold.add(told.item_id)
                self._is_answered = self._is_finishing
            case "error" if told.error is not None and told.error.event_id == _LAST_COMMIT:
                self._is_answered = True
            case kind if kind in _TOLD:
                self._untold.discard(told.item_id)
            case _:
                return False
        return self._is_answered and not self._untold


def _session(ask: ListenAsk) -> dict[str, object]:
    """Return the session: options about the sound beside the transcription, all others in it."""
    code = language_code(ask.language)
    transcription: dict[str, object] = {"model": ask.model}
    if ask.model.startswith(_WITH_HINTS):
        transcription |= {"languages": [code]} if code is not None else {}
        options = with_terms(ask.keyterms, "keywords", ask.options)
    else:
        transcription |= {"language": code} if code is not None else {}
        options = dict(ask.options)
    turns = options.pop("turn_detection", _TURNS)
    heard: dict[str, object] = {
        "format": {"type": "audio/pcm", "rate": _RATE_HZ},
        "turn_detection": None if ask.model.startswith(_WITHOUT_TURNS) else turns,
    }
    noise_reduction = options.pop("noise_reduction", None)
    if noise_reduction is not None:
        heard["noise_reduction"] = {"type": noise_reduction} if isinstance(noise_reduction, str) else noise_reduction
    wishes = {name: wish for name, wish in options.items() if wish not in (None, [], ())}
    heard["transcription"] = {**transcription, **wishes, "model": ask.model}
    return {"type": "transcription", "audio": {"input": heard}}
