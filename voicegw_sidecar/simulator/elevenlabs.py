"""ElevenLabs over HTTP: speech and dialogues, whole, streamed or with timestamps, and Scribe for recordings.

Wire reference: https://elevenlabs.io/docs/api-reference (read 2026-11-21), shapes as the elevenlabs SDK 2.78 types
them. Compressed sound has the length its bitrate says and is understood by no decoder.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import Answer, answer
from voicegw_sidecar.simulator.openai_audio import form_fields, upload_s
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.speech import compressed, sound, wav_header
from voicegw_sidecar.simulator.visit import Visit
from voicegw_sidecar.wire.pcm import PcmFormat, pcm_format

DEFAULT_FORMAT = "mp3_44100_128"
_COMPRESSED_BYTES_PER_S = 8_000  # what `compressed` makes of a second
_BARE_UPLOAD_BYTES_PER_S = 32_000
_ENCODINGS = {"pcm": "pcm_s16le", "wav": "pcm_s16le", "ulaw": "mulaw", "alaw": "alaw"}
_CONTENT_TYPES = {"mp3": "audio/mpeg", "opus": "audio/opus", "pcm": "audio/pcm", "wav": "audio/wav"}


class Line(Struct):
    """One line of a dialogue."""

    text: str
    voice_id: str


class SpeechRequest(Struct):
    """What is read of a request for speech."""

    text: str | None = None
    inputs: list[Line] | None = None
    model_id: str | None = None


class Format:
    """An ``output_format`` such as ``mp3_44100_128``, ``pcm_16000`` or ``ulaw_8000``."""

    def __init__(self, name: str) -> None:
        self.codec, _, rates = name.partition("_")
        rate, _, kbit_per_s = rates.partition("_")
        self.rate_hz = int(rate) if rate.isdigit() else 0
        self._pcm: PcmFormat | None = pcm_format(_ENCODINGS.get(self.codec), self.rate_hz)
        self._bytes_per_s = int(kbit_per_s) * 125 if kbit_per_s.isdigit() else 0

    @property
    def is_known(self) -> bool:
        """Whether there is such a format."""
        return self._pcm is not None or (self.codec in ("mp3", "opus") and self._bytes_per_s > 0)

    @property
    def content_type(self) -> str:
        """The type of a body in this format."""
        return _CONTENT_TYPES.get(self.codec, "audio/basic")

    def sound(self, start_s: float, length_s: float) -> bytes:
        """Return ``length_s`` of the endless voice from ``start_s``, without a file's head."""
        if self._pcm is not None:
            return sound(self._pcm, start_s, length_s)
        stretch = self._bytes_per_s / _COMPRESSED_BYTES_PER_S
        return compressed(start_s * stretch, length_s * stretch)


async def speech(visit: Visit) -> web.StreamResponse:
    """``POST /v1/text-to-speech/{}`` and ``/v1/text-to-dialogue``, each with their streams and timestamps."""
    path, spoken = visit.request.path, Format(visit.request.query.get("output_format", DEFAULT_FORMAT))
    try:
        request = msgspec.json.decode(visit.body, type=SpeechRequest)
    except msgspec.MsgspecError as error:
        return await refuse_request(visit, 422, f"The body is not valid: {error}")
    text = request.text if request.inputs is None else "".join(line.text for line in request.inputs)
    if not text or not spoken.is_known:
        return await refuse_request(visit, 400, "text and a known output_format are required.")
    entry, speaking = visit.entry, visit.script.tts
    entry.model = request.model_id or ("eleven_v3" if "/text-to-dialogue" in path else "eleven_multilingual_v2")
    entry.characters = len(text.strip())
    entry.audio_out_s = entry.characters * speaking.s_per_char
    is_timed, is_streamed = path.endswith("/with-timestamps"), "/stream" in path
    await visit.wait(speaking.first_audio_ms)
    if is_timed and not is_streamed:
        body = _timed(b"".join(_pieces(spoken, entry.audio_out_s, speaking.chunk_ms / 1000)), text, speaking.s_per_char)
        return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit), output=True)
    content_type = "application/json" if is_timed else spoken.content_type
    sending = Answer(visit, content_type=content_type, headers=provider_headers(visit))
    for index, piece in enumerate(_pieces(spoken, entry.audio_out_s, speaking.chunk_ms / 1000)):
        if index:
            await visit.wait(speaking.chunk_ms / speaking.pace)
        line = msgspec.json.encode(_timed(piece, "" if index else text, speaking.s_per_char)) + b"\n"
        await sending.chunk(line if is_timed else piece, output=True)
    return await sending.finish()


def _pieces(spoken: Format, audio_s: float, chunk_s: float) -> Iterator[bytes]:
    for index in range(math.ceil(audio_s / chunk_s - 1e-9)):
        start_s = index * chunk_s
        piece = spoken.sound(start_s, min(chunk_s, audio_s - start_s))
        yield wav_header(spoken.rate_hz) + piece if spoken.codec == "wav" and not index else piece


def _timed(piece: bytes, text: str, s_per_char: float) -> dict[str, Any]:
    starts = [round(index * s_per_char, 3) for index in range(len(text))]
    alignment = {
        "characters": list(text),
        "character_start_times_seconds": starts,
        "character_end_times_seconds": [round(start_s + s_per_char, 3) for start_s in starts],
    }
    return {
        "audio_base64": base64.b64encode(piece).decode(),
        "alignment": alignment,
        "normalized_alignment": alignment,
    }


async def transcribe(visit: Visit) -> web.StreamResponse:
    """``POST /v1/speech-to-text``: a whole upload, answered with a whole transcript."""
    fields = form_fields(visit.body, visit.request.headers.get("Content-Type", ""))
    audio = fields.get("file")
    if audio is None or "model_id" not in fields:
        return await refuse_request(visit, 422, "model_id and file are required.")
    entry, listening = visit.entry, visit.script.transcription
    entry.model = fields["model_id"].decode()
    is_bare = fields.get("file_format") == b"pcm_s16le_16"
    entry.audio_in_s = len(audio) / _BARE_UPLOAD_BYTES_PER_S if is_bare else upload_s(audio)
    text = visit.next_of(listening.utterances)
    await visit.wait(listening.final_ms)
    visit.mark("final_ns")
    entry.usage_reported = True
    body = {
        "language_code": "eng",
        "language_probability": 0.98,
        "text": text,
        "words": timed_words(text, 0.0, entry.audio_in_s),
        "transcription_id": visit.request_id,
        "audio_duration_secs": round(entry.audio_in_s, 6),
    }
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit), output=True)


def timed_words(text: str, start_s: float, end_s: float) -> list[dict[str, Any]]:
    """Return the words spread evenly over the time they were spoken in."""
    words = text.split()
    step_s = (end_s - start_s) / max(1, len(words))
    return [
        {
            "text": word,
            "start": round(start_s + number * step_s, 3),
            "end": round(start_s + (number + 1) * step_s, 3),
            "type": "word",
            "speaker_id": None,
            "logprob": -0.1,
        }
        for number, word in enumerate(words)
    ]
