"""Scripted voice agents that hold conversations through a base address until they are stopped.

For the demonstration and for load. They never raise what a provider or the sidecar does to them: it becomes
a `Progress` event, and the conversation goes on or ends.
"""

from __future__ import annotations

import asyncio
import enum
import random
from collections.abc import Awaitable, Callable, Sequence

import aiohttp
import msgspec
from msgspec import Struct

from voicegw_sidecar.simulator.conversation import BargeIn, Conversation
from voicegw_sidecar.simulator.script import Failure, FailureKind, Rule
from voicegw_sidecar.simulator.visit import Crew

_FAILURES_IN_A_ROW = 3

Address = Callable[[str, str], str]
"""Gives the base address for a project and a session; ``/openai/v1/…`` and the like are appended."""


Before = Callable[[str, str], Awaitable[None]]
"""Is waited for before a session begins, with its project and its name."""


class ProgressKind(enum.StrEnum):
    """What happened to an agent."""

    SESSION_STARTED = "session_started"
    TURN = "turn"
    BARGE_IN = "barge_in"
    ERROR = "error"
    SESSION_ENDED = "session_ended"


class Progress(Struct, frozen=True):
    """One thing that happened, for a view of the running agents."""

    kind: ProgressKind
    project: str
    session: str
    turn: int = 0
    audio_s: float | None = None
    """Seconds of speech that came back."""
    error: str | None = None
    """The kind of error and the HTTP status if there is one; never its text."""


class Conduct(Struct, frozen=True):
    """How the agents and their callers behave; ranges are drawn from evenly."""

    turns: tuple[int, int] = (2, 6)
    speech_s: tuple[float, float] = (0.8, 2.2)
    pause_s: tuple[float, float] = (0.3, 1.2)
    """Before the caller speaks, and between sessions."""
    playback_limit_s: float = 2.5
    """An answer is played in real time, but no longer than this."""
    barge_in_share: float = 0.2
    deepgram_voice_share: float = 0.3


def sidecar_address(origin: str) -> Address:
    """Return the addresses of a sidecar: ``<origin>/p/<project>/s/<session>``."""
    return lambda project, session: f"{origin.rstrip('/')}/p/{project}/s/{session}"


def troubles(project: str, every: int = 5) -> tuple[Rule, ...]:
    """Return rules for a simulator's script that let this project's provider calls fail now and then."""
    mark = f"for {project}."  # in the agents' system prompt
    return (
        Rule("openai.chat", Failure(FailureKind.STATUS, status=503), match=mark, every=every),
        Rule("openai.chat", Failure(FailureKind.RESET, after=4), match=mark, every=every * 2 + 1),
        Rule("deepgram.listen", Failure(FailureKind.CLOSE, after=12), match=f"tag={project}", every=3),
    )


async def run_agents(
    address: Address,
    *,
    projects: Sequence[str],
    count: int,
    stop: asyncio.Event | float,
    seed: int = 0,
    conduct: Conduct | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    before: Before | None = None,
) -> None:
    """Run ``count`` agents, spread over the projects, until ``stop``: an event, or seconds.

    The same seed gives the same conversations as far as the providers' timing lets it.
    """
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http, Crew() as crew:
        for index in range(count):
            agent = _Agent(
                http=http,
                address=address,
                project=projects[index % len(projects)],
                name=f"agent{index + 1}",
                random=random.Random(f"{seed}/{index}"),  # noqa: S311 - a script, not a secret
                conduct=conduct or Conduct(),
                on_progress=on_progress or _ignore,
                before=before,
            )
            _ = crew.start(agent.run(), name=f"scripted agent {index + 1}")
        if isinstance(stop, asyncio.Event):
            await stop.wait()
        else:
            await asyncio.sleep(stop)


def _ignore(progress: Progress) -> None:
    pass


class _Agent(Struct):
    """One agent: session after session, of some turns each."""

    http: aiohttp.ClientSession
    address: Address
    project: str
    name: str
    random: random.Random
    conduct: Conduct
    on_progress: Callable[[Progress], None]
    before: Before | None

    async def run(self) -> None:
        number = 0
        while True:
            number += 1
            await asyncio.sleep(self.random.uniform(*self.conduct.pause_s))
            await self._session(f"{self.name}-{number}")

    async def _session(self, session: str) -> None:
        self._tell(ProgressKind.SESSION_STARTED, session)
        deepgram_voice = self.random.random() < self.conduct.deepgram_voice_share
        base = self.address(self.project, session)
        failures = 0
        if self.before is not None:
            try:
                await self.before(self.project, session)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self._tell(ProgressKind.ERROR, session, error=_code(error))
        async with Conversation(self.http, base, self.project, session, deepgram_voice=deepgram_voice) as talk:
            for turn in range(1, self.random.randint(*self.conduct.turns) + 1):
                try:
                    await self._turn(talk, session, turn)
                    failures = 0
                except (aiohttp.ClientError, OSError, TimeoutError, msgspec.MsgspecError, LookupError) as error:
                    self._tell(ProgressKind.ERROR, session, turn, error=_code(error))
                    failures += 1
                    if failures == _FAILURES_IN_A_ROW:
                        break
            try:
                await talk.hang_up()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self._tell(ProgressKind.ERROR, session, error=_code(error))
        self._tell(ProgressKind.SESSION_ENDED, session)

    async def _turn(self, talk: Conversation, session: str, turn: int) -> None:
        await asyncio.sleep(self.random.uniform(*self.conduct.pause_s))
        text = await talk.hear(self.random.uniform(*self.conduct.speech_s))
        barge_in = None
        if self.random.random() < self.conduct.barge_in_share:
            barge_in = BargeIn(while_thinking=self.random.random() < 0.5)
        audio_s = await talk.answer(text, barge_in)
        kind = ProgressKind.TURN if barge_in is None else ProgressKind.BARGE_IN
        self._tell(kind, session, turn, audio_s=audio_s)
        if barge_in is None:
            await asyncio.sleep(min(audio_s, self.conduct.playback_limit_s))

    def _tell(
        self, kind: ProgressKind, session: str, turn: int = 0, audio_s: float | None = None, error: str | None = None
    ) -> None:
        self.on_progress(Progress(kind, self.project, session, turn, audio_s, error))


def _code(error: Exception) -> str:
    status = getattr(error, "status", None)
    return type(error).__name__ if status is None else f"{type(error).__name__} {status}"
