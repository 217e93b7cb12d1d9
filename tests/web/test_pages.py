"""The first page in a real browser: looks right, keeps itself current, and says nothing to other hosts."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, ConsoleMessage, Request, async_playwright

from tests.api.test_api import one_call, upstream
from tests.conftest import StartSidecar
from tests.sidecar import raw_server

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@pytest.fixture
async def browser(tmp_path: Path) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        await running.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
async def test_the_page_is_quiet_current_and_fits(
    start_sidecar: StartSidecar, browser: Browser, scheme: str, width: int
) -> None:
    complaints: list[str] = []
    hosts: set[str] = set()

    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(message.text)

    def asked(request: Request) -> None:
        hosts.add(request.url.split("/")[2])

    async with (
        raw_server(upstream) as url,
        start_sidecar("projects: {acme: {daily_budget: 5}}\n", openai=url) as sidecar,
    ):
        page = await browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
        page.on("console", heard)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", asked)
        await page.goto(sidecar.url)
        assert "No calls yet" in await page.inner_text("main")
        assert f"{sidecar.url}/openai/v1" in await page.inner_text("main")
        await one_call(sidecar)
        await page.wait_for_selector("text=gpt-4.1-mini", timeout=12_000)  # polled, not reloaded
        assert await page.evaluate("htmx.config.allowEval") is False
        overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0
        await page.close()
    assert complaints == []
    assert hosts == {sidecar.url.removeprefix("http://")}


async def test_the_page_is_useful_without_javascript_and_under_its_policy(
    start_sidecar: StartSidecar, browser: Browser
) -> None:
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
        await one_call(sidecar)
        await sidecar.rows(1)
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        response = await page.goto(sidecar.url)
        assert response is not None
        policy = response.headers["content-security-policy"]
        text = await page.inner_text("main")
        html = await page.content()
        await context.close()
    assert "gpt-4.1-mini" in text
    assert "acme" in text
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "style=" not in html
    assert "<script>" not in html


async def test_what_callers_write_is_shown_and_never_run(start_sidecar: StartSidecar) -> None:
    hostile = "<img src=x onerror=alert(1)>{{7*7}}"
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
        address = f"{sidecar.url}/p/acme/openai/v1/chat/completions"
        async with sidecar.http.post(address, data=f'{{"model":"{hostile}"}}'.encode()) as response:
            await response.read()
        await sidecar.rows(1)
        async with sidecar.http.get(sidecar.url) as response:
            html = await response.text()
    assert "<img" not in html.replace('<img src="/static/icon.svg"', "")
    assert "&lt;img src=x onerror=alert(1)&gt;{{7*7}}" in html
