"""What holds on every unified endpoint: unpriced models, realtime, draining, and addresses that leave things out."""

from __future__ import annotations

import time
import warnings
from typing import Any

import aiohttp
import jwt
import pytest
from openai import APIStatusError

from tests.simulator.conftest import ANSWER
from tests.simulator.test_openai import ASKED
from tests.unified.conftest import Setup, StartUnified
from tests.unified.livekit_call import SECRET
from tests.unified.sockets import client, create_stt
from voicegw_sidecar import legs
from voicegw_sidecar.config.catalog import Catalog
from voicegw_sidecar.picks import pick
from voicegw_sidecar.routing.router import Decision


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


@pytest.mark.parametrize("without_key", [(), ("groq",)])
async def test_question_for_the_models_leaves_no_row(start_unified: StartUnified, without_key: tuple[str, ...]) -> None:
    rosters = "routing: {rosters: {stt: [deepgram], llm: [groq], tts: [cartesia]}}"
    async with start_unified(rosters, without_key=without_key) as unified, unified.openai() as openai:
        assert "auto" in [model.id async for model in await openai.models.list()]
        await openai.chat.completions.create(model="openai/gpt-4.1-mini", messages=ASKED)
        rows = await unified.sidecar.rows(1)  # what was left before would be older
    assert [row.provider for row in rows] == ["openai"]


@pytest.mark.parametrize("provider", ["kokoro", "whisper", "piper", "deepgram"])
async def test_provider_that_writes_nothing_is_not_asked_to(unified: Setup, provider: str) -> None:
    for model in (provider, f"{provider}/anything"):
        async with unified.openai() as openai:
            with pytest.raises(APIStatusError) as raised:
                await openai.chat.completions.create(model=model, messages=ASKED)
        assert raised.value.status_code == 400
        expected = f"model: {provider} is no LLM provider; expected one that is, such as openai"
        assert expected in raised.value.message
    assert unified.simulator.ledger.entries() == []


@pytest.mark.parametrize("fallback", [{}, {"fallback": {"models": [{"model": "assemblyai/universal-streaming"}]}}])
async def test_stream_that_says_auto_again_has_one_route(
    unified: Setup, monkeypatch: pytest.MonkeyPatch, fallback: dict[str, object]
) -> None:
    """Each new stream of a process is a new session, whose route may be another: not so twice on one socket."""
    drawn: list[str] = []

    def counted(catalog: Catalog, project: str, *more: Any) -> Decision:
        drawn.append(project)
        return pick(catalog, project, *more)

    monkeypatch.setattr(legs, "pick", counted)
    async with client(unified, "stt", "auto") as agent:
        await agent.say({**create_stt("auto"), **fallback})
        await agent.hear("session.created")
        await agent.say({"type": "session.close"})
        await agent.hear("session.closed", "error")
    assert drawn == ["acme"]


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
