"""Budget alerts: once a day and level, in Slack's form, sent again until they arrive, and in the way of no call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import apsw
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from tests.api.test_api import one_call, upstream
from tests.api.test_metrics import figure, figures
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, raw_server
from tests.test_reload import rewrite
from voicegw_sidecar.clock import SystemClock

# a call costs 4.4 millionths of a dollar; the slashes of the name are no markup
PROJECT = "projects: {{acme: {{name: 'Acme <!channel> & Co', daily_budget: {budget}, budget_action: {action}}}}}\n"
SECRET = "T000-very-secret-path"


class Ahead:
    """The machine's clocks, whose wall clock can be set."""

    monotonic_ns = staticmethod(SystemClock.monotonic_ns)

    def __init__(self) -> None:
        self.ahead_ns = 0

    def wall_ns(self) -> int:
        return SystemClock.wall_ns() + self.ahead_ns


class Receiver:
    """A webhook that answers as it is told to, and keeps what it got."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.holds: asyncio.Event | None = None
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        assert request.path == f"/{SECRET}"
        body = await request.json()
        if self.holds is not None:
            await self.holds.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.got.append(body)
        return web.Response(status=status, headers={"Location": f"{self.url}/elsewhere"} if status == 307 else {})

    async def after(self, count: int) -> list[dict[str, Any]]:
        async with asyncio.timeout(10):
            while len(self.got) < count:
                await asyncio.sleep(0.01)
        return self.got


@asynccontextmanager
async def receiver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Receiver]:
    for name, value in (("LOOK_S", 0.02), ("RETRY_FIRST_S", 0.02), ("RETRY_LAST_S", 0.1)):
        monkeypatch.setattr(f"voicegw_sidecar.alerts.{name}", value)
    found, app = Receiver(), web.Application()
    app.router.add_post("/{tail:.*}", found.take)
    async with TestServer(app) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


def webhook(found: Receiver) -> str:
    return f"alerts: {{webhook: '{found.url}/{SECRET}'}}\n"


async def spend(sidecar: Sidecar, count: int = 1) -> None:
    for _ in range(count):
        await one_call(sidecar)


async def settled(found: Receiver, count: int) -> None:
    """Nothing more comes: several looks later there are as many."""
    await asyncio.sleep(0.2)
    assert len(found.got) == count


async def test_eighty_and_a_hundred_percent_are_told_once_each(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = PROJECT.format(budget="0.000022", action="block")  # five calls' worth
    async with raw_server(upstream) as url, receiver(monkeypatch) as found:
        async with start_sidecar(project + webhook(found), openai=url) as sidecar:
            await spend(sidecar, 3)
            await settled(found, 0)
            await spend(sidecar)
            [first] = await found.after(1)
            await settled(found, 1)
            await spend(sidecar)
            [_, second] = await found.after(2)
            await settled(found, 2)
            assert figure(await figures(sidecar), "alerts_total", result="delivered") == 2
        assert first["text"].startswith("Acme &lt;!channel&gt; &amp; Co: 80 % of the budget of ")
        assert "is spent, 0.000022 of 0.000022 USD. Calls are refused until midnight." in second["text"]
        [attachment] = second["attachments"]
        fields = {field["title"]: field["value"] for field in attachment["fields"]}
        assert (fields["Project"], fields["Reached, %"], fields["Action"]) == ("acme", "100", "block")
        async with start_sidecar(project + webhook(found), openai=url):
            await settled(found, 2)  # what was delivered is remembered


async def test_a_budget_spent_at_one_stroke_is_one_alert(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = PROJECT.format(budget="0.000001", action="warn")
    async with raw_server(upstream) as url, receiver(monkeypatch) as found:
        async with start_sidecar(project + webhook(found), openai=url) as sidecar:
            await spend(sidecar, 2)
            [only] = await found.after(1)
            assert "Calls are served as before" in only["text"]
            await settled(found, 1)


async def test_a_receiver_that_fails_is_asked_again_and_its_address_never_logged(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    project = PROJECT.format(budget="0.000001", action="warn")
    async with raw_server(upstream) as url, receiver(monkeypatch) as found:
        found.statuses = [500, 500, 404, 307]
        with caplog.at_level(logging.DEBUG):
            async with start_sidecar(project + webhook(found), openai=url) as sidecar:
                await spend(sidecar)
                await found.after(1)
                assert figure(await figures(sidecar), "alerts_total", result="failed") == 4
        reasons = [record.reason for record in caplog.records if "alert could not" in record.message]  # type: ignore[attr-defined]
        assert reasons == [f"it answered with status {status}" for status in (500, 404, 307)], "once per cause"
        assert "budget alerts are delivered again" in caplog.messages
        ours = [record for record in caplog.records if record.name.startswith("voicegw_sidecar")]
        assert len(ours) >= 4
        assert not any(SECRET in str(record.__dict__) for record in ours)


async def test_a_receiver_that_hangs_or_is_gone_delays_no_call(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = PROJECT.format(budget="0.000001", action="warn")
    async with raw_server(upstream) as url, receiver(monkeypatch) as found:
        found.holds = asyncio.Event()
        async with start_sidecar(project + webhook(found), openai=url) as sidecar:
            await asyncio.wait_for(spend(sidecar, 50), 20)
            assert found.got == []
            found.holds.set()
            await found.after(1)
            await rewrite(sidecar, found.url, "http://127.0.0.1:9")
            await asyncio.wait_for(spend(sidecar, 10), 20)
        # told to stop with an alert under way: nothing waits for it


async def test_one_project_that_is_not_taken_holds_up_no_other(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects = "projects: {acme: {daily_budget: 0.000001}, globex: {daily_budget: 0.000001}}\n"
    async with raw_server(upstream) as url, receiver(monkeypatch) as found:
        async with start_sidecar(projects, openai=url) as sidecar:
            await spend(sidecar)
            await one_call(sidecar, "/p/globex/openai/v1/chat/completions")
            found.statuses = [400]
            sidecar.config.write_text(sidecar.config.read_text() + webhook(found))
            await rewrite(sidecar, "alerts:", "alerts:")
            both = await found.after(2)
            assert sorted(one["text"].partition(":")[0] for one in both) == ["acme", "globex"]
            assert both[0]["text"].startswith("globex"), "the first of them was refused at first"


async def test_the_next_day_is_told_anew(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Ahead()
    project = PROJECT.format(budget="0.000001", action="warn")
    async with raw_server(upstream) as url, receiver(monkeypatch) as found:
        async with start_sidecar(project + webhook(found), openai=url, clock=clock) as sidecar:
            await spend(sidecar)
            await found.after(1)
            clock.ahead_ns = 86_400 * 10**9
            await settled(found, 1)
            await spend(sidecar)
            first, second = await found.after(2)
            assert first["text"] != second["text"]


async def test_a_budget_that_is_raised_is_told_anew(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = PROJECT.format(budget="0.000001", action="warn")
    async with raw_server(upstream) as url, receiver(monkeypatch) as found:
        async with start_sidecar(project + webhook(found), openai=url) as sidecar:
            await spend(sidecar)
            await found.after(1)
            await rewrite(sidecar, "daily_budget: 0.000001", "daily_budget: 0.000006")
            await settled(found, 1)
            await spend(sidecar)
            [_, second] = await found.after(2)
            assert "0.000009 of 0.000006 USD" in second["text"]


async def test_a_locked_database_keeps_no_alert_back_and_a_clock_that_was_ahead_tells_nobody_twice(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Ahead()
    project = PROJECT.format(budget="0.000001", action="warn")
    async with raw_server(upstream) as url, receiver(monkeypatch) as found:
        async with start_sidecar(project + webhook(found), openai=url, clock=clock) as sidecar:
            await settled(found, 0)
            holder = apsw.Connection(str(sidecar.running.runtime.store.path))
            holder.execute("BEGIN IMMEDIATE")
            clock.ahead_ns = 86_400 * 10**9  # a day begins while nothing can be written
            await spend(sidecar)
            await found.after(1)
            holder.execute("ROLLBACK")
            holder.close()
            clock.ahead_ns = 0
            await spend(sidecar)
            await found.after(2)
            for ahead_days in (1, 0, 1, 0):
                clock.ahead_ns = ahead_days * 86_400 * 10**9
                await settled(found, 2)


def test_a_link_to_the_pages_is_there_where_browsers_can_reach_them() -> None:
    from voicegw_sidecar.alerts import Alert, message
    from voicegw_sidecar.config.schema import Config, Project, Serve

    alert = Alert(Project(id="acme"), "2026-11-29", 80, 80, 100)
    assert "title_link" not in message(alert, Config())["attachments"][0]  # type: ignore[index]
    config = replace(Config(), serve=Serve(public_url="https://voice.example.com"))
    [attachment] = message(alert, config)["attachments"]  # type: ignore[misc]
    assert attachment["title_link"] == "https://voice.example.com/costs?project=acme"
