"""Pipecat's services, each in a pipeline of its own; with a shorter wait between reconnects where they take one."""

from __future__ import annotations

import os
import warnings
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

import aiohttp
from anthropic import AsyncAnthropic

from tests.clients.case import Case
from tests.clients.cases import pipecat_harness as harness
from tests.simulator.test_openai import ASKED

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Pipecat's about itself
    from pipecat.frames.frames import (
        Frame,
        LLMContextFrame,
        LLMFullResponseEndFrame,
        LLMTextFrame,
        TranscriptionFrame,
        TTSAudioRawFrame,
        TTSSpeakFrame,
        TTSTextFrame,
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

    PiperHttpTTSService = harness.piper_http_service()

TEXT = "Your order has left the warehouse. It arrives on Friday."
KEY: dict[str, Any] = {"api_key": "k"}
SOON: dict[str, Any] = {"reconnect_backoff_min_wait": 0.05, "reconnect_backoff_max_wait": 0.05}
"""Pipecat's own arguments of most sockets' services: not 4 s between attempts to connect again."""
PATIENCE_S = 2.0
"""The time limit of HTTP clients that a service takes; less than the 3 s after which silent speech is over."""
SLOW_S = 20.0
"""For services that need 8 to 12 s to give up, as their 4 s cannot be shortened, or their SDK tries three times."""
NO_HANG = frozenset({"401", "402", "429", "500", "reset", "truncated", "1011"})
"""Sockets wait 10 s for a handshake and try four of them; to OpenAI's and Groq's SDKs Pipecat gives no time limit."""
TRIED_AGAIN = 4
"""Refused handshakes after which Pipecat gives a service up; 400, 401, 403, 404 and 422 are not repeated."""

Run = Callable[[str], Awaitable[object]]
Make = Callable[[str], FrameProcessor]


def answering(make: Make) -> Run:
    """A chat of one message; returns the answer's text."""

    async def run(base: str) -> object:
        out = await harness.answer(make(base), [LLMContextFrame(LLMContext(ASKED))])
        return "".join(frame.text for frame in out if isinstance(frame, LLMTextFrame))

    return run


async def conversing(base: str) -> object:
    """A sentence to a model that hears and speaks; returns what it said, and how long it was.

    Pipecat says nothing of a connection that breaks, and opens no other.
    """
    service = OpenAIRealtimeLLMService(base_url=f"{ws(base)}/v1/realtime", **KEY)
    out = await harness.answer_live(service, harness.sentence(after_s=1.0), LLMFullResponseEndFrame)
    return "".join(frame.text for frame in out if isinstance(frame, TTSTextFrame)), spoken_s(out)


def speaking(make: Make) -> Run:
    """One utterance; returns its length in seconds, which is all that tells of a socket that broke in its midst."""

    async def run(base: str) -> object:
        return spoken_s(await harness.answer(make(base), [TTSSpeakFrame(TEXT)]))

    return run


def listening(make: Make) -> Run:
    """Speech into a socket until something was understood; returns the first final transcript."""

    async def run(base: str) -> object:
        return transcript(await harness.listen(make(base), TranscriptionFrame))

    return run


async def listening_at_root(base: str) -> object:
    """Speech to Cartesia's older service, which keeps a base URL's host and drops its path."""
    async with harness.root_of(base) as (root, headers):
        service = CartesiaSTTService(base_url=ws(root), extra_headers=headers, **SOON, **KEY)
        return transcript(await harness.listen(service, TranscriptionFrame))


def recognising(make: Make) -> Run:
    """One sentence of a service that waits for its end; returns its transcript."""

    async def run(base: str) -> object:
        return transcript(await harness.answer(make(base), harness.sentence()))

    return run


def with_http(run: Callable[[Make], Run], make: Callable[[str, aiohttp.ClientSession], FrameProcessor]) -> Run:
    """The same for a service that is given its HTTP client."""

    async def run_with_http(base: str) -> object:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=PATIENCE_S)) as http:
            return await run(lambda base: make(base, http))(base)

    return run_with_http


def spoken_s(out: list[Frame]) -> float:
    return round(sum(f.num_frames / f.sample_rate for f in out if isinstance(f, TTSAudioRawFrame)), 1)


