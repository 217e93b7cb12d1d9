"""Runs one Pipecat service as a bot does: in a pipeline, from StartFrame to EndFrame, its errors told by ErrorFrames."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from unittest.mock import Mock, patch

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.errors import ErrorCategory, extract_http_status_code
from pipecat.workers.runner import WorkerRunner

from tests.simulator.sounds import PCM, buzz, frames

logger.disable("pipecat")
FRAME_S = 0.02
SPEED = 4
"""How much faster than real time the microphone is."""


class PipecatError(Exception):
    """What a bot's on_error handler was told, and whether Pipecat still gives the service work."""

    def __init__(self, errors: Sequence[ErrorFrame], *, is_usable: bool) -> None:
        super().__init__("; ".join(error.error for error in errors))
        said = dict.fromkeys(filter(None, map(_status, errors)))
        self.status_code = " ".join(["usable" if is_usable else "unusable", *said])


class SilentError(Exception):
    """The service ended without an answer and without an ErrorFrame."""

    status_code: str


class Ears(FrameProcessor):
    """Keeps what comes out of the pipeline."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.heard: list[Frame] = []
        self.changed = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.heard.append(frame)
            self.changed.set()
        await self.push_frame(frame, direction)


async def run(
    service: FrameProcessor, said: Sequence[Frame] = (), until: Callable[[list[Frame]], bool] | None = None
) -> list[Frame]:
    """Run a service from StartFrame to EndFrame and return what came out of it.

    Without ``until`` the EndFrame follows at once what is ``said``: the service answers first. With it, a microphone
    speaks over and over until it is true of what came out, or Pipecat gives the service no more work.
    """
    ears, errors = Ears(), []
    worker = PipelineWorker(Pipeline([service, ears]), cancel_on_idle_timeout=False, enable_rtvi=False)
    started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_started(_worker: PipelineWorker, _frame: Frame) -> None:
        started.set()

    @service.event_handler("on_error")
    async def on_error(_service: FrameProcessor, error: ErrorFrame) -> None:
        errors.append(error)

    async def speak() -> None:
        await started.wait()
        for frame in said:
            await worker.queue_frame(frame)
        if until is not None:
            async for frame in microphone():
                if until(ears.heard) or not service.is_usable:
                    break
                await worker.queue_frame(frame)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    speaking, running = asyncio.create_task(speak()), asyncio.create_task(runner.run())
    try:
        await asyncio.wait([running])
    finally:
        speaking.cancel()
        running.cancel()
    if errors:
        raise failure(errors, is_usable=service.is_usable)
    return ears.heard


async def microphone() -> AsyncIterator[Frame]:
    """A sentence and a pause, over and over, with what a voice activity detector says of it."""
    while True:
        yield VADUserStartedSpeakingFrame()
        for data in frames(buzz(0.6, 0.2, 0.2), FRAME_S):
            yield sound(data)
            await asyncio.sleep(FRAME_S / SPEED)
        yield VADUserStoppedSpeakingFrame()
        for data in frames(buzz(0.0, 0.4, 0.4), FRAME_S):
            yield sound(data)
            await asyncio.sleep(FRAME_S / SPEED)


def sound(data: bytes) -> InputAudioRawFrame:
    return InputAudioRawFrame(data, PCM.rate_hz, 1)


def failure(errors: Sequence[ErrorFrame], *, is_usable: bool) -> PipecatError:
    """A PipecatError whose class is named for Pipecat's category, as in ``ErrorFrame(quota)``."""
    categories = dict.fromkeys((error.category or ErrorCategory.UNKNOWN).value for error in errors)
    kind = type(f"ErrorFrame({', '.join(categories)})", (PipecatError,), {})
    return kind(errors, is_usable=is_usable)


def _status(error: ErrorFrame) -> str:
    """The status that the provider refused with, where Pipecat still knows it."""
    status = extract_http_status_code(error.exception) if error.exception else None
    return str(status) if status else ""


def piper_http_service() -> type[FrameProcessor]:
    """Piper's HTTP service. Its module asks for the speech engine too, which this service does not use."""
    with patch.dict(sys.modules, {"piper": Mock(), "piper.download_voices": Mock()}):
        from pipecat.services.piper.tts import PiperHttpTTSService
    return PiperHttpTTSService
