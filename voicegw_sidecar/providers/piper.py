"""Piper's HTTP server: local text-to-speech, a text in and a WAV file out.

Knows Piper's messages and nothing about money or sockets. The text comes as JSON, to older servers as the plain body.
Wire reference: https://github.com/OHF-Voice/piper1-gpl/blob/main/docs/API_HTTP.md (read 2026-11-21).
Captures: tests/captures/piper_*.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import NO_EVENTS, HttpDialect, decode_json
from voicegw_sidecar.events import AudioOut, Began, Event, Finished, RequestComplete, TextIn
from voicegw_sidecar.providers.base import AuthStyle, Baseline, Endpoint, Provider
from voicegw_sidecar.providers.openai import OPENAI_ERRORS
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import RequestHead
from voicegw_sidecar.wire.wav import WavStream


class _Request(Struct, frozen=True):
    text: str | None = None
    voice: str | None = None


_request = msgspec.json.Decoder(_Request)


class PiperSpeech(HttpDialect):
    """One text and its WAV file."""

    def __init__(self, head: RequestHead) -> None:
        super().__init__(head)
        self._wav = WavStream()

    def _begun(self) -> Iterator[Event]:
        body = self._request.content()
        request = decode_json(_request, body) or _Request((body or b"").decode("utf-8", "replace"))
        yield Began(Modality.TTS, model=request.voice)
        yield TextIn(request.text or "")
        yield RequestComplete()

    def _answer_piece(self, data: bytes) -> Iterable[Event]:
        size_bytes, audio_s = self._wav.feed(data)
        return (AudioOut(audio_s),) if size_bytes else NO_EVENTS

    def _answer_complete(self) -> Iterable[Event]:
        return (Finished(),)


PIPER = Provider(
    id="piper",
    base_url="http://localhost:5000",
    auth=AuthStyle.NONE,
    errors=OPENAI_ERRORS,
    endpoints=(
        Endpoint("POST", "/", Modality.TTS, PiperSpeech),
        Endpoint("POST", "/synthesize", Modality.TTS, PiperSpeech),
    ),
    is_local=True,
    baselines=(
        Baseline(
            Modality.TTS,
            1400,
            "https://picovoice.ai/docs/benchmark/tts: the fastest open engine on a CPU; Piper is among the slower",
            "2026-11-21",
        ),
    ),
)
