"""Canaries: keys, prompts, speech and provider texts go through a sidecar that logs all it can, and are found nowhere.

Looked through are its output, the whole database with its log, a copy of it, the metrics, the traces, the API.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

KEYS = (
    "canary-bearer", "canary-token", "canary-query", "canary-cookie", "canary-xi", "canary-subprotocol",
    "canary-provider", "canary-admin-0123456789", "canary-agent-0123456789", "canary-webhook", "canary-otlp",
)  # fmt: skip
WORDS = (
    "canary-prompt", "canary-system", "canary-answer", "canary-to-speak", "canary-transcript", "canary-error-text",
    "canary-audio", "canary-frame", "canary-sent-header", "canary-fragment",
)  # fmt: skip
ANSWER = (
    '{"id":"x","object":"chat.completion","model":"gpt-4.1-mini","choices":[{"index":0,"message":{"role":"assistant",'
    '"content":"canary-answer"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
)


async def provider(request: web.Request) -> web.StreamResponse:
    """Says canaries, well and badly."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        socket = web.WebSocketResponse(protocols=("realtime", "token"))
        await socket.prepare(request)
        await socket.send_str('{"type":"Results","is_final":true,"speech_final":true,"start":0,"duration":1,'
                              '"channel":{"alternatives":[{"transcript":"canary-transcript"}]}}')  # fmt: skip
        async for message in socket:
            await socket.send_str(message.data if isinstance(message.data, str) else '{"type":"canary-frame"}')
            if message.data == '{"type":"CloseStream"}':
                await socket.close(code=4000, message=b"canary-error-text")
        return socket
    body = await request.read()
    if b"fail" in body:
        return web.Response(status=500, text='{"error":{"message":"canary-error-text","code":"server_error"}}',
                            content_type="application/json", headers={"X-Debug": "canary-sent-header"})  # fmt: skip
    if b"broken" in body:
        return web.Response(text='{"canary-fragment', content_type="application/json")
    if b'"stream":true' in body:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b'data: {"choices":[{"delta":{"content":"canary-answer"}}]}\n\ndata: {"canary-fragment')
        assert request.transport is not None
        request.transport.abort()
        return answer
    return web.Response(text=ANSWER, content_type="application/json")


async def exercise(url: str) -> None:
    """Send every canary there is, where SDKs put such things."""
    chat = f"{url}/p/acme/s/call-1/openai/v1/chat/completions"
    said = (
        '{"model":"gpt-4.1-mini","messages":[{"role":"system","content":"canary-system"},'
        '{"role":"user","content":"canary-prompt %s"}]%s}'
    )
    async with aiohttp.ClientSession(headers={"Cookie": "session=canary-cookie"}) as http:
        for word, more in (
            ("", ""),
            ("fail", ""),
            ("broken", ""),
            ("", ',"stream":true'),
            ("", ",,"),
            ("x" * 200_000, ""),
        ):
            with contextlib.suppress(aiohttp.ClientError):
                async with http.post(
                    chat, data=said % (word, more), headers={"Authorization": "Bearer canary-bearer"}
                ) as answer:
                    await answer.read()
        for path, headers in (
            ("/p/acme/elevenlabs/v1/text-to-speech/voice", {"xi-api-key": "canary-xi"}),
            ("/p/acme/deepgram/v1/speak?model=aura-2&key=canary-query", {"Authorization": "Token canary-token"}),
            ("/p/nowhere/openai/v1/x?key=canary-query", {"Authorization": "Bearer canary-bearer"}),
            ("/p/acme/unknown-provider/v1/x?key=canary-query", {}),
            (
                "/p/acme/groq/openai/v1/chat/completions",
                {"Authorization": "Bearer canary-bearer"},
            ),  # nobody listens there
            ("/p/guarded/openai/v1/chat/completions", {"Authorization": "Bearer canary-agent-0123456789"}),
            ("/v1/audio/speech", {"Authorization": "Bearer canary-bearer"}),
        ):
            with contextlib.suppress(aiohttp.ClientError):
                async with http.post(
                    url + path, data=b'{"text":"canary-to-speak","input":"canary-to-speak"}', headers=headers
                ) as answer:
                    await answer.read()
        for key in ("canary-admin-0123456789", "canary-bearer"):
            async with http.get(f"{url}/v1/logs", headers={"Authorization": f"Bearer {key}"}) as answer:
                await answer.read()
        listen = f"{url}/p/acme/s/call-1/deepgram/v1/listen?model=nova-3&encoding=linear16&token=canary-query"
        async with http.ws_connect(listen, protocols=("token", "openai-insecure-api-key.canary-subprotocol")) as socket:
            await socket.send_bytes(b"canary-audio" * 2000)
            await socket.send_str('{"type":"canary-frame"')
            await socket.send_str('{"type":"CloseStream"}')
            async for _ in socket:
                pass


