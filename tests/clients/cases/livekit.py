"""LiveKit's plugins, as an AgentSession drives them: its retries, at a shorter interval."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from livekit import rtc
from livekit.agents import APIConnectOptions, llm, stt, tts
from livekit.agents.utils import http_context
from livekit.plugins import anthropic, assemblyai, cartesia, deepgram, elevenlabs, groq, openai

from tests.clients.case import TIMEOUT_S, Case
from tests.simulator.sounds import PCM, buzz, frames
from voicegw_sidecar.simulator.speech import silence, sound
from voicegw_sidecar.wire.pcm import PcmFormat

OPTIONS = APIConnectOptions(max_retry=2, retry_interval=0.05, timeout=TIMEOUT_S)
TEXT = "Your order has left the warehouse. It arrives on Friday."

Run = Callable[[str], Awaitable[object]]


def answering(make: Callable[[str], llm.LLM]) -> Run:
    """A chat of one message; returns the answer's text."""

    async def run(base: str) -> object:
        async with http_context.open():
            model = make(base)
            chat = llm.ChatContext.empty()
            chat.add_message(role="user", content="Where is my order?")
            text = ""
            try:
                async with model.chat(chat_ctx=chat, conn_options=OPTIONS) as stream:
                    async for chunk in stream:
                        text += (chunk.delta.content or "") if chunk.delta else ""
            finally:
                await model.aclose()
            return text

    return run


def speaking(make: Callable[[str], tts.TTS]) -> Run:
    """One utterance as a stream of words; returns its length."""

    async def run(base: str) -> object:
        async with http_context.open():
            voice, length_s = make(base), 0.0
            try:
                async with voice.stream(conn_options=OPTIONS) as stream:
                    stream.push_text(TEXT)
                    stream.end_input()
                    async for audio in stream:
                        length_s += audio.frame.duration
            finally:
                await voice.aclose()
            return round(length_s, 1)

    return run


def speaking_whole(make: Callable[[str], tts.TTS]) -> Run:
    """One utterance in one request; returns its length."""

    async def run(base: str) -> object:
        async with http_context.open():
            voice, length_s = make(base), 0.0
            try:
                async with voice.synthesize(TEXT, conn_options=OPTIONS) as chunked:
                    async for audio in chunked:
                        length_s += audio.frame.duration
            finally:
                await voice.aclose()
            return round(length_s, 1)

    return run


