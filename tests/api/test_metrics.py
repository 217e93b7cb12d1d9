"""``/metrics``: what happened is counted once under labels that nobody outside can add to; the page holds no secret."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from tests.api.test_api import PROJECTS, one_call, upstream
from tests.api.test_sessions import ROUTED, post
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, echoing_sockets, raw_server
from tests.test_reload import rewrite

Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def figures(sidecar: Sidecar) -> Figures:
    """Every sample by its name and labels, read by the library's own parser."""
    async with sidecar.http.get(f"{sidecar.url}/metrics") as response:
        assert response.status == 200
        assert response.headers["Content-Type"].startswith("text/plain")
        text = await response.text()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "no figure is there twice"
    return found


def figure(found: Figures, name: str, **labels: str) -> float | None:
    return found.get((f"voicegw_{name}", frozenset(labels.items())))


async def test_an_exchange_is_counted_with_its_outcome_cost_and_delay(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(PROJECTS, openai=url) as sidecar:
        before = await figures(sidecar)
        assert figure(before, "budget_state", project="acme", state="ok") == 1
        await one_call(sidecar)
        await sidecar.rows(1)
        found = await figures(sidecar)
    work = {"project": "acme", "provider": "openai", "modality": "llm"}
    assert figure(found, "exchanges_total", **work, status="ok") == 1
    assert figure(found, "cost_usd_total", **work) == 0.0000044
    assert figure(found, "connections_total", kind="request") == 1
    for part in ("request", "answer_ends"):
        assert figure(found, "added_delay_seconds_count", part=part) == 1
    assert figure(found, "budget_spent_usd", project="acme") == 0.0000044
    assert figure(found, "budget_limit_usd", project="acme") == 0.0000024
    assert figure(found, "budget_limit_usd", project="default") is None  # unlimited is not a number
    assert [figure(found, "budget_state", project="acme", state=s) for s in ("ok", "warning", "exceeded")] == [0, 0, 1]
    assert figure(found, "sessions_open", project="acme") == 1
    assert figure(found, "store_waiting_rows") == 0
    assert figure(found, "ready") == 1


async def test_latencies_are_in_the_providers_histogram_only_when_they_were_seen(start_sidecar: StartSidecar) -> None:
    from tests.simulator.conftest import quick
    from voicegw_sidecar.simulator import Simulator

    async with Simulator(quick()) as simulator, start_sidecar(openai=simulator.base_url("openai")) as sidecar:
        for is_streamed in (True, False):
            body = {"model": "gpt-4.1-mini", "stream": is_streamed, "messages": [{"role": "user", "content": "hi"}]}
            async with sidecar.http.post(f"{sidecar.url}/openai/v1/chat/completions", json=body) as response:
                await response.read()
        rows = await sidecar.rows(2)
        found = await figures(sidecar)
    seen_s = [row.first_ms / 1000 for row in rows if row.first_ms is not None]
    assert figure(found, "first_output_seconds_count", provider="openai", modality="llm") == len(seen_s) > 0
    total_s = figure(found, "first_output_seconds_sum", provider="openai", modality="llm")
    assert total_s is not None
    assert abs(total_s - sum(seen_s)) < 1e-9
    assert figure(found, "added_delay_seconds_count", part="answer_begins") == 1


async def test_names_that_agents_make_up_are_no_labels(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(PROJECTS, openai=url) as sidecar:
        names = {name for name, _ in await figures(sidecar)}
        before = len(await figures(sidecar))
        for number in range(20):
            path = f"{sidecar.url}/p/acme/s/made-up-{number}/openai/v1/chat/completions"
            async with sidecar.http.post(path, data=b'{"model":"made-up-%d"}' % number) as response:
                await response.read()
            async with sidecar.http.post(f"{sidecar.url}/p/made-up-{number}/openai/v1/x", data=b"{}") as response:
                assert response.status == 404
        await sidecar.rows(20)
        found = await figures(sidecar)
    text = str(found)
    assert "made-up" not in text
    assert "CANARY" not in text
    assert figure(found, "refusals_total", code="unknown_project") == 20
    assert len(found) - before < 120
    assert {name for name, _ in found} >= names


async def test_reloads_and_their_result_are_told(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        assert figure(await figures(sidecar), "config_last_reload_success") == 1
        await rewrite(sidecar, "budget_ms: 1200", "budget_ms: fast")
        found = await figures(sidecar)
        assert (figure(found, "config_last_reload_success"), figure(found, "degraded")) == (0, 1)
        await rewrite(sidecar, "budget_ms: fast", "budget_ms: 1300")
        found = await figures(sidecar)
        assert (figure(found, "config_last_reload_success"), figure(found, "degraded")) == (1, 0)
        assert figure(found, "config_reloads_total", result="refused") == 1
        assert figure(found, "config_reloads_total", result="in_force") == 1
        assert figure(found, "config_last_reload_timestamp_seconds") is not None


async def test_the_event_loops_lateness_is_measured(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        async with asyncio.timeout(10):
            while not figure(await figures(sidecar), "event_loop_lag_seconds_count"):
                await asyncio.sleep(0.05)


async def test_with_a_key_configured_it_needs_one(start_sidecar: StartSidecar) -> None:
    keys = "auth: {api_keys: [admin-key-0123456789], viewer_keys: [viewer-key-0123456789]}\n"
    async with start_sidecar(keys + ROUTED) as sidecar:
        for key, expected in ((None, 401), ("viewer-key-0123456789", 200), ("admin-key-0123456789", 200)):
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            async with sidecar.http.get(f"{sidecar.url}/metrics", headers=headers) as response:
                assert response.status == expected
        async with sidecar.http.get(
            f"{sidecar.url}/metrics?project=acme", headers={"Authorization": "Bearer admin-key-0123456789"}
        ) as response:
            assert response.status == 400
        sidecar.running.runtime.is_draining = True
        assert (await post(sidecar, "/v1/sessions", {}, Authorization="Bearer admin-key-0123456789"))[0] == 503


async def test_sockets_are_counted_and_some_of_their_frames_timed(start_sidecar: StartSidecar) -> None:
    async with echoing_sockets() as url, start_sidecar(deepgram=url) as sidecar:
        async with sidecar.http.ws_connect(f"{sidecar.url}/deepgram/v1/listen") as socket:
            for _ in range(40):
                await socket.send_str('{"type":"KeepAlive"}')
                await socket.receive()
        found = await figures(sidecar)
    assert figure(found, "connections_total", kind="socket") == 1
    assert figure(found, "added_delay_seconds_count", part="frame") == 4  # the first and the 33rd of each direction
