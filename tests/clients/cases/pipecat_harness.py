"""Runs a Pipecat service as a bot does: in a pipeline, from StartFrame to EndFrame, its errors told by ErrorFrames."""

from __future__ import annotations

import asyncio
import re
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from unittest.mock import Mock, patch

from loguru import logger
from websockets.protocol import State

from tests.simulator.sounds import PCM, buzz, frames

logger.disable("pipecat")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of Pipecat's about itself
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

FRAME_S = 0.05
SPEED = 10
"""How much faster than real time the microphone is."""
POLL_S = 0.005

Queue = Callable[[Frame], Awaitable[None]]


class PipecatError(Exception):
    """What a bot's on_error handler was told, and whether Pipecat would give the service more work.

    Its classes are named for Pipecat's categories, as in ``ErrorFrame(quota)``; the status is the provider's, where
    the exception or the text still has it.
    """

    def __init__(self, errors: Sequence[ErrorFrame], *, is_usable: bool) -> None:
        super().__init__("; ".join(error.error for error in errors))
        self.exceptions = [told for error in errors if (told := error.exception) is not None]
        statuses = dict.fromkeys(filter(None, map(_status, errors)))
        self.status_code = " ".join(["usable" if is_usable else "unusable", *statuses])


class SilentError(Exception):
    """There was neither an answer nor an ErrorFrame."""


@dataclass
class Mark(ControlFrame):
    """Follows what a service is told; it comes out behind what the service answers."""


class Ears(FrameProcessor):
    """Keeps what comes out of the pipeline, and what a service's error handler is told."""

    def __init__(self) -> None:
        super().__init__(enable_direct_mode=True)
        self.heard: list[Frame] = []
        self.errors: list[ErrorFrame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is FrameDirection.DOWNSTREAM:
            self.heard.append(frame)
        await self.push_frame(frame, direction)

    def has(self, kind: type[Frame]) -> bool:
        return any(isinstance(frame, kind) for frame in self.heard)


async def answer(service: FrameProcessor, said: Iterable[Frame]) -> list[Frame]:
    """Tell a service something and return all that it answers."""

    async def speak(queue: Queue, ears: Ears) -> None:
        for frame in (*said, Mark()):
            await queue(frame)
        while service.is_usable and not (ears.has(Mark) and _is_settled(service)):
            await asyncio.sleep(POLL_S)

    return await _run(service, speak)


async def answer_live(service: FrameProcessor, said: Iterable[Frame], end: type[Frame]) -> list[Frame]:
    """Tell something to a service that does not connect again, and return its answer up to ``end``.

    Raises :class:`SilentError` where its connection is over before and Pipecat has told nobody.
    """

    async def speak(queue: Queue, ears: Ears) -> None:
        for frame in said:
            await queue(frame)
        while _is_connected(service) and not ears.errors and not ears.has(end):
            await asyncio.sleep(POLL_S)

    heard = await _run(service, speak)
    if not any(isinstance(frame, end) for frame in heard):
        raise SilentError
    return heard


async def listen(service: FrameProcessor, end: type[Frame]) -> list[Frame]:
    """Let a service hear a microphone until ``end`` comes out, or Pipecat gives it no more work."""

    async def speak(queue: Queue, ears: Ears) -> None:
        async for frame in _microphone(service):
            if ears.has(end) or not service.is_usable:
                break
            await queue(frame)
        while service.is_usable and not _is_settled(service):
            await asyncio.sleep(POLL_S)

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


async def _run(service: FrameProcessor, speak: Callable[[Queue, Ears], Awaitable[None]]) -> list[Frame]:
    """Run a service in a pipeline of its own; once ``speak`` is over, end it."""
    ears = Ears()
    worker = PipelineWorker(Pipeline([service, ears]), cancel_on_idle_timeout=False, enable_rtvi=False)
    has_started = asyncio.Event()

    @worker.event_handler("on_pipeline_started")
    async def on_started(_worker: PipelineWorker, _frame: Frame) -> None:
        has_started.set()

    @service.event_handler("on_error")
    async def on_error(_service: FrameProcessor, error: ErrorFrame) -> None:
        ears.errors.append(error)

    async def speak_and_end() -> None:
        await has_started.wait()
        await speak(worker.queue_frame, ears)
        await worker.queue_frame(EndFrame())

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    tasks = [asyncio.create_task(speak_and_end()), asyncio.create_task(runner.run())]
    try:
        await asyncio.wait(tasks[1:])  # not awaited itself: it swallows the cancellation of a run that takes too long
    finally:
        for task in tasks:
            task.cancel()
    if ears.errors:
        raise _failure(ears.errors, is_usable=service.is_usable)
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


@asynccontextmanager
async def root_of(base: str) -> AsyncIterator[tuple[str, dict[str, str]]]:
    """The address of a base URL's host alone, and headers that say the rest.

    The sidecar is told the project by a header and knows the provider by the path. The simulator stands for every
    provider below a path of its own; in front of it a pipe puts that path back.
    """
    root, _, path = base.removeprefix("http://").partition("/")
    if path.startswith("p/"):
        yield f"http://{root}", {"X-VoiceGW-Project": path.split("/")[1]}
        return
    tasks: set[asyncio.Task[None]] = set()

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
            sink.close()
        except ConnectionError:
            sink.transport.abort()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = root.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        far_writer.write((await reader.readline()).replace(b" /", f" /{path}/".encode(), 1))
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            tasks.add(asyncio.create_task(pass_on(source, sink)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {}
    finally:
        server.close()
        for task in tasks:
            task.cancel()


def piper_http_service() -> type[FrameProcessor]:
    """Piper's HTTP service. Its module asks for the speech engine too, which this service does not use."""
    with patch.dict(sys.modules, {"piper": Mock(), "piper.download_voices": Mock()}):
        from pipecat.services.piper.tts import PiperHttpTTSService
    return PiperHttpTTSService
