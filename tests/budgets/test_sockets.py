"""Budgets of sockets: refused before the upgrade, inside it by the provider's own error frame and a close with 1008."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from tests.budgets.conftest import Budgeted, StartBudgeted
from tests.simulator.conftest import eventually, quick
from tests.simulator.sounds import buzz, frames
from voicegw_sidecar.simulator import Speaking

LISTEN = "/deepgram/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
SPEAK = "/cartesia/tts/websocket?cartesia_version=2025-04-16"


def generation(context: str, text: str, *, more: bool = False) -> dict[str, Any]:
    return {
        "model_id": "sonic-3", "voice": {"mode": "id", "id": "v"}, "language": "en", "context_id": context,
        "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 16000},
        "transcript": text, "continue": more,
    }  # fmt: skip


async def spend(bench: Budgeted) -> None:
    """Spend acme's budget by a call."""
    assert (await bench.chat())[0] == 200
    assert (await bench.chat())[0] == 402


async def messages_until_done(socket: aiohttp.ClientWebSocketResponse, context: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while not found or not (found[-1].get("done") and found[-1].get("context_id") == context):
        found.append(await socket.receive_json(timeout=5))
    return found


async def test_a_spent_budget_refuses_the_upgrade(start_budgeted: StartBudgeted) -> None:
    async with start_budgeted("block", 0.001) as bench:
        await spend(bench)
        for path in (LISTEN, SPEAK):
            with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
                await bench.sidecar.http.ws_connect(bench.url(path))
            assert caught.value.status == 402
        assert bench.simulator.ledger.entries("deepgram.listen") == []
        rows = await bench.sidecar.rows(4)
        assert [(row.status, row.modality, row.error) for row in rows[2:]] == [
            ("refused", "stt", "budget_exceeded"), ("refused", "tts", "budget_exceeded")]  # fmt: skip
        assert bench.open_holds == 0


async def test_an_open_stream_counts_as_it_grows_and_runs_on(start_budgeted: StartBudgeted) -> None:
    """At 6 USD a minute twenty seconds of audio cost 2 USD; the stream itself is never cut."""
    async with start_budgeted("block", 1.0) as bench:
        async with bench.sidecar.http.ws_connect(bench.url(LISTEN)) as socket:
            assert (await bench.chat())[0] == 200
            for _ in range(2):
                for frame in frames(b"\0" * 320_000, frame_s=0.5):
                    await socket.send_bytes(frame)
                await asyncio.sleep(1.1)  # the running cost is brought up to date once a second
                await socket.send_bytes(b"\0" * 320)
            await eventually(lambda: bench.in_flight_nanousd > 1_900_000_000)
            assert (await bench.chat())[0] == 402
            for frame in frames(buzz(after_s=1.0)):
                await socket.send_bytes(frame)
            async with asyncio.timeout(5):
                while True:
                    message = await socket.receive_json()
                    if message["type"] == "Results" and message["speech_final"]:
                        break
            await socket.send_json({"type": "CloseStream"})
            async with asyncio.timeout(5):
                while (await socket.receive()).type is WSMsgType.TEXT:
                    pass
        assert bench.open_holds == 0
        found = await bench.sidecar.get_json("/v1/costs?period=today&project=acme")
        assert found["by_modality"]["stt"]["cost_usd"] > 2.0


async def test_the_next_context_after_the_budget_gets_cartesias_error_frame_and_1008(
    start_budgeted: StartBudgeted,
) -> None:
    async with start_budgeted("block", 0.01) as bench:
        async with bench.sidecar.http.ws_connect(bench.url(SPEAK)) as socket:
            await socket.send_json(generation("one", "A dozen char"))
            assert (await messages_until_done(socket, "one"))[0]["type"] == "chunk"
            await bench.sidecar.rows(1)
            await socket.send_json(generation("two", "Hello.", more=True))
            refused = await socket.receive_json(timeout=5)
            assert (refused["type"], refused["context_id"], refused["done"]) == ("error", "two", True)
            assert refused["status_code"] == 402
            assert "budget" in refused["message"]
            closed = await socket.receive(timeout=5)
            assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1008)
            assert closed.extra is not None
            assert closed.extra.startswith("budget_exceeded")
            assert len(closed.extra.encode()) <= 123
        rows = await bench.sidecar.rows(2)
        assert [(row.status, row.usage.characters) for row in rows] == [("ok", 12), ("refused", None)]
        [entry] = bench.simulator.ledger.work("cartesia.tts")
        assert entry.characters == 12
        assert bench.open_holds == 0


async def test_what_runs_on_the_socket_runs_to_its_end(start_budgeted: StartBudgeted) -> None:
    script = quick(tts=Speaking(first_audio_ms=10.0, s_per_char=0.05, pace=2.0))
    async with start_budgeted("block", 0.0001, script=script) as bench:
        async with bench.sidecar.http.ws_connect(bench.url(SPEAK)) as socket:
            await socket.send_json(generation("one", "A sentence that lasts a while."))
            assert (await socket.receive_json(timeout=5))["context_id"] == "one"
            await socket.send_json(generation("two", "Hello.", more=True))
            await socket.send_json(generation("two", "More of it."))
            found = await messages_until_done(socket, "one")
            assert found[-1]["type"] == "done"
            errors = [message for message in found if message["type"] == "error"]
            assert [message["context_id"] for message in errors] == ["two"]
            closed = await socket.receive(timeout=5)
            assert (closed.type, closed.data) == (WSMsgType.CLOSE, 1008)
        rows = await bench.sidecar.rows(2)
        assert sorted(row.status for row in rows) == ["ok", "refused"]
        assert [entry.key for entry in bench.simulator.ledger.work("cartesia.tts")] == ["one"]


async def test_contexts_that_begin_at_once_hold_their_part_before_the_next_is_judged(
    start_budgeted: StartBudgeted,
) -> None:
    """Each context holds 0.01 USD, the stated default, so five are within 0.05 USD and the sixth is not."""
    script = quick(tts=Speaking(first_audio_ms=300.0, s_per_char=0.01, pace=100.0))
    async with start_budgeted("block", 0.05, script=script) as bench:
        async with bench.sidecar.http.ws_connect(bench.url(SPEAK)) as socket:
            for number in range(12):
                await socket.send_json(generation(str(number), "Hello."))
            done, errors = 0, 0
            async with asyncio.timeout(5):
                while (message := await socket.receive()).type is WSMsgType.TEXT:
                    kind = message.json()["type"]
                    done += kind == "done"
                    errors += kind == "error"
        assert (done, errors) == (5, 7)
        assert len(bench.simulator.ledger.work("cartesia.tts")) == 5
        assert bench.open_holds == 0


async def test_a_prewarmed_socket_that_says_nothing_holds_nothing(start_budgeted: StartBudgeted) -> None:
    async with start_budgeted("block", 0.05) as bench:
        async with bench.sidecar.http.ws_connect(bench.url(SPEAK)):
            assert bench.open_holds == 0
        async with bench.sidecar.http.ws_connect(bench.url(LISTEN)):
            assert bench.open_holds == 1
        await eventually(lambda: bench.open_holds == 0)
