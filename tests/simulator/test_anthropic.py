"""The simulated Anthropic, asked by bare requests: what the clients' tests do not see."""

from __future__ import annotations

import aiohttp
import pytest

from tests.simulator.conftest import quick
from voicegw_sidecar.simulator import Simulator, Thinking


async def test_events_are_named_and_in_order(simulator: Simulator) -> None:
    simulator.script = quick(chat=Thinking(first_token_ms=1.0, token_interval_ms=0.0, tool="end", tool_arguments=""))
    body = {
        "model": "claude-haiku-4-5",
        "max_tokens": 9,
        "stream": True,
        "messages": [{"role": "user", "content": "x"}],
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{simulator.base_url('anthropic')}/v1/messages", json=body) as answer,
    ):
        text = await answer.text()
        assert answer.headers["request-id"].startswith("req_")
    names = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert names == ["message_start", "ping", "content_block_start", "content_block_delta", "content_block_stop",
                     "message_delta", "message_stop"]  # fmt: skip
    [entry] = simulator.ledger.entries("anthropic.messages")
    assert (entry.output_tokens, entry.usage_reported, entry.cache_write_tokens) == (1, True, 0)


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), (b'{"model":"m","messages":[]}', 400)])
async def test_refusals_have_its_shape(simulator: Simulator, body: bytes, status: int) -> None:
    url = f"{simulator.base_url('anthropic')}/v1/messages"
    async with aiohttp.ClientSession() as http, http.post(url, data=body) as refused:
        assert refused.status == status
        error = await refused.json()
    assert (error["type"], error["error"]["type"]) == ("error", "invalid_request_error")
    assert error["request_id"].startswith("req_")
