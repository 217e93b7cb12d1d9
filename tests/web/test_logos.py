"""Logos in a real browser: the good ones show; of the hostile ones that are taken nothing runs and nothing loads."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.api.test_branding import PNG, SVG
from tests.branding.hostile import HOSTILE, MUST_BE_REFUSED
from tests.conftest import StartSidecar
from tests.web.conftest import Watched


@pytest.mark.timeout(120)
async def test_what_is_left_of_a_hostile_logo_does_nothing(start_sidecar: StartSidecar, chromium: Browser) -> None:
    import aiohttp

    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        page = await chromium.new_page()
        watched = Watched(page)
        taken = 0
        for name, content in HOSTILE.items():
            form = aiohttp.FormData()
            form.add_field("file", content, filename="logo.svg")
            async with sidecar.http.post(f"{sidecar.url}/api/projects/acme/branding/logo", data=form) as response:
                answer = await response.json()
                assert (response.status == 200) is not MUST_BE_REFUSED[name], name
            if response.status != 200:
                continue
            taken += 1
            for path in ("/?project=acme", "/projects", answer["branding"]["logo_url"]):  # as an image, and by itself
                await page.goto(sidecar.url + path)
                await page.wait_for_timeout(30)
                assert await page.evaluate("window.canary") is None, (name, path)
        assert taken >= 10
        await page.close()
    assert watched.hosts == {sidecar.url.removeprefix("http://")}
    assert watched.complaints == []


async def test_a_logo_is_uploaded_on_the_page_and_seen_everywhere(
    start_sidecar: StartSidecar, chromium: Browser
) -> None:
    async with start_sidecar("projects: {acme: {name: Acme}}\n") as sidecar:
        page = await chromium.new_page()
        watched = Watched(page)
        for name, kind, content in (("logo.png", "image/png", PNG), ("logo.svg", "image/svg+xml", SVG)):
            await page.goto(f"{sidecar.url}/projects")
            await page.click("#card-acme >> text=Brand")
            await page.wait_for_selector("dialog:modal")
            await page.fill("#product_name", "AcmeVoice")
            await page.fill("#accent_color", "#FF6633")
            await page.set_input_files("#logo", {"name": name, "mimeType": kind, "buffer": content})
            await page.click("dialog >> text=Save")
            await page.wait_for_selector("#card-acme img.logo")
            await page.goto(f"{sidecar.url}/sessions?project=acme")
            assert await page.inner_text(".product") == "AcmeVoice"
            assert "AcmeVoice" in await page.title()
            assert await page.evaluate("document.querySelector('.brand img').naturalWidth") > 0
            icon = await page.get_attribute("link[rel=icon]", "href")
            assert icon is not None
            assert icon.startswith(f"/static/branding/acme.{name[-3:]}")
            accent = "getComputedStyle(document.querySelector('nav a[aria-current]')).color"
            assert await page.evaluate(accent) != "rgb(48, 71, 216)"  # the default one's
        await page.goto(f"{sidecar.url}/sessions")
        assert await page.inner_text(".product") == "voicegw-sidecar"
        await page.goto(f"{sidecar.url}/projects")
        await page.click("#card-acme >> text=Brand")
        await page.set_input_files("#logo", {"name": "x.png", "mimeType": "image/png", "buffer": b"GIF89a"})
        await page.click("dialog >> text=Save")
        assert "logo:" in await page.inner_text("[role=alert]")
        await page.close()
    assert watched.hosts == {sidecar.url.removeprefix("http://")}


async def test_a_customer_opens_the_link_that_was_made_for_them(start_sidecar: StartSidecar, chromium: Browser) -> None:
    keyed = "auth: {api_keys: [admin-key-1]}\nprojects: {acme: {name: Acme}, globex: {name: Globex Corp}}\n"
    async with start_sidecar(keyed) as sidecar:
        operator = await chromium.new_context()
        page = await operator.new_page()
        await page.goto(f"{sidecar.url}/projects/acme/links")
        assert "/login" in page.url
        await page.fill("#api_key", "wrong")
        await page.click("text=Sign in >> nth=-1")
        assert "not known here" in await page.inner_text("[role=alert]")
        await page.fill("#api_key", "admin-key-1")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/projects/acme/links")
        await page.fill("#label", "for Acme")
        await page.click("text=Make a link")
        link = await page.inner_text("#made")
        customer = await (await chromium.new_context()).new_page()
        await customer.goto(link)
        assert customer.url == f"{sidecar.url}/sessions?project=acme"
        assert "Globex" not in await customer.content()
        for place in ("Overview", "Sessions", "Routing", "Projects", "Costs", "Logs"):
            await customer.click(f"nav >> text={place}")
            assert "Globex" not in await customer.content()
        async with page.expect_navigation():
            await page.click("button >> text=Revoke")
        await customer.reload()
        assert "/login" in customer.url
        await page.click("text=Sign out")
        assert "/login" in page.url
        await operator.close()