def listening(make: Callable[[str], stt.STT], *, flushes: bool = False) -> Run:
    """A second of speech as a stream; returns the first final transcript."""

    async def run(base: str) -> object:
        async with http_context.open():
            recogniser = make(base)
            stream = recogniser.stream(conn_options=OPTIONS)
            try:
                for data in frames(buzz(0.6, 0.2, 1.0)):
                    stream.push_frame(rtc.AudioFrame(data, PCM.rate_hz, 1, len(data) // 2))
                if flushes:
                    stream.flush()
                async for event in stream:
                    if event.type == stt.SpeechEventType.FINAL_TRANSCRIPT:
                        return event.alternatives[0].text
                return ""
            finally:
                await stream.aclose()
                await recogniser.aclose()

    return run


def recognising(make: Callable[[str], stt.STT]) -> Run:
    """A recording in one request; returns its transcript."""

    async def run(base: str) -> object:
        async with http_context.open():
            recogniser, audio = make(base), buzz()
            frame = rtc.AudioFrame(audio, PCM.rate_hz, 1, len(audio) // 2)
            try:
                event = await recogniser.recognize([frame], conn_options=OPTIONS)
            finally:
                await recogniser.aclose()
            return event.alternatives[0].text

    return run


KEY: dict[str, Any] = {"api_key": "k"}
VOICE_24K = PcmFormat("pcm_s16le", 24_000)


async def conversing(base: str) -> object:
    """A spoken question; returns whether its answer was spoken."""
    async with http_context.open():
        model = openai.realtime.RealtimeModel(
            model="gpt-realtime", base_url=f"{base}/v1/realtime", conn_options=OPTIONS, **KEY
        )
        session = model.session()
        told: asyncio.Queue[Any] = asyncio.Queue()
        session.on("generation_created", told.put_nowait)
        session.on("error", told.put_nowait)
        audio = silence(VOICE_24K, 0.2) + sound(VOICE_24K, 0.0, 0.6) + silence(VOICE_24K, 1.0)
        try:
            for start in range(0, len(audio), 2400):
                frame = audio[start : start + 2400]
                session.push_audio(rtc.AudioFrame(frame, VOICE_24K.rate_hz, 1, len(frame) // 2))
            while True:
                found = await told.get()
                if isinstance(found, llm.GenerationCreatedEvent):
                    break
                if not found.recoverable:
                    raise found.error
            length_s = 0.0
            async for message in found.message_stream:
                async for heard in message.audio_stream:
                    length_s += heard.duration
            return length_s > 0
        finally:
            await session.aclose()
            await model.aclose()


def case(client: str, call: str, endpoint: str, arguments: str, run: Run, **more: Any) -> Case:
    """A case whose line to paste is the constructor with these arguments."""
    provider = endpoint.partition(".")[0]
    return Case(f"LiveKit {client}", call, provider, endpoint, f"{client}({arguments})", run, **more)


LLM = (
    case("openai.LLM", "chat", "openai.chat", 'base_url="{base}/v1"',
         answering(lambda base: openai.LLM(model="gpt-4.1-mini", base_url=f"{base}/v1", **KEY))),
    case("openai.responses.LLM", "response, HTTP", "openai.responses", 'base_url="{base}/v1", use_websocket=False',
         answering(lambda base: openai.responses.LLM(
             model="gpt-4.1-mini", base_url=f"{base}/v1", use_websocket=False, **KEY))),
    case("openai.responses.LLM", "response, socket", "openai.responses_socket", 'base_url="{base}/v1/responses"',
         answering(lambda base: openai.responses.LLM(model="gpt-4.1-mini", base_url=f"{base}/v1/responses", **KEY)),
         is_socket=True, refused_attempts=3),
    case("groq.LLM", "chat", "groq.chat", 'base_url="{base}/openai/v1"',
         answering(lambda base: groq.LLM(model="llama-3.3-70b-versatile", base_url=f"{base}/openai/v1", **KEY))),
    case("openai.LLM.with_ollama", "chat", "ollama.openai_chat", 'base_url="{base}/v1"',
         answering(lambda base: openai.LLM.with_ollama(model="qwen2.5:3b", base_url=f"{base}/v1"))),
    case("anthropic.LLM", "message", "anthropic.messages", 'base_url="{base}"',
         answering(lambda base: anthropic.LLM(model="claude-haiku-4-5", base_url=base, **KEY))),
)  # fmt: skip
STT = (
    case("deepgram.STT", "stream", "deepgram.listen", 'base_url="{base}/v1/listen"',
         listening(lambda base: deepgram.STT(model="nova-3", base_url=f"{base}/v1/listen", **KEY)),
         is_socket=True, leaves_early=True),
    case("deepgram.STT", "recording", "deepgram.prerecorded", 'base_url="{base}/v1/listen"',
         recognising(lambda base: deepgram.STT(model="nova-3", base_url=f"{base}/v1/listen", **KEY)),
         refused_attempts=3),  # it never looks at the status
    case("deepgram.STTv2", "stream", "deepgram.flux", 'base_url="{base}/v2/listen"',
         listening(lambda base: deepgram.STTv2(base_url=f"{base}/v2/listen", **KEY)),
         is_socket=True, break_after=2, leaves_early=True),
    case("assemblyai.STT", "stream", "assemblyai.live", 'base_url="{base}"',
         listening(lambda base: assemblyai.STT(base_url=base, model="universal-3-5-pro", **KEY)),
         is_socket=True, leaves_early=True),
    case("cartesia.STT", "turns", "cartesia.turns", 'base_url="{base}"',
         listening(lambda base: cartesia.STT(model="ink-2", base_url=base, **KEY)),
         is_socket=True, break_after=2, leaves_early=True),
    case("cartesia.STT", "ink-whisper", "cartesia.manual", 'base_url="{base}"',
         listening(lambda base: cartesia.STT(model="ink-whisper", base_url=base, **KEY), flushes=True),
         is_socket=True, leaves_early=True),
    case("elevenlabs.STT", "stream", "elevenlabs.scribe", 'base_url="{base}/v1"',
         listening(lambda base: elevenlabs.STT(
             model="scribe_v2_realtime", base_url=f"{base}/v1", server_vad={}, **KEY)),
         is_socket=True, break_after=2, leaves_early=True),
    case("elevenlabs.STT", "recording", "elevenlabs.transcribe", 'base_url="{base}/v1"',
         recognising(lambda base: elevenlabs.STT(model="scribe_v2", base_url=f"{base}/v1", **KEY))),
    case("openai.STT", "recording", "openai.transcriptions", 'base_url="{base}/v1"',
         recognising(lambda base: openai.STT(model="whisper-1", base_url=f"{base}/v1", **KEY))),
    case("openai.STT", "realtime", "openai.realtime", 'base_url="{base}/v1", use_realtime=True',
         listening(lambda base: openai.STT(
             model="gpt-4o-mini-transcribe", base_url=f"{base}/v1", use_realtime=True, **KEY)),
         is_socket=True, break_after=3, leaves_early=True),
    case("groq.STT", "recording", "groq.transcriptions", 'base_url="{base}/openai/v1"',
         recognising(lambda base: groq.STT(model="whisper-large-v3-turbo", base_url=f"{base}/openai/v1", **KEY))),
)  # fmt: skip
TTS = (
    case("openai.TTS", "sentence", "openai.speech", 'base_url="{base}/v1"',
         speaking_whole(lambda base: openai.TTS(base_url=f"{base}/v1", response_format="pcm", **KEY))),
    case("groq.TTS", "sentence", "groq.speech", 'base_url="{base}/openai/v1"',
         speaking_whole(lambda base: groq.TTS(base_url=f"{base}/openai/v1", **KEY))),
    case("deepgram.TTS", "stream", "deepgram.speak", 'base_url="{base}/v1/speak"',
         speaking(lambda base: deepgram.TTS(base_url=f"{base}/v1/speak", **KEY)), is_socket=True, break_after=2),
    case("deepgram.TTS", "sentence", "deepgram.speech", 'base_url="{base}/v1/speak"',
         speaking_whole(lambda base: deepgram.TTS(base_url=f"{base}/v1/speak", **KEY))),
    case("deepgram.TTSv2", "stream", "deepgram.flux_speak", 'base_url="{base}/v2/speak"',
         speaking(lambda base: deepgram.TTSv2(base_url=f"{base}/v2/speak", **KEY)), is_socket=True, break_after=3,
         is_unpriced="Deepgram publishes none"),
    case("cartesia.TTS", "stream", "cartesia.tts", 'base_url="{base}"',
         speaking(lambda base: cartesia.TTS(base_url=base, **KEY)), is_socket=True),
    case("cartesia.TTS", "sentence", "cartesia.bytes", 'base_url="{base}"',
         speaking_whole(lambda base: cartesia.TTS(base_url=base, **KEY))),
    case("elevenlabs.TTS", "stream", "elevenlabs.contexts", 'base_url="{base}/v1"',
         speaking(lambda base: elevenlabs.TTS(base_url=f"{base}/v1", encoding="pcm_24000", **KEY)), is_socket=True),
    case("elevenlabs.TTS", "sentence", "elevenlabs.speech", 'base_url="{base}/v1"',
         speaking_whole(lambda base: elevenlabs.TTS(base_url=f"{base}/v1", encoding="pcm_24000", **KEY))),
)  # fmt: skip
LOCAL = (
    case("openai.STT", "on a local whisper", "whisper.transcriptions", 'base_url="{base}/v1", api_key="none"',
         recognising(lambda base: openai.STT(model="large-v3", base_url=f"{base}/v1", **KEY))),
    case("openai.TTS", "on a local kokoro", "kokoro.speech", 'base_url="{base}/v1", api_key="none"',
         speaking_whole(lambda base: openai.TTS(
             model="kokoro", voice="af_bella", base_url=f"{base}/v1", response_format="pcm", **KEY))),
)  # fmt: skip
S2S = (
    case("openai.realtime.RealtimeModel", "conversation", "openai.realtime", 'base_url="{base}/v1/realtime"',
         conversing, is_socket=True, leaves_early=True, break_after=8, refused_attempts=3),
)  # fmt: skip
CASES = (*LLM, *STT, *TTS, *LOCAL, *S2S)
