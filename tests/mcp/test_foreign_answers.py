"""What answers in another form than a sidecar does is told of in one line, and never as done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.mcp.support import ADMIN, editor
from tests.mcp.test_server import READ, WRITE
from tests.sidecar import Script, raw_server, read_request

ARGUMENTS: dict[str, dict[str, Any]] = {
    "session_waterfall": {"session_id": "call-1"}, "why_was_this_session_slow": {"session_id": "call-1"},
    "costs": {"daily_days": 3}, "create_project": {"project": "demo", "stt": ["deepgram"]},
    "update_project": {"project": "demo", "name": "x"}, "set_routing": {"project": "demo", "stt": ["deepgram"]},
    "set_brand": {"project": "demo", "product_name": "x"}, "share": {"project": "demo"},
}  # fmt: skip
WRONG_INSIDE = (
    b'{"sessions":[1],"next":null,"projects":[{"id":5}],"stats":{},"logs":[3],"source":"db","status":"ok","counts":3,'
    b'"reasons":null,"total_usd":"x","requests":null,"unpriced":[],"by_provider":3,"by_model":{},"shares":[{}],'
    b'"branding":[],"id":7,"url":7,"route":{},"turns":null,"predicted_ms":"x","providers":{"openai":7}}'
)
NO_SIDECAR = "what answers there is no sidecar of this version: "


def answering(body: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(body), body))
        await writer.drain()

    return script


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b"7", b'"ok"', WRONG_INSIDE], ids=lambda body: body[:12])
async def test_it_is_no_sidecar_whatever_is_asked(body: bytes) -> None:
    async with raw_server(answering(body)) as url, editor(url, ADMIN) as at:
        for name in sorted(READ | set(WRITE)):
            for words in ({}, {"confirm": True}) if name in WRITE else ({},):
                told = await at.fails(name, **ARGUMENTS.get(name, {}), **words)
                assert told.startswith(NO_SIDECAR), f"{name}: {told}"
                is_made = name in ("create_project", "share") and words
                assert told.endswith("; whether it was done is not known") == bool(is_made), f"{name}: {told}"


async def test_an_answer_that_is_too_deep_is_one_line() -> None:
    deep = b'{"sessions":[{"id":"call-1","project":"acme","route":' + b"[" * 600 + b"]" * 600 + b'}],"next":null}'
    async with raw_server(answering(deep)) as url, editor(url) as at:
        assert (await at.fails("sessions")) == f"{NO_SIDECAR}its answer is too deep"
