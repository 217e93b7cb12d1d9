"""The control plane over HTTP: shapes, refusals, and nothing of a key anywhere."""

from __future__ import annotations

import asyncio

import pytest
from yarl import URL

from tests.conftest import MountControlPlane, StartSidecar
from tests.relay.test_http import CHAT, OK_JSON, answer
from tests.sidecar import Sidecar, raw_server, read_request
from voicegw_sidecar.api.answers import RUNTIME

PROJECTS = """
projects:
  acme:
    {name: Acme Voice, daily_budget: 0.0000024, tags: [production], providers: {openai: {api_key: CANARY}}}
"""


async def upstream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        writer.write(answer(OK_JSON, "Content-Type: application/json"))
        await writer.drain()


async def one_call(sidecar: Sidecar, path: str = "/p/acme/s/call-1" + CHAT.removeprefix("/p/default")) -> str:
    async with sidecar.http.post(sidecar.url + path, data=b'{"model":"gpt-4.1-mini"}') as response:
        await response.read()
        return response.headers["X-VoiceGW-Exchange"]


async def test_a_call_is_seen_by_every_route(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(PROJECTS, openai=url) as sidecar:
        exchange = await one_call(sidecar)
        await sidecar.rows(1)
        logs = await sidecar.get_json("/v1/logs?project=acme&modality=llm&session=call-1&status=ok&limit=1")
        costs = await sidecar.get_json("/v1/costs?period=today&project=acme")
        everyone = await sidecar.get_json("/v1/costs?period=month")
        daily = await sidecar.get_json("/v1/costs/daily?project=acme&days=7")
        projects = await sidecar.get_json("/v1/projects")
        acme = await sidecar.get_json("/v1/projects/acme")
        status = await sidecar.get_json("/v1/status")
    [entry] = logs["logs"]
    assert logs["next"] is None
    names = ("id", "project", "session_id", "provider", "model", "modality", "status")
    assert [entry[name] for name in names] == [exchange, "acme", "call-1", "openai", "gpt-4.1-mini", "llm", "ok"]
    # 3 tokens in at 0.40 and 2 out at 1.60 USD a million
    assert (entry["cost_usd"], entry["cost_source"], entry["usage"]) == (
        0.0000044, "catalogue", {"input_tokens": 3, "output_tokens": 2})  # fmt: skip
    assert (entry["http_status"], entry["estimated"], entry["error"]) == (200, False, None)
    assert entry["late"] in (True, False)  # as fast as this machine's disk
    assert entry["first_ms_basis"] is None
    assert costs["total_usd"] == 0.0000044
    assert costs["by_model"] == {"openai/gpt-4.1-mini": {"cost_usd": 0.0000044, "requests": 1}}
    assert set(costs) == {
        "period",
        "project",
        "total_usd",
        "requests",
        "unpriced",
        "by_provider",
        "by_model",
        "by_modality",
        "by_project",
    }
    assert (everyone["project"], everyone["by_project"]["acme"]["requests"]) == (None, 1)
    assert daily == [{"project": "acme", "day": daily[0]["day"], "cost_usd": 0.0000044}]
    assert projects["stats"]["acme"] == {
        "requests_today": 1, "cost_today_usd": 0.0000044, "budget_status": "exceeded", "in_flight_usd": 0}  # fmt: skip
    assert [project["id"] for project in projects["projects"]] == ["default", "acme"]
    assert (acme["name"], acme["accent"], acme["source"], acme["daily_budget"]) == (
        "Acme Voice",
        "green",
        "yaml",
        0.0000024,
    )
    assert status["providers"]["openai"]["configured"] is True
    assert status["providers"]["deepgram"]["configured"] is False
    assert "CANARY" not in str([logs, costs, everyone, daily, projects, acme, status])


@pytest.mark.parametrize(
    ("path", "code", "named"),
    [
        ("/v1/costs?period=year", "bad_request", "period"), ("/v1/costs?perod=x", "bad_request", "did you mean period"),
        ("/v1/costs?project=nope", "unknown_project", "nope"), ("/v1/costs/daily?days=0", "bad_request", "days"),
        ("/v1/logs?limit=1001", "bad_request", "limit"), ("/v1/logs?limit=x", "bad_request", "limit"),
        ("/v1/logs?status=fine", "bad_request", "status"), ("/v1/logs?modality=x", "bad_request", "modality"),
        ("/v1/logs?from=9999-12-31", "bad_request", "from"), ("/v1/logs?to=1600-01-01", "bad_request", "to"),
        ("/v1/logs?before=1", "bad_request", "before"), ("/v1/logs?from=yesterday", "bad_request", "from"),
        ("/v1/logs?limit=1&limit=2", "bad_request", "limit"), ("/v1/logs?project=x'--", "unknown_project", "project"),
        ("/v1/projects/nope", "unknown_project", "nope"), ("/v1/nothing", "not_found", "nothing"),
        ("/static/%2e%2e/pyproject.toml", "not_found", "static"), ("/static/nope.js", "not_found", "static"),
    ],
)  # fmt: skip
async def test_bad_input_gets_one_clear_line(
    control_plane: MountControlPlane, path: str, code: str, named: str
) -> None:
    client = await control_plane()
    response = await client.get(URL(path, encoded=True))
    body = await response.text()
    assert response.headers["X-VoiceGW-Error"] == code
    assert response.headers["x-should-retry"] == "false"
    assert named in body
    assert "\n" not in body


async def test_times_without_rows_and_dates_are_taken(control_plane: MountControlPlane) -> None:
    client = await control_plane()
    for query in ("from=2026-11-21", "to=2026-11-21T10:00:00Z", "from=2026-11-21T10:00:00%2B02:00", "status=open"):
        response = await client.get(URL(f"/v1/logs?{query}", encoded=True))
        assert await response.json() == {"logs": [], "next": None}


async def test_health_and_readiness(control_plane: MountControlPlane) -> None:
    client = await control_plane("auth: {api_keys: [k-1]}\n")
    health = await (await client.get("/health")).json()
    assert (health["status"], set(health)) == ("ok", {"status", "version", "uptime_s"})
    ready = await client.get("/ready")
    assert (ready.status, (await ready.json())["status"]) == (200, "ready")
    assert client.server.app is not None
    client.server.app[RUNTIME].is_draining = True
    ready = await client.get("/ready")
    assert (ready.status, (await ready.json())["reasons"]) == (503, ["draining"])


async def test_with_a_key_everything_but_health_static_and_the_data_plane_needs_it(start_sidecar: StartSidecar) -> None:
    async with (
        raw_server(upstream) as url,
        start_sidecar("auth: {api_keys: [k-1], viewer_keys: [v-1]}\n", openai=url) as sidecar,
    ):
        for path in (
            "/",
            "/v1/status",
            "/v1/costs",
            "/v1/logs",
            "/v1/projects",
            "/v1/projects/default",
            "/v1/costs/daily",
        ):
            async with sidecar.http.get(sidecar.url + path, allow_redirects=False) as response:
                # a browser is shown where to sign in; a program is told that it needs a key
                assert (response.status, response.headers["X-VoiceGW-Error"]) == (
                    303 if path == "/" else 401,
                    "unauthorized",
                )
            for key in ("k-1", "v-1"):
                async with sidecar.http.get(sidecar.url + path, headers={"Authorization": f"Bearer {key}"}) as response:
                    assert response.status == 200
        for path in ("/health", "/ready", "/static/app.css"):
            async with sidecar.http.get(sidecar.url + path) as response:
                assert response.status == 200
        await one_call(sidecar, CHAT)


async def test_web_pages_cannot_spend_money_through_the_data_plane(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar(openai=url) as sidecar:
        for headers in ({"Origin": "http://evil.test"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}):
            async with sidecar.http.post(sidecar.url + CHAT, data=b"{}", headers=headers) as response:
                assert (response.status, response.headers["X-VoiceGW-Error"]) == (403, "cross_site")
                assert (await response.json())["error"]["code"] == "cross_site"
            async with sidecar.http.get(
                sidecar.url + "/deepgram/v1/listen", headers={"Upgrade": "websocket", **headers}
            ) as r:
                assert (r.status, (await r.json())["err_code"]) == (403, "cross_site")  # as Deepgram words it
        async with sidecar.http.post(sidecar.url + CHAT, data=b"{}", headers={"Host": "evil.test"}) as response:
            assert (response.status, response.headers["X-VoiceGW-Error"]) == (421, "bad_host")
        assert await sidecar.rows() == []


async def test_while_draining_new_calls_are_refused_and_running_ones_finish(start_sidecar: StartSidecar) -> None:
    go_on = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        await go_on.wait()
        writer.write(answer(OK_JSON, "Content-Type: application/json"))
        await writer.drain()

    async with raw_server(slow) as url, start_sidecar(openai=url) as sidecar:
        running = asyncio.ensure_future(one_call(sidecar, CHAT))
        await asyncio.sleep(0.1)
        sidecar.running.runtime.is_draining = True
        async with sidecar.http.post(sidecar.url + CHAT, data=b"{}") as response:
            assert (response.status, response.headers["X-VoiceGW-Error"]) == (503, "draining")
            assert "x-should-retry" not in response.headers
        go_on.set()
        assert await running


async def test_what_nobody_foresaw_is_one_line_in_the_log_and_the_callers_own_form(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("CANARY")

    monkeypatch.setattr("voicegw_sidecar.intercept.swapped_headers", explode)
    async with start_sidecar() as sidecar:
        async with sidecar.http.post(sidecar.url + "/deepgram/v1/x", data=b"{}") as response:
            assert (response.status, response.headers["X-VoiceGW-Error"]) == (500, "internal")
            assert "err_msg" in await response.json()
    assert [record.getMessage() for record in caplog.records] == ["request failed"]
    assert "CANARY" not in caplog.text
