"""Work that a provider does after its request was answered, counted once however often it is asked for.

A recording is submitted by one request and asked for by others until its transcript is there. The exchange of
the first stays open until an answer to one of the others says how it ended. Ids that were counted are kept in
the database, so that asking again after a restart counts nothing.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable

from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.observation import Observation
from voicegw_sidecar.providers.base import JobState
from voicegw_sidecar.wire.body import BodyCopy
from voicegw_sidecar.wire.frames import End, Frame, ResponseHead, Side

DEFERRED_LIMIT = 1000
"""Jobs waited for at once; the oldest is given up, its cost unknown."""
HELD_S = 600.0
"""How long a job holds its part of the budget: nobody may ever ask how it ended."""
COUNTED_LIMIT = 10_000
"""Ids remembered as counted; the oldest goes first."""

JobId = tuple[str, str]
"""Provider and its own id of the job."""


class Jobs:
    """The jobs of one sidecar."""

    def __init__(self, counted: Iterable[JobId]) -> None:
        self._deferred: OrderedDict[JobId, Observation] = OrderedDict()
        self._counted: OrderedDict[JobId, None] = OrderedDict.fromkeys(counted)

    def defer(self, job: JobId, observation: Observation, at_ns: int) -> None:
        """Take over an exchange whose result comes later."""
        if job in self._counted or job in self._deferred:
            observation.forget(at_ns)
            return
        self._deferred[job] = observation
        asyncio.get_running_loop().call_later(HELD_S, observation.let_go)
        if len(self._deferred) > DEFERRED_LIMIT:
            self._deferred.popitem(last=False)[1].forget(at_ns)

    def learn(
        self, provider: str, state: JobState, stranger: Callable[[], Observation], at_ns: int
    ) -> Observation | None:
        """Take the news of a job; returns what was closed by it. ``stranger`` begins one that began elsewhere."""
        job = (provider, state.job_id)
        if not (state.is_done or state.error) or job in self._counted:
            return None
        observation = self._deferred.pop(job, None)
        if observation is None:
            if not state.is_done:
                return None
            observation = stranger()
        if state.is_done:
            self._counted[job] = None
            if len(self._counted) > COUNTED_LIMIT:
                self._counted.popitem(last=False)
        observation.finish(state, job, at_ns)
        return observation


class JobObservation:
    """The observer (see ``relay.plan``) of a request that asks how a job stands."""

    def __init__(
        self, jobs: Jobs, provider: str, reads_job: Callable[[bytes], JobState | None],
        stranger: Callable[[], Observation],
    ) -> None:  # fmt: skip
        self._jobs = jobs
        self._provider = provider
        self._reads_job = reads_job
        self._stranger = stranger
        self._body: BodyCopy | None = None
        self._closed: Observation | None = None

    def answered(self, head: ResponseHead, at_ns: int) -> None:
        """Only a success says how a job stands."""
        if 200 <= head.status < 300:
            self._body = BodyCopy(head.content_encoding)

    def frame(self, frame: Frame) -> None:
        """Collect the answer."""
        if frame.side is Side.PROVIDER and self._body is not None:
            self._body.add(frame.data)

    def ended(self, side: Side, end: End, at_ns: int) -> None:
        """Read a whole answer."""
        if side is Side.AGENT or end is not End.COMPLETE or self._body is None:
            return
        body = self._body.content()
        state = None if body is None else self._reads_job(body)
        if state is not None:
            self._closed = self._jobs.learn(self._provider, state, self._stranger, at_ns)

    def failed(self, error: SidecarError, at_ns: int) -> None:
        """Nothing was learned."""

    def closed(self, end: End, at_ns: int) -> None:
        """Nothing more."""

    def degrade(self, at_ns: int) -> None:
        """Nothing to keep."""

    async def settle(self) -> None:
        """Wait for the row that this answer closed."""
        if self._closed is not None:
            await self._closed.settle()
