"""Deepgram: recordings transcribed, and text spoken, over HTTP.

Wire reference: https://developers.deepgram.com/reference/speech-to-text/listen-pre-recorded and
https://developers.deepgram.com/reference/text-to-speech/speak-request (read 2026-11-21), and the deepgram SDK 7.17.
"""

from __future__ import annotations

import io
import wave
from typing import Any

import msgspec
from aiohttp import web

from voicegw_sidecar.simulator.answer import Answer, answer
from voicegw_sidecar.simulator.openai_audio import upload_s
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.speech import compressed, sound, wav_header
from voicegw_sidecar.simulator.visit import Visit, uuid_like
from voicegw_sidecar.wire.pcm import pcm_format

_ELSEWHERE_S = 12.5  # how long a recording lasts that is given by its address
_CONTENT_TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "flac": "audio/flac", "aac": "audio/aac"}


async def prerecorded(visit: Visit) -> web.StreamResponse:
    """``POST /v1/listen``: audio, or JSON with its address."""
    query, entry, listening = visit.request.query, visit.entry, visit.script.listen
    is_elsewhere = "json" in visit.request.headers.get("Content-Type", "")
    if not visit.body:
        return await refuse_request(visit, 400, "Bad Request: failed to process audio: corrupt or unsupported data")
    entry.model = query.get("model", "base")
    audio_s = _ELSEWHERE_S if is_elsewhere else round(upload_s(visit.body), 4)
    channels = 1 if is_elsewhere else _channels(visit.body)
    is_multichannel = query.get("multichannel") == "true"
    entry.audio_in_s = audio_s * (channels if is_multichannel else 1)
    text = visit.next_of(listening.utterances)
    alternative = {"transcript": text, "confidence": 0.99, "words": _words(text, audio_s)}
    channel: dict[str, Any] = {"alternatives": [alternative]}
    if query.get("detect_language") == "true":
        channel |= {"detected_language": "en", "language_confidence": 0.98}
    results: dict[str, Any] = {"channels": [channel for _ in range(channels if is_multichannel else 1)]}
    if query.get("utterances") == "true":
        results["utterances"] = [{"start": 0.0, "end": audio_s, "confidence": 0.99, "channel": 0, "transcript": text}]
    body = {
        "metadata": {
            "transaction_key": "deprecated",
            "request_id": visit.request_id,
            "sha256": entry.received_sha256,
            "created": "2026-11-21T10:00:00.000Z",
            "duration": audio_s,
            "channels": channels,
            "models": [uuid_like(0)],
            "model_info": {uuid_like(0): {"name": entry.model, "version": "2024-12-20.0", "arch": "nova-3"}},
        },
        "results": results,
    }
    await visit.wait(listening.final_ms)
    visit.mark("final_ns")
    entry.usage_reported = True
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit), output=True)


async def speech(visit: Visit) -> web.StreamResponse:
    """``POST /v1/speak`` and ``/v2/speak``."""
    query, entry, speaking = visit.request.query, visit.entry, visit.script.speak
    try:
        text = msgspec.json.decode(visit.body, type=dict[str, Any])["text"]
    except (msgspec.MsgspecError, KeyError):
        return await refuse_request(visit, 400, "Bad Request: the payload must have a text.")
    encoding = query.get("encoding", "mp3")
    pcm = pcm_format(encoding, int(query.get("sample_rate", "24000")))
    if pcm is None and encoding not in _CONTENT_TYPES:
        return await refuse_request(visit, 400, "Unsupported audio format.")
    is_bare = query.get("container") == "none"
    entry.model, entry.characters = query.get("model", "aura-asteria-en"), len(text.strip())
    entry.audio_out_s = entry.characters * speaking.s_per_char
    raw_type = f"audio/l16;rate={pcm.rate_hz};channels=1" if pcm and is_bare else "audio/wav"
    headers = provider_headers(visit) | {"dg-model-name": entry.model, "dg-char-count": str(len(text))}
    await visit.wait(speaking.first_audio_ms)
    sending = Answer(visit, content_type=raw_type if pcm else _CONTENT_TYPES[encoding], headers=headers)
    spoken_s, chunk_s = 0.0, speaking.chunk_ms / 1000
    while spoken_s < entry.audio_out_s - 1e-6:
        length_s = min(chunk_s, entry.audio_out_s - spoken_s)
        piece = sound(pcm, spoken_s, length_s) if pcm else compressed(spoken_s, length_s)
        if pcm and not is_bare and not spoken_s:
            piece = wav_header(pcm.rate_hz) + piece
        await sending.chunk(piece, output=True)
        spoken_s += length_s
        await visit.wait(speaking.chunk_ms / speaking.pace)
    return await sending.finish()


def _channels(audio: bytes) -> int:
    try:
        with wave.open(io.BytesIO(audio)) as file:
            return int(file.getnchannels())
    except (wave.Error, EOFError):
        return 1


def _words(text: str, audio_s: float) -> list[dict[str, Any]]:
    spoken = text.split()
    step_s = audio_s / max(1, len(spoken))
    return [
        {
            "word": word.strip(".,?!").lower(),
            "start": round(index * step_s, 3),
            "end": round((index + 1) * step_s, 3),
            "confidence": 0.99,
            "punctuated_word": word,
        }
        for index, word in enumerate(spoken)
    ]
