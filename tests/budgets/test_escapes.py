"""Ways to spend past a budget that were tried and must not work: spellings, bursts, redirects and silence."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import msgspec
import pytest

from tests.budgets.conftest import CALL_USD, CHAT, StartBudgeted
from tests.budgets.test_sockets import LISTEN, SPEAK, generation, messages_until_done
from tests.conftest import StartSidecar
from tests.sidecar import raw_server, read_request
from tests.simulator.conftest import eventually
from voicegw_sidecar import jobs
from voicegw_sidecar.ledger.budget import DEFAULT_RESERVATION_NANOUSD
from voicegw_sidecar.terms import Modality

REALTIME = "/openai/v1/realtime?model=gpt-realtime"


@pytest.mark.parametrize("path", ["/openai/v1/chat/%63ompletions", "/openai/v1/chat%2Fcompletions"])
async def test_an_address_written_with_escapes_costs_what_it_costs(start_budgeted: StartBudgeted, path: str) -> None:
    body = b'{"choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":1,"completion_tokens":6}}'
    seen = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        seen.append(head.split(b" ")[1])
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )

    async with raw_server(script) as url, start_budgeted("block", CALL_USD, openai=url) as bench:
        statuses = []
        for _ in range(3):
            async with bench.sidecar.http.post(aiohttp.client.URL(bench.url(path), encoded=True), json=CHAT) as answer:
                statuses.append(answer.status)
        assert statuses == [200, 402, 402]
        assert seen == [path.removeprefix("/openai").encode()]


SPELLINGS: list[tuple[str, bytes]] = [
    ("a float for a whole number", b'"sample_rate":16000.0'),
    ("half a character", b'"transcript":"A dozen ch\\ud83d"'),
    ("a number for a name", b'"context_id":7'),
    ("a field of another shape", b'"add_timestamps":{},"cancel":[]'),
]


@pytest.mark.parametrize(("what", "spelling"), SPELLINGS, ids=[what for what, _ in SPELLINGS])
async def test_a_message_in_an_odd_spelling_is_metered_and_refused_like_any_other(
    start_budgeted: StartBudgeted, what: str, spelling: bytes
) -> None:
    """The provider here takes everything, as lenient ones do."""
    heard: list[str] = []

    async def serve(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            heard.append(message.data)
            await socket.send_json({"type": "done", "done": True, "context_id": 7 if "name" in what else "c"})
        return socket

    app = aiohttp.web.Application()
    app.router.add_get("/tts/websocket", serve)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    name = spelling.partition(b":")[0]
    plain = msgspec.json.encode(generation("c", "A dozen char"))
    members = msgspec.json.decode(plain, type=dict[str, msgspec.Raw])
    output = b'{"container":"raw","encoding":"pcm_s16le","sample_rate":16000.0}' if b"sample_rate" in name else None
    if output is not None:
        members["output_format"] = msgspec.Raw(output)
        odd = msgspec.json.encode(members)
    else:
        members.pop(name.decode().strip('"'), None)
        odd = msgspec.json.encode(members)[:-1] + b"," + spelling + b"}"
    try:
        async with start_budgeted("block", 0.01, cartesia=url) as bench:
            async with bench.sidecar.http.ws_connect(bench.url(SPEAK)) as socket:
                await socket.send_str(odd.decode())
                assert (await socket.receive_json(timeout=5))["type"] == "done"
                await bench.sidecar.rows(1)
                await socket.send_str(odd.decode())
                assert (await socket.receive_json(timeout=5))["type"] == "error"
                assert (await socket.receive(timeout=5)).data == 1008
            rows = await bench.sidecar.rows(2)
            assert [row.status for row in rows] == ["ok", "refused"]
            assert rows[0].cost_nanousd == (11_000_000 if "half" in what else 12_000_000)
        assert len(heard) == 1
    finally:
        await runner.cleanup()


async def test_half_a_character_in_a_chats_history_hides_nothing(start_budgeted: StartBudgeted) -> None:
    history = b'{"model":"gpt-4.1-mini","stream":true,"messages":[{"role":"user","content":"so \\ud83d sad"}]}'
    async with start_budgeted("block", CALL_USD) as bench:
        url, headers = bench.url("/openai/v1/chat/completions"), {"Content-Type": "application/json"}
        statuses = []
        for _ in range(2):
            async with bench.sidecar.http.post(url, data=history, headers=headers) as answer:
                await answer.read()
                statuses.append(answer.status)
        # the simulator is strict and refuses what real ones take; what matters is what was understood of it
        rows = await bench.sidecar.rows(2)
        assert rows[0].model == "gpt-4.1-mini"


@pytest.mark.parametrize("spelling", ["response.create", "response\\u002ecreate"])
async def test_a_burst_of_responses_reserves_for_each(start_budgeted: StartBudgeted, spelling: str) -> None:
    """A response holds 0.05 USD, the stated default: two are within 0.06 USD, the third is not."""
    assert DEFAULT_RESERVATION_NANOUSD[Modality.S2S] == 50_000_000
    asked: list[str] = []

    async def serve(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            asked.append(message.data)
            if "refuse" in message.data:
                await socket.send_json({"type": "error", "error": {"code": "no"}})
        return socket

    app = aiohttp.web.Application()
    app.router.add_get("/v1/realtime", serve)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with start_budgeted("block", 0.06, openai=url) as bench:
            async with bench.sidecar.http.ws_connect(bench.url(REALTIME)) as socket:
                await socket.send_str('{"type":"response.create","event_id":"refuse"}')
                assert (await socket.receive_json(timeout=5))["type"] == "error"
                await eventually(lambda: bench.open_holds == 0)  # declined: nothing begins, nothing is held
                for _ in range(10):
                    await socket.send_str(f'{{"type":"{spelling}"}}')
                refused = await socket.receive_json(timeout=5)
                assert refused["error"]["code"] == "insufficient_quota"
            await eventually(lambda: bench.open_holds == 0)
        assert len(asked) == 3
    finally:
        await runner.cleanup()


async def test_a_redirected_upgrade_is_the_agents_to_follow_and_its_key_stays(start_sidecar: StartSidecar) -> None:
    taken: list[bytes] = []

    async def thief(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(await reader.read(1000))

    async with raw_server(thief) as elsewhere:

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            lines = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere}/steal\r\nContent-Length: 4\r\n\r\nmoved"
            writer.write(lines.encode()[:-1])

        async with raw_server(script) as url:
            more = f"providers: {{cartesia: {{base_url: '{url}', api_key: configured-key}}}}\n"
            async with start_sidecar(more) as sidecar:
                headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13",
                           "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}  # fmt: skip
                async with sidecar.http.get(
                    f"{sidecar.url}/cartesia/tts/websocket", headers=headers, allow_redirects=False
                ) as answer:
                    assert (answer.status, await answer.text()) == (302, "move")
                    assert answer.headers["Location"] == f"{elsewhere}/steal"
                [row] = await sidecar.rows(1)
                assert row.status in ("upstream_error", "cancelled")
    assert taken == []


async def test_a_recording_that_nobody_asks_for_does_not_lock_its_project_out(
    start_budgeted: StartBudgeted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "HELD_S", 0.1)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        body = b'{"id":"t1","status":"queued"}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        )

    async with raw_server(script) as url, start_budgeted("block", 0.004, assemblyai=url) as bench:
        recording: dict[str, Any] = {
            "audio_url": "https://example.com/a.wav",
            "webhook_url": "https://example.com/done",
        }
        async with bench.sidecar.http.post(bench.url("/assemblyai/v2/transcript"), json=recording) as answer:
            assert answer.status == 200
        assert (await bench.chat())[0] == 402
        await eventually(lambda: bench.open_holds == 0)
        assert (await bench.chat())[0] == 200


async def test_a_response_made_in_the_background_is_counted_when_it_is_asked_for(start_budgeted: StartBudgeted) -> None:
    usage = '"usage":{"input_tokens":10,"output_tokens":6}'
    answers = [
        '{"id":"resp_1","status":"queued","model":"gpt-4.1-mini"}',
        '{"id":"resp_1","status":"in_progress","model":"gpt-4.1-mini"}',
        f'{{"id":"resp_1","status":"completed","model":"gpt-4.1-mini",{usage}}}',
        f'{{"id":"resp_1","status":"completed","model":"gpt-4.1-mini",{usage}}}',
    ]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            body = answers.pop(0).encode()
            lines = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            writer.write(lines % len(body) + body)

    async with raw_server(script) as url, start_budgeted("block", 1.0, openai=url) as bench:
        body = {"model": "gpt-4.1-mini", "input": "Hello.", "background": True}
        async with bench.sidecar.http.post(bench.url("/openai/v1/responses"), json=body) as answer:
            await answer.read()
        for _ in range(3):
            async with bench.sidecar.http.get(bench.url("/openai/v1/responses/resp_1")) as answer:
                await answer.read()
        [row] = await bench.sidecar.rows(1)
        assert (row.status, row.usage.output_tokens, row.cost_nanousd) == ("ok", 6, 6_000_000)


async def test_compressed_speech_counts_by_what_deepgram_says_of_it(start_budgeted: StartBudgeted) -> None:
    async def serve(request: aiohttp.web.Request) -> aiohttp.web.WebSocketResponse:
        socket = aiohttp.web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is aiohttp.WSMsgType.BINARY:
                channel = {"alternatives": [{"transcript": "hello", "words": []}]}
                await socket.send_json({"type": "Results", "is_final": True, "speech_final": True, "start": 0.0,
                                        "duration": 60.0, "channel": channel})  # fmt: skip
        return socket

    app = aiohttp.web.Application()
    app.router.add_get("/v1/listen", serve)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with start_budgeted("block", 100.0, deepgram=url) as bench:
            async with bench.sidecar.http.ws_connect(bench.url("/deepgram/v1/listen?model=nova-3")) as socket:
                await socket.send_bytes(b"\x1aE\xdf\xa3" * 100)
                await socket.receive(timeout=5)
            rows = await bench.sidecar.rows(at_least=1)
            assert (rows[0].usage.audio_s, rows[0].cost_nanousd) == (60.0, 6_000_000_000)
    finally:
        await runner.cleanup()


async def test_a_socket_that_closes_goes_on_holding_nothing(start_budgeted: StartBudgeted) -> None:
    async with start_budgeted("block", 1.0) as bench:
        async with bench.sidecar.http.ws_connect(bench.url(SPEAK)) as socket:
            await socket.send_json(generation("one", "Hello."))
            await messages_until_done(socket, "one")
        async with bench.sidecar.http.ws_connect(bench.url(LISTEN)):
            pass
        await eventually(lambda: bench.open_holds == 0)
