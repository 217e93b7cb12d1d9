"""Who reaches what: every route there is, walked by nobody, by a share link's holder, by a viewer and by an admin.

A share link's holder finds one project, and of any other not even that it exists: neither by its id, nor by its
sessions, nor by a name, a figure or a logo on any page.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.api.test_api import one_call, upstream
from tests.conftest import StartSidecar
from tests.relay.test_http import CHAT
from tests.sidecar import Sidecar, raw_server
from tests.web.test_doors import browser, sign_in

CONFIG = """
auth: {api_keys: [admin-key-1], viewer_keys: [viewer-key-1]}
projects:
  acme: {name: Acme Voice, daily_budget: 5, branding: {product_name: AcmeVoice, accent_color: "#FF6633"}}
  globex: {name: Globex Corp, daily_budget: 7, branding: {product_name: GlobexTalk, accent_color: "#336699"}}
"""
ADMIN = {"Authorization": "Bearer admin-key-1"}
PAGES = ("/", "/sessions", "/routing", "/projects", "/costs", "/logs")
OTHERS_WORDS = re.compile(r"globex|voicegw\.yaml|secret-call|admin key [0-9a-f]", re.IGNORECASE)


@asynccontextmanager
async def shared(
    start_sidecar: StartSidecar, config: str = CONFIG
) -> AsyncIterator[tuple[Sidecar, aiohttp.ClientSession]]:
    """A sidecar with calls of two projects, and a browser that opened one project's share link."""
    async with raw_server(upstream) as url, start_sidecar(config, openai=url) as sidecar, browser() as http:
        for project, session in (("acme", "call-1"), ("globex", "secret-call")):
            await one_call(sidecar, f"/p/{project}/s/{session}" + CHAT.removeprefix("/p/default"))
        await sidecar.rows(2)
        body = {"project": "acme", "label": "for Acme"}
        async with sidecar.http.post(f"{sidecar.url}/api/shares", json=body, headers=ADMIN) as response:
            link = (await response.json())["url"]
        async with http.get(link, allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/sessions?project=acme")
            cookie = response.cookies[f"voicegw_share_{sidecar.port}"]
            assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
            assert response.headers["Referrer-Policy"] == "no-referrer"
        yield sidecar, http


def addresses(sidecar: Sidecar) -> Iterator[tuple[str, str]]:
    """Every method and address there is, but for the providers'."""
    filled = {"{id}": "acme", "{name}": "app.css", "{token}": "x", "{share}": "x", "{file}": "acme.css"}
    for route in sidecar.running.app.router.routes():
        path = route.resource.canonical if route.resource is not None else ""
        if path != "/{tail}":
            yield route.method, re.sub(r"\{\w+\}", lambda match: filled[match[0]], path)


async def fetch(http: aiohttp.ClientSession, url: str, method: str = "GET", **more: object) -> tuple[int, str]:
    async with http.request(method, url, allow_redirects=False, **more) as response:  # type: ignore[arg-type]
        return response.status, await response.text()


async def test_a_share_links_holder_sees_one_projects_pages(start_sidecar: StartSidecar) -> None:
    async with shared(start_sidecar) as (sidecar, http):
        for path in PAGES:
            for query in ("", "?project=acme"):
                status, html = await fetch(http, sidecar.url + path + query)
                assert status == 200
                assert "AcmeVoice" in html
                assert not OTHERS_WORDS.search(html), path
        status, html = await fetch(http, f"{sidecar.url}/sessions/call-1?project=acme")
        assert status == 200
        assert "gpt-4.1-mini" in html
        assert (await fetch(http, f"{sidecar.url}/brand/acme.css"))[0] == 200


async def test_of_any_other_project_not_even_its_being_is_told(start_sidecar: StartSidecar) -> None:
    async with shared(start_sidecar) as (sidecar, http):
        for path in (
            "/",
            "/sessions",
            "/routing",
            "/projects",
            "/costs",
            "/logs",
            "/sessions/secret-call",
            "/sessions/call-1",
        ):
            other = await fetch(http, f"{sidecar.url}{path}?project=globex")
            unknown = await fetch(http, f"{sidecar.url}{path}?project=nosuch")
            assert other == unknown
            assert other[0] == 404
        for path in ("/sessions/secret-call", "/sessions/nosuch", "/brand/globex.css", "/brand/nosuch.css",
                     "/static/branding/globex.png", "/static/branding/nosuch.png"):  # fmt: skip
            assert (await fetch(http, sidecar.url + path))[0] == 404
        known, unknown = [
            await fetch(http, f"{sidecar.url}/logs?session={name}") for name in ("secret-call", "nosuch-call")
        ]
        assert known[0] == unknown[0] == 200
        assert known[1].replace("secret-call", "nosuch-call") == unknown[1]


async def test_every_route_there_is_walked_with_a_share_link(start_sidecar: StartSidecar) -> None:
    async with shared(start_sidecar) as (sidecar, http):
        reached = set()
        for method, path in addresses(sidecar):
            if path == "/logout":
                continue  # that ends the view
            headers = {"Origin": sidecar.url} if method not in ("GET", "HEAD") else {}
            status, text = await fetch(http, sidecar.url + path, method, headers=headers)
            assert not OTHERS_WORDS.search(text), path
            assert status in (200, 401, 403, 404, 415), path
            if status == 200:
                reached.add((method, path))
    assert {(method, path) for method, path in reached if method != "HEAD"} == {
        ("GET", "/health"), ("GET", "/ready"), ("GET", "/static/app.css"), ("GET", "/login"),
        ("GET", "/brand/acme.css"), *(("GET", path) for path in PAGES),
    }  # fmt: skip


async def test_nobody_reaches_a_page_the_api_or_a_brand(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(CONFIG) as sidecar, browser() as http:
        reached = set()
        for method, path in addresses(sidecar):
            status, text = await fetch(http, sidecar.url + path, method, headers={"Origin": sidecar.url})
            assert status in (200, 303, 401, 404, 415), path
            assert "globex" not in text
            if status == 200:
                reached.add((method, path))
            if status == 404:
                assert path == "/share/x"
    assert {path for method, path in reached if method == "GET"} == {"/health", "/ready", "/static/app.css", "/login"}


async def test_a_link_that_is_over_opens_nothing(start_sidecar: StartSidecar) -> None:
    async with shared(start_sidecar) as (sidecar, http):
        [share] = (await sidecar.get_json("/api/shares", **ADMIN))["shares"]
        assert "url" not in share
        assert (await fetch(http, f"{sidecar.url}/sessions?project=acme"))[0] == 200
        async with sidecar.http.delete(f"{sidecar.url}/api/shares/{share['id']}", headers=ADMIN) as response:
            assert (await response.json())["state"] == "revoked"
        assert (await fetch(http, f"{sidecar.url}/sessions?project=acme"))[0] == 303
        assert (await fetch(http, f"{sidecar.url}/share/anything"))[0] == 404


async def test_signing_in_goes_before_a_link_and_ends_it(start_sidecar: StartSidecar) -> None:
    async with shared(start_sidecar) as (sidecar, http):
        await sign_in(http, sidecar, "admin-key-1")
        status, html = await fetch(http, f"{sidecar.url}/projects")
        assert status == 200
        assert "Globex Corp" in html


async def test_without_keys_a_link_shows_its_maker_what_the_customer_sees(start_sidecar: StartSidecar) -> None:
    async with shared(start_sidecar, CONFIG.replace("auth:", "# auth:")) as (sidecar, http):
        assert (await fetch(http, f"{sidecar.url}/sessions?project=globex"))[0] == 404
        assert (await fetch(http, f"{sidecar.url}/projects/new"))[0] == 404
        headers = {"Origin": sidecar.url}
        assert (await fetch(http, f"{sidecar.url}/logout", "POST", headers=headers))[0] == 303
        assert (await fetch(http, f"{sidecar.url}/sessions?project=globex"))[0] == 200


@pytest.mark.parametrize("query", ["project=acme&project=globex", "project=globex&project=acme"])
async def test_a_project_named_twice_is_refused(start_sidecar: StartSidecar, query: str) -> None:
    async with shared(start_sidecar) as (sidecar, http):
        status, html = await fetch(http, f"{sidecar.url}/logs?{query}")
        assert status == 400
        assert "gpt-4.1-mini" not in html


async def test_links_of_one_project_are_not_revoked_through_another(start_sidecar: StartSidecar) -> None:
    async with shared(start_sidecar) as (sidecar, _), browser() as http:
        await sign_in(http, sidecar, "admin-key-1")
        [share] = (await sidecar.get_json("/api/shares", **ADMIN))["shares"]
        path = f"{sidecar.url}/projects/globex/links/{share['id']}/revoke"
        assert (await fetch(http, path, "POST", headers={"Origin": sidecar.url}))[0] == 404
        [share] = (await sidecar.get_json("/api/shares", **ADMIN))["shares"]
        assert share["state"] == "valid"
        await asyncio.sleep(0)
