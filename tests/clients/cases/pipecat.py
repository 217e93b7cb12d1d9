"""Pipecat's services, each in a pipeline of its own; their reconnect loops at a shorter interval, where they take one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from anthropic import AsyncAnthropic
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.anthropic.llm import AnthropicLLMService
from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.cartesia.stt import CartesiaSTTService
from pipecat.services.cartesia.tts import CartesiaHttpTTSService, CartesiaTTSService
from pipecat.services.cartesia.turns.stt import CartesiaTurnsSTTService
from pipecat.services.deepgram.flux.stt import DeepgramFluxSTTService
from pipecat.services.deepgram.flux.tts import DeepgramFluxTTSService
from pipecat.services.deepgram.stt import DeepgramSTTService
from pipecat.services.deepgram.tts import DeepgramHttpTTSService, DeepgramTTSService
from pipecat.services.elevenlabs.stt import ElevenLabsSTTService
from pipecat.services.elevenlabs.tts import ElevenLabsHttpTTSService, ElevenLabsTTSService
from pipecat.services.groq.llm import GroqLLMService
from pipecat.services.groq.stt import GroqSTTService
from pipecat.services.groq.tts import GroqTTSService
from pipecat.services.ollama.llm import OLLamaLLMService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.responses.llm import OpenAIResponsesHttpLLMService, OpenAIResponsesLLMService
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService

from tests.clients.case import TIMEOUT_S, Case
from tests.clients.cases import pipecat_harness as harness
from tests.simulator.test_openai import ASKED

PiperHttpTTSService = harness.piper_http_service()
TEXT = "Your order has left the warehouse. It arrives on Friday."
SOON: dict[str, Any] = {"reconnect_backoff_min_wait": 0.05, "reconnect_backoff_max_wait": 0.05}
KEY: dict[str, Any] = {"api_key": "k"}

Run = Callable[[str], Awaitable[object]]
Make = Callable[[str], FrameProcessor]


def answering(make: Make) -> Run:
    """A chat of one message; returns the answer's text."""

    async def run(base: str) -> object:
        out = await harness.answer(make(base), [LLMContextFrame(LLMContext(ASKED))])
        return "".join(frame.text for frame in out if isinstance(frame, LLMTextFrame))

    return run


def speaking(make: Make) -> Run:
    """One utterance; returns its length in seconds."""

    async def run(base: str) -> object:
        return spoken_s(await harness.answer(make(base), [TTSSpeakFrame(TEXT)]))

    return run


def speaking_http(make: Callable[[str, aiohttp.ClientSession], FrameProcessor]) -> Run:
    """One utterance of a service that is given its HTTP client."""

    async def run(base: str) -> object:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=TIMEOUT_S)
        async with aiohttp.ClientSession(timeout=timeout) as http:
            return spoken_s(await harness.answer(make(base, http), [TTSSpeakFrame(TEXT)]))

    return run


def spoken_s(out: list[Frame]) -> float:
    return round(sum(f.num_frames / f.sample_rate for f in out if isinstance(f, TTSAudioRawFrame)), 1)


def listening(make: Make) -> Run:
    """Speech into a socket until something was understood; returns the first final transcript."""

    async def run(base: str) -> object:
        return first(await harness.listen(make(base), lambda out: first(out) != ""))

    return run


def recognising(make: Make) -> Run:
    """One sentence of a service that waits for its end; returns its transcript."""

    async def run(base: str) -> object:
        return first(await harness.answer(make(base), harness.sentence()))

    return run


def first(out: list[Frame]) -> str:
    return next((frame.text for frame in out if isinstance(frame, TranscriptionFrame)), "")


def ws(base: str) -> str:
    return base.replace("http://", "ws://", 1)


def case(service: type[FrameProcessor], call: str, endpoint: str, arguments: str, run: Run, **more: Any) -> Case:
    """A case whose line to paste is the constructor with these arguments."""
    provider = endpoint.partition(".")[0]
    name = service.__name__
    return Case(f"Pipecat {name}", call, provider, endpoint, f"{name}({arguments})", run, **more)


