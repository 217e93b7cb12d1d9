"""OpenAI: speech from text, and text from uploaded speech.

Wire reference: https://platform.openai.com/docs/api-reference/audio (shapes as the openai SDK 3.52 decodes
them). Speech is 24 kHz mono, 16 bits.
"""

from __future__ import annotations

import base64
import io
import math
import re
import wave
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import Answer, answer, event
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.speech import compressed, sound, wav_header
from voicegw_sidecar.simulator.visit import Visit
from voicegw_sidecar.wire.pcm import PcmFormat

_PCM = PcmFormat("pcm_s16le", 24_000)
_CONTENT_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/opus",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
_CHARACTER_BILLED = ("tts-1", "tts-1-hd")
_AUDIO_TOKENS_PER_S = 20
_UPLOAD_BYTES_PER_S = 32_000  # where the upload has no WAV header: 16 kHz, 16 bits, mono
_UPLOAD_AUDIO_TOKENS_PER_S = 10
_WORDS_WANTED = b'name="timestamp_granularities[]"\r\n\r\nword\r\n'
_FIELD_NAME = re.compile(rb'[; ]name="([^"]*)"')


class SpeechRequest(Struct):
    """What is read of a speech request."""

    model: str
    input: str
    voice: str | dict[str, str]
    response_format: str = "mp3"
    stream_format: str = "audio"


async def speech(visit: Visit) -> web.StreamResponse:
    """``POST /v1/audio/speech``: an audio body, or events that carry it."""
    try:
        request = msgspec.json.decode(visit.body, type=SpeechRequest)
    except msgspec.MsgspecError as error:
        return await refuse_request(visit, 400, f"We could not read the JSON body of your request: {error}")
    if request.response_format not in _CONTENT_TYPES:
        return await refuse_request(visit, 400, f"Unsupported value: 'response_format' {request.response_format!r}.")
    in_events = request.stream_format == "sse" and visit.entry.provider != "kokoro"  # Kokoro knows no events
    if in_events and request.model in _CHARACTER_BILLED:
        return await refuse_request(visit, 400, f"'stream_format' 'sse' is not supported by {request.model}.")
    entry, speaking = visit.entry, visit.script.speech
    entry.model, entry.characters = request.model, len(request.input.strip())
    entry.audio_out_s = entry.characters * speaking.s_per_char
    await visit.wait(speaking.first_audio_ms)
    content_type = "text/event-stream; charset=utf-8" if in_events else _CONTENT_TYPES[request.response_format]
    sending = Answer(visit, content_type=content_type, headers=provider_headers(visit))
    for index, piece in enumerate(_pieces(request.response_format, entry.audio_out_s, speaking.chunk_ms / 1000)):
        if index:
            await visit.wait(speaking.chunk_ms / speaking.pace)
        delta = {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
        await sending.chunk(event(delta) if in_events else piece, output=True)
    if in_events:
        await sending.chunk(event({"type": "speech.audio.done", "usage": _speech_usage(visit)}))
    return await sending.finish()


async def transcriptions(visit: Visit) -> web.StreamResponse:
    """``POST /v1/audio/transcriptions``: a whole upload, answered with a whole transcript."""
    fields = form_fields(visit.body, visit.request.headers.get("Content-Type", ""))
    audio = fields.get("file")
    if audio is None or "model" not in fields:
        return await refuse_request(visit, 400, "you must provide a model parameter and a file")
    entry, listening = visit.entry, visit.script.transcription
    entry.model = fields["model"].decode()
    entry.audio_in_s = upload_s(audio)
    text = visit.next_of(listening.utterances)
    wanted = fields.get("response_format", b"json").decode()
    if wanted not in ("json", "verbose_json", "text"):
        return await refuse_request(visit, 400, f"response_format '{wanted}' is not compatible with this model.")
    await visit.wait(listening.final_ms)
    visit.mark("final_ns")
    if fields.get("stream") == b"true" and entry.provider == "openai" and entry.model != "whisper-1":
        return await _streamed(visit, text)
    if wanted == "text":
        return await answer(
            visit,
            f"{text}\n".encode(),
            content_type="text/plain; charset=utf-8",
            headers=provider_headers(visit),
            output=True,
        )
    body: dict[str, object] = {"text": text}
    if entry.provider == "groq":
        body["x_groq"] = {"id": f"req_{visit.request_id}"}
    elif entry.provider != "whisper":  # such servers report no usage
        body["usage"] = _transcription_usage(visit, text)
        entry.usage_reported = True
    if wanted == "verbose_json":
        whole = {"task": "transcribe", "language": "english", "duration": entry.audio_in_s}
        body |= whole | {"segments": [_segment(text, entry.audio_in_s)]}
        if wants_words(visit.body):
            body["words"] = spread_words(text, entry.audio_in_s)
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit), output=True)


