"""Calls that name no session, through a real sidecar: put together, kept together, and never at a call's cost."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import aiohttp
import pytest

from tests.api.test_sessions import CHAT, get, post
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import quick
from voicegw_sidecar.attribution import Attribution
from voicegw_sidecar.processes import Processes
from voicegw_sidecar.simulator import Listening, Script, Simulator, Speaking, Thinking
from voicegw_sidecar.simulator.conversation import Conversation
from voicegw_sidecar.stitching import Line
from voicegw_sidecar.terms import NS_PER_S

UTTERANCES = ("I would like a table for two.", "Yes, please.", "Okay.", "My name is Ferdinand.")
ANSWERS = ("For when shall it be?", "And your name, please?", "Done. Anything else?", "See you then.")


def script(**changes: object) -> Script:
    return quick(
        listen=Listening(final_ms=10.0, utterances=UTTERANCES),
        chat=Thinking(first_token_ms=20.0, token_interval_ms=1.0, answers=ANSWERS),
        tts=Speaking(first_audio_ms=10.0, s_per_char=0.005, pace=100.0),
        **changes,
    )


def providers(simulator: Simulator) -> dict[str, str]:
    return {name: simulator.base_url(name) for name in ("openai", "deepgram", "cartesia")}


async def talk(sidecar: Sidecar, prefix: str, turns: int, name: str) -> None:
    async with aiohttp.ClientSession() as http:
        async with Conversation(http, f"{sidecar.url}{prefix}", name, name, deepgram_voice=False) as talking:
            for _ in range(turns):
                await talking.answer(await talking.hear(0.4), None)
            await talking.hang_up()


async def settled(sidecar: Sidecar, count: int) -> list[dict[str, Any]]:
    """All exchanges with their sessions as they are known by now."""
    await sidecar.rows(at_least=count)
    await sidecar.running.runtime.store.committed()
    return (await get(sidecar, "/v1/logs?limit=1000"))[1]["logs"][::-1]  # type: ignore[no-any-return]


async def test_conversations_that_name_nothing_are_sessions(start_sidecar: StartSidecar) -> None:
    async with Simulator(script()) as simulator:
        async with start_sidecar("projects: {acme: {}, globex: {}}\n", **providers(simulator)) as sidecar:
            await asyncio.gather(
                *(talk(sidecar, "/p/acme", 3, f"a{n}") for n in range(3)), talk(sidecar, "/p/globex", 2, "g")
            )
            logs = await settled(sidecar, 3 * 9 + 6)
            _, listed = await get(sidecar, "/v1/sessions")
            sessions = {one["id"]: one for one in listed["sessions"]}
            assert sorted(one["project"] for one in sessions.values()) == ["acme", "acme", "acme", "globex"]
            assert {one["origin"] for one in sessions.values()} == {"inferred"}
            for entry in logs:
                assert sessions[entry["session_id"]]["project"] == entry["project"]
            for one in sessions.values():
                turns = 3 if one["project"] == "acme" else 2
                _, closed = await post(sidecar, f"/v1/sessions/{one['id']}/close")
                assert (closed["exchanges"], len(closed["turns"])) == (3 * turns, turns)
                for turn in closed["turns"]:
                    parts = [turn[name] for name in ("stt_ms", "llm_ms", "tts_ms", "agent_ms")]
                    assert sum(parts) == turn["total_ms"]
                assert closed["budget_ms_used"] is not None
                assert closed["agent_talk_s"] > 0
                own = [entry for entry in logs if entry["session_id"] == one["id"]]
                assert closed["cost_usd"] == pytest.approx(sum(entry["cost_usd"] for entry in own))


async def test_nothing_that_was_said_is_stored_or_logged(
    start_sidecar: StartSidecar, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with Simulator(script()) as simulator:
            async with start_sidecar(**providers(simulator)) as sidecar:
                await talk(sidecar, "", 4, "one")
                await settled(sidecar, 12)
                folder = sidecar.config.parent
    stored = b"".join(path.read_bytes() for path in folder.glob("voicegw.db*"))
    assert b"inferred" in stored
    for word in ("Ferdinand", "ferdinand", "table for two", "tablefortwo", "Anything else"):
        assert word.encode() not in stored
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("voicegw_sidecar")]
    assert not any("Ferdinand" in message for message in ours)


async def test_a_session_with_an_open_microphone_does_not_end(start_sidecar: StartSidecar) -> None:
    async with Simulator(script()) as simulator:
        async with start_sidecar("sessions: {idle_seconds: 1}\n", **providers(simulator)) as sidecar:
            sessions = sidecar.running.runtime.sessions
            async with aiohttp.ClientSession() as http:
                async with Conversation(http, sidecar.url, "x", "x", deepgram_voice=False) as talking:
                    await talking.answer(await talking.hear(0.4), None)
                    [session] = sessions.all_open()
                    assert session.listening == 1
                    session.active_ns -= 10 * NS_PER_S
                    assert sessions.idle(1) == []
                    await talking.hang_up()
            async with asyncio.timeout(5):
                while session.listening or session.running:
                    await asyncio.sleep(0.01)
            session.active_ns -= 10 * NS_PER_S
            assert sessions.idle(1) == [session]
            session.running = 1
            assert sessions.idle(1) == []
            session.active_ns -= 3600 * NS_PER_S
            assert sessions.idle(1) == [session]


async def test_a_fault_in_the_attribution_breaks_neither_call_nor_metering(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("made to fail")

    async with Simulator(script()) as simulator:
        async with start_sidecar(**providers(simulator)) as sidecar:
            for name in ("apply", "opened", "closed", "over"):
                with monkeypatch.context() as patch:
                    patch.setattr(Line, name, fail)
                    for prefix in ("", "/s/named"):
                        async with sidecar.http.post(
                            f"{sidecar.url}{prefix}/openai/v1/chat/completions", data=CHAT
                        ) as response:
                            assert response.status == 200
                            await response.read()
            rows = await sidecar.rows(8)
    assert {row.status for row in rows} == {"ok"}
    assert all(row.first_ms is not None and row.cost_nanousd for row in rows)
    assert [row.session_id for row in rows][1::2] == ["named"] * 4
    messages = [record.getMessage() for record in caplog.records]
    assert messages.count("calls cannot be put into sessions") == 8


async def test_a_caller_that_cannot_be_looked_up_is_served(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no thread is left")

    monkeypatch.setattr(Processes, "find", fail)
    async with Simulator(script()) as simulator:
        async with start_sidecar(**providers(simulator)) as sidecar:
            async with sidecar.http.post(f"{sidecar.url}/openai/v1/chat/completions", data=CHAT) as response:
                assert response.status == 200
            await sidecar.rows(1)
    assert "caller cannot be looked up" in [record.getMessage() for record in caplog.records]


async def test_a_fault_does_not_end_the_look_after_sessions(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept = []

    def fail(self: Attribution) -> None:
        swept.append(self)
        raise ZeroDivisionError("made to fail")

    monkeypatch.setattr(Attribution, "sweep", fail)
    async with start_sidecar():
        async with asyncio.timeout(10):
            while len(swept) < 2:
                await asyncio.sleep(0.05)


async def test_answers_name_the_session_only_where_the_agent_did(start_sidecar: StartSidecar) -> None:
    async with Simulator(script()) as simulator:
        async with start_sidecar(**providers(simulator)) as sidecar:
            for prefix, expected in (("", None), ("/s/call-1", "call-1")):
                async with sidecar.http.post(
                    f"{sidecar.url}{prefix}/openai/v1/chat/completions", data=CHAT
                ) as response:
                    assert response.headers.get("X-VoiceGW-Session") == expected
