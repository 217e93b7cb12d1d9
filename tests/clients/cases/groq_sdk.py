"""The Groq SDK, which appends ``/openai/v1`` itself."""

from __future__ import annotations

import asyncio
from typing import Any

from groq import AsyncGroq, Groq

from tests.clients.case import TIMEOUT_S, Case
from tests.clients.test_openai_sdk import wav
from tests.simulator.sounds import buzz

PASTE = 'AsyncGroq(base_url="{base}")'
ASKED: dict[str, Any] = {
    "model": "llama-3.3-70b-versatile",
    "messages": [{"role": "user", "content": "Where is my order?"}],
}


def client(base: str) -> AsyncGroq:
    return AsyncGroq(api_key="k", base_url=base, timeout=TIMEOUT_S)


async def chat(base: str) -> object:
    async with client(base) as groq:
        return (await groq.chat.completions.create(**ASKED)).choices[0].message.content


async def chat_streamed(base: str) -> object:
    async with client(base) as groq:
        stream = await groq.chat.completions.create(**ASKED, stream=True)
        return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


async def chat_sync(base: str) -> object:
    def call() -> object:
        with Groq(api_key="k", base_url=base, timeout=TIMEOUT_S) as groq:
            return groq.chat.completions.create(**ASKED).choices[0].message.content

    return await asyncio.to_thread(call)


async def transcription(base: str) -> object:
    async with client(base) as groq:
        return (await groq.audio.transcriptions.create(model="whisper-large-v3-turbo", file=wav(buzz()))).text


async def speech(base: str) -> object:
    async with client(base) as groq:
        spoken = await groq.audio.speech.create(
            model="canopylabs/orpheus-v1-english", voice="tara", input="Hello there.", response_format="wav"
        )
        return len(await spoken.read())


CASES = (
    Case("groq SDK", "chat", "groq", "groq.chat", PASTE, chat),
    Case("groq SDK", "chat, streamed", "groq", "groq.chat", PASTE, chat_streamed),
    Case("groq SDK", "chat, sync client", "groq", "groq.chat", PASTE, chat_sync),
    Case("groq SDK", "transcription", "groq", "groq.transcriptions", PASTE, transcription),
    Case("groq SDK", "speech", "groq", "groq.speech", PASTE, speech),
)
