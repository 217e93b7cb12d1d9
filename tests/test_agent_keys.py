"""Agent keys: the credential decides whose budget pays, wherever an SDK puts it, and goes no further."""

from __future__ import annotations

import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import jwt
import pytest

from tests.budgets.conftest import CHAT
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from voicegw_sidecar.simulator import Simulator

AGENT, PROVIDER = "agent-key-of-acme", "provider-key-of-acme"
CONFIG = f"""

auth: {{api_keys: [admin-key]}}
projects:
  acme:
    agent_keys: [{AGENT}, another-key-of-acme]
    daily_budget: 1
    providers:
      openai: {{api_key: {PROVIDER}}}
      deepgram: {{api_key: {PROVIDER}}}
      cartesia: {{api_key: {PROVIDER}}}
  globex: {{agent_keys: [key-of-globex]}}
  open: {{}}
"""
OPENAI = "/openai/v1/chat/completions"
LISTEN = "/deepgram/v1/listen?model=nova-3&encoding=linear16&sample_rate=16000"
SPEAK = "/cartesia/tts/websocket?cartesia_version=2025-04-16"


@asynccontextmanager
async def guarded(start_sidecar: StartSidecar) -> AsyncIterator[tuple[Sidecar, Simulator]]:
    async with Simulator(quick(keys=(PROVIDER,))) as simulator:
        bases = {name: simulator.base_url(name) for name in ("openai", "deepgram", "cartesia")}
        async with start_sidecar(CONFIG, **bases) as sidecar:
            yield sidecar, simulator


def nothing_of_the_agents(simulator: Simulator) -> bool:
    entries = simulator.ledger.entries()
    assert entries
    return not any(
        "agent-key" in entry.request_line or any("agent-key" in value for value in entry.headers.values())
        for entry in entries
    )


@pytest.mark.parametrize("prefix", ["", "/p/acme", "/p/acme/s/call-1"])
@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (OPENAI, {"Authorization": f"Bearer {AGENT}"}),
        (OPENAI, {"authorization": "bearer another-key-of-acme"}),
        (OPENAI, {"X-API-Key": AGENT}),
        (OPENAI, {"api-key": AGENT}),
    ],
)
async def test_a_request_with_an_agent_key_is_its_projects(
    start_sidecar: StartSidecar, prefix: str, path: str, headers: dict[str, str]
) -> None:
    async with guarded(start_sidecar) as (sidecar, simulator):
        async with sidecar.http.post(f"{sidecar.url}{prefix}{path}", json=CHAT, headers=headers) as answer:
            assert (answer.status, answer.headers["X-VoiceGW-Project"]) == (200, "acme")
        assert nothing_of_the_agents(simulator)
        [row] = await sidecar.rows(1)
        assert (row.project, row.status) == ("acme", "ok")


