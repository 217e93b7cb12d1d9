"""Budgets of requests: warned of, blocked before a byte goes upstream, and never overshot by more than one call."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.budgets.conftest import CALL_USD, CHAT, PRICES, StartBudgeted
from tests.conftest import StartSidecar
from tests.sidecar import raw_server, read_request
from tests.simulator.conftest import quick
from voicegw_sidecar.ledger.budget import DEFAULT_RESERVATION_NANOUSD
from voicegw_sidecar.simulator import Simulator, Thinking
from voicegw_sidecar.terms import Modality


async def test_block_refuses_once_the_budget_is_reached_and_sends_nothing_upstream(
    start_budgeted: StartBudgeted,
) -> None:
    async with start_budgeted("block", 2 * CALL_USD) as bench:
        assert [(await bench.chat())[0] for _ in range(2)] == [200, 200]
        status, answer = await bench.chat()
        assert status == 402
        assert answer.headers["X-VoiceGW-Error"] == "budget_exceeded"
        assert answer.headers["x-should-retry"] == "false"
        assert answer.headers["X-VoiceGW-Project"] == "acme"
        error = (await answer.json())["error"]
        assert error["code"] == error["type"] == "insufficient_quota"
        assert "acme" in error["message"]
        assert len(bench.simulator.ledger.entries("openai.chat")) == 2
        rows = await bench.sidecar.rows(3)
        assert [row.status for row in rows] == ["ok", "ok", "refused"]
        refused = rows[-1]
        assert (refused.id, refused.error, refused.http_status, refused.cost_nanousd) == (
            answer.headers["X-VoiceGW-Exchange"], "budget_exceeded", 402, 0)  # fmt: skip
        found = await bench.sidecar.get_json("/v1/costs?period=today&project=acme")
        assert (found["requests"], found["total_usd"]) == (2, pytest.approx(2 * CALL_USD))
        assert (await bench.chat(project="other"))[0] == 200
        stats = (await bench.sidecar.get_json("/v1/projects"))["stats"]
        assert (stats["acme"]["budget_status"], stats["other"]["budget_status"]) == ("exceeded", "ok")


async def test_what_costs_nothing_passes_a_spent_budget(start_budgeted: StartBudgeted) -> None:
    async with start_budgeted("block", CALL_USD) as bench:
        await bench.chat()
        assert (await bench.chat())[0] == 402
        async with bench.sidecar.http.get(bench.url("/openai/v1/models")) as answer:
            assert answer.status == 200


class Local:
    """A local chat server that says just enough."""

    async def __aenter__(self) -> Local:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                await read_request(reader)
                body = b'{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
                head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % len(body) + body)

        self._server = raw_server(script)
        self.url = await self._server.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._server.__aexit__(None, None, None)


async def test_free_local_models_are_never_refused(start_budgeted: StartBudgeted) -> None:
    async with Local() as local, start_budgeted("block", CALL_USD, ollama=local.url) as bench:
        await bench.chat()
        assert (await bench.chat())[0] == 402
        async with bench.sidecar.http.post(bench.url("/ollama/v1/chat/completions"), json=CHAT) as answer:
            assert answer.status == 200
        assert [row.status for row in await bench.sidecar.rows(3)] == ["ok", "refused", "ok"]


async def test_warn_serves_and_says_so_once_the_budget_is_passed(
    start_budgeted: StartBudgeted, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_budgeted("warn", CALL_USD) as bench:
        with caplog.at_level(logging.WARNING):
            answers = [await bench.chat() for _ in range(3)]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert [answer.headers.get("X-VoiceGW-Budget") for _, answer in answers] == [None, "warn", "warn"]
    told = [record for record in caplog.records if record.message == "daily budget reached"]
    assert [record.project for record in told] == ["acme"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("known", [True, False], ids=["after a call", "before any"])
async def test_a_hundred_concurrent_calls_overshoot_ten_calls_worth_by_one_at_most(
    start_budgeted: StartBudgeted, known: bool
) -> None:
    """The reservation is what a call was seen to cost; before any, the stated default, here what a call costs."""
    script = quick(chat=Thinking(first_token_ms=50.0, token_interval_ms=1.0, answers=("one two three four five six",)))
    default_usd = DEFAULT_RESERVATION_NANOUSD[Modality.LLM] / 1e9
    price = "" if known else f"\n  openai/gpt-4.1: {{input_per_mtok: 0, output_per_mtok: {default_usd / 6 * 1e6}}}\n"
    call_usd = CALL_USD if known else default_usd
    body = {**CHAT, "model": "gpt-4.1-mini" if known else "gpt-4.1"}
    async with start_budgeted("block", 10.5 * call_usd, more=price, script=script) as bench:
        if known:
            assert (await bench.chat(body))[0] == 200
        answers = await asyncio.gather(*(bench.chat(body) for _ in range(100)))
        served = [status for status, _ in answers].count(200) + known
        found = await bench.sidecar.get_json("/v1/costs?period=today&project=acme")
    assert served == 11
    assert 10.5 * call_usd <= found["total_usd"] <= 11.5 * call_usd
    assert len(bench.simulator.ledger.entries("openai.chat")) == served
    assert bench.open_holds == 0


async def test_spend_survives_a_restart_and_so_does_what_is_reserved(start_sidecar: StartSidecar) -> None:
    yaml = f"projects: {{acme: {{daily_budget: {round(1.5 * CALL_USD, 9)}, budget_action: block}}}}\n{PRICES}"
    async with Simulator(quick()) as simulator:
        bases = {"openai": simulator.base_url("openai")}
        for number, expected in enumerate((200, 200, 402)):
            async with start_sidecar(yaml, **bases) as sidecar:
                budgets = sidecar.running.runtime.budgets
                assert budgets.standing("acme").spent_nanousd == pytest.approx(number * CALL_USD * 1e9)
                url = f"{sidecar.url}/p/acme/openai/v1/chat/completions"
                hold = budgets.hold("acme", "openai", "gpt-4.1-mini", Modality.LLM)
                if number:
                    assert hold.reserved_nanousd == CALL_USD * 1e9
                budgets.release(hold)
                async with sidecar.http.post(url, json=CHAT) as answer:
                    assert answer.status == expected


async def test_a_call_that_outgrows_its_reservation_holds_what_it_costs(start_budgeted: StartBudgeted) -> None:
    words = " ".join(["word"] * 400)
    script = quick(chat=Thinking(first_token_ms=5.0, token_interval_ms=10.0, answers=(words,)))
    async with start_budgeted("block", 0.05, script=script) as bench:
        body = {**CHAT, "stream": True}
        async with bench.sidecar.http.post(bench.url("/openai/v1/chat/completions"), json=body) as stream:
            assert stream.status == 200
            assert bench.in_flight_nanousd == DEFAULT_RESERVATION_NANOUSD[Modality.LLM]
            async for _ in stream.content.iter_any():
                if bench.in_flight_nanousd > 60_000_000:
                    break
            assert (await bench.chat())[0] == 402
            stream.close()
        rows = await bench.sidecar.rows(2)
        assert {row.status for row in rows} == {"cancelled", "refused"}
        assert bench.open_holds == 0


async def test_large_uploads_and_unknown_endpoints_are_refused_before_they_are_read(
    start_budgeted: StartBudgeted,
) -> None:
    async with start_budgeted("block", CALL_USD) as bench:
        await bench.chat()
        for path in ("/openai/v1/embeddings", "/openai/v1/audio/transcriptions", "/deepgram/v1/read"):
            async with bench.sidecar.http.post(bench.url(path), data=b"x" * 300_000) as answer:
                assert (answer.status, answer.headers["X-VoiceGW-Error"]) == (402, "budget_exceeded")
        assert len(bench.simulator.ledger.entries()) == 1
