"""Cartesia: text spoken and recordings transcribed, over HTTP.

Wire reference: https://docs.cartesia.ai/api-reference/tts/bytes, its neighbours ``/tts/sse`` and ``/stt`` (read
2026-11-21), and the cartesia SDK 4.2.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import Answer, answer, event
from voicegw_sidecar.simulator.openai_audio import form_fields, spread_words, upload_s, wants_words
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.speech import compressed, sound, wav_header
from voicegw_sidecar.simulator.visit import Visit
from voicegw_sidecar.wire.pcm import PcmFormat, pcm_format


class WantedSound(Struct):
    """The sound that is asked for; MP3 has a bit rate in place of an encoding."""

    container: str = "raw"
    encoding: str | None = None
    sample_rate: int = 44_100


class SpeechRequest(Struct):
    """What is read of a request."""

    model_id: str
    transcript: str
    output_format: WantedSound
    add_timestamps: bool | None = None


async def speech(visit: Visit) -> web.StreamResponse:
    """``POST /tts/bytes``: an audio body."""
    return await _speak(visit, in_events=False)


async def speech_events(visit: Visit) -> web.StreamResponse:
    """``POST /tts/sse``: raw audio in events."""
    return await _speak(visit, in_events=True)


async def transcribe(visit: Visit) -> web.StreamResponse:
    """``POST /stt``: a whole upload, answered with a whole transcript."""
    fields = form_fields(visit.body, visit.request.headers.get("Content-Type", ""))
    if "file" not in fields or "model" not in fields:
        return await refuse_request(visit, 400, "file and model are required.")
    entry, listening = visit.entry, visit.script.turns
    entry.model, entry.audio_in_s = fields["model"].decode(), upload_s(fields["file"])
    text = visit.next_of(listening.utterances)
    body: dict[str, object] = {"type": "transcript", "text": text, "language": "en", "duration": entry.audio_in_s}
    if wants_words(visit.body):
        body["words"] = spread_words(text, entry.audio_in_s)
    await visit.wait(listening.final_ms)
    visit.mark("final_ns")
    entry.usage_reported = True
    body |= {"request_id": visit.request_id, "is_final": True}
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit), output=True)


async def _speak(visit: Visit, *, in_events: bool) -> web.StreamResponse:
    try:
        request = msgspec.json.decode(visit.body, type=SpeechRequest)
    except msgspec.MsgspecError as error:
        return await refuse_request(visit, 400, f"Invalid request: {error}")
    wanted = request.output_format
    pcm = pcm_format(wanted.encoding or "pcm_s16le", wanted.sample_rate) if wanted.container != "mp3" else None
    if not request.transcript.strip() or (in_events and wanted.container != "raw"):
        return await refuse_request(visit, 400, "The request is not valid.")
    entry, speaking = visit.entry, visit.script.tts
    entry.model, entry.characters = request.model_id, len(request.transcript.strip())
    entry.audio_out_s = entry.characters * speaking.s_per_char
    audio_type = {"wav": "audio/wav", "mp3": "audio/mpeg"}.get(wanted.container, "audio/pcm")
    await visit.wait(speaking.first_audio_ms)
    sending = Answer(
        visit, content_type="text/event-stream" if in_events else audio_type, headers=provider_headers(visit)
    )
    for piece in _pieces(entry.audio_out_s, speaking.chunk_ms / 1000, pcm, is_wav=wanted.container == "wav"):
        chunk = {"type": "chunk", "data": base64.b64encode(piece).decode(), "done": False, "status_code": 206}
        await sending.chunk(event(chunk | {"step_time": 1.0}) if in_events else piece, output=True)
        await visit.wait(speaking.chunk_ms / speaking.pace)
    if in_events:
        await sending.chunk(event({"type": "done", "done": True, "status_code": 200}))
    return await sending.finish()


def _pieces(audio_s: float, chunk_s: float, pcm: PcmFormat | None, *, is_wav: bool) -> Iterator[bytes]:
    spoken_s = 0.0
    while spoken_s < audio_s - 1e-6:
        length_s = min(chunk_s, audio_s - spoken_s)
        piece = sound(pcm, spoken_s, length_s) if pcm else compressed(spoken_s, length_s)
        yield wav_header(pcm.rate_hz) + piece if pcm and is_wav and not spoken_s else piece
        spoken_s += length_s
