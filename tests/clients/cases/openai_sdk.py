"""The OpenAI SDK."""

from __future__ import annotations

import asyncio
from typing import Any

from openai import AsyncOpenAI, OpenAI

from tests.clients.case import TIMEOUT_S, Case
from tests.clients.test_openai_sdk import wav
from tests.simulator.sounds import buzz
from tests.simulator.test_openai import ASKED

PASTE = 'AsyncOpenAI(base_url="{base}/v1")'
QUESTION: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Where is my order?"}]}
IN_TEXT: Any = {"output_modalities": ["text"]}


def client(base: str) -> AsyncOpenAI:
    return AsyncOpenAI(api_key="k", base_url=f"{base}/v1", timeout=TIMEOUT_S)


async def chat(base: str) -> object:
    async with client(base) as openai:
        completion = await openai.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)
    return completion.choices[0].message.content


async def chat_streamed(base: str) -> object:
    async with client(base) as openai:
        stream = await openai.chat.completions.create(model="gpt-4.1-mini", messages=ASKED, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def chat_sync(base: str) -> object:
    def call() -> object:
        with OpenAI(api_key="k", base_url=f"{base}/v1", timeout=TIMEOUT_S) as openai:
            return openai.chat.completions.create(model="gpt-4.1-mini", messages=ASKED).choices[0].message.content

    return await asyncio.to_thread(call)


async def responses(base: str) -> object:
    async with client(base) as openai:
        return (await openai.responses.create(model="gpt-4.1-mini", input="Where is my order?")).output_text


async def responses_streamed(base: str) -> object:
    async with client(base) as openai:
        stream = await openai.responses.create(model="gpt-4.1-mini", input="Where is my order?", stream=True)
        return "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])


async def transcription(base: str) -> object:
    async with client(base) as openai:
        return (await openai.audio.transcriptions.create(model="whisper-1", file=wav(buzz()))).text


async def speech(base: str) -> object:
    async with client(base) as openai:
        spoken = await openai.audio.speech.create(
            model="tts-1", voice="alloy", input="Hello there.", response_format="pcm"
        )
        return len(await spoken.aread())


async def response_socket(base: str) -> object:
    async with client(base) as openai, openai.responses.connect() as socket:
        await socket.response.create(model="gpt-4.1-mini", input="Where is my order?")
        async for event in socket:
            if event.type == "response.completed":
                return event.response.output_text
    return None


async def realtime(base: str) -> object:
    """A written question, answered in text, over a realtime socket."""
    async with client(base) as openai, openai.realtime.connect(model="gpt-realtime") as connection:
        await connection.conversation.item.create(item=QUESTION)
        await connection.response.create(response=IN_TEXT)
        async for event in connection:
            if event.type == "response.done":
                return event.response.status
    return None


async def realtime_sync(base: str) -> object:
    def call() -> object:
        with (
            OpenAI(api_key="k", base_url=f"{base}/v1", timeout=TIMEOUT_S) as openai,
            openai.realtime.connect(model="gpt-realtime") as connection,
        ):
            connection.conversation.item.create(item=QUESTION)
            connection.response.create(response=IN_TEXT)
            return next(event.response.status for event in connection if event.type == "response.done")

    return await asyncio.to_thread(call)


CASES = (
    Case("openai SDK", "chat", "openai", "openai.chat", PASTE, chat),
    Case("openai SDK", "chat, streamed", "openai", "openai.chat", PASTE, chat_streamed),
    Case("openai SDK", "chat, sync client", "openai", "openai.chat", PASTE, chat_sync),
    Case("openai SDK", "response", "openai", "openai.responses", PASTE, responses),
    Case("openai SDK", "response, streamed", "openai", "openai.responses", PASTE, responses_streamed),
    Case("openai SDK", "transcription", "openai", "openai.transcriptions", PASTE, transcription),
    Case("openai SDK", "speech", "openai", "openai.speech", PASTE, speech),
    Case("openai SDK", "response, socket", "openai", "openai.responses_socket", PASTE, response_socket, is_socket=True),
    Case("openai SDK", "conversation", "openai", "openai.realtime", PASTE, realtime, is_socket=True, break_after=4,
         is_written=True),
    Case("openai SDK", "conversation, sync client", "openai", "openai.realtime", PASTE, realtime_sync, is_socket=True,
         break_after=4, is_written=True),
)  # fmt: skip
