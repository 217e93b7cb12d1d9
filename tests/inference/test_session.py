"""Sessions opened from an agent: the triple, the context, the end."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.clients.cases.livekit import answering
from tests.inference.conftest import OpenPlace
from voicegw_sidecar import inference

ROUTED = """
projects:
  prod:
    routing: {budget_ms: 700, rosters: {stt: [deepgram, groq], llm: [groq, openai], tts: [cartesia]}}
    providers: {deepgram: {api_key: k}, groq: {api_key: k}, openai: {api_key: k}, cartesia: {api_key: k}}
  staging: {}
"""


async def test_the_triple_and_the_context_from_then_on(open_place: OpenPlace) -> None:
    async with open_place(ROUTED) as place:
        inference.set_project("prod")
        session = await inference.open_session(session_id="call-1")
        assert (session.id, session.project, session.budget_overrun) == ("call-1", "prod", False)
        assert (str(session.route.stt), session.route.llm.provider) == ("groq/whisper-large-v3-turbo", "groq")
        assert session.route.tts.base_url == f"{place.sidecar.url}/p/prod/s/call-1/cartesia"
        assert session.route.tts.ws_url == inference.ws_url("cartesia")
        assert session.predicted_ms == sum(leg.predicted_ms or 0 for leg in session.route)
        assert inference.current_session() == "call-1"
        assert await answering(lambda _: inference.LLM(str(session.route.llm)))("")
        [row] = await place.sidecar.rows(1)
    assert (row.project, row.session_id, row.provider) == ("prod", "call-1", "groq")


async def test_a_session_that_is_left_is_closed_and_the_context_as_before(open_place: OpenPlace) -> None:
    async with open_place(ROUTED) as place:
        inference.set_project("staging")
        async with inference.open_session(project="prod", llm="openai/gpt-4.1-mini") as session:
            assert inference.base_url("openai").endswith(f"/p/prod/s/{session.id}/openai")
            assert str(session.route.llm) == "openai/gpt-4.1-mini"
            assert (await place.sidecar.get_json(f"/v1/sessions/{session.id}"))["ended_at"] is None
        assert (inference.current_project(), inference.current_session()) == ("staging", None)
        assert (await place.sidecar.get_json(f"/v1/sessions/{session.id}"))["ended_at"] is not None


async def test_the_context_afterwards_is_that_of_before(open_place: OpenPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_place(ROUTED):
        inference.set_project("prod")
        inference.set_session("call-1")
        inference.set_project("staging")
        async with inference.open_session(project="prod"):
            assert inference.current_session() != "call-1"
        assert (inference.current_project(), inference.current_session()) == ("staging", None)
        inference.set_project("prod")
        assert inference.current_session() == "call-1"
        inference.set_project(None)
        monkeypatch.setenv("VOICEGW_PROJECT", "prod")
        async with inference.open_session():
            pass
        monkeypatch.setenv("VOICEGW_PROJECT", "staging")
        assert inference.current_project() == "staging"


async def test_a_session_left_in_another_task_leaves_that_tasks_context(open_place: OpenPlace) -> None:
    async with open_place(ROUTED) as place:
        opening = inference.open_session(project="prod")
        session = await opening.__aenter__()

        async def shut_down() -> str | None:
            inference.set_project("staging")
            await opening.__aexit__(None, None, None)
            return inference.current_project()

        assert await asyncio.create_task(shut_down()) == "staging"
        assert (await place.sidecar.get_json(f"/v1/sessions/{session.id}"))["ended_at"] is not None
        with pytest.raises(RuntimeError, match="call it again for another"):
            await opening


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.004, 0.02])
async def test_who_stops_waiting_leaves_no_session_open(open_place: OpenPlace, after_s: float) -> None:
    """Whenever it is: before the sidecar was asked, while it answers, after it has."""
    async with open_place(ROUTED) as place:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(after_s), inference.open_session(project="prod", session_id="left"):
                await asyncio.sleep(60)
        async with asyncio.timeout(10):
            while True:
                found = (await place.sidecar.get_json("/v1/sessions?project=prod"))["sessions"]
                if all(one["ended_at"] for one in found):
                    break
                await asyncio.sleep(0.01)


async def test_an_exception_within_goes_on_and_the_session_is_closed(open_place: OpenPlace) -> None:
    async with open_place(ROUTED) as place:
        with pytest.raises(ZeroDivisionError):
            async with inference.open_session(project="prod") as session:
                _ = 1 / 0
        assert (await place.sidecar.get_json(f"/v1/sessions/{session.id}"))["ended_at"] is not None


async def test_sessions_of_tasks_beside_each_other(open_place: OpenPlace) -> None:
    async with open_place(ROUTED):
        have_opened = asyncio.Barrier(3)

        async def hold(name: str) -> str:
            async with inference.open_session(project="prod", session_id=name):
                await have_opened.wait()
                return inference.base_url("groq").rpartition("/s/")[2]

        names = ("one", "two", "three")
        assert await asyncio.gather(*map(hold, names)) == [f"{name}/groq" for name in names]


async def test_refusals_have_the_sidecars_code_and_words(open_place: OpenPlace) -> None:
    async with open_place(ROUTED):
        for asked, code, status in (
            ({"project": "nobody"}, "unknown_project", 404),
            ({"project": "staging"}, "no_route", 409),
            ({"project": "prod", "llm": "anthropic"}, "no_route", 409),
            ({"project": "prod", "session_id": "a/b"}, "bad_request", 400),
        ):
            with pytest.raises(inference.SessionRefusedError) as caught:
                await inference.open_session(**asked)
            assert (caught.value.code, caught.value.status) == (code, status)
            assert str(caught.value)
        await inference.open_session(project="prod", session_id="call-1")
        with pytest.raises(inference.SessionRefusedError, match="call-1 is taken"):
            await inference.open_session(project="prod", session_id="call-1")


async def test_agent_keys_open_sessions_of_their_project(
    open_place: OpenPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ROUTED.replace("  prod:\n", "  prod:\n    agent_keys: [agents-of-prod]\n") + "auth: {api_keys: [admins]}\n"
    async with open_place(more):
        with pytest.raises(inference.SessionRefusedError) as caught:
            await inference.open_session()
        assert caught.value.status == 401
        monkeypatch.setenv("VOICEGW_AGENT_KEY", "agents-of-prod")
        async with inference.open_session() as session:
            assert session.project == "prod"
            assert inference.current_project() == "prod"


async def test_closing_never_fails_an_agent(open_place: OpenPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_place(ROUTED):
        session = await inference.open_session(project="prod")
        monkeypatch.setenv("VOICEGW_AGENT_KEY", "no key")
        await session.close()
        monkeypatch.delenv("VOICEGW_AGENT_KEY")
        monkeypatch.setenv("VOICEGW_URL", "no address")
        await session.close()


async def test_nobody_there_and_nobody_of_ours(monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int) -> None:
    monkeypatch.setenv("VOICEGW_URL", f"http://127.0.0.1:{unused_tcp_port}")
    with pytest.raises(inference.SidecarNotRunningError, match="start it with 'voicegw-sidecar serve'"):
        await inference.open_session()

    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")
        writer.close()

    async with await asyncio.start_server(page, "127.0.0.1", unused_tcp_port):
        with pytest.raises(inference.SidecarNotRunningError, match="is no sidecar: it sent no JSON"):
            await inference.open_session()


async def test_a_sidecar_that_is_gone_at_the_end_stops_no_conversation(
    open_place: OpenPlace, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, unused_tcp_port: int
) -> None:
    caplog.set_level(logging.WARNING, logger="voicegw_sidecar.inference")
    async with open_place(ROUTED):
        async with inference.open_session(project="prod"):
            monkeypatch.setenv("VOICEGW_URL", f"http://127.0.0.1:{unused_tcp_port}")
        assert "session not closed: no sidecar answers" in caplog.text
        assert inference.current_session() is None
