"""OpenAI: one answer of a realtime session, spoken, written, or a tool's call.

Wire reference: as `openai_realtime`. The words come as the sound does; output tokens are counted up, as an answer may
be interrupted.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Awaitable, Callable
from typing import Any

from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.openai import argument_pieces, sample_arguments
from voicegw_sidecar.simulator.speech import sound
from voicegw_sidecar.simulator.visit import Visit
from voicegw_sidecar.wire.pcm import PcmFormat

Tell = Callable[..., Awaitable[None]]
_ANSWERED_TOKENS_PER_S = 20
_FORMATS = {"audio/pcmu": PcmFormat("mulaw", 8000), "audio/pcma": PcmFormat("alaw", 8000)}
_PCM = PcmFormat("pcm_s16le", 24_000)


class Spoken:
    """An answer while it is given."""

    def __init__(
        self,
        visit: Visit,
        entry: Entry,
        tell: Tell,
        *,
        item_id: str,
        modalities: list[str],
        output: dict[str, Any],
        tools: dict[str, dict[str, Any]],
    ) -> None:
        self.visit = visit
        self.entry = entry
        self.tell = tell
        self.is_aloud = "audio" in modalities
        self.tool = visit.script.chat.tool if visit.script.chat.tool in tools else None
        self.arguments = sample_arguments(tools[self.tool]) if self.tool else ""
        self.pcm = _FORMATS.get(output["format"]["type"], _PCM)
        self.text = "" if self.tool else visit.next_of(visit.script.chat.answers)
        self.place = {"response_id": entry.key, "item_id": item_id, "output_index": 0}
        self._modalities = modalities
        self._output = output
        entry.output_tokens = entry.output_audio_tokens = 0

    def item(self, status: str) -> dict[str, Any]:
        """Return the item that the answer becomes."""
        shared = {"id": self.place["item_id"], "object": "realtime.item", "status": status}
        if self.tool:
            arguments = self.arguments if status == "completed" else ""
            call_id = f"call_{self.entry.number:08d}"
            return {**shared, "type": "function_call", "call_id": call_id, "name": self.tool, "arguments": arguments}
        content = [self.part()] if status == "completed" else []
        return {**shared, "type": "message", "role": "assistant", "content": content}

    def part(self) -> dict[str, Any]:
        """Return the item's content."""
        return {"type": "audio", "transcript": self.text} if self.is_aloud else {"type": "text", "text": self.text}

    def response(self, status: str, reason: str | None = None) -> dict[str, Any]:
        """Return the response object; once it is over, with its usage."""
        entry, is_over = self.entry, status != "in_progress"
        cached_audio = entry.cached_audio_tokens or 0
        usage = {
            "total_tokens": (entry.input_tokens or 0) + (entry.output_tokens or 0),
            "input_tokens": entry.input_tokens,
            "output_tokens": entry.output_tokens,
            "input_token_details": {
                "text_tokens": (entry.input_tokens or 0) - (entry.input_audio_tokens or 0),
                "audio_tokens": entry.input_audio_tokens,
                "image_tokens": 0,
                "cached_tokens": entry.cached_tokens,
                "cached_tokens_details": {
                    "text_tokens": (entry.cached_tokens or 0) - cached_audio,
                    "audio_tokens": cached_audio,
                    "image_tokens": 0,
                },
            },
            "output_token_details": {
                "text_tokens": (entry.output_tokens or 0) - (entry.output_audio_tokens or 0),
                "audio_tokens": entry.output_audio_tokens,
            },
        }
        return {
            "object": "realtime.response",
            "id": entry.key,
            "status": status,
            "status_details": {"type": status, "reason": reason} if reason else None,
            "output": [self.item("completed" if status == "completed" else "incomplete")] if is_over else [],
            "conversation_id": f"conv_{entry.connection:08d}",
            "output_modalities": self._modalities,
            "max_output_tokens": "inf",
            "audio": {"output": self._output},
            "usage": usage if is_over else None,
            "metadata": None,
        }

    async def done(self, status: str, reason: str | None = None) -> None:
        """Tell the end."""
        self.entry.usage_reported = True
        self.visit.mark("ended_ns", self.entry)
        await self.tell("response.done", response=self.response(status, reason))


async def answer_aloud(spoken: Spoken) -> None:
    """Give the whole answer."""
    visit, tell, place = spoken.visit, spoken.tell, spoken.place
    await tell("response.created", response=spoken.response("in_progress"))
    await visit.wait(visit.script.chat.first_token_ms)
    await tell(
        "response.output_item.added", response_id=place["response_id"], output_index=0, item=spoken.item("in_progress")
    )
    await tell("conversation.item.added", previous_item_id=None, item=spoken.item("in_progress"))
    if spoken.tool:
        await _call(spoken)
    else:
        await _say(spoken)
    whole = spoken.item("completed")
    await tell("response.output_item.done", response_id=place["response_id"], output_index=0, item=whole)
    await tell("conversation.item.done", previous_item_id=None, item=whole)
    await spoken.done("completed")


async def _call(spoken: Spoken) -> None:
    entry = spoken.entry
    for piece in argument_pieces(spoken.arguments):
        spoken.visit.mark("first_output_ns", entry)
        call_id = spoken.item("in_progress")["call_id"]
        await spoken.tell("response.function_call_arguments.delta", **spoken.place, call_id=call_id, delta=piece)
        entry.output_tokens = (entry.output_tokens or 0) + 1


async def _say(spoken: Spoken) -> None:
    """Say it in words, and aloud where it is to be: some of the sound with each word."""
    visit, entry, tell, script = spoken.visit, spoken.entry, spoken.tell, spoken.visit.script.speech
    place = {**spoken.place, "content_index": 0}
    empty = {"type": "audio", "transcript": ""} if spoken.is_aloud else {"type": "text", "text": ""}
    await tell("response.content_part.added", **place, part=empty)
    words = spoken.text.split()
    text_kind = "output_audio_transcript" if spoken.is_aloud else "output_text"
    text_name = "transcript" if spoken.is_aloud else "text"
    word_s = len(spoken.text) * script.s_per_char / max(1, len(words)) if spoken.is_aloud else 0.0
    audio_s = 0.0
    for number, word in enumerate(words):
        await tell(f"response.{text_kind}.delta", **place, delta=f" {word}" if number else word)
        left_s = word_s
        while left_s > 1e-6:
            length_s = min(left_s, script.chunk_ms / 1000)
            visit.mark("first_output_ns", entry)
            data = base64.b64encode(sound(spoken.pcm, audio_s, length_s)).decode()
            await tell("response.output_audio.delta", **place, delta=data)
            audio_s, left_s = audio_s + length_s, left_s - length_s
            entry.audio_out_s = round(audio_s, 6)
            await visit.wait(script.chunk_ms / script.pace)
        visit.mark("first_output_ns", entry)
        entry.output_audio_tokens = math.ceil(audio_s * _ANSWERED_TOKENS_PER_S)
        entry.output_tokens = number + 1 + entry.output_audio_tokens
    if spoken.is_aloud:
        await tell("response.output_audio.done", **place)
    await tell(f"response.{text_kind}.done", **place, **{text_name: spoken.text})
    await tell("response.content_part.done", **place, part=spoken.part())