async def _streamed(visit: Visit, text: str) -> web.StreamResponse:
    """The transcript word by word; whisper-1 and other servers do not know this and answer whole."""
    sending = Answer(visit, content_type="text/event-stream; charset=utf-8", headers=provider_headers(visit))
    for number, word in enumerate(text.split()):
        delta = {"type": "transcript.text.delta", "delta": word if number == 0 else f" {word}"}
        await sending.chunk(event(delta), output=True)
    done = {"type": "transcript.text.done", "text": text, "usage": _transcription_usage(visit, text)}
    visit.entry.usage_reported = True
    await sending.chunk(event(done))
    return await sending.finish()


def wants_words(form: bytes) -> bool:
    """Say whether a form asks for the times of words; it may ask for those of sentences under the same name."""
    return _WORDS_WANTED in form


def spread_words(text: str, audio_s: float) -> list[dict[str, Any]]:
    """Return the words spread evenly over a recording."""
    words = text.split()
    step_s = audio_s / max(1, len(words))
    return [
        {"word": word, "start": round(number * step_s, 3), "end": round((number + 1) * step_s, 3)}
        for number, word in enumerate(words)
    ]


def _segment(text: str, audio_s: float) -> dict[str, object]:
    return {
        "id": 0,
        "seek": 0,
        "start": 0.0,
        "end": audio_s,
        "text": text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": -0.2,
        "compression_ratio": 1.1,
        "no_speech_prob": 0.01,
    }


def _pieces(response_format: str, audio_s: float, chunk_s: float) -> list[bytes]:
    pieces = []
    for index in range(math.ceil(audio_s / chunk_s)):
        start_s = index * chunk_s
        length_s = min(chunk_s, audio_s - start_s)
        raw = response_format in ("pcm", "wav")
        pieces.append(sound(_PCM, start_s, length_s) if raw else compressed(start_s, length_s))
    if response_format == "wav":
        pieces[:1] = [wav_header(_PCM.rate_hz) + b"".join(pieces[:1])]
    return pieces


def _speech_usage(visit: Visit) -> dict[str, int]:
    """Return the usage that the last event of a speech stream carries, and note it."""
    entry = visit.entry
    entry.input_tokens = -(-(entry.characters or 0) // 4)
    entry.output_tokens = math.ceil((entry.audio_out_s or 0.0) * _AUDIO_TOKENS_PER_S)
    entry.usage_reported = True
    return {
        "input_tokens": entry.input_tokens,
        "output_tokens": entry.output_tokens,
        "total_tokens": entry.input_tokens + entry.output_tokens,
    }


def _transcription_usage(visit: Visit, text: str) -> dict[str, object]:
    """Return seconds for whisper-1 and tokens for the others, and note the tokens."""
    entry = visit.entry
    audio_s = entry.audio_in_s or 0.0
    if entry.model == "whisper-1":
        return {"type": "duration", "seconds": math.ceil(audio_s)}
    entry.input_tokens = math.ceil(audio_s * _UPLOAD_AUDIO_TOKENS_PER_S)
    entry.output_tokens = len(text.split())
    return {
        "type": "tokens",
        "input_tokens": entry.input_tokens,
        "input_token_details": {"text_tokens": 0, "audio_tokens": entry.input_tokens},
        "output_tokens": entry.output_tokens,
        "total_tokens": entry.input_tokens + entry.output_tokens,
    }


def form_fields(body: bytes, content_type: str) -> dict[str, bytes]:
    """Return the parts of a multipart form by name."""
    boundary = content_type.partition("boundary=")[2].split(";")[0].strip().strip('"').encode()
    if not boundary:
        return {}
    fields = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        if found := _FIELD_NAME.search(head):
            fields[found[1].decode()] = value.removesuffix(b"\r\n")
    return fields


def upload_s(audio: bytes) -> float:
    """Return the seconds an upload lasts, by its WAV header if it has one."""
    try:
        with wave.open(io.BytesIO(audio)) as file:
            return float(file.getnframes() / file.getframerate())
    except (wave.Error, EOFError):
        return len(audio) / _UPLOAD_BYTES_PER_S
