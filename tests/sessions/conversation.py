"""Holds a conversation with an agent, whatever it is made of: who speaks, and who waits for what.

Nothing waits for a time: the person speaks when the agent is through, has asked, or is heard.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Protocol

from msgspec.structs import replace

from tests.sessions.scene import TURNS, Turn
from tests.sessions.truth import Held, held
from tests.simulator.sounds import PCM, frames
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.simulator.speech import silence

FRAME_S = 0.02
PATIENCE_S = 15.0
_CUT_IN_S = 0.5  # so much of an answer is heard before the person cuts in
_SLOW_MS = 5000.0  # an answer to half a sentence takes longer than the person takes to say the other half


class Mouth:
    """The person's microphone: frames of `FRAME_S` in real time, silence where nothing is said."""

    def __init__(self) -> None:
        self._said: deque[bytes] = deque()
        self._due_s: float | None = None
        self._quiet = silence(PCM, FRAME_S)

    @property
    def is_talking(self) -> bool:
        """True until all that is to be said was said."""
        return bool(self._said)

    def say(self, sound: bytes) -> None:
        """Speak, beginning with the next frame."""
        self._said.extend(frames(sound, FRAME_S))

    async def frame(self) -> bytes:
        """Return the next frame when its time has come."""
        loop = asyncio.get_running_loop()
        self._due_s = (loop.time() if self._due_s is None else self._due_s) + FRAME_S
        await asyncio.sleep(max(0.0, self._due_s - loop.time()))
        said = self._said.popleft() if self._said else b""
        return said + self._quiet[len(said) :]


class Phone(Protocol):
    """An agent to the person who speaks with it; it greets first."""

    mouth: Mouth
    over: int
    """Answers that were played to their end or cut off, the greeting included."""
    heard_s: float
    """How much was heard of the answer that is being played."""


async def hold(phone: Phone, simulator: Simulator, sounds: dict[str, bytes]) -> Held:
    """Say all turns; ``sounds`` are those of `speech`.

    An entry of the simulator's belongs to the turn in which it was opened. A turn begins when the person begins to
    speak: by then nothing is asked for any more because of the one before.
    """
    borders = [0]
    for number, turn in enumerate(TURNS):
        await _until_answered(phone, number, is_cut_off=turn.cuts_in)
        borders.append(len(simulator.ledger.entries()))
        await _say(phone, simulator, turn, sounds)
    await _until_answered(phone, len(TURNS))
    entries = simulator.ledger.entries()
    greeting, *turns = (entries[start:end] for start, end in pairwise([*borders, len(entries)]))
    return held(TURNS, greeting, turns)


async def _until_answered(phone: Phone, answers: int, *, is_cut_off: bool = False) -> None:
    """Wait until the agent has greeted and given so many answers; of one that is to be cut off, until it is heard."""
    if is_cut_off:
        await until(lambda: phone.over == answers and phone.heard_s > _CUT_IN_S)
    else:
        await until(lambda: phone.over == answers + 1)


async def _say(phone: Phone, simulator: Simulator, turn: Turn, sounds: dict[str, bytes]) -> None:
    usual, ledger = simulator.script, simulator.ledger
    if turn.goes_on:
        simulator.script = replace(usual, chat=replace(usual.chat, first_token_ms=_SLOW_MS))
    asked = len(ledger.entries("openai.chat"))
    phone.mouth.say(sounds[turn.says])
    if turn.goes_on:
        await until(lambda: len(ledger.entries("openai.chat")) > asked)
        simulator.script = usual
        phone.mouth.say(sounds[turn.goes_on])
    await until(lambda: not phone.mouth.is_talking)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition; fail after `PATIENCE_S`."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)
