"""Runs one Pipecat service as a bot does: in a pipeline, from StartFrame to EndFrame, its errors told by ErrorFrames."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from unittest.mock import Mock, patch

from loguru import logger
from pipecat.frames.frames import (
    ControlFrame,
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
from websockets.protocol import State

from tests.simulator.sounds import PCM, buzz, frames

logger.disable("pipecat")
FRAME_S = 0.05
SPEED = 10
"""How much faster than real time the microphone is."""
POLL_S = 0.005

Heard = list[Frame]
Queue = Callable[[Frame], Awaitable[None]]


class PipecatError(Exception):
    """What a bot's on_error handler was told, and whether Pipecat would give the service more work.

    Its classes are named for Pipecat's categories, as in ``ErrorFrame(quota)``; the status is the provider's, where
    the exception or the text still has it.
    """

    def __init__(self, errors: Sequence[ErrorFrame], *, is_usable: bool) -> None:
        super().__init__("; ".join(error.error for error in errors))
        statuses = dict.fromkeys(filter(None, map(_status, errors)))
        self.status_code = " ".join(["usable" if is_usable else "unusable", *statuses])


@dataclass
class Mark(ControlFrame):
    """Follows what a service is told; it comes out behind what the service answers."""


class Ears(FrameProcessor):
    """Keeps what comes out of the pipeline."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.heard: Heard = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.heard.append(frame)
        await self.push_frame(frame, direction)


async def answer(service: FrameProcessor, said: Iterable[Frame], until: Callable[[Heard], bool] | None = None) -> Heard:
    """Tell a service something and return what comes out until it is through, or until ``until`` is true of it."""

    def is_through(heard: Heard) -> bool:
        return any(isinstance(frame, Mark) for frame in heard) and _is_settled(service)

    async def speak(queue: Queue, heard: Heard) -> None:
        for frame in (*said, Mark()):
            await queue(frame)
        while not (until or is_through)(heard) and service.is_usable:
            await asyncio.sleep(POLL_S)

    return await _run(service, speak)


async def listen(service: FrameProcessor, until: Callable[[Heard], bool]) -> Heard:
    """Let a service hear a microphone until ``until`` is true of what comes out, or Pipecat gives it no more work."""

    async def speak(queue: Queue, heard: Heard) -> None:
        async for frame in _microphone(service):
            if until(heard) or not service.is_usable:
                break
            await queue(frame)

    return await _run(service, speak)


def sentence(length_s: float = 0.6, after_s: float = 0.2) -> list[Frame]:
    """Speech, with what a voice activity detector says of it."""
    audio = [InputAudioRawFrame(data, PCM.rate_hz, 1) for data in frames(buzz(length_s, 0.2, after_s), FRAME_S)]
    return [VADUserStartedSpeakingFrame(), *audio, VADUserStoppedSpeakingFrame()]


async def _microphone(service: FrameProcessor) -> AsyncIterator[Frame]:
    """Sentences without end, each longer than a connection that breaks early; it waits while there is none."""
    while True:
        for frame in sentence(3.0, 1.0):
            while service.is_usable and not _is_connected(service):
                await asyncio.sleep(POLL_S)
            yield frame
            await asyncio.sleep(FRAME_S / SPEED)


async def _run(service: FrameProcessor, speak: Callable[[Queue, Heard], Awaitable[None]]) -> Heard:
    """Run a service in a pipeline of its own; once ``speak`` is over, end it."""
    ears, errors = Ears(), []
    worker = PipelineWorker(Pipeline([service, ears]), cancel_on_idle_timeout=False, enable_rtvi=False)
    has_started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_started(_worker: PipelineWorker, _frame: Frame) -> None:
        has_started.set()

    @service.event_handler("on_error")
    async def on_error(_service: FrameProcessor, error: ErrorFrame) -> None:
        errors.append(error)

    async def speak_and_end() -> None:
        await has_started.wait()
        await speak(worker.queue_frame, ears.heard)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    tasks = [asyncio.create_task(speak_and_end()), asyncio.create_task(runner.run())]
    try:
        await asyncio.wait(tasks[1:])  # not awaited itself: it swallows the cancellation of a run that takes too long
    finally:
        for task in tasks:
            task.cancel()
    if errors:
        raise _failure(errors, is_usable=service.is_usable)
    return ears.heard


def _is_connected(service: FrameProcessor) -> bool:
    """Whether its socket is open; Deepgram's speech-to-text service keeps the SDK's, which has no state."""
    websocket = getattr(service, "_websocket", None)
    return websocket.state is State.OPEN if websocket else getattr(service, "_connection", None) is not None


def _is_settled(service: FrameProcessor) -> bool:
    """Whether it is not about to connect again: it would be counted or not by chance."""
    if getattr(service, "_reconnect_in_progress", False):
        return False
    return getattr(service, "_websocket", None) is None or _is_connected(service)


def _failure(errors: Sequence[ErrorFrame], *, is_usable: bool) -> PipecatError:
    categories = dict.fromkeys((error.category or ErrorCategory.UNKNOWN).value for error in errors)
    return type(f"ErrorFrame({', '.join(categories)})", (PipecatError,), {})(errors, is_usable=is_usable)


def _status(error: ErrorFrame) -> str:
    status = extract_http_status_code(error.exception) if error.exception else None
    shown = re.search(r"\b(?:HTTP|status:?|code:) (\d{3})\b", error.error)
    return str(status) if status else shown[1] if shown else ""


def piper_http_service() -> type[FrameProcessor]:
    """Piper's HTTP service. Its module asks for the speech engine too, which this service does not use."""
    with patch.dict(sys.modules, {"piper": Mock(), "piper.download_voices": Mock()}):
        from pipecat.services.piper.tts import PiperHttpTTSService
    return PiperHttpTTSService
