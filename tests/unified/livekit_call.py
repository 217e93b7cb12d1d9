"""A short call held by unmodified LiveKit Agents whose models are names: all of it goes through the sidecar."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from livekit.agents import Agent, AgentSession
from livekit.agents.utils import http_context

from tests.sessions.conversation import until
from tests.sessions.livekit_phone import LiveKitPhone, Microphone
from tests.simulator.sounds import PCM, spoken
from voicegw_sidecar.simulator import Listening, Script, Speaking, Thinking

GREETING = "Hydrangea and Sons, hello."
SAYS = ("Where is my marmalade?", "Thank you.")
ANSWERS = ("It left the warehouse this morning. You will have it on Thursday.", "Goodbye and thanks.")
SECRET = "a secret of at least thirty-two letters"
_LEAD_S = 0.3  # of silence, which `spoken` begins with


def script() -> Script:
    """The providers of the call: quick, and with a voice that comes faster than it is played."""
    ear = Listening(final_ms=60.0, utterances=SAYS)
    voice = Speaking(first_audio_ms=40.0, s_per_char=0.02, pace=4.0)
    return Script(
        chat=Thinking(first_token_ms=60.0, token_interval_ms=4.0, answers=ANSWERS),
        listen=ear, turns=ear, transcription=ear, speech=voice, speak=voice, tts=voice,
    )  # fmt: skip


@contextmanager
def inference_at(url: str, key: str = "devkey") -> Iterator[None]:
    """The environment in which LiveKit's agents find their inference at ``url``."""
    changes = {"LIVEKIT_INFERENCE_URL": url, "LIVEKIT_API_KEY": key, "LIVEKIT_API_SECRET": SECRET}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


@asynccontextmanager
async def answered(stt: str, llm: str, tts: str) -> AsyncIterator[LiveKitPhone]:
    """An agent that has greeted; it has hung up at the end."""
    async with http_context.open():
        session: AgentSession[None] = AgentSession(
            stt=stt, llm=llm, tts=tts, turn_handling={"turn_detection": "vad", "interruption": {"mode": "vad"}}
        )  # type: ignore[arg-type]  # names of models, as a person writes them
        phone = LiveKitPhone()
        session.input.audio, session.output.audio = Microphone(phone.mouth), phone
        await session.start(Agent(instructions="You answer the phone. Be brief."))
        try:
            _ = session.say(GREETING)
            yield phone
        finally:
            await session.aclose()


async def hold(phone: LiveKitPhone) -> None:
    """Be greeted, say two things, and hear both answers to their end."""
    lead_bytes = round(_LEAD_S * PCM.bytes_per_s)
    await until(lambda: phone.over == 1)
    for number, says in enumerate(SAYS):
        phone.mouth.say(spoken(says, after_s=0.0)[lead_bytes:])
        await until(lambda number=number: phone.over == number + 2)  # type: ignore[misc]


async def quiet(seconds: float = 0.3) -> None:
    """Let the last words arrive."""
    await asyncio.sleep(seconds)