LLM = (
    case(OpenAILLMService, "chat", "openai.chat", 'base_url="{base}/v1"',
         answering(lambda base: OpenAILLMService(base_url=f"{base}/v1", **KEY))),
    case(GroqLLMService, "chat", "groq.chat", 'base_url="{base}/openai/v1"',
         answering(lambda base: GroqLLMService(base_url=f"{base}/openai/v1", **KEY))),
    case(OLLamaLLMService, "chat", "ollama.openai_chat", 'base_url="{base}/v1"',
         answering(lambda base: OLLamaLLMService(base_url=f"{base}/v1"))),
    case(OpenAIResponsesHttpLLMService, "response", "openai.responses", 'base_url="{base}/v1"',
         answering(lambda base: OpenAIResponsesHttpLLMService(base_url=f"{base}/v1", **KEY))),
    case(OpenAIResponsesLLMService, "response, socket", "openai.responses_socket",
         'ws_url="{ws}/v1/responses", base_url="{base}/v1"',
         answering(lambda base: OpenAIResponsesLLMService(
             ws_url=f"{ws(base)}/v1/responses", base_url=f"{base}/v1", **SOON, **KEY)),
         is_socket=True),
    case(AnthropicLLMService, "message", "anthropic.messages", 'client=AsyncAnthropic(base_url="{base}")',
         answering(lambda base: AnthropicLLMService(
             client=AsyncAnthropic(base_url=base, timeout=TIMEOUT_S, **KEY), **KEY))),
)  # fmt: skip
STT = (
    case(DeepgramSTTService, "stream", "deepgram.listen", 'base_url="{base}"',
         listening(lambda base: DeepgramSTTService(base_url=base, **KEY)), is_socket=True),
    case(DeepgramFluxSTTService, "stream", "deepgram.flux", 'url="{ws}/v2/listen"',
         listening(lambda base: DeepgramFluxSTTService(url=f"{ws(base)}/v2/listen", **SOON, **KEY)), is_socket=True),
    case(AssemblyAISTTService, "stream", "assemblyai.live", 'api_endpoint_base_url="{ws}/v3/ws"',
         listening(lambda base: AssemblyAISTTService(api_endpoint_base_url=f"{ws(base)}/v3/ws", **SOON, **KEY)),
         is_socket=True),
    case(CartesiaTurnsSTTService, "stream", "cartesia.turns", 'url="{ws}/stt/turns/websocket"',
         listening(lambda base: CartesiaTurnsSTTService(url=f"{ws(base)}/stt/turns/websocket", **SOON, **KEY)),
         is_socket=True),
    case(OpenAIRealtimeSTTService, "stream", "openai.realtime", 'base_url="{ws}/v1/realtime"',
         listening(lambda base: OpenAIRealtimeSTTService(base_url=f"{ws(base)}/v1/realtime", **SOON, **KEY)),
         is_socket=True),
    case(OpenAISTTService, "recording", "openai.transcriptions", 'base_url="{base}/v1"',
         recognising(lambda base: OpenAISTTService(base_url=f"{base}/v1", **KEY))),
    case(GroqSTTService, "recording", "groq.transcriptions", 'base_url="{base}/openai/v1"',
         recognising(lambda base: GroqSTTService(base_url=f"{base}/openai/v1", **KEY))),
)  # fmt: skip
TTS = (
    case(DeepgramTTSService, "stream", "deepgram.speak", 'base_url="{ws}"',
         speaking(lambda base: DeepgramTTSService(base_url=ws(base), **SOON, **KEY)), is_socket=True),
    case(DeepgramFluxTTSService, "stream", "deepgram.flux_speak", 'url="{ws}/v2/speak"',
         speaking(lambda base: DeepgramFluxTTSService(url=f"{ws(base)}/v2/speak", **SOON, **KEY)), is_socket=True),
    case(DeepgramHttpTTSService, "sentence", "deepgram.speech", 'base_url="{base}", aiohttp_session=http',
         speaking_http(lambda base, http: DeepgramHttpTTSService(base_url=base, aiohttp_session=http, **KEY))),
    case(CartesiaTTSService, "stream", "cartesia.tts", 'url="{ws}/tts/websocket"',
         speaking(lambda base: CartesiaTTSService(
             url=f"{ws(base)}/tts/websocket", settings=CartesiaTTSService.Settings(voice="v"), **SOON, **KEY)), is_socket=True),
    case(CartesiaHttpTTSService, "sentence", "cartesia.bytes", 'base_url="{base}"',
         speaking_http(lambda base, http: CartesiaHttpTTSService(
             base_url=base, aiohttp_session=http, settings=CartesiaHttpTTSService.Settings(voice="v"), **KEY))),
    case(ElevenLabsTTSService, "stream", "elevenlabs.contexts", 'url="{ws}"',
         speaking(lambda base: ElevenLabsTTSService(
             url=ws(base), settings=ElevenLabsTTSService.Settings(voice="v"), **SOON, **KEY)), is_socket=True),
    case(ElevenLabsHttpTTSService, "sentence", "elevenlabs.speech", 'base_url="{base}", aiohttp_session=http',
         speaking_http(lambda base, http: ElevenLabsHttpTTSService(
             base_url=base, aiohttp_session=http, settings=ElevenLabsHttpTTSService.Settings(voice="v"), **KEY))),
    case(OpenAITTSService, "sentence", "openai.speech", 'base_url="{base}/v1"',
         speaking(lambda base: OpenAITTSService(base_url=f"{base}/v1", **KEY))),
    case(PiperHttpTTSService, "sentence", "piper.speech", 'base_url="{base}/synthesize", aiohttp_session=http',
         speaking_http(lambda base, http: PiperHttpTTSService(base_url=f"{base}/synthesize", aiohttp_session=http))),
)  # fmt: skip
CASES = (*LLM, *STT, *TTS)