@asynccontextmanager
async def sidecar(config: Path, output: list[bytes]) -> AsyncIterator[str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "voicegw_sidecar", "serve", "--config", str(config),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=2**24,
    )  # fmt: skip
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 30)
    try:
        yield line.decode().split()[-1]
    finally:
        process.terminate()
        output += [line, *await asyncio.wait_for(process.communicate(), 30)]


@pytest.mark.parametrize("form", ["text", "json"])
async def test_nothing_said_and_no_key_is_found_anywhere(form: str, tmp_path: Path) -> None:
    app, taken, output = web.Application(client_max_size=2**24), list[bytes](), list[bytes]()

    async def take(request: web.Request) -> web.Response:
        taken.append(await request.read())
        return web.Response(status=500 if "webhook" in request.path else 200, text="canary-error-text")

    app.router.add_post("/canary-webhook", take)
    app.router.add_post("/canary-otlp/v1/traces", take)
    app.router.add_route("*", "/{tail:.*}", provider)
    async with TestServer(app) as server:
        base = str(server.make_url("")).rstrip("/")
        config = tmp_path / "voicegw.yaml"
        config.write_text(f"""
            logging: {{format: {form}, level: debug}}
            cost_tracking: {{db_path: {tmp_path}/data/voicegw.db}}
            serve: {{port: 0, drain_seconds: 5}}
            auth: {{api_keys: [canary-admin-0123456789]}}
            alerts: {{webhook: '{base}/canary-webhook'}}
            otlp: {{endpoint: '{base}/canary-otlp'}}
            projects:
              acme: {{daily_budget: 0.000001, providers: {{openai: {{api_key: canary-provider}}}}}}
              guarded: {{agent_keys: [canary-agent-0123456789]}}
            providers:
              openai: {{base_url: '{base}'}}
              deepgram: {{base_url: '{base}'}}
              elevenlabs: {{base_url: '{base}'}}
              groq: {{base_url: 'http://127.0.0.1:9'}}
        """)
        async with sidecar(config, output) as url:
            await exercise(url)
            admin = {"Authorization": "Bearer canary-admin-0123456789"}
            told = []
            async with aiohttp.ClientSession(headers=admin) as http:
                async with http.post(f"{url}/v1/sessions/call-1/close?project=acme", json={}) as answer:
                    assert answer.status == 200
                async with asyncio.timeout(20):  # the traces and the alert are under way
                    while len({body[:1] for body in taken}) < 2:
                        await asyncio.sleep(0.05)
                for path in (
                    "/metrics",
                    "/v1/logs?limit=1000",
                    "/v1/status",
                    "/v1/sessions",
                    "/v1/changes",
                    "/logs",
                    "/sessions",
                    "/ready",
                ):
                    async with http.get(url + path) as answer:
                        assert answer.status == 200, path
                        told.append(await answer.read())
            backup = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "voicegw_sidecar", "backup", "--config", str(config), str(tmp_path / "copy.db")
            )
            assert await backup.wait() == 0
            stored = [path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()]
    log = output[2].decode()
    assert log.count("\n") >= 3
    [logs] = [msgspec.json.decode(page)["logs"] for page in told if page.startswith(b'{"logs":')]
    assert {(row["provider"], row["status"]) for row in logs} >= {
        ("openai", "ok"), ("openai", "upstream_error"), ("openai", "partial"), ("groq", "upstream_error"),
        ("deepgram", "ok"), ("elevenlabs", "ok"),
    }  # fmt: skip
    if form == "json":
        assert all(msgspec.json.decode(line)["event"] for line in log.splitlines())
    places = {
        "output": output,
        "database": [*stored, (tmp_path / "copy.db").read_bytes()],
        "API": told,
        "collectors": taken,
    }
    found = [(place, canary) for place, contents in places.items() for canary in (*KEYS, *WORDS)
             if any(canary.encode() in content for content in contents)]  # fmt: skip
    assert found == []
