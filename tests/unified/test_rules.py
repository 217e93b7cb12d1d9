"""What holds on every unified endpoint: unpriced models, realtime, draining, and addresses that leave things out."""

from __future__ import annotations

import time
import warnings

import aiohttp
import jwt
import pytest
from openai import APIStatusError

from tests.simulator.conftest import ANSWER
from tests.simulator.test_openai import ASKED
from tests.unified.conftest import Setup, StartUnified
from tests.unified.livekit_call import SECRET
from tests.unified.sockets import client


@pytest.mark.parametrize("path", ["/chat/completions", "/p/acme/chat/completions", "/p/acme//v1//chat/completions"])
async def test_base_url_that_leaves_out_the_v1(unified: Setup, path: str) -> None:
    body = {"model": "openai/gpt-4.1-mini", "messages": ASKED}
    async with unified.sidecar.http.post(unified.sidecar.url + path, json=body) as response:
        # the default project has keys of its own: those of the top level
        assert (await response.json())["choices"][0]["message"]["content"] == ANSWER


@pytest.mark.parametrize(("method", "path"), [("GET", "chat/completions"), ("POST", "chat/other"), ("POST", "models")])
async def test_address_at_which_nothing_is_served(unified: Setup, method: str, path: str) -> None:
    async with unified.sidecar.http.request(method, f"{unified.sidecar.url}/p/acme/v1/{path}") as response:
        answer = await response.json()
    assert response.status == 404
    assert "docs/unified-endpoints.md" in answer["error"]["message"]


@pytest.mark.parametrize(
    ("model", "is_served"),
    [("openai/gpt-4.1-mini", True), ("openai/gpt-of-tomorrow", False), ("anthropic/claude-of-tomorrow", False),
     ("ollama/anything", True)],
)  # fmt: skip
async def test_model_without_a_price_where_that_is_refused(
    start_unified: StartUnified, model: str, is_served: bool
) -> None:
    async with start_unified(unpriced="block") as unified, unified.openai() as openai:
        if is_served:
            await openai.chat.completions.create(model=model, messages=ASKED)
            return
        with pytest.raises(APIStatusError) as raised:
            await openai.chat.completions.create(model=model, messages=ASKED)
        assert raised.value.status_code == 402
        assert raised.value.response.headers["X-VoiceGW-Error"] == "unpriced_model"
        assert unified.simulator.ledger.entries() == []
        [row] = await unified.sidecar.rows(1)
    assert (row.status, row.error) == ("refused", "unpriced_model")


@pytest.mark.parametrize(
    "model", ["assemblyai/universal-streaming", "deepgram/nova-3", "elevenlabs/scribe_v2_realtime"]
)
async def test_priced_models_are_known_by_the_names_they_are_called_by(start_unified: StartUnified, model: str) -> None:
    async with start_unified(unpriced="block") as unified, client(unified, "stt", model) as agent:
        await agent.say({"type": "session.create", "settings": {"sample_rate": "16000"}})
        await agent.hear("session.created")
        await agent.say({"type": "session.close"})
        assert [one["type"] for one in await agent.hear("session.closed", "error")] == ["session.closed"]


@pytest.mark.parametrize("path", ["/v1/realtime", "/v1"])
async def test_realtime_of_livekit_is_passed_through_with_the_configured_key(unified: Setup, path: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        token = jwt.encode(
            {"inference": {"perform": True}, "iss": "devkey", "exp": int(time.time()) + 60}, SECRET, "HS256"
        )
    headers = {"Authorization": f"Bearer {token}", "User-Agent": "LiveKit Agents/1.8.9"}
    url = f"{unified.sidecar.url}/p/acme{path}?model=openai/gpt-realtime"
    async with unified.sidecar.http.ws_connect(url, headers=headers) as socket:
        assert "session.created" in (await socket.receive_str())
    [entry, *_] = unified.simulator.ledger.entries("openai.realtime")
    assert entry.headers["authorization"] == "Bearer key-of-openai"
    assert "model=gpt-realtime" in entry.request_line


async def test_page_of_another_site_may_not_use_them(unified: Setup) -> None:
    url = f"{unified.sidecar.url}/p/acme/v1/tts?model=cartesia/sonic-3"
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        await unified.sidecar.http.ws_connect(url, headers={"Origin": "https://evil.example"})
    assert raised.value.status == 403