def transcript(out: list[Frame]) -> str:
    return next((frame.text for frame in out if isinstance(frame, TranscriptionFrame)), "")


def ws(base: str) -> str:
    return base.replace("http://", "ws://", 1)


def groq_tts(base: str) -> FrameProcessor:
    """Groq's speech, whose only address is an environment variable, read when the service is made."""
    with patch.dict(os.environ, GROQ_BASE_URL=base):
        return GroqTTSService(**KEY)


def case(service: type[FrameProcessor], call: str, endpoint: str, arguments: str, run: Run, **more: Any) -> Case:
    """A case whose line to paste is the constructor with these arguments, or a variable of the environment."""
    provider = endpoint.partition(".")[0]
    name = service.__name__
    paste = arguments if arguments.startswith("GROQ_BASE_URL=") else f"{name}({arguments})"
    return Case(f"Pipecat {name}", call, provider, endpoint, paste, run, **more)


def socket(service: type[FrameProcessor], endpoint: str, arguments: str, run: Run, **more: Any) -> Case:
    return case(service, "stream", endpoint, arguments, run, is_socket=True, faults=NO_HANG, **more)


LLM = (
    case(OpenAILLMService, "chat", "openai.chat", 'base_url="{base}/v1"',
         answering(lambda base: OpenAILLMService(base_url=f"{base}/v1", **KEY)), faults=NO_HANG),
    case(GroqLLMService, "chat", "groq.chat", 'base_url="{base}/openai/v1"',
         answering(lambda base: GroqLLMService(base_url=f"{base}/openai/v1", **KEY)), faults=NO_HANG),
    case(OLLamaLLMService, "chat", "ollama.openai_chat", 'base_url="{base}/v1"',
         answering(lambda base: OLLamaLLMService(base_url=f"{base}/v1")), faults=NO_HANG),
    case(OpenAIResponsesHttpLLMService, "response", "openai.responses", 'base_url="{base}/v1"',
         answering(lambda base: OpenAIResponsesHttpLLMService(base_url=f"{base}/v1", **KEY)), faults=NO_HANG),
    case(AnthropicLLMService, "message", "anthropic.messages", 'client=AsyncAnthropic(base_url="{base}")',
         answering(lambda base: AnthropicLLMService(
             client=AsyncAnthropic(base_url=base, timeout=PATIENCE_S, **KEY), **KEY)), limit_s=SLOW_S),
    socket(OpenAIResponsesLLMService, "openai.responses_socket",
           'ws_url="{ws}/v1/responses", base_url="{base}/v1"',
           answering(lambda base: OpenAIResponsesLLMService(
               ws_url=f"{ws(base)}/v1/responses", base_url=f"{base}/v1", **SOON, **KEY)), refused_attempts=TRIED_AGAIN),
    socket(OpenAIRealtimeLLMService, "openai.realtime", 'base_url="{ws}/v1/realtime"', conversing, break_after=12,
           is_unpriced="the catalogue does not know Pipecat's default, `gpt-realtime-2.1`"),
)  # fmt: skip
STT = (
    socket(DeepgramSTTService, "deepgram.listen", 'base_url="{base}"',
           listening(lambda base: DeepgramSTTService(base_url=base, **KEY)), limit_s=SLOW_S),  # no 4xx is repeated
    socket(DeepgramFluxSTTService, "deepgram.flux", 'url="{ws}/v2/listen"',
           listening(lambda base: DeepgramFluxSTTService(url=f"{ws(base)}/v2/listen", **KEY)),
           refused_attempts=TRIED_AGAIN, break_after=2, limit_s=SLOW_S, leaves_early=True),
    socket(AssemblyAISTTService, "assemblyai.live", 'api_endpoint_base_url="{ws}/v3/ws"',
           listening(lambda base: AssemblyAISTTService(api_endpoint_base_url=f"{ws(base)}/v3/ws", **SOON, **KEY)),
           refused_attempts=TRIED_AGAIN, break_after=2),
    socket(CartesiaSTTService, "cartesia.manual",
           'base_url="ws://127.0.0.1:8080", extra_headers={"X-VoiceGW-Project": "acme"}',
           listening_at_root, refused_attempts=TRIED_AGAIN),
    socket(CartesiaTurnsSTTService, "cartesia.turns", 'url="{ws}/stt/turns/websocket"',
           listening(lambda base: CartesiaTurnsSTTService(url=f"{ws(base)}/stt/turns/websocket", **SOON, **KEY)),
           refused_attempts=TRIED_AGAIN, break_after=2),
    socket(OpenAIRealtimeSTTService, "openai.realtime", 'base_url="{ws}/v1/realtime"',
           listening(lambda base: OpenAIRealtimeSTTService(base_url=f"{ws(base)}/v1/realtime", **SOON, **KEY)),
           refused_attempts=TRIED_AGAIN, break_after=3),
    case(OpenAISTTService, "recording", "openai.transcriptions", 'base_url="{base}/v1"',
         recognising(lambda base: OpenAISTTService(base_url=f"{base}/v1", **KEY)), faults=NO_HANG),
    case(GroqSTTService, "recording", "groq.transcriptions", 'base_url="{base}/openai/v1"',
         recognising(lambda base: GroqSTTService(base_url=f"{base}/openai/v1", **KEY)), faults=NO_HANG),
    case(ElevenLabsSTTService, "recording", "elevenlabs.transcribe", 'base_url="{base}"',
         with_http(recognising, lambda base, http: ElevenLabsSTTService(base_url=base, aiohttp_session=http, **KEY))),
)  # fmt: skip
TTS = (
    socket(DeepgramTTSService, "deepgram.speak", 'base_url="{ws}"',
           speaking(lambda base: DeepgramTTSService(base_url=ws(base), **SOON, **KEY)),
           refused_attempts=2, break_after=2),  # as the pipeline is set up, and again for the text
    socket(DeepgramFluxTTSService, "deepgram.flux_speak", 'url="{ws}/v2/speak"',
           speaking(lambda base: DeepgramFluxTTSService(url=f"{ws(base)}/v2/speak", **KEY)),
           refused_attempts=2, break_after=3, limit_s=SLOW_S, is_unpriced="Deepgram publishes none"),
    socket(CartesiaTTSService, "cartesia.tts", 'url="{ws}/tts/websocket"',
           speaking(lambda base: CartesiaTTSService(
               url=f"{ws(base)}/tts/websocket", settings=CartesiaTTSService.Settings(voice="v"), **SOON, **KEY)),
           refused_attempts=3),  # twice for the text
    socket(ElevenLabsTTSService, "elevenlabs.contexts", 'url="{ws}"',
           speaking(lambda base: ElevenLabsTTSService(
               url=ws(base), settings=ElevenLabsTTSService.Settings(voice="v"), **SOON, **KEY)), refused_attempts=2),
    case(DeepgramHttpTTSService, "sentence", "deepgram.speech", 'base_url="{base}"',
         with_http(speaking, lambda base, http: DeepgramHttpTTSService(base_url=base, aiohttp_session=http, **KEY))),
    case(CartesiaHttpTTSService, "sentence", "cartesia.bytes", 'base_url="{base}"',
         with_http(speaking, lambda base, http: CartesiaHttpTTSService(
             base_url=base, aiohttp_session=http, settings=CartesiaHttpTTSService.Settings(voice="v"), **KEY))),
    case(ElevenLabsHttpTTSService, "sentence", "elevenlabs.speech", 'base_url="{base}"',
         with_http(speaking, lambda base, http: ElevenLabsHttpTTSService(
             base_url=base, aiohttp_session=http, settings=ElevenLabsHttpTTSService.Settings(voice="v"), **KEY))),
    case(OpenAITTSService, "sentence", "openai.speech", 'base_url="{base}/v1"',
         speaking(lambda base: OpenAITTSService(base_url=f"{base}/v1", **KEY)), faults=NO_HANG),
    case(GroqTTSService, "sentence", "groq.speech", "GROQ_BASE_URL={base}",
         speaking(groq_tts), faults=NO_HANG),
    case(PiperHttpTTSService, "sentence", "piper.speech", 'base_url="{base}/synthesize"',
         with_http(speaking, lambda base, http: PiperHttpTTSService(
             base_url=f"{base}/synthesize", aiohttp_session=http))),
)  # fmt: skip
CASES = (*LLM, *STT, *TTS)
