"""Every page in a real browser: readable by anyone, quiet, current, usable by keyboard, and silent to other hosts."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from tests.api.test_api import one_call, upstream
from tests.branding.samples import GOOD_SVG
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, raw_server
from tests.web.conftest import Watched
from tests.web.filled import fill

CONFIG = """
projects:
  acme:
    name: Acme Voice
    daily_budget: 0.05
    tags: [production]
    routing: {budget_ms: 600, rosters: {stt: [deepgram, assemblyai], llm: [groq, openai], tts: [cartesia]}}
    branding: {product_name: AcmeVoice, accent_color: "#F63", logo: acme.svg}
  globex: {name: Globex, tags: [staging], daily_budget: 5}
"""
PAGES = (
    "/", "/?project=acme", "/sessions", "/sessions?project=acme&outcome=errors", "/sessions?outcome=open",
    "/sessions/call-acme-1?project=acme", "/routing", "/routing?project=acme&sort=p50&order=descending", "/projects",
    "/projects/new", "/projects/acme/brand", "/projects/acme/links", "/projects/made/edit", "/projects/made/delete",
    "/costs", "/costs?project=acme&period=today", "/logs", "/logs?follow=1", "/logs/changes", "/login",
    "/sessions/nosuch",
)  # fmt: skip


async def filled(sidecar: Sidecar) -> None:
    await fill(sidecar.running.runtime, ("acme", "globex"))
    body = {"project_id": "made", "name": "Made here", "tags": ["dev"]}
    async with sidecar.http.post(f"{sidecar.url}/v1/projects", json=body) as response:
        assert response.status == 201
    async with sidecar.http.post(f"{sidecar.url}/api/shares", json={"project": "acme", "label": "them"}) as response:
        assert response.status == 201


@pytest.mark.timeout(120)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
async def test_every_page_is_quiet_fits_and_can_be_read_by_anyone(
    start_sidecar: StartSidecar, chromium: Browser, tmp_path: Path, scheme: str, width: int
) -> None:
    (tmp_path / "acme.svg").write_bytes(next(iter(GOOD_SVG.values())).content)
    async with start_sidecar(CONFIG) as sidecar:
        await filled(sidecar)
        page = await chromium.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
        watched = Watched(page)
        for path in PAGES:
            await page.goto(sidecar.url + path)
            found = await Axe().run(page)
            serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
            assert serious == [], (path, [(one["id"], one["nodes"][0]["html"]) for one in serious])
            overflow = await page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, path
            if path != "/sessions/nosuch":
                assert watched.complaints == [], path
            watched.complaints.clear()  # a browser complains of every 404, also of one that was asked for
        await page.close()
    assert watched.hosts == {sidecar.url.removeprefix("http://")}


async def test_an_empty_sidecar_says_what_to_do_next_and_notices_the_first_call(
    start_sidecar: StartSidecar, chromium: Browser
) -> None:
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
        page = await chromium.new_page()
        watched = Watched(page)
        for path in ("/sessions", "/costs", "/logs", "/"):
            await page.goto(sidecar.url + path)
            assert f"{sidecar.url}/openai/v1" in await page.inner_text("main")
        await one_call(sidecar)
        await page.wait_for_selector("text=gpt-4.1-mini", timeout=12_000)  # polled, not reloaded
        assert await page.evaluate("htmx.config.allowEval") is False
        assert watched.complaints == []
        await page.goto(f"{sidecar.url}/?project=acme")
        assert f"{sidecar.url}/p/acme/openai/v1" not in await page.inner_text("main")  # it is not empty any more
        await page.close()


async def test_logs_are_followed(start_sidecar: StartSidecar, chromium: Browser) -> None:
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
        page = await chromium.new_page()
        await page.goto(f"{sidecar.url}/logs?status=ok")
        await page.click("text=Follow")
        await one_call(sidecar)
        await page.wait_for_selector("text=gpt-4.1-mini", timeout=8_000)
        await page.click("text=Stop following")
        assert "follow" not in page.url
        assert "status=ok" in page.url
        await page.close()


async def test_who_works_in_a_followed_log_is_not_disturbed(start_sidecar: StartSidecar, chromium: Browser) -> None:
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
        await one_call(sidecar)
        await sidecar.rows(1)
        page = await chromium.new_page(viewport={"width": 390, "height": 800})
        await page.goto(f"{sidecar.url}/logs?follow=1")
        await page.evaluate("document.querySelector('.scroll').scrollLeft = 120")
        rows = page.locator("#logs tbody tr")
        await one_call(sidecar)
        await expect(rows).to_have_count(2, timeout=8_000)
        assert await page.evaluate("document.querySelector('.scroll').scrollLeft") == 120
        await page.locator("#logs tbody a").first.focus()
        await page.keyboard.press("Tab")  # by keyboard: the focus shows
        held = await page.evaluate("document.activeElement.outerHTML")
        await one_call(sidecar)
        await page.wait_for_timeout(3_000)
        assert await page.evaluate("document.activeElement.outerHTML") == held
        await expect(rows).to_have_count(2)
        await page.evaluate("document.activeElement.blur()")
        await expect(rows).to_have_count(3, timeout=8_000)
        await page.route("**/logs*", lambda route: route.abort())
        await expect(page.locator("#stale")).to_be_visible(timeout=8_000)
        await page.unroute("**/logs*")
        await expect(page.locator("#stale")).to_be_hidden(timeout=8_000)
        await page.close()


async def test_pages_are_useful_without_javascript_and_under_their_policy(
    start_sidecar: StartSidecar, chromium: Browser
) -> None:
    async with start_sidecar(CONFIG.replace(", logo: acme.svg", "")) as sidecar:
        await filled(sidecar)
        context = await chromium.new_context(java_script_enabled=False)
        page = await context.new_page()
        for path in PAGES:
            response = await page.goto(sidecar.url + path)
            assert response is not None
            policy = response.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "frame-ancestors 'none'" in policy
            assert response.headers["x-content-type-options"] == "nosniff"
            assert response.headers["referrer-policy"] == "no-referrer"
            html = await page.content()
            assert "style=" not in html
            assert "<script>" not in html
            assert "onclick" not in html
        await page.goto(f"{sidecar.url}/sessions")
        await page.click("text=call-acme-0")
        # five stretches in each of three turns, and of the one that was not answered the transcript's
        assert await page.locator("svg.waterfall rect.part").count() == 16
        assert "no" in (await page.locator("svg.waterfall").nth(2).get_attribute("aria-label") or "")
        await page.goto(f"{sidecar.url}/routing?project=acme")
        await page.click("th >> text=p50, ms")
        assert await page.get_attribute("th[aria-sort]", "aria-sort") == "ascending"
        await page.goto(f"{sidecar.url}/projects")
        await page.click("#card-acme >> text=Brand")
        await page.fill("#product_name", "Without scripts")
        await page.click("text=Save")
        assert page.url == f"{sidecar.url}/projects"
        await page.goto(f"{sidecar.url}/?project=acme")
        assert "Without scripts" in await page.title()
        await context.close()


async def test_a_column_is_sorted_in_place_and_says_so(start_sidecar: StartSidecar, chromium: Browser) -> None:
    async with start_sidecar(CONFIG.replace(", logo: acme.svg", "")) as sidecar:
        await filled(sidecar)
        page = await chromium.new_page()
        await page.goto(f"{sidecar.url}/routing?project=acme")
        assert "no observations yet" in await page.inner_text("main")
        await page.evaluate("window.same = true")
        for order in ("ascending", "descending"):
            await page.click("th >> text=p50, ms")
            await page.wait_for_selector(f'th[aria-sort="{order}"]')
            cells = await page.locator("tbody tr").all_inner_texts()
            values = [int(text.split("\t")[2]) for text in cells if "no observations" not in text]
            assert values == sorted(values, reverse=order == "descending")
            assert "no observations" in cells[-1]  # what is not known comes last either way
            assert f"order={order}" in page.url
        assert await page.evaluate("window.same") is True
        await page.close()


async def focused(page: Page) -> str:
    return str(await page.evaluate("document.activeElement.innerText || document.activeElement.id"))


async def test_everything_can_be_done_by_keyboard(start_sidecar: StartSidecar, chromium: Browser) -> None:
    async with start_sidecar(CONFIG.replace(", logo: acme.svg", "")) as sidecar:
        await filled(sidecar)
        page = await chromium.new_page()
        await page.goto(f"{sidecar.url}/projects")
        await page.keyboard.press("Tab")
        assert await focused(page) == "Skip to the content"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "main"
        await page.goto(f"{sidecar.url}/projects")
        for _ in range(40):
            await page.keyboard.press("Tab")
            if (await focused(page)).startswith("Brand"):
                break
        await page.keyboard.press("Enter")
        await page.wait_for_selector("dialog:modal")
        assert await focused(page) == "product_name"
        await page.keyboard.press("Escape")
        await expect(page.locator("dialog")).to_have_count(0)
        assert (await focused(page)).startswith("Brand")
        await page.keyboard.press("Enter")
        await page.wait_for_selector("dialog:modal")
        await page.keyboard.type("By keyboard")
        async with page.expect_navigation():
            await page.keyboard.press("Enter")
        assert page.url == f"{sidecar.url}/projects"
        runtime = sidecar.running.runtime
        assert "By keyboard" in [runtime.brands.of(one).product_name for one in runtime.catalog.projects.values()]
        await page.close()


async def test_what_callers_write_is_shown_and_never_run(start_sidecar: StartSidecar) -> None:
    hostile = "<img src=x onerror=alert(1)>{{7*7}}"
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
        address = f"{sidecar.url}/p/acme/s/call-1/openai/v1/chat/completions"
        async with sidecar.http.post(address, data=f'{{"model":"{hostile}"}}'.encode()) as response:
            await response.read()
        await sidecar.rows(1)
        for path in ("/", "/logs", "/sessions/call-1?project=acme", "/costs", "/costs/export.csv"):
            async with sidecar.http.get(sidecar.url + path) as response:
                text = await response.text()
            assert "{{7*7}}" in text, path
            if path != "/costs/export.csv":
                assert "<img src=x" not in text, path


async def test_a_csv_is_no_formula(start_sidecar: StartSidecar) -> None:
    async with raw_server(upstream) as url, start_sidecar("projects: {acme: {}}\n", openai=url) as sidecar:
        for model in ("=1+1", "+1", "-1", "@x", "plain"):
            address = f"{sidecar.url}/p/acme/openai/v1/chat/completions"
            async with sidecar.http.post(address, data=f'{{"model":"{model}"}}'.encode()) as response:
                await response.read()
        await sidecar.rows(5)
        async with sidecar.http.get(f"{sidecar.url}/costs/export.csv?period=today&project=acme") as response:
            assert response.headers["Content-Disposition"].startswith('attachment; filename="costs-acme-today-')
            lines = (await response.text()).splitlines()
    assert lines[0] == "project,day,modality,provider,model,requests,cost_usd,unpriced_requests"
    assert sorted(line.split(",")[4] for line in lines[1:]) == ["'+1", "'-1", "'=1+1", "'@x", "plain"]
