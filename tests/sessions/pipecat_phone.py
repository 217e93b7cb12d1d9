"""A Pipecat pipeline without any of Pipecat's transports: its line is a `Phone`."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.sessions.conversation import Mouth
from tests.sessions.scene import GREETING
from tests.simulator.sounds import PCM

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Pipecat's about itself
    from loguru import logger
    from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
    from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
    from pipecat.audio.vad.silero import SileroVADAnalyzer
    from pipecat.frames.frames import (
        BotStoppedSpeakingFrame,
        CancelFrame,
        EndFrame,
        Frame,
        InputAudioRawFrame,
        OutputAudioRawFrame,
        StartFrame,
        TTSSpeakFrame,
    )
    from pipecat.pipeline.pipeline import Pipeline
    from pipecat.pipeline.worker import PipelineWorker
    from pipecat.processors.aggregators.llm_context import LLMContext
    from pipecat.processors.aggregators.llm_response_universal import (
        LLMContextAggregatorPair,
        LLMUserAggregatorParams,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
    from pipecat.services.cartesia.tts import CartesiaTTSService
    from pipecat.services.deepgram.stt import DeepgramSTTService
    from pipecat.services.llm_service import FunctionCallParams
    from pipecat.services.openai.llm import OpenAILLMService
    from pipecat.transports.base_input import BaseInputTransport
    from pipecat.transports.base_output import BaseOutputTransport
    from pipecat.transports.base_transport import TransportParams
    from pipecat.workers.runner import WorkerRunner

logger.disable("pipecat")

_AUDIO = TransportParams(
    audio_in_enabled=True, audio_out_enabled=True, audio_out_auto_silence=False, audio_out_end_silence_secs=0
)
_TOOL = FunctionSchema(
    name="look_up_weather",
    description="Return the weather in a city.",
    properties={"city": {"type": "string"}},
    required=["city"],
)


class PipecatPhone:
    """The line of a pipeline; `_Microphone`, `_Loudspeaker` and `_Listener` are its ends."""

    def __init__(self) -> None:
        self.mouth = Mouth()
        self.over = 0
        self.heard_s = 0.0


class _Microphone(BaseInputTransport):
    """What the person says, as a transport brings it."""

    def __init__(self, phone: PipecatPhone) -> None:
        super().__init__(_AUDIO)
        self._mouth = phone.mouth
        self._listening: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._listening = self.create_task(self._listen())

    async def stop(self, frame: EndFrame) -> None:
        await self._hang_up()
        await super().stop(frame)

    async def cancel(self, frame: CancelFrame) -> None:
        await self._hang_up()
        await super().cancel(frame)

    async def _hang_up(self) -> None:
        if self._listening is not None:
            await self.cancel_task(self._listening)
            self._listening = None

    async def _listen(self) -> None:
        while True:
            await self.push_audio_frame(InputAudioRawFrame(await self._mouth.frame(), PCM.rate_hz, 1))


class _Loudspeaker(BaseOutputTransport):
    """Plays what it is given in real time, as a transport does."""

    def __init__(self, phone: PipecatPhone) -> None:
        super().__init__(_AUDIO)
        self._phone = phone
        self._due_s = 0.0

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        loop = asyncio.get_running_loop()
        length_s = frame.num_frames / frame.sample_rate
        self._due_s = max(self._due_s, loop.time()) + length_s
        await asyncio.sleep(max(0.0, self._due_s - loop.time()))
        self._phone.heard_s += length_s
        return True


class _Listener(FrameProcessor):
    """Notices when the agent is through with an answer or was cut off."""

    def __init__(self, phone: PipecatPhone) -> None:
        super().__init__(enable_direct_mode=True)
        self._phone = phone

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStoppedSpeakingFrame) and direction is FrameDirection.DOWNSTREAM:
            self._phone.over += 1
            self._phone.heard_s = 0.0
        await self.push_frame(frame, direction)


@asynccontextmanager
async def answered_by_pipecat(base: str) -> AsyncIterator[PipecatPhone]:
    """An agent whose providers are at ``base``; it has hung up at the end.

    All is as Pipecat recommends it: Silero's voice detection, and by default the model that tells the end of a turn.
    Both come with the package.
    """
    phone = PipecatPhone()
    worker = PipelineWorker(_pipeline(phone, base), cancel_on_idle_timeout=False, enable_rtvi=False)
    has_started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_started(_worker: PipelineWorker, _frame: Frame) -> None:
        has_started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    running = asyncio.create_task(runner.run())
    try:
        await has_started.wait()
        await worker.queue_frame(TTSSpeakFrame(GREETING))
        yield phone
    finally:
        await worker.queue_frame(EndFrame())
        await asyncio.wait({running})


def _pipeline(phone: PipecatPhone, base: str) -> Pipeline:
    key: dict[str, Any] = {"api_key": "k"}
    settings = OpenAILLMService.Settings(model="gpt-4.1-mini", system_instruction="You answer the phone. Be brief.")
    llm = OpenAILLMService(base_url=f"{base}/openai/v1", settings=settings, **key)
    llm.register_function(_TOOL.name, _look_up_weather)
    speaking = CartesiaTTSService(
        url=f"{base.replace('http://', 'ws://', 1)}/cartesia/tts/websocket",
        settings=CartesiaTTSService.Settings(voice="v"),
        **key,
    )
    context = LLMContextAggregatorPair(
        LLMContext(tools=ToolsSchema(standard_tools=[_TOOL])),
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()),
    )
    return Pipeline([
        _Microphone(phone), DeepgramSTTService(base_url=f"{base}/deepgram", **key), context.user(), llm, speaking,
        _Loudspeaker(phone), _Listener(phone), context.assistant(),
    ])  # fmt: skip


async def _look_up_weather(asked: FunctionCallParams) -> None:
    await asked.result_callback({"weather": "sunny, 21 degrees"})
