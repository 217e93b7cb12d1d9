"""Models without a price: served and said so, refused, or estimated, as the configuration has it."""

from __future__ import annotations

import logging

import pytest
import voice_prices

from tests.budgets.conftest import CHAT, StartBudgeted
from tests.budgets.test_sockets import SPEAK, generation
from tests.sidecar import raw_server

NEW = {**CHAT, "model": "gpt-99-unheard-of"}


async def test_warn_serves_it_at_an_unknown_cost_and_logs_it_once(
    start_budgeted: StartBudgeted, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_budgeted("block", 1.0) as bench:
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                assert (await bench.chat(NEW))[0] == 200
        rows = await bench.sidecar.rows(3)
        assert {(row.cost_nanousd, row.cost_source) for row in rows} == {(None, "none")}
        found = await bench.sidecar.get_json("/v1/costs?period=today")
        assert (found["unpriced"], found["total_usd"]) == (3, 0)
        assert bench.open_holds == 0
    told = [record for record in caplog.records if record.message.startswith("no price is known")]
    assert len(told) == 1


@pytest.mark.parametrize("streamed", [False, True])
async def test_block_refuses_it_before_a_byte_goes_upstream(start_budgeted: StartBudgeted, streamed: bool) -> None:
    async with start_budgeted("warn", 1.0, unpriced="block") as bench:
        status, answer = await bench.chat({**NEW, "stream": streamed})
        assert (status, answer.headers["X-VoiceGW-Error"]) == (402, "unpriced_model")
        assert "gpt-99-unheard-of" in (await answer.json())["error"]["message"]
        assert (await bench.chat())[0] == 200
        upload = {"model": "whisper-99"}
        async with bench.sidecar.http.post(bench.url("/openai/v1/audio/transcriptions"), data=upload) as refused:
            assert refused.status == 402
        assert len(bench.simulator.ledger.entries()) == 1
        rows = await bench.sidecar.rows(3)
        assert [(row.status, row.error, row.cost_nanousd == 0) for row in rows] == [
            ("refused", "unpriced_model", True), ("ok", None, False), ("refused", "unpriced_model", True)]  # fmt: skip
        assert rows[0].usage.input_tokens is None
        assert bench.open_holds == 0


async def test_block_lets_unknown_endpoints_and_local_models_through(start_budgeted: StartBudgeted) -> None:
    async def script(reader: object, writer: object) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")  # type: ignore[attr-defined]

    async with raw_server(script) as url, start_budgeted("warn", 1.0, unpriced="block", ollama=url) as bench:
        async with bench.sidecar.http.post(bench.url("/ollama/v1/chat/completions"), json=NEW) as answer:
            assert answer.status == 200
        async with bench.sidecar.http.post(bench.url("/openai/v1/embeddings"), json={}) as answer:
            assert answer.status == 404


async def test_block_refuses_a_socket_by_its_address_or_by_its_first_message(start_budgeted: StartBudgeted) -> None:
    async with start_budgeted("warn", 1.0, unpriced="block") as bench:
        path = "/deepgram/v1/listen?model=nova-99&encoding=linear16&sample_rate=16000"
        async with bench.sidecar.http.get(bench.url(path), headers={"Upgrade": "websocket"}) as answer:
            assert (answer.status, answer.headers["X-VoiceGW-Error"]) == (402, "unpriced_model")
        async with bench.sidecar.http.ws_connect(bench.url(SPEAK)) as socket:
            await socket.send_json({**generation("one", "Hello."), "model_id": "unheard-of"})
            assert (await socket.receive_json(timeout=5))["type"] == "error"
            assert (await socket.receive(timeout=5)).data == 1008
        assert bench.simulator.ledger.work("cartesia.tts") == []


async def test_estimate_charges_the_dearest_model_of_the_provider_and_flags_it(start_budgeted: StartBudgeted) -> None:
    async with start_budgeted("block", 100.0, unpriced="estimate") as bench:
        assert (await bench.chat(NEW))[0] == 200
        [row] = await bench.sidecar.rows(1)
        [openai] = [provider for provider in voice_prices.data.providers if provider.id == "openai"]
        usage = voice_prices.Usage(input_tokens=row.usage.input_tokens, output_tokens=row.usage.output_tokens)
        dearest = 0
        for model in openai.models:
            try:
                price = voice_prices.calc_price(usage, model.id, provider_id="openai")
            except LookupError:  # the catalogue lists some that it cannot find by their own name
                continue
            if not price.unpriced_usage:
                dearest = max(dearest, round(price.total_price * 10**9))
        assert (row.cost_source, row.estimated) == ("estimate", True)
        assert row.cost_nanousd == max(dearest, 6_000_000)
        spent = bench.sidecar.running.runtime.budgets.standing("acme").spent_nanousd
        assert spent == row.cost_nanousd
