"""Observed latencies: rolled up at start, at intervals and at the end, and what the router makes of them."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.test_sessions import ROUTED, get, post
from tests.cli.test_commands import run
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.routing.latency import quantile
from voicegw_sidecar.store.migrate import migrate
from voicegw_sidecar.store.queries.latencies import roll_up
from voicegw_sidecar.store.records import WRITE_EXCHANGE, ExchangeRow, bindings
from voicegw_sidecar.terms import NS_PER_S, Modality, Status

DAY_NS = 24 * 3600 * NS_PER_S


def row(
    wall_ns: int, provider: str, model: str | None, modality: Modality, first_ms: float | None,
    status: Status = Status.OK, project: str = "acme",
) -> ExchangeRow:  # fmt: skip
    return ExchangeRow(
        id=IdSource().next(wall_ns), project=project, provider=provider, started_ns=wall_ns, ended_ns=wall_ns,
        status=status, model=model, modality=modality, first_ms=first_ms,
    )  # fmt: skip


async def observe(sidecar: Sidecar, *rows: ExchangeRow) -> Any:
    store = sidecar.running.runtime.store
    for one in rows:
        await store.append_awaited(one)
    await sidecar.running.runtime.rollup.refresh()
    return (await get(sidecar, "/api/routing?project=acme"))[1]["projects"]["acme"]


async def test_observed_beats_the_baseline_from_five_samples_on(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        now_ns = sidecar.running.runtime.clock.wall_ns()
        slow = [row(now_ns, "deepgram", "nova-3", Modality.STT, 900.0 + n) for n in range(4)]
        left_out = [
            row(now_ns, "deepgram", "nova-3", Modality.STT, 1.0, Status.CANCELLED),
            row(now_ns, "deepgram", "nova-3", Modality.STT, 1.0, Status.UPSTREAM_ERROR),
            row(now_ns, "deepgram", "nova-3", Modality.STT, 1.0, Status.PARTIAL),
            row(now_ns, "deepgram", "nova-3", Modality.STT, None),
            row(now_ns - DAY_NS - NS_PER_S, "deepgram", "nova-3", Modality.STT, 1.0),
            row(now_ns, "deepgram", "nova-3", Modality.STT, 1.0, project="tight"),
            row(now_ns, "openai", "gpt-realtime", Modality.S2S, 1.0),
        ]
        found = await observe(sidecar, *slow, *left_out)
        entry = {"modality": "stt", "provider": "deepgram", "p50_ms": 901.5, "p95_ms": 902.85, "sample_count": 4,
                 "baseline_ms": 250}  # fmt: skip
        assert found["observations"] == [{**entry, "model": None}, {**entry, "model": "nova-3"}]
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme"})
        assert begun["route"]["stt"]["provider"] == "deepgram", "four are too few"
        await observe(sidecar, row(now_ns, "deepgram", "nova-2", Modality.STT, 904.0))
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme"})
        assert (begun["route"]["stt"]["provider"], begun["predicted_ms"]) == ("assemblyai", 630)
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme", "stt": "deepgram"})
        leg = begun["route"]["stt"]
        assert (leg["predicted_ms"], leg["source"], leg["samples"]) == (902, "observed", 5)
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme", "stt": "deepgram/nova-3"})
        leg = begun["route"]["stt"]
        assert (leg["predicted_ms"], leg["source"], leg["samples"]) == (250, "baseline", 4), "a model has its own row"


async def test_rosters_and_limits_are_shown(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        _, found = await get(sidecar, "/api/routing")
        assert set(found["projects"]) == {"default", "acme", "tight", "strict", "bare"}
        assert found["projects"]["acme"] == {
            "budget_ms": 1200, "fallback_to_fastest": True, "observations": [],
            "rosters": {
                "stt": ["deepgram", "assemblyai"], "llm": ["groq", "openai"], "tts": ["cartesia", "elevenlabs"],
            },
        }  # fmt: skip
        assert (await get(sidecar, "/api/routing?project=nope"))[0] == 404
        assert (await get(sidecar, "/api/routing?window=1"))[0] == 400


async def test_a_route_is_simulated_as_the_command_line_does(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(f"default_project: tight\n{ROUTED}") as sidecar:
        code, out, _ = await run("route", "simulate", "acme", "--json", "--config", str(sidecar.config))
        status, found = await get(sidecar, "/api/routing/simulate?project=acme")
        assert (code, status, found) == (0, 200, json.loads(out))
        assert found["route"]["stt"] == {
            "provider": "deepgram", "model": "nova-3", "predicted_ms": 250, "source": "baseline", "samples": 0,
            "reason": found["route"]["stt"]["reason"],
        }  # fmt: skip
        assert all(leg["reason"] for leg in found["route"].values())
        code, out, _ = await run(
            "route", "simulate", "acme", "--llm", "openai/gpt-4.1-mini", "--json", "--config", str(sidecar.config)
        )
        status, chosen = await get(sidecar, "/api/routing/simulate?project=acme&llm=openai/gpt-4.1-mini")
        assert (code, status, chosen) == (0, 200, json.loads(out))
        assert (chosen["route"]["llm"]["model"], chosen["predicted_ms"]) == ("gpt-4.1-mini", 700)
        _, tight = await get(sidecar, "/api/routing/simulate")
        assert (tight["project"], tight["budget_ms"], tight["budget_overrun"]) == ("tight", 479, True)
        assert (await get(sidecar, "/v1/sessions"))[1]["sessions"] == [], "nothing was opened"


async def test_a_simulation_never_explores(start_sidecar: StartSidecar) -> None:
    adaptive = ROUTED.replace("budget_ms: 1200", "budget_ms: 1200\n      policy: adaptive")
    async with start_sidecar(adaptive) as sidecar:
        answers = [await get(sidecar, "/api/routing/simulate?project=acme") for _ in range(50)]
        assert answers == answers[:1] * 50
        assert answers[0][1]["route"]["llm"]["provider"] == "groq"


@pytest.mark.parametrize(
    ("query", "status", "code", "named"),
    [
        ("project=nope", 404, "unknown_project", "nope"),
        ("project=acme&llm=anthropic", 409, "no_route", "groq, openai"),
        ("project=strict", 409, "no_route", "479"),
        ("project=bare", 409, "no_route", "rosters.stt is empty"),
        ("", 409, "no_route", "projects.default.routing.rosters.stt is empty"),
        ("project=acme&stt=deepgram/", 400, "bad_request", "stt"),
        ("project=acme&tts=", 400, "bad_request", "tts"),
        ("project=acme&sst=deepgram", 400, "bad_request", "stt"),
    ],
)
async def test_a_simulation_is_refused_as_a_session_is(
    start_sidecar: StartSidecar, query: str, status: int, code: str, named: str
) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        found, answer = await get(sidecar, f"/api/routing/simulate?{query}")
        assert (found, answer["error"]["code"]) == (status, code)
        assert named in answer["error"]["message"]


async def test_a_viewer_may_simulate(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(f"auth: {{api_keys: [key-a], viewer_keys: [key-v]}}\n{ROUTED}") as sidecar:
        path = "/api/routing/simulate?project=acme"
        assert (await get(sidecar, path))[0] == 401
        assert (await get(sidecar, path, Authorization="Bearer key-v"))[0] == 200


async def test_rolled_up_at_the_end_and_known_at_the_next_start(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        now_ns = sidecar.running.runtime.clock.wall_ns()
        for n in range(5):
            await sidecar.running.runtime.store.append_awaited(row(now_ns, "openai", "m", Modality.LLM, 10.0 + n))
    async with start_sidecar(ROUTED) as sidecar:
        assert sidecar.running.runtime.rollup.seen("acme").rolled_up[Modality.LLM, "openai", ""].p50_ms == 12.0
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme"})
        assert (begun["route"]["llm"]["provider"], begun["predicted_ms"]) == ("openai", 412)
        config = str(sidecar.config)
        code, out, _ = await run("route", "simulate", "acme", "--config", config)
        assert (code, out) == (
            0,
            "Project acme simulated route:\n  STT: deepgram (250 ms baseline)\n"
            "  LLM: openai (12 ms observed, 5 samples)\n  TTS: cartesia (150 ms baseline)\n"
            "  Predicted total: 412 ms\n  Under budget (1200 ms): yes\n",
        )
        code, out, _ = await run("route", "show", "acme", "--config", config)
        assert [line.split() for line in out.splitlines()[-3:]] == [
            ["MODALITY", "PROVIDER", "MODEL", "P50", "MS", "P95", "MS", "SAMPLES", "BASELINE", "MS"],
            ["llm", "openai", "(all)", "12", "14", "5", "300"],
            ["llm", "openai", "m", "12", "14", "5", "300"],
        ]


async def test_rolled_up_at_intervals(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(f"{ROUTED}workers: {{rollup_interval_seconds: 1}}") as sidecar:
        await asyncio.sleep(0)
        now_ns = sidecar.running.runtime.clock.wall_ns()
        await sidecar.running.runtime.store.append_awaited(row(now_ns, "openai", "m", Modality.LLM, 10.0))
        async with asyncio.timeout(10):
            while not sidecar.running.runtime.rollup.seen("acme").rolled_up:
                await asyncio.sleep(0.05)


async def test_the_adaptive_policy_sees_each_exchange_as_it_ends(start_sidecar: StartSidecar) -> None:
    adaptive = ROUTED.replace("budget_ms: 1200", "budget_ms: 1200\n      policy: adaptive")
    async with start_sidecar(adaptive) as sidecar:
        runtime = sidecar.running.runtime
        now_ns = runtime.clock.wall_ns()
        slow = [row(now_ns, "groq", "m", Modality.LLM, 900.0 + n) for n in range(5)]
        for one in slow:
            runtime.rollup.note(one)
        assert runtime.rollup.seen("acme").rolled_up == {}
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme", "stt": "deepgram", "tts": "cartesia"})
        assert begun["route"]["llm"]["provider"] == "openai"
        for one in slow:
            await runtime.store.append_awaited(one)
        runtime.rollup.note(row(now_ns, "groq", "m", Modality.LLM, 1.0, Status.CANCELLED))
        _, out, _ = await run("route", "simulate", "acme", "--llm", "groq", "--config", str(sidecar.config))
        assert "LLM: groq (902 ms observed, 5 samples)" in out
    async with start_sidecar(adaptive) as sidecar:
        _, begun = await post(sidecar, "/v1/sessions", {"project": "acme", "llm": "groq"})
        assert begun["route"]["llm"]["predicted_ms"] == 902, "known again after a restart"


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=40))
def test_quantiles_are_interpolated_as_the_router_defines_them(values: list[float]) -> None:
    import apsw

    connection = apsw.Connection(":memory:")
    migrate(connection)
    for value in values:
        connection.execute(WRITE_EXCHANGE, bindings(row(NS_PER_S, "p", "m", Modality.TTS, value), "node"))
    found = roll_up(connection, "0")
    assert [(one.model, one.sample_count) for one in found] == [("", len(values)), ("m", len(values))]
    for one in found:
        assert one.p50_ms == pytest.approx(quantile(sorted(values), 0.5), rel=1e-9)
        assert one.p95_ms == pytest.approx(quantile(sorted(values), 0.95), rel=1e-9)
    connection.close()
