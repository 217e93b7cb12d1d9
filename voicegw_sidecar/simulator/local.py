"""Local servers: Ollama's own protocol, in lines of JSON, and Piper's, a text in and a WAV file out.

Wire reference: https://docs.ollama.com/api and https://github.com/OHF-Voice/piper1-gpl/blob/main/docs/API_HTTP.md
(read 2026-11-21). The other local servers speak OpenAI's protocol and are served by its handlers.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import Answer, answer
from voicegw_sidecar.simulator.openai import Message, prompt_tokens
from voicegw_sidecar.simulator.refusal import refuse_request
from voicegw_sidecar.simulator.speech import sound, wav_header
from voicegw_sidecar.simulator.visit import Visit
from voicegw_sidecar.wire.pcm import PcmFormat

_PCM = PcmFormat("pcm_s16le", 22_050)
_CREATED = "2026-11-21T10:00:00.000000Z"


class OllamaRequest(Struct):
    """What is read of a request: messages, or a prompt. Ollama streams unless it is told not to."""

    model: str
    messages: list[Message] | None = None
    prompt: str = ""
    system: str = ""
    stream: bool = True


async def chat(visit: Visit) -> web.StreamResponse:
    """``POST /api/chat``."""
    return await _think(visit, lambda text: {"message": {"role": "assistant", "content": text}})


async def generate(visit: Visit) -> web.StreamResponse:
    """``POST /api/generate``."""
    return await _think(visit, lambda text: {"response": text})


async def synthesize(visit: Visit) -> web.StreamResponse:
    """``POST /`` and ``POST /synthesize``."""
    try:
        text = str(msgspec.json.decode(visit.body, type=dict[str, Any])["text"])
    except (msgspec.MsgspecError, KeyError):
        return await refuse_request(visit, 400, "No text provided.")
    entry, speaking = visit.entry, visit.script.speech
    entry.characters = len(text.strip())
    entry.audio_out_s = entry.characters * speaking.s_per_char
    await visit.wait(speaking.first_audio_ms)
    audio = wav_header(_PCM.rate_hz) + sound(_PCM, 0.0, entry.audio_out_s)
    return await answer(visit, audio, content_type="audio/wav", output=True)


async def _think(visit: Visit, worded: Any) -> web.StreamResponse:
    try:
        request = msgspec.json.decode(visit.body, type=OllamaRequest)
    except msgspec.MsgspecError as error:
        return await refuse_request(visit, 400, f"invalid request: {error}")
    thinking, entry = visit.script.chat, visit.entry
    prompt = [Message("system", request.system), Message("user", request.prompt)]
    words = visit.next_of(thinking.answers).split()
    entry.model = request.model
    entry.input_tokens, entry.output_tokens = prompt_tokens(request.messages or prompt), len(words)
    figures = {"prompt_eval_count": entry.input_tokens, "eval_count": entry.output_tokens}
    durations = {"total_duration": 10**9, "load_duration": 1, "prompt_eval_duration": 1, "eval_duration": 1}
    head = {"model": request.model, "created_at": _CREATED}
    last = {"done": True, "done_reason": "stop", **durations, **figures}
    await visit.wait(thinking.first_token_ms)
    if not request.stream:
        entry.usage_reported = True
        return await answer(visit, msgspec.json.encode(head | worded(" ".join(words)) | last), output=True)
    sending = Answer(visit, content_type="application/x-ndjson")
    for number, word in enumerate(words):
        line = head | worded(f" {word}" if number else word) | {"done": False}
        await sending.chunk(msgspec.json.encode(line) + b"\n", output=True)
        await visit.wait(thinking.token_interval_ms)
    entry.usage_reported = True
    await sending.chunk(msgspec.json.encode(head | worded("") | last) + b"\n")
    return await sending.finish()
