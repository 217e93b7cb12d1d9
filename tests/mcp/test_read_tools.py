"""Every read tool, about a sidecar with real calls, real conversations and what was observed of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_sessions import post
from tests.conftest import StartSidecar
from tests.mcp.support import ADMIN, KEYED, VIEWER, editor
from tests.test_attribution import providers, script, settled, talk
from tests.web.filled import TURNS, fill
from voicegw_sidecar.simulator import Simulator

ACME = """
projects:
  acme:
    daily_budget: 25.0
    tags: [production]
    routing:
      budget_ms: 1200
      rosters: {stt: [deepgram, assemblyai], llm: [groq, openai/gpt-4.1-mini], tts: [cartesia]}
  globex: {}
"""
CHAT = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hello"}]}


async def test_figures_are_those_of_the_api(start_sidecar: StartSidecar) -> None:
    async with Simulator(script()) as simulator, start_sidecar(KEYED + ACME, **providers(simulator)) as sidecar:
        url = f"{sidecar.url}/p/acme/s/call-1/openai/v1/chat/completions"
        async with sidecar.http.post(url, json=CHAT) as response:
            assert response.status == 200
        await sidecar.rows(1)
        key = {"Authorization": f"Bearer {ADMIN}"}
        logs = await sidecar.get_json("/v1/logs", **key)
        costs = await sidecar.get_json("/v1/costs", **key)
        async with editor(sidecar.url, VIEWER) as at:
            text, found = await at.ask("logs", project="acme", modality="llm", session_id="call-1", status="ok")
            [entry], [asked] = found["logs"], logs["logs"]
            assert (entry["cost_usd"], entry["first_ms"], entry["usage"]) == (
                asked["cost_usd"], asked["first_ms"], asked["usage"])  # fmt: skip
            assert (entry["model"], entry["error"]) == ({"untrusted_text": asked["model"]}, None)
            assert "error none" in text
            assert found["next"] is None
            _, found = await at.ask("costs", daily_days=7)
            assert found["total_usd"] == costs["total_usd"] > 0
            assert found["by_provider"] == [{"provider": "openai", **costs["by_provider"]["openai"]}]
            [model] = found["by_model"]
            assert model["model"]["untrusted_text"].startswith("openai/gpt-4.1-mini")
            assert [day["project"] for day in found["daily"]] == ["acme"]
            text, found = await at.ask("costs", project="acme")
            assert (found["requests"], found["unpriced"]) == (1, 0)
            async with sidecar.http.post(url, json={**CHAT, "model": "unheard-of"}) as response:
                assert response.status == 200
            await sidecar.rows(2)
            text, found = await at.ask("costs", project="acme")
            assert (found["requests"], found["unpriced"], found["total_usd"]) == (2, 1, costs["total_usd"])
            assert (
                "2 requests; exchanges without a known price, counted as any other: 1, and what they cost is in no sum."
                in text
            )
            text, found = await at.ask("costs", project="globex", period="all", daily_days=7)
            assert (found["requests"], found["daily"]) == (0, [])
            text, found = await at.ask("health")
            assert (found["health"]["status"], found["readiness"]["status"]) == ("ok", "ready")
            assert found["status"]["counts"]["exchanges"] == 2
            assert "ready" in text
            text, found = await at.ask("projects", project="acme")
            [acme] = found["projects"]
            assert (acme["project"], acme["daily_budget"], acme["today"]["requests_today"]) == ("acme", 25.0, 2)
            assert acme["tags"] == [{"untrusted_text": "production"}]
            assert len((await at.ask("projects"))[1]["projects"]) == 3  # with the built-in one


async def test_routes_and_what_is_expected_of_them(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED + ACME) as sidecar:
        async with editor(sidecar.url, VIEWER) as at:
            text, found = await at.ask("simulate_route", project="acme")
            assert [found["route"][leg]["provider"] for leg in ("stt", "llm", "tts")] == [
                "deepgram",
                "groq",
                "cartesia",
            ]
            assert (found["predicted_ms"], found["budget_ms"], found["budget_overrun"]) == (480.0, 1200, False)
            assert "480 ms are expected, which fits the latency budget of 1200 ms" in text
            _, found = await at.ask("simulate_route", project="acme", llm="openai")
            assert found["predicted_ms"] == 700.0
            assert "is not in projects.acme" in await at.fails("simulate_route", project="acme", stt="groq")
            text, found = await at.ask("routing", project="acme")
            [acme] = found["projects"]
            assert (acme["rosters"]["stt"], acme["observations"]) == (["deepgram", "assemblyai"], [])
            assert "nothing was observed yet" in text
            await fill(sidecar.running.runtime, ("acme",), sessions=1)
            _, found = await at.ask("routing")
            acme = next(one for one in found["projects"] if one["project"] == "acme")
            assert {(one["modality"], one["provider"], one["p50_ms"]) for one in acme["observations"]} == {
                ("stt", "deepgram", 310.0), ("llm", "openai", 240.0), ("tts", "cartesia", 120.0)}  # fmt: skip


async def test_a_session_is_drawn_and_explained(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED + ACME) as sidecar:
        ids = await fill(sidecar.running.runtime, ("acme",), sessions=2)
        async with editor(sidecar.url, VIEWER) as at:
            text, found = await at.ask("sessions", project="acme", outcome="errors", overrun=True)
            [listed] = found["sessions"]
            assert (listed["session_id"], listed["failures"]) == ({"untrusted_text": ids["acme"][1]}, 1)
            assert "turns" not in listed
            assert (await at.ask("sessions", overrun=False))[0] == "No session is found."
            _, page = await at.ask("sessions", limit=1)
            _, rest = await at.ask("sessions", limit=1, before=page["next"])
            assert [one["session_id"]["untrusted_text"] for one in page["sessions"] + rest["sessions"]] == ids["acme"]

            text, found = await at.ask("session_waterfall", session_id=ids["acme"][1])
            assert len(found["session"]["turns"]) == TURNS
            assert len(found["exchanges"]) == 3 * TURNS
            assert found["session"]["route"]["llm"]["predicted_ms"] == 240.0
            assert found["session"]["turns"][2]["total_ms"] is None
            assert all(line in text for line in found["waterfall"])
            assert "turn 2" in text
            assert "unknown (stt 310 llm unknown" in text

            text, found = await at.ask("why_was_this_session_slow", session_id=ids["acme"][1], project="acme")
            assert found["verdict"] == "slow"
            assert all(sentence in text for sentence in found["sentences"])
            assert "670 ms were predicted, 70 ms more than the budget of 600 ms" in text
            assert 'Of 12 exchanges 1 failed: llm of openai upstream_error with HTTP status 503, error {"unt' in text
            assert "llm is unknown in 1 of 4 turns, 2:" in text
            assert [[seen["p50_ms"] for seen in one["observed"]] for one in found["parts"]] == [
                [310.0], [240.0], [120.0], []]  # fmt: skip
            assert [one["over_predicted"] for one in found["slow_turns"]] == [[]] * 3


async def test_a_conversation_that_was_held_is_told_as_the_api_tells_it(start_sidecar: StartSidecar) -> None:
    async with Simulator(script()) as simulator, start_sidecar(ACME, **providers(simulator)) as sidecar:
        await talk(sidecar, "/p/acme/s/call-1", 2, "call-1")
        await settled(sidecar, 6)
        closed = (await post(sidecar, "/v1/sessions/call-1/close"))[1]
        async with editor(sidecar.url) as at:
            _, found = await at.ask("session_waterfall", session_id="call-1")
            assert found["session"]["turns"] == closed["turns"]
            assert len(found["waterfall"]) == 3
            text, found = await at.ask("why_was_this_session_slow", session_id="call-1")
            totals = [turn["total_ms"] for turn in closed["turns"]]
            assert found["verdict"] == ("slow" if max(totals) > 1200 else "not_slow")  # as fast as this machine is
            assert str(max(totals)) in text
            assert found["stand_in_exchanges"] == 0


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("logs", {"project": "nope"}, "expected a configured project"),
        ("costs", {"project": "nope"}, "nope"), ("projects", {"project": "nope"}, "nope"),
        ("sessions", {"project": "nope"}, "nope"), ("routing", {"project": "nope"}, "nope"),
        ("simulate_route", {"project": "nope"}, "nope"), ("session_waterfall", {"session_id": "nope"}, "no session"),
        ("why_was_this_session_slow", {"session_id": "nope"}, "no session"),
        ("logs", {"from": "yesterday"}, "from: found 'yesterday', expected a time"),
        ("simulate_route", {"project": "globex"}, "is empty"),
    ],
)  # fmt: skip
async def test_what_is_not_there_is_one_line(
    start_sidecar: StartSidecar, name: str, arguments: dict[str, Any], told: str
) -> None:
    async with start_sidecar(ACME) as sidecar, editor(sidecar.url) as at:
        assert told in await at.fails(name, **arguments)