@pytest.mark.parametrize(
    ("path", "headers", "protocols"),
    [
        (LISTEN, {"Authorization": f"Token {AGENT}"}, ()),
        (LISTEN, {"Authorization": AGENT}, ()),
        (LISTEN, {}, ("token", AGENT)),
        (f"{LISTEN}&token={AGENT}", {}, ()),
        (SPEAK, {"X-API-Key": AGENT}, ()),
        (SPEAK, {"xi-api-key": AGENT}, ()),
        (f"{SPEAK}&api_key={AGENT}", {}, ()),
        (SPEAK, {}, ("realtime", f"openai-insecure-api-key.{AGENT}")),
    ],
)
async def test_a_socket_with_an_agent_key_is_its_projects(
    start_sidecar: StartSidecar, path: str, headers: dict[str, str], protocols: tuple[str, ...]
) -> None:
    async with guarded(start_sidecar) as (sidecar, simulator):
        async with sidecar.http.ws_connect(f"{sidecar.url}{path}", headers=headers, protocols=protocols) as socket:
            handshake = socket._response.headers
            assert handshake["X-VoiceGW-Project"] == "acme"
        assert nothing_of_the_agents(simulator)


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        (f"/p/acme{OPENAI}", {}, 401, "unauthorized"),
        (f"/p/acme{OPENAI}", {"Authorization": "Bearer sk-of-the-agents-own"}, 401, "unauthorized"),
        (OPENAI, {"X-VoiceGW-Project": "acme"}, 401, "unauthorized"),
        (f"/p/globex{OPENAI}", {"Authorization": f"Bearer {AGENT}"}, 403, "forbidden"),
        (f"/p/open{OPENAI}", {"Authorization": f"Bearer {AGENT}"}, 403, "forbidden"),
        (OPENAI, {"Authorization": f"Bearer {AGENT}", "X-VoiceGW-Project": "globex"}, 403, "forbidden"),
        (f"/p/globex{OPENAI}", {"Authorization": "Bearer key-of-globex"}, 401, "missing_key"),
        ("/groq/openai/v1/chat/completions", {"Authorization": f"Bearer {AGENT}"}, 401, "missing_key"),
    ],
)
async def test_who_may_not_is_told_in_the_providers_words(
    start_sidecar: StartSidecar, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    async with guarded(start_sidecar) as (sidecar, simulator):
        async with sidecar.http.post(sidecar.url + path, json=CHAT, headers=headers) as answer:
            assert (answer.status, answer.headers["X-VoiceGW-Error"]) == (status, code)
            text = await answer.text()
            assert (await answer.json())["error"]["message"]
        assert AGENT not in text
        assert simulator.ledger.entries() == []
        rows = await sidecar.rows(int(code == "missing_key"))
        assert [row.error for row in rows] == ["missing_key"] * (code == "missing_key")


async def test_a_project_without_agent_keys_serves_whoever_is_on_this_machine(start_sidecar: StartSidecar) -> None:
    async with guarded(start_sidecar) as (sidecar, _):
        headers = {"Authorization": f"Bearer {PROVIDER}"}
        async with sidecar.http.post(f"{sidecar.url}/p/open{OPENAI}", json=CHAT, headers=headers) as answer:
            assert answer.status == 200


async def test_from_off_this_machine_only_agent_keys_are_let_in(start_sidecar: StartSidecar) -> None:
    async with guarded(start_sidecar) as (sidecar, simulator):
        far = {"X-Forwarded-For": "203.0.113.7"}
        cases = [
            (f"/p/open{OPENAI}", {**far, "Authorization": f"Bearer {PROVIDER}"}, 401),
            (f"/p/open{OPENAI}", {**far, "Authorization": "Bearer admin-key"}, 401),
            (OPENAI, {**far, "Authorization": f"Bearer {AGENT}"}, 200),
        ]
        for path, headers, status in cases:
            async with sidecar.http.post(sidecar.url + path, json=CHAT, headers=headers) as answer:
                assert (answer.status, path) == (status, path)
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await sidecar.http.ws_connect(f"{sidecar.url}/p/open{LISTEN}", headers=far)
        assert caught.value.status == 401
        assert len(simulator.ledger.entries()) == 1


async def test_no_agent_key_is_stored_or_shown(start_sidecar: StartSidecar) -> None:
    async with guarded(start_sidecar) as (sidecar, _):
        headers = {"Authorization": f"Bearer {AGENT}"}
        async with sidecar.http.post(f"{sidecar.url}{OPENAI}", json=CHAT, headers=headers) as answer:
            assert answer.status == 200
        await sidecar.rows(1)
        admin = {"Authorization": "Bearer admin-key"}
        for path in ("/v1/projects", "/v1/projects/acme", "/v1/status", "/v1/logs"):
            async with sidecar.http.get(sidecar.url + path, headers=admin) as answer:
                assert answer.status == 200
                assert "agent-key" not in await answer.text()
        database = sidecar.running.runtime.store.path
        for file in database.parent.glob(f"{database.name}*"):
            assert b"agent-key" not in file.read_bytes()


def token(key: str, issuer: str, lasts_s: int = 7200) -> str:
    """A token as LiveKit Inference's clients sign them."""
    now_s = int(time.time())
    claims = {"inference": {"perform": True}, "sub": "agent", "iss": issuer, "nbf": now_s, "exp": now_s + lasts_s}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode(claims, key, algorithm="HS256")


UNIFIED = "/v1/chat/completions"
ASKED = {"model": "openai/gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("path", "sent", "status", "code"),
    [
        (UNIFIED, token(AGENT, "acme"), 200, None),
        (f"/p/acme{UNIFIED}", token("another-key-of-acme", "acme"), 200, None),
        (f"/p/acme{UNIFIED}", token("a key of nobody", "acme"), 401, "unauthorized"),
        (f"/p/acme{UNIFIED}", token(AGENT, "acme", lasts_s=-120), 401, "unauthorized"),
        (f"/p/acme{UNIFIED}", token(AGENT, "globex"), 401, "unauthorized"),
        (f"/p/globex{UNIFIED}", token(AGENT, "acme"), 403, "forbidden"),
        (f"/p/open{UNIFIED}", token("a key of nobody", "nobody"), 401, "missing_key"),
    ],
)
async def test_token_signed_with_an_agent_key_is_of_its_project(
    start_sidecar: StartSidecar, path: str, sent: str, status: int, code: str | None
) -> None:
    async with guarded(start_sidecar) as (sidecar, simulator):
        headers = {"Authorization": f"Bearer {sent}"}
        async with sidecar.http.post(sidecar.url + path, json=ASKED, headers=headers) as response:
            await response.read()
        assert (response.status, response.headers.get("X-VoiceGW-Error")) == (status, code)
        if status == 200:
            assert response.headers["X-VoiceGW-Project"] == "acme"
            assert all(sent not in str(entry.headers) for entry in simulator.ledger.entries())
        else:
            assert simulator.ledger.entries() == []


async def test_token_of_livekit_never_reaches_a_provider(start_sidecar: StartSidecar) -> None:
    async with guarded(start_sidecar) as (sidecar, simulator):
        url = f"{sidecar.url}/p/open/v1/realtime?model=openai/gpt-realtime"
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            await sidecar.http.ws_connect(url, headers={"Authorization": f"Bearer {token('secret', 'devkey')}"})
        assert raised.value.status == 401
        assert raised.value.headers is not None
        assert raised.value.headers["X-VoiceGW-Error"] == "missing_key"
        assert simulator.ledger.entries() == []
