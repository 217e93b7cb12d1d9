"""No reservation is left behind, whatever happens to ten thousand exchanges."""

from __future__ import annotations

import asyncio
import random

import aiohttp
import pytest

from tests.budgets.conftest import CHAT, Budgeted, StartBudgeted
from tests.budgets.test_sockets import LISTEN, SPEAK, generation
from tests.simulator.conftest import eventually, quick
from voicegw_sidecar.simulator import Failure, FailureKind, Rule, Speaking, Thinking

EXCHANGES = 10_000
AGENTS = 24
CHAT_FAILURES = (
    (Failure(FailureKind.STATUS, status=500), 7),
    (Failure(FailureKind.STATUS, status=429), 11),
    (Failure(FailureKind.RESET, after=1), 13),
    (Failure(FailureKind.TRUNCATE, after=1), 17),
    (Failure(FailureKind.RESET), 19),
)
RULES = (
    *(Rule("openai.chat", failure, every=every) for failure, every in CHAT_FAILURES),
    Rule("cartesia.tts", Failure(FailureKind.CLOSE, after=3), every=5),
    Rule("cartesia.tts", Failure(FailureKind.STATUS, status=402), every=7),
    Rule("deepgram.listen", Failure(FailureKind.RESET, after=1), every=5),
)


async def agent(bench: Budgeted, seed: int, left: list[int]) -> None:
    rng = random.Random(seed)
    while left[0] > 0:
        left[0] -= 1
        try:
            match rng.randrange(12):
                case 0:
                    await speak(bench, rng, left)
                case 1:
                    await listen(bench, rng)
                case 2 | 3:
                    await abandoned(bench, rng)
                case _:
                    await bench.chat({**CHAT, "stream": rng.random() < 0.5})
        except (aiohttp.ClientError, ConnectionError, TimeoutError):
            continue


async def abandoned(bench: Budgeted, rng: random.Random) -> None:
    """A stream that the agent leaves: before its answer, or after some of it."""
    body = {**CHAT, "stream": True}
    async with asyncio.timeout(rng.choice((0.001, 0.005, 5))):
        async with bench.sidecar.http.post(bench.url("/openai/v1/chat/completions"), json=body) as stream:
            async for _ in stream.content.iter_any():
                if rng.random() < 0.5:
                    stream.close()
                    return


async def speak(bench: Budgeted, rng: random.Random, left: list[int]) -> None:
    """Contexts on one socket: finished, cancelled, or left behind."""
    async with bench.sidecar.http.ws_connect(bench.url(SPEAK)) as socket:
        for number in range(rng.randrange(1, 6)):
            left[0] -= 1
            await socket.send_json(generation(str(number), "Hello there."))
            if rng.random() < 0.3:
                await socket.send_json({"context_id": str(number), "cancel": True})
            if rng.random() < 0.5:
                await socket.receive(timeout=1)
        if rng.random() < 0.3 and socket._response.connection is not None:
            socket._response.close()  # gone without a close


async def listen(bench: Budgeted, rng: random.Random) -> None:
    async with bench.sidecar.http.ws_connect(bench.url(LISTEN)) as socket:
        for _ in range(rng.randrange(4)):
            await socket.send_bytes(b"\0" * 3200)


@pytest.mark.timeout(240)
async def test_no_reservation_is_left_after_ten_thousand_mixed_exchanges(start_budgeted: StartBudgeted) -> None:
    chat = Thinking(first_token_ms=0.0, token_interval_ms=0.0, answers=("one two",))
    script = quick(chat=chat, tts=Speaking(first_audio_ms=0.0, s_per_char=0.005, pace=1e6), rules=RULES)
    async with start_budgeted("block", 1e6, script=script) as bench:
        left = [EXCHANGES]
        await asyncio.gather(*(agent(bench, seed, left) for seed in range(AGENTS)))
        await eventually(lambda: bench.sidecar.running.relay.running == 0)
        standing = bench.sidecar.running.runtime.budgets.standing("acme")
        assert (bench.open_holds, standing.in_flight_nanousd) == (0, 0)
        found = await bench.sidecar.get_json("/v1/costs?period=today&project=acme")
        assert found["requests"] > EXCHANGES * 0.7
        assert round(found["total_usd"] * 1e9) == standing.spent_nanousd
        statuses = {
            status: (await bench.sidecar.get_json(f"/v1/logs?status={status}&limit=1"))["logs"]
            for status in ("ok", "cancelled", "upstream_error", "partial", "idle")
        }
        assert all(statuses.values()), statuses
        assert (await bench.sidecar.get_json("/v1/logs?status=open"))["logs"] == []
