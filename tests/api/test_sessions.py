"""Sessions over HTTP: picked, kept, listed, closed once, and seen by their own project alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import apsw
import pytest

from tests.api.test_api import upstream
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, raw_server
from voicegw_sidecar.serve import running
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.terms import NS_PER_S

ROUTED = """
projects:
  acme:
    routing:
      budget_ms: 1200
      rosters: {stt: [deepgram, assemblyai], llm: [groq, openai], tts: [cartesia, elevenlabs]}
  tight:
    routing:
      budget_ms: 479
      rosters: {stt: [deepgram], llm: [groq], tts: [cartesia]}
  strict:
    routing:
      budget_ms: 479
      fallback_to_fastest: false
      rosters: {stt: [deepgram], llm: [groq], tts: [cartesia]}
  bare: {}
"""
CHAT = b'{"model":"gpt-4.1-mini","messages":[{"role":"user","content":"hello there"}]}'


async def post(sidecar: Sidecar, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    async with sidecar.http.post(sidecar.url + path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def get(sidecar: Sidecar, path: str, **headers: str) -> tuple[int, Any]:
    async with sidecar.http.get(sidecar.url + path, headers=headers) as response:
        return response.status, await response.json()


async def call(sidecar: Sidecar, prefix: str, **headers: str) -> str:
    url = f"{sidecar.url}{prefix}/openai/v1/chat/completions"
    async with sidecar.http.post(url, data=CHAT, headers={"Content-Type": "application/json", **headers}) as response:
        await response.read()
        return response.headers["X-VoiceGW-Exchange"]


async def test_a_session_gets_the_pick_and_its_addresses(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        status, begun = await post(sidecar, "/v1/sessions", {"project": "acme", "session_id": "call-42"})
        host = sidecar.url.removeprefix("http://")
        assert status == 201
        assert (begun["session_id"], begun["project"]) == ("call-42", "acme")
        assert (begun["predicted_ms"], begun["budget_ms"], begun["budget_overrun"]) == (480, 1200, False)
        assert begun["route"]["stt"] == {
            "provider": "deepgram", "model": "nova-3", "predicted_ms": 250, "source": "baseline", "samples": 0,
            "base_url": f"http://{host}/p/acme/s/call-42/deepgram",
            "ws_url": f"ws://{host}/p/acme/s/call-42/deepgram",
        }  # fmt: skip
        assert [begun["route"][leg]["provider"] for leg in ("llm", "tts")] == ["groq", "cartesia"]
        status, found = await get(sidecar, "/v1/sessions/call-42")
        assert status == 200
        assert (found["id"], found["project"], found["origin"], found["ended_at"]) == ("call-42", "acme", "api", None)
        assert found["turns"] == []
        assert found["exchanges"] == 0


async def test_an_agents_own_choice_narrows_its_roster(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme", "llm": "openai/gpt-4.1-mini"})
        assert (begun["predicted_ms"], begun["route"]["llm"]["model"]) == (700, "gpt-4.1-mini")
        assert begun["session_id"]


@pytest.mark.parametrize(
    ("body", "status", "code", "named"),
    [
        ({"project": "nope"}, 404, "unknown_project", "nope"),
        ({"project": ""}, 404, "unknown_project", "''"),
        ({"project": "acme", "llm": "anthropic"}, 409, "no_route", "groq, openai"),
        ({"project": "strict"}, 409, "no_route", "479"),
        ({"project": "bare"}, 409, "no_route", "rosters.stt is empty"),
        ({}, 409, "no_route", "projects.default.routing.rosters.stt is empty"),
        ({"project": "acme", "session_id": "a b"}, 400, "bad_request", "session_id"),
        ({"project": "acme", "session": "x"}, 400, "bad_request", "session_id"),
        ({"project": "acme", "stt": 5}, 400, "bad_request", "stt: found a number, expected text"),
        ({"project": "acme", "stt": "deepgram/"}, 400, "bad_request", "stt"),
        ([], 400, "bad_request", "found a list"),
    ],
)
async def test_refusals_are_worded(
    start_sidecar: StartSidecar, body: object, status: int, code: str, named: str
) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        found, answer = await post(sidecar, "/v1/sessions", body)
        assert (found, answer["error"]["code"]) == (status, code)
        assert named in answer["error"]["message"]
        assert "\n" not in answer["error"]["message"]
        assert (await get(sidecar, "/v1/sessions"))[1]["sessions"] == []


async def test_bodies_of_other_kinds_are_refused(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        for data, kind, status, code in (
            (b"project=acme", "application/x-www-form-urlencoded", 415, "unsupported_type"),
            (b"{", "application/json", 400, "bad_request"),
            (b'{"project":"' + b"a" * 70_000 + b'"}', "application/json", 413, "too_large"),
        ):
            for path in ("/v1/sessions", "/v1/sessions/x/close"):
                async with sidecar.http.post(
                    f"{sidecar.url}{path}", data=data, headers={"Content-Type": kind}
                ) as response:
                    assert (response.status, response.headers["X-VoiceGW-Error"]) == (status, code)


async def test_what_fits_nowhere_gets_the_fastest_and_says_so(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        _, begun = await post(sidecar, "/v1/sessions", {"project": "tight"})
        assert (begun["predicted_ms"], begun["budget_overrun"]) == (480, True)


async def test_an_id_is_taken_once_in_its_project(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        body = {"project": "acme", "session_id": "one"}
        answers = await asyncio.gather(*(post(sidecar, "/v1/sessions", body) for _ in range(5)))
        assert sorted(status for status, _ in answers) == [201, 409, 409, 409, 409]
        assert (await post(sidecar, "/v1/sessions/one/close"))[0] == 200
        status, answer = await post(sidecar, "/v1/sessions", body)
        assert (status, answer["error"]["code"]) == (409, "conflict"), "a closed one is not opened again"
        assert (await post(sidecar, "/v1/sessions", {"project": "tight", "session_id": "one"}))[0] == 201
        for path in ("/v1/sessions/one", "/v1/sessions/one?project=tight"):
            status, answer = await get(sidecar, path)
            assert status == (409 if "?" not in path else 200)
        assert (await post(sidecar, "/v1/sessions/one/close"))[0] == 409
        assert (await get(sidecar, "/v1/sessions/two"))[1]["error"]["code"] == "unknown_session"
        assert (await get(sidecar, "/v1/sessions/one?project=nope"))[1]["error"]["code"] == "unknown_project"


async def test_calls_open_the_session_they_name_and_close_fixes_its_figures(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(ROUTED, openai=url) as sidecar:
        await call(sidecar, "/p/acme/s/call-1")
        await call(sidecar, "/p/acme", **{"X-VoiceGW-Session": "call-1"})
        await call(sidecar, "/p/acme", **{"X-LiveKit-Job-ID": "AJ_1"})
        await sidecar.rows(3)
        _, found = await get(sidecar, "/v1/sessions")
        assert [(one["id"], one["origin"], one["exchanges"]) for one in found["sessions"]] == [
            ("AJ_1", "named", 1), ("call-1", "named", 2)]  # fmt: skip
        assert "turns" not in found["sessions"][0]
        status, closed = await post(sidecar, "/v1/sessions/call-1/close")
        assert (status, closed["exchanges"], closed["cost_usd"]) == (200, 2, pytest.approx(0.0000088))
        assert closed["ended_at"] is not None
        leg = closed["route"]["llm"]
        assert (leg["provider"], leg["model"], leg["predicted_ms"], leg["used"]) == (
            "openai", "gpt-4.1-mini", None, ["openai/gpt-4.1-mini"])  # fmt: skip
        assert (closed["route"]["stt"], closed["budget_ms"], closed["budget_ms_used"]) == (None, 1200, None)
        exchange = await call(sidecar, "/p/acme/s/call-1")
        await sidecar.rows(4)
        logs = (await get(sidecar, "/v1/logs?session=call-1"))[1]["logs"]
        assert exchange in [entry["id"] for entry in logs], "it is served and logged under that id"
        again = (await post(sidecar, "/v1/sessions/call-1/close"))[1]
        assert again == closed == (await get(sidecar, "/v1/sessions/call-1"))[1]


async def test_lists_go_on_where_a_page_ended(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        for number in range(5):
            project = "tight" if number == 2 else "acme"
            await post(sidecar, "/v1/sessions", {"project": project, "session_id": f"call-{number}"})
        seen, before = [], ""
        while True:
            _, page = await get(sidecar, f"/v1/sessions?project=acme&limit=2{before}")
            seen += [one["id"] for one in page["sessions"]]
            if page["next"] is None:
                break
            before = f"&before={page['next']}"
        assert seen == ["call-4", "call-3", "call-1", "call-0"]
        for wrong in ("limit=0", "before=x", "project=nope", "status=open"):
            status, answer = await get(sidecar, f"/v1/sessions?{wrong}")
            assert status in (400, 404)
            assert wrong.partition("=")[0] in answer["error"]["message"]


async def test_silence_ends_a_session_at_its_last_exchange(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar("sessions: {idle_seconds: 1}", openai=url) as sidecar:
        await call(sidecar, "/s/call-1")
        await sidecar.rows(1)
        [session] = sidecar.running.runtime.sessions.all_open()
        session.active_ns -= 2 * NS_PER_S
        found: Any = {"ended_at": None}
        async with asyncio.timeout(10):
            while found["ended_at"] is None:
                found = (await get(sidecar, "/v1/sessions/call-1"))[1]
                await asyncio.sleep(0.05)
        logged = (await get(sidecar, "/v1/logs?session=call-1"))[1]["logs"][0]
        assert found["started_at"] <= found["ended_at"]
        assert found["ended_at"][:16] == logged["started_at"][:16]


async def test_stopping_closes_every_session_and_starting_those_that_a_crash_left(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url:
        async with start_sidecar("sessions: {idle_seconds: 1}", openai=url) as sidecar:
            await call(sidecar, "/s/call-1")
            await post(sidecar, "/v1/sessions/call-1/close")
            await call(sidecar, "/s/call-2")
            # what a crash would leave: an open session of which nothing more is heard
            sidecar.running.runtime.sessions._open.clear()
        async with start_sidecar("sessions: {idle_seconds: 1}", openai=url) as sidecar:
            await call(sidecar, "/s/call-3")
            found: Any = {"ended_at": None}
            async with asyncio.timeout(10):
                while found["ended_at"] is None:
                    found = (await get(sidecar, "/v1/sessions/call-2"))[1]
                    await asyncio.sleep(0.05)
            assert found["exchanges"] == 1
        async with start_sidecar() as sidecar:
            sessions = (await get(sidecar, "/v1/sessions"))[1]["sessions"]
            assert [(one["id"], one["ended_at"] is not None) for one in sessions] == [
                ("call-3", True), ("call-2", True), ("call-1", True)]  # fmt: skip


KEYED = """
auth: {api_keys: [admin-key-0123456789], viewer_keys: [viewer-key-0123456789]}
projects:
  acme:
    agent_keys: [acme-agent-key-0123456789]
    routing: {rosters: {stt: [deepgram], llm: [groq], tts: [cartesia]}}
  globex:
    routing: {rosters: {stt: [deepgram], llm: [groq], tts: [cartesia]}}
