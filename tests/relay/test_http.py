"""Relay laws over HTTP: the same bytes both ways, ends that mean what they mean, and nothing retried."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import os
from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.conftest import StartSidecar
from tests.sidecar import raw_server, read_request, send_raw

OK_JSON = (
    b'{"id":"x","choices":[{"message":{"content":"hi"}}],"usage":{"prompt_tokens":3,"completion_tokens":2},"model":"m"}'
)
CHAT = "/p/default/openai/v1/chat/completions"


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def request(path: str, body: bytes = b"", *headers: str, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    return head, await reader.readexactly(length)


async def test_bodies_and_headers_pass_unchanged_but_for_the_closed_list(start_sidecar: StartSidecar) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        head = ["X-Request-Id: r1", "X-Odd-CASE: Value", "Content-Type: application/json; charset=utf-8",
                "Set-Cookie: a=b", "Strict-Transport-Security: max-age=1", "Access-Control-Allow-Origin: *",
                "X-Twice: 1", "X-Twice: 2", "Connection: keep-alive, X-Hop", "X-Hop: gone"]  # fmt: skip
        writer.write(answer(OK_JSON, *head))
        await writer.drain()

    body = b'{"model": "gpt-4.1-mini",\t"messages":[{"role":"user","content":"\xc3\xa9"}] }'
    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        path = "/openai//v1/chat/completions?a=%2Fb&c=d%20e&f"
        raw = request(path, body, "authorization: Bearer sk-agent", "X-VoiceGW-Session: call-1", "X-LiveKit-Job-ID: j",
                      "User-Agent: agent/1", "Accept-Encoding: gzip, br", "X-Mine: kept", "TE: trailers",
                      "Content-Type: application/json")  # fmt: skip
        reader, writer = await send_raw(sidecar.url, raw)
        head, got = await read_answer(reader)
        writer.close()
        [row] = await sidecar.rows(1)
    assert got == OK_JSON
    upstream_head, upstream_body = seen[0]
    assert upstream_body == body
    assert upstream_head.startswith(b"POST /v1/chat/completions?a=%2Fb&c=d%20e&f HTTP/1.1\r\n")
    assert b"authorization: Bearer sk-agent\r\n" in upstream_head
    assert b"X-Mine: kept\r\n" in upstream_head
    assert b"Accept-Encoding: identity\r\n" in upstream_head
    for gone in (b"x-voicegw", b"x-livekit", b"te:", b"gzip"):
        assert gone not in upstream_head.lower()
    assert b"X-Odd-CASE: Value\r\n" in head
    assert b"X-Twice: 1\r\nX-Twice: 2\r\n" in head
    for gone in (b"set-cookie", b"strict-transport", b"access-control", b"x-hop", b"\r\nserver:", b"\r\ndate:"):
        assert gone not in head.lower()
    assert f"X-VoiceGW-Exchange: {row.id}".encode() in head
    assert b"X-VoiceGW-Project: default\r\n" in head
    assert b"X-VoiceGW-Session: call-1\r\n" in head
    assert (row.status, row.session_id, row.usage.input_tokens, row.usage.output_tokens) == ("ok", "call-1", 3, 2)


@pytest.mark.parametrize("size_bytes", [3_000_000, 12_000_000])
async def test_large_bodies_stream_both_ways_with_equal_digests(start_sidecar: StartSidecar, size_bytes: int) -> None:
    upload = os.urandom(size_bytes)
    download = os.urandom(9_000_000)
    digests: list[str] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _, body = await read_request(reader)
        digests.append(hashlib.sha256(body).hexdigest())
        writer.write(answer(download, "Content-Type: audio/mpeg"))
        await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + "/openai/v1/audio/speech", data=io.BytesIO(upload)) as response:
            got = await response.read()
    assert digests == [hashlib.sha256(upload).hexdigest()]
    assert hashlib.sha256(got).digest() == hashlib.sha256(download).digest()


async def test_compressed_bodies_pass_as_they_are_and_are_still_metered(start_sidecar: StartSidecar) -> None:
    packed = gzip.compress(OK_JSON)
    seen: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await read_request(reader))[1])
        writer.write(answer(packed, "Content-Type: application/json", "Content-Encoding: gzip"))
        await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        body = gzip.compress(b'{"model":"gpt-4.1-mini","messages":[]}')
        reader, writer = await send_raw(sidecar.url, request(CHAT, body, "Content-Encoding: gzip"))
        _, got = await read_answer(reader)
        writer.close()
        [row] = await sidecar.rows(1)
    assert (got, seen) == (packed, [body])
    assert row.usage.input_tokens == 3


async def test_an_agent_that_hangs_up_closes_the_provider_at_once(start_sidecar: StartSidecar) -> None:
    closed = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b'1d\r\ndata: {"choices":[{"delta":{}\r\n')
        await writer.drain()
        await reader.read()
        closed.set()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        reader, writer = await send_raw(sidecar.url, request(CHAT, b'{"model":"gpt-4.1-mini","stream":true}'))
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await asyncio.wait_for(closed.wait(), 2)
        [row] = await sidecar.rows(1)
    assert row.status == "cancelled"
    assert row.estimated


async def test_an_agent_that_hangs_up_before_the_answer_begins_closes_the_provider(start_sidecar: StartSidecar) -> None:
    closed = asyncio.Event()

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()
        closed.set()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        _, writer = await send_raw(sidecar.url, request(CHAT, b'{"model":"gpt-4.1-mini"}'))
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.wait_for(closed.wait(), 2)
        [row] = await sidecar.rows(1)
    assert row.status == "cancelled"


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_body_that_breaks_off_breaks_off_for_the_agent_too(start_sidecar: StartSidecar, framing: str) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if framing == "length":
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 500\r\n\r\n")
            writer.write(b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n')
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            writer.write(b'30\r\ndata: {"choices":[{"delta":{"content":"hi"}}]}\n\n\r\n')
        await writer.drain()
        await asyncio.sleep(0.05)

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        reader, writer = await send_raw(sidecar.url, request(CHAT, b'{"model":"gpt-4.1-mini","stream":true}'))
        try:
            everything = await asyncio.wait_for(reader.read(), 3)
        except ConnectionResetError:
            everything = b""
        writer.close()
        [row] = await sidecar.rows(1)
    assert not everything.endswith(b"0\r\n\r\n")
    assert row.status == "partial"
    assert row.error == "connection_broken"


async def test_a_reused_connection_found_dead_is_replaced_once_for_posts_too(start_sidecar: StartSidecar) -> None:
    connections = 0

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)
        writer.write(answer(OK_JSON, "Content-Type: application/json"))
        await writer.drain()
        if connections == 1:
            await read_request(reader)  # takes the second request and dies without a byte

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        for _ in range(2):
            async with sidecar.http.post(sidecar.url + CHAT, data=b'{"model":"gpt-4.1-mini"}') as response:
                assert response.status == 200
                assert await response.read() == OK_JSON
        rows = await sidecar.rows(2)
    assert connections == 2
    assert [row.status for row in rows] == ["ok", "ok"]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_fresh_connection_that_dies_is_not_retried(start_sidecar: StartSidecar, method: str) -> None:
    connections = 0

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await read_request(reader)

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.request(method, sidecar.url + CHAT, data=b"{}") as response:
            assert response.status == 502
            assert response.headers["X-VoiceGW-Error"] == "upstream_unreachable"
            assert (await response.json())["error"]["code"] == "upstream_unreachable"
    assert connections == 1


async def test_a_reused_connection_that_dies_after_a_first_byte_is_not_retried(start_sidecar: StartSidecar) -> None:
    requests = 0

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            await read_request(reader)
            requests += 1
            if requests == 2:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-")
                await writer.drain()
                return
            writer.write(answer(OK_JSON, "Content-Type: application/json"))
            await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        statuses = []
        for _ in range(2):
            async with sidecar.http.post(sidecar.url + CHAT, data=b'{"model":"gpt-4.1-mini"}') as response:
                statuses.append(response.status)
    assert statuses == [200, 502]
    assert requests == 2


async def test_a_provider_that_never_answers_is_a_timeout_of_ours(start_sidecar: StartSidecar) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await reader.read()

    async with raw_server(upstream) as url:
        more = f"providers: {{openai: {{base_url: '{url}', timeouts: {{first_byte_s: 0.2, connect_s: 0.2}}}}}}\n"
        async with start_sidecar(more) as sidecar:
            async with sidecar.http.post(sidecar.url + CHAT, data=b'{"model":"gpt-4.1-mini"}') as response:
                assert response.status == 504
                assert response.headers["X-VoiceGW-Error"] == "upstream_timeout"
            [row] = await sidecar.rows(1)
    # the provider had the whole request: what it did with it, and bills for it, is not known
    assert (row.status, row.error, row.http_status, row.cost_nanousd) == (
        "upstream_error",
        "upstream_timeout",
        504,
        None,
    )


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_answers_without_a_body_end(start_sidecar: StartSidecar, status: str) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(f"HTTP/1.1 {status}\r\n\r\n".encode())
        await writer.drain()
        await asyncio.sleep(0.2)

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + CHAT, data=b"{}") as response:
            assert response.status == int(status[:3])
            assert await response.read() == b""


async def test_head_and_close_delimited_answers_pass(start_sidecar: StartSidecar) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head, _ = await read_request(reader)
        if head.startswith(b"HEAD"):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\nabc")
        await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.head(sidecar.url + "/openai/v1/models") as response:
            assert (response.status, response.headers["Content-Length"]) == (200, "77")
        async with sidecar.http.post(
            sidecar.url + "/openai/v1/audio/speech", data=b'{"model":"tts-1","input":"a"}'
        ) as r:
            assert await r.read() == b"abc"


async def test_redirects_are_the_agents_to_follow(start_sidecar: StartSidecar) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b"", "Location: http://127.0.0.1:1/evil", status="307 Temporary Redirect"))
        await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + CHAT, data=b"{}", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (307, "http://127.0.0.1:1/evil")


async def test_a_slow_reader_slows_its_provider_and_nobody_else(start_sidecar: StartSidecar) -> None:
    written = 0

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        head, _ = await read_request(reader)
        if b"/v1/audio/speech" not in head:
            writer.write(answer(OK_JSON, "Content-Type: application/json"))
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 400000000\r\n\r\n")
        for _ in range(4000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            written += 100_000

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        body = b'{"model":"tts-1","input":"a"}'
        reader, writer = await send_raw(sidecar.url, request("/openai/v1/audio/speech", body))
        await reader.readuntil(b"\r\n\r\n")
        previous = -1
        while previous != written:  # until back-pressure has reached the provider
            previous = written
            await asyncio.sleep(0.3)
        assert written < 60_000_000
        async with sidecar.http.post(sidecar.url + CHAT, data=b'{"model":"gpt-4.1-mini"}') as response:
            assert await response.read() == OK_JSON
        writer.transport.abort()


async def test_configured_keys_replace_what_the_agent_sent(start_sidecar: StartSidecar) -> None:
    heads: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await read_request(reader))[0])
        writer.write(answer(b"{}", "Content-Type: application/json"))
        await writer.drain()

    async with raw_server(upstream) as url:
        more = "providers:\n" + "".join(
            f"  {name}: {{base_url: '{url}', api_key: {key}}}\n"
            for name, key in (("openai", "k-top"), ("deepgram", "k-dg"), ("cartesia", "k-ca"))
        )
        more += "projects: {acme: {providers: {openai: {api_key: k-acme}}}}\n"
        async with start_sidecar(more) as sidecar:
            for path in ("/openai/v1/x", "/p/acme/openai/v1/x", "/deepgram/v1/x", "/cartesia/x?api_key=agent&a=1"):
                headers = {"Authorization": "Bearer agent", "x-api-key": "agent"}
                async with sidecar.http.post(sidecar.url + path, data=b"{}", headers=headers):
                    pass
    expected = (
        b"Authorization: Bearer k-top",
        b"Authorization: Bearer k-acme",
        b"Authorization: Token k-dg",
        b"X-API-Key: k-ca",
    )
    for head, wanted in zip(heads, expected, strict=True):
        assert wanted in head
        assert b"agent" not in head.replace(b"User-Agent", b"")
    assert b"?a=1 " in heads[3]


async def test_asked_for_usage_is_kept_from_an_agent_that_did_not_ask(start_sidecar: StartSidecar) -> None:
    bodies: list[bytes] = []
    chunks = [
        b'{"choices":[{"delta":{"content":"hi"}}],"usage":null}',
        b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":1}}',
        b"[DONE]",
    ]

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append((await read_request(reader))[1])
        stream = b"".join(b"data: " + chunk + b"\n\n" for chunk in chunks)
        writer.write(answer(stream, "Content-Type: text/event-stream"))
        await writer.drain()

    sent = [b'{ "model":"gpt-4.1-mini","stream":true}',
            b'{"model":"gpt-4.1-mini","stream":true,"stream_options":{"include_usage":true}}',
            b'{"model":"gpt-4.1-mini","stream":true,"stream_options":{"include_usage":false}}']  # fmt: skip
    got = []
    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        for body in sent:
            async with sidecar.http.post(sidecar.url + CHAT, data=body) as response:
                got.append(await response.read())
        rows = await sidecar.rows(3)
    assert bodies[0] == b'{"stream_options":{"include_usage":true}, "model":"gpt-4.1-mini","stream":true}'
    assert bodies[1:] == sent[1:]
    assert b'"prompt_tokens":7' not in got[0]
    assert got[0].endswith(b"data: [DONE]\n\n")
    assert b'"prompt_tokens":7' in got[1]
    assert [row.usage.input_tokens for row in rows] == [7, 7, 7]


async def test_a_tap_that_raises_changes_nothing_but_the_row(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(OK_JSON, "Content-Type: application/json"))
        await writer.drain()

    from voicegw_sidecar.dialects.openai_chat import OpenAIChat

    def explode(self: object, frame: object) -> None:
        raise RuntimeError("a secret in a traceback")

    monkeypatch.setattr(OpenAIChat, "decode", explode)
    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + CHAT, data=b'{"model":"gpt-4.1-mini"}') as response:
            assert await response.read() == OK_JSON
        [row] = await sidecar.rows(1)
    assert (row.status, row.modality, row.cost_nanousd, row.error) == ("degraded", "llm", None, "metering_failed")


async def test_an_upstreams_own_error_passes_whole_and_costs_nothing(start_sidecar: StartSidecar) -> None:
    body = b'{"error":{"message":"Incorrect API key provided: sk-abc","code":"invalid_api_key"}}'

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(body, "Content-Type: application/json", "Retry-After: 3", status="401 Unauthorized"))
        await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + CHAT, data=b'{"model":"gpt-4.1-mini"}') as response:
            assert (response.status, await response.read(), response.headers["Retry-After"]) == (401, body, "3")
            assert "X-VoiceGW-Error" not in response.headers
        [row] = await sidecar.rows(1)
    assert (row.status, row.http_status, row.error, row.cost_nanousd) == ("upstream_error", 401, "invalid_api_key", 0)


async def test_an_empty_answer_with_a_length_is_a_finished_one(start_sidecar: StartSidecar) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b"", "Content-Type: application/json"))
        await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + CHAT, data=b'{"model":"gpt-4.1-mini"}') as response:
            assert await response.read() == b""
        [row] = await sidecar.rows(1)
    assert row.status == "ok"


async def test_a_filtered_stream_with_a_length_waits_for_its_row_too(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
    settled: list[bool] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(stream, "Content-Type: text/event-stream"))
        await writer.drain()

    from voicegw_sidecar.observation import Observation

    settle = Observation.settle

    async def noted(self: Observation) -> None:
        await settle(self)
        settled.append(True)

    monkeypatch.setattr(Observation, "settle", noted)
    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + CHAT, data=b'{"model":"m","stream":true}') as response:
            assert await response.read() == stream
            assert settled == [True]


@pytest.mark.parametrize("size_bytes", [10, 3_000_000])
async def test_a_chunked_upload_passes_even_if_the_answer_begins_before_its_end(
    start_sidecar: StartSidecar, size_bytes: int
) -> None:
    got: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"chunked" in head.lower()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await writer.drain()
        got.append(await reader.readuntil(b"\r\n0\r\n\r\n") if size_bytes < 60_000 else await _to_end(reader))
        writer.write(b"2\r\ncd\r\n0\r\n\r\n")
        await writer.drain()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * (size_bytes // 10)
            await asyncio.sleep(0.01)

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + "/openai/v1/audio/unknown", data=body()) as response:
            assert await asyncio.wait_for(response.read(), 5) == b"abcd"
        [row] = await sidecar.rows(1)
    assert row.status == "ok"


async def _to_end(reader: asyncio.StreamReader) -> bytes:
    data = b""
    while not data.endswith(b"\r\n0\r\n\r\n"):
        data += await reader.read(65536)
    return data


async def test_usage_is_asked_for_in_chunked_uploads_too(start_sidecar: StartSidecar) -> None:
    bodies: list[bytes] = []

    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bodies.append((await read_request(reader))[1])
        writer.write(answer(b"data: [DONE]\n\n", "Content-Type: text/event-stream"))
        await writer.drain()

    async def body() -> AsyncIterator[bytes]:
        yield b'{"model":"m",'
        yield b'"stream":true}'

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + CHAT, data=body()) as response:
            await response.read()
    assert bodies == [b'{"stream_options":{"include_usage":true},"model":"m","stream":true}']


@pytest.mark.parametrize(("limits", "sends_head", "code"), [
    ("first_byte_s: 0.3, connect_s: 30", False, 504), ("idle_s: 0.2, first_byte_s: 30", True, 200),
])  # fmt: skip
async def test_each_time_limit_is_its_own(
    start_sidecar: StartSidecar, limits: str, sends_head: bool, code: int
) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        if sends_head:
            await asyncio.sleep(0.4)  # longer than the idle limit, which does not count yet
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 9\r\n\r\nabc")
            await writer.drain()
        await reader.read()

    async with raw_server(upstream) as url:
        async with start_sidecar(f"providers: {{openai: {{base_url: '{url}', timeouts: {{{limits}}}}}}}\n") as sidecar:
            async with asyncio.timeout(5):
                body = b'{"model":"tts-1","input":"a"}'
                async with sidecar.http.post(sidecar.url + "/openai/v1/audio/speech", data=body) as response:
                    assert response.status == code
                    if sends_head:
                        with pytest.raises(aiohttp.ClientPayloadError):
                            await response.read()


async def test_a_provider_cannot_speak_in_our_name(start_sidecar: StartSidecar) -> None:
    async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(
            answer(OK_JSON, "Content-Type: application/json", "X-VoiceGW-Error: forged", "X-VoiceGW-Project: x")
        )
        await writer.drain()

    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        async with sidecar.http.post(sidecar.url + CHAT, data=b"{}") as response:
            assert response.headers.getall("X-VoiceGW-Project") == ["default"]
            assert "X-VoiceGW-Error" not in response.headers
