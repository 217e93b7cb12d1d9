"""LiveKit Agents without a LiveKit server: an `AgentSession` whose line is a `Phone`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from livekit import rtc
from livekit.agents import Agent, AgentSession, function_tool
from livekit.agents.utils import http_context
from livekit.agents.voice import io
from livekit.plugins import cartesia, deepgram, openai

from tests.sessions.conversation import FRAME_S, Mouth
from tests.sessions.scene import GREETING
from tests.simulator.sounds import PCM

_RATE_HZ = 24_000
_TICK_S = 0.01


class LiveKitPhone(io.AudioOutput):
    """The line of an `AgentSession`: plays what it is given in real time and can be paused, as a room's output can."""

    def __init__(self) -> None:
        super().__init__(label="phone", capabilities=io.AudioOutputCapabilities(pause=True), sample_rate=_RATE_HZ)
        self.mouth = Mouth()
        self.over = 0
        self.heard_s = 0.0
        self._given_s = 0.0
        self._is_whole = self._is_paused = self._is_cleared = False
        self._playing: asyncio.Task[None] | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        self._given_s += frame.duration
        if self._playing is None:
            self._playing = asyncio.create_task(self._play())

    def flush(self) -> None:
        super().flush()
        self._is_whole = True

    def clear_buffer(self) -> None:
        self._is_cleared = self._playing is not None

    def pause(self) -> None:
        super().pause()
        self._is_paused = True

    def resume(self) -> None:
        super().resume()
        self._is_paused = False

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        self._is_whole = self._is_cleared = False
        self.on_playback_started(created_at=time.time())
        now_s = loop.time()
        while not self._is_cleared and not (self._is_whole and self.heard_s >= self._given_s):
            await asyncio.sleep(_TICK_S)
            before_s, now_s = now_s, loop.time()
            if not self._is_paused:
                self.heard_s = min(self.heard_s + now_s - before_s, self._given_s)
        heard_s, self.heard_s, self._given_s, self._playing = self.heard_s, 0.0, 0.0, None
        self.over += 1
        self.on_playback_finished(playback_position=heard_s, interrupted=self._is_cleared)


class Microphone(io.AudioInput):
    """What the agent hears."""

    def __init__(self, mouth: Mouth) -> None:
        super().__init__(label="microphone")
        self._mouth = mouth

    async def __anext__(self) -> rtc.AudioFrame:
        return rtc.AudioFrame(await self._mouth.frame(), PCM.rate_hz, 1, round(FRAME_S * PCM.rate_hz))


class _Desk(Agent):
    """The agent, with the tool that its LLM calls when it is asked about the weather."""

    @function_tool
    async def look_up_weather(self, city: str) -> str:
        """Return the weather in a city."""
        return f"sunny in {city}, 21 degrees"


@asynccontextmanager
async def answered_by_livekit(base: str) -> AsyncIterator[LiveKitPhone]:
    """An agent whose providers are at ``base``; it has hung up at the end.

    All is as LiveKit has it by default, Silero's voice detection and preemptive generation included, but for the end of
    a turn: LiveKit's detector takes a synthesiser's even voice for one that has more to say and waits 2.5 s each time.
    """
    async with http_context.open():
        session: AgentSession[None] = AgentSession(
            stt=deepgram.STT(model="nova-3", api_key="k", base_url=f"{base}/deepgram/v1/listen"),
            llm=openai.LLM(model="gpt-4.1-mini", api_key="k", base_url=f"{base}/openai/v1"),
            tts=cartesia.TTS(api_key="k", base_url=f"{base}/cartesia"),
            turn_handling={"turn_detection": "vad"},
        )
        phone = LiveKitPhone()
        session.input.audio, session.output.audio = Microphone(phone.mouth), phone
        await session.start(_Desk(instructions="You answer the phone. Be brief."))
        try:
            _ = session.say(GREETING)
            yield phone
        finally:
            await session.aclose()