"""


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_agent_keys_open_and_see_their_own_sessions_only(start_sidecar: StartSidecar) -> None:
    admin, viewer, agent = (
        bearer("admin-key-0123456789"),
        bearer("viewer-key-0123456789"),
        bearer("acme-agent-key-0123456789"),
    )
    async with start_sidecar(KEYED) as sidecar:
        assert (await post(sidecar, "/v1/sessions", {}))[0] == 401
        assert (await post(sidecar, "/v1/sessions", {"project": "acme"}, **viewer))[0] == 403
        assert (await post(sidecar, "/v1/sessions", {"project": "globex"}, **agent))[0] == 403
        status, begun = await post(sidecar, "/v1/sessions", {"session_id": "mine"}, **agent)
        assert (status, begun["project"]) == (201, "acme"), "the key decides the project"
        assert (await post(sidecar, "/v1/sessions", {"project": "globex", "session_id": "theirs"}, **admin))[0] == 201
        assert (await get(sidecar, "/v1/sessions/mine", **agent))[0] == 200
        assert (await get(sidecar, "/v1/sessions/theirs", **agent))[0] == 404
        for other in ("globex", "nope"):
            assert (await get(sidecar, f"/v1/sessions/mine?project={other}", **agent))[0] == 403, (
                "nor who else is there"
            )
        assert (await post(sidecar, "/v1/sessions/theirs/close", **agent))[0] == 404
        assert (await get(sidecar, "/v1/sessions", **agent))[0] == 401, "the list is not an agent's"
        assert (await get(sidecar, "/v1/sessions/theirs", **viewer))[0] == 200
        assert (await post(sidecar, "/v1/sessions/mine/close", **viewer))[0] == 403
        assert (await post(sidecar, "/v1/sessions/mine/close", **agent))[0] == 200


async def test_while_draining_calls_of_open_sessions_go_on(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(ROUTED, openai=url) as sidecar:
        await call(sidecar, "/p/acme/s/call-1")
        sidecar.running.runtime.is_draining = True
        for prefix, expected in (
            ("/p/acme/s/call-1", 200), ("/p/acme", 200), ("/p/acme/s/call-2", 503), ("/p/tight", 503),
        ):  # fmt: skip
            async with sidecar.http.post(f"{sidecar.url}{prefix}/openai/v1/chat/completions", data=CHAT) as response:
                assert (prefix, response.status) == (prefix, expected)
        assert (await post(sidecar, "/v1/sessions", {"project": "acme"}))[1]["error"]["code"] == "draining"
        sidecar.running.runtime.is_draining = False


async def test_a_session_is_there_while_its_row_waits_to_be_written(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        holder = apsw.Connection(str(sidecar.running.runtime.store.path))
        holder.execute("BEGIN IMMEDIATE")
        body = {"project": "acme", "session_id": "waiting"}
        assert (await post(sidecar, "/v1/sessions", body))[0] == 201
        status, found = await get(sidecar, "/v1/sessions/waiting")
        assert (status, found["route"]["stt"]["provider"]) == (200, "deepgram")
        closing = asyncio.ensure_future(post(sidecar, "/v1/sessions/waiting/close"))
        await asyncio.sleep(0.1)
        assert (await post(sidecar, "/v1/sessions", body))[0] == 409
        holder.execute("ROLLBACK")
        holder.close()
        status, found = await closing
        assert (status, found["ended_at"] is not None) == (200, True)


async def test_a_refused_call_opens_the_session_it_names(start_sidecar: StartSidecar) -> None:
    more = f"{KEYED}providers: {{}}\n"
    async with start_sidecar(more) as sidecar:
        async with sidecar.http.post(
            f"{sidecar.url}/s/refused/openai/v1/chat/completions",
            data=CHAT,
            headers=bearer("acme-agent-key-0123456789"),
        ) as response:
            assert response.headers["X-VoiceGW-Error"] == "missing_key"
        await sidecar.rows(1)
        status, found = await get(sidecar, "/v1/sessions/refused", **bearer("admin-key-0123456789"))
        assert (status, found["exchanges"], found["cost_usd"]) == (200, 0, 0.0)


async def test_calls_of_a_session_count_as_such_where_nothing_is_recorded(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(ROUTED, openai=url) as sidecar:
        text = sidecar.config.read_text().replace("unpriced: warn", "unpriced: warn, enabled: false")
        assert "enabled: false" in text
    async with raw_server(upstream) as url, running_with_config(sidecar, text, url) as other:
        await post(other, "/v1/sessions", {"project": "acme", "session_id": "x"})
        [session] = other.running.runtime.sessions.all_open()
        session.active_ns -= 3600 * NS_PER_S
        url = f"{other.url}/p/acme/s/x/openai/v1/chat/completions"
        async with other.http.post(url, data=CHAT) as response:
            assert response.status == 200
        assert other.running.runtime.sessions.idle(60) == []


@asynccontextmanager
async def running_with_config(sidecar: Sidecar, text: str, upstream_url: str) -> AsyncIterator[Sidecar]:
    sidecar.config.write_text(re.sub(r"(openai: {base_url: )'[^']*'", rf"\1'{upstream_url}'", text))
    async with running(load_settings(str(sidecar.config), {})) as started, aiohttp.ClientSession() as http:
        yield Sidecar(started, http, sidecar.config)
