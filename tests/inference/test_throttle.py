"""A conversation that passes its project's throttle budget goes on with local models: by itself, or by the signal."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import pytest

from tests.clients.cases.livekit import answering, listening, recognising, speaking, speaking_whole
from tests.inference.conftest import OpenPlace
from voicegw_sidecar import inference
from voicegw_sidecar.store.records import ExchangeRow

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PROD = """
projects:
  prod:
    daily_budget: 0.0001
    budget_action: throttle
    throttle_to: {stt: whisper/large-v3, llm: ollama/qwen2.5:3b, tts: kokoro}
    routing: {rosters: {stt: [deepgram/nova-3], llm: [anthropic/claude-haiku-4-5], tts: [cartesia/sonic-3]}}
    providers: {deepgram: {api_key: k}, anthropic: {api_key: k}, cartesia: {api_key: k}}
"""
TURNS = 3
CLOUD, LOCAL = ["deepgram", "anthropic", "cartesia"], ["whisper", "ollama", "kokoro"]


def who_served(rows: list[ExchangeRow]) -> list[str]:
    """Return who served, in turn: a voice asked sentence by sentence once, and of a stream no remaining silence."""
    served = sorted((row for row in rows if row.status != "idle"), key=lambda row: row.started_ns)
    return [provider for provider, _ in groupby(row.provider for row in served)]


async def test_auto_goes_on_without_a_change_of_code(open_place: OpenPlace) -> None:
    """Hearing the first turn spends the budget; every call after it is served, by the stand-ins."""
    async with open_place(PROD) as place:
        inference.set_project("prod")
        async with inference.open_session() as session:
            assert [leg.provider for leg in session.route] == CLOUD
            for _ in range(TURNS):
                assert await listening(lambda _: inference.STT("auto"))("")
                assert await answering(lambda _: inference.LLM("auto"))("")
                assert await speaking(lambda _: inference.TTS("auto"))("")
        rows = await place.sidecar.rows(at_least=3 * TURNS)
    assert {(row.project, row.session_id) for row in rows} == {("prod", session.id)}
    assert "refused" not in {row.status for row in rows}
    order = who_served(rows)
    assert order[0] == "deepgram"
    assert order[3:] == LOCAL * (TURNS - 1)


def hear(model: str) -> Any:
    """As a session hears: utterance by utterance where the model takes no stream."""
    is_stream = model.startswith("deepgram")
    return (listening if is_stream else recognising)(lambda _: inference.STT(model))


def say(model: str) -> Any:
    is_stream = model.startswith("cartesia")
    return (speaking if is_stream else speaking_whole)(lambda _: inference.TTS(model))


class Agent:
    """An agent on its vendors' own plugins, which obeys the signal: tries again with the stand-in, and keeps it."""

    def __init__(self) -> None:
        self.models = {"stt": "deepgram/nova-3", "llm": "anthropic/claude-haiku-4-5", "tts": "cartesia/sonic-3"}

    async def turn(self) -> list[object]:
        return [
            await self.go_on("stt", hear),
            await self.go_on("llm", lambda model: answering(lambda _: inference.LLM(model))),
            await self.go_on("tts", say),
        ]

    async def go_on(self, kind: str, call: Any) -> object:
        try:
            with inference.budget_errors():
                return await call(self.models[kind])("")
        except inference.BudgetThrottleSignal as signal:
            self.models[kind] = str(signal.stand_in)
            return await call(self.models[kind])("")


async def test_named_models_go_on_by_the_signal(open_place: OpenPlace) -> None:
    async with open_place(PROD) as place:
        inference.set_project("prod")
        inference.set_session("call-1")
        agent = Agent()
        for _ in range(TURNS):
            assert all(await agent.turn())
        assert agent.models == {"stt": "whisper/large-v3", "llm": "ollama/qwen2.5:3b", "tts": "kokoro/kokoro"}
        rows = await place.sidecar.rows(at_least=3 * TURNS)
    assert {(row.project, row.session_id) for row in rows} == {("prod", "call-1")}
    refused = [row.provider for row in rows if row.status == "refused"]
    assert sorted(refused) == sorted(set(refused))
    assert set(refused) == set(CLOUD)
