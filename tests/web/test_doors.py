"""Signing in and out, and what a cookie is good for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.conftest import MountControlPlane, StartSidecar
from tests.sidecar import Sidecar
from voicegw_sidecar.web.door import same_site

KEYED = "auth: {api_keys: [admin-key-1], viewer_keys: [viewer-key-1]}\nprojects: {acme: {}}\n"


@asynccontextmanager
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as http:
        yield http


async def sign_in(http: aiohttp.ClientSession, sidecar: Sidecar, key: str, **fields: str) -> aiohttp.ClientResponse:
    data = {"api_key": key, **fields}
    async with http.post(f"{sidecar.url}/login", data=data, allow_redirects=False) as response:
        await response.read()
        return response


async def status(http: aiohttp.ClientSession, url: str) -> int:
    async with http.get(url, allow_redirects=False) as response:
        await response.read()
        return response.status


async def test_a_browser_signs_in_sees_pages_and_signs_out(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar, browser() as http:
        async with http.get(f"{sidecar.url}/sessions?project=acme", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (
                303, "/login?next=%2Fsessions%3Fproject%3Dacme")  # fmt: skip
        response = await sign_in(http, sidecar, "admin-key-1", next="/sessions?project=acme")
        assert (response.status, response.headers["Location"]) == (303, "/sessions?project=acme")
        cookie = response.cookies[f"voicegw_{sidecar.port}"]
        assert (cookie["httponly"], cookie["samesite"], cookie["max-age"], cookie["path"]) == (
            True,
            "Strict",
            "43200",
            "/",
        )
        assert not cookie["secure"]
        assert await status(http, f"{sidecar.url}/sessions?project=acme") == 200
        assert await status(http, f"{sidecar.url}/projects/new") == 200
        assert await status(http, f"{sidecar.url}/v1/status") == 401  # the API takes bearer keys
        async with http.post(f"{sidecar.url}/logout", allow_redirects=False) as response:
            assert (response.status, response.headers["Location"]) == (303, "/login")
        assert await status(http, f"{sidecar.url}/sessions") == 303
        headers = {"Cookie": f"voicegw_{sidecar.port}={cookie.value}"}  # whoever kept the cookie has nothing
        async with sidecar.http.get(f"{sidecar.url}/", headers=headers, allow_redirects=False) as response:
            assert response.status == 303


async def test_a_viewer_reads_and_changes_nothing(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar, browser() as http:
        await sign_in(http, sidecar, "viewer-key-1")
        for path in (
            "/",
            "/sessions",
            "/routing",
            "/projects",
            "/costs",
            "/costs/export.csv",
            "/logs",
            "/logs/changes",
        ):
            assert await status(http, sidecar.url + path) == 200
        for path in ("/projects/new", "/projects/acme/brand", "/projects/acme/links"):
            assert await status(http, sidecar.url + path) == 403
        async with http.get(f"{sidecar.url}/projects") as response:
            html = await response.text()
        assert "New project" not in html
        assert "/brand" not in html
        headers = {"Origin": sidecar.url}
        for path in ("/projects/new", "/projects/acme/brand", "/projects/acme/links"):
            async with http.post(sidecar.url + path, data={"project_id": "x"}, headers=headers) as response:
                assert response.status == 403


async def test_a_wrong_key_is_told_and_guessing_is_slowed_down(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar, browser() as http:
        for _ in range(10):
            response = await sign_in(http, sidecar, "wrong")
            assert response.status == 401
            assert not response.cookies
        response = await sign_in(http, sidecar, "admin-key-1")
        assert (response.status, response.headers["X-VoiceGW-Error"]) == (429, "too_many_guesses")
        assert int(response.headers["Retry-After"]) >= 1
        # who is signed in, and programs with a right key, go on
        good = {"Authorization": "Bearer admin-key-1"}
        assert (await sidecar.get_json("/v1/status", **good))["version"]
        async with http.get(f"{sidecar.url}/v1/status", headers={"Authorization": "Bearer wrong"}) as response:
            assert response.status == 401  # counted by itself: a stray program keeps nobody from signing in


async def test_wrong_keys_of_programs_are_counted_too(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar:
        seen = []
        for _ in range(12):
            headers = {"Authorization": "Bearer wrong"}
            async with sidecar.http.get(f"{sidecar.url}/v1/status", headers=headers) as response:
                seen.append(response.status)
        assert seen == [401] * 10 + [429] * 2
        assert (await sidecar.get_json("/v1/status", Authorization="Bearer viewer-key-1"))["version"]


async def test_a_key_that_is_taken_out_signs_its_browsers_out(start_sidecar: StartSidecar) -> None:
    async with browser() as http:
        async with start_sidecar(KEYED) as sidecar:
            await sign_in(http, sidecar, "viewer-key-1")
            assert await status(http, f"{sidecar.url}/") == 200
            runtime = sidecar.running.runtime
            from msgspec.structs import replace

            from voicegw_sidecar.config.schema import Auth

            config = runtime.loaded.config
            runtime.loaded = replace(runtime.loaded, config=replace(config, auth=Auth(config.auth.api_keys, ())))
            runtime.put_in_force()
            assert await status(http, f"{sidecar.url}/") == 303


async def test_signing_in_outlives_a_restart(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar, browser() as http:
        word = (await sign_in(http, sidecar, "admin-key-1")).cookies[f"voicegw_{sidecar.port}"].value
    async with start_sidecar(KEYED) as sidecar, aiohttp.ClientSession() as http:
        headers = {"Cookie": f"voicegw_{sidecar.port}={word}"}
        async with http.get(f"{sidecar.url}/", headers=headers, allow_redirects=False) as response:
            assert response.status == 200
        headers = {"Cookie": f"voicegw_{sidecar.port + 1}={word}"}  # another sidecar's cookie is not ours
        async with http.get(f"{sidecar.url}/", headers=headers, allow_redirects=False) as response:
            assert response.status == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_no_page_of_another_site_can_send_a_form(start_sidecar: StartSidecar, headers: dict[str, str]) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        for path in ("/login", "/logout", "/projects/new", "/projects/acme/brand", "/projects/acme/delete"):
            async with sidecar.http.post(sidecar.url + path, data={"project_id": "x"}, headers=headers) as response:
                assert (response.status, response.headers["X-VoiceGW-Error"]) == (403, "cross_site")
        async with sidecar.http.post(f"{sidecar.url}/projects/new", data={"project_id": "x"}) as response:
            assert response.status == 403  # no sign of a browser at all: scripts use the API
        assert "x" not in sidecar.running.runtime.catalog.projects


async def test_a_link_from_elsewhere_may_open_a_page_and_rebinding_may_not(start_sidecar: StartSidecar) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        navigation = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        for path in ("/", "/sessions?project=acme", "/login"):
            async with sidecar.http.get(sidecar.url + path, headers=navigation) as response:
                assert response.status == 200
        async with sidecar.http.get(f"{sidecar.url}/", headers={"Host": "evil.test"}) as response:
            assert (response.status, response.headers["X-VoiceGW-Error"]) == (421, "bad_host")
            assert "<h1>" in await response.text()


@pytest.mark.parametrize(
    ("target", "safe"),
    [
        ("/sessions?project=acme", True), ("/", True), ("//evil.test", False), ("/\\evil.test", False),
        ("\\\\evil", False),
        ("https://evil.test/", False), ("javascript:alert(1)", False), ("", False), (None, False), ("sessions", False),
        ("/logout", False), ("/login?next=/", False), ("/share/x", False), ("/a\r\nSet-Cookie: x", False),
        ("/%0d%0aSet-Cookie:%20x", True), ("///evil.test", False), ("/sessions\u2028", False),
    ],
)  # fmt: skip
def test_after_signing_in_only_pages_of_this_site_follow(target: str | None, safe: bool) -> None:
    assert same_site(target) == (target if safe else "/")


async def test_behind_tls_the_cookie_is_for_tls_alone(control_plane: MountControlPlane) -> None:
    client = await control_plane("auth: {api_keys: [k-1]}\nserve: {public_url: 'https://voice.example.com'}\n")
    response = await client.post("/login", data={"api_key": "k-1"}, allow_redirects=False)
    [cookie] = [one for name, one in response.cookies.items() if name.startswith("voicegw_") and one.value]
    assert cookie["secure"] is True


async def test_without_keys_there_is_nothing_to_sign_in_to(control_plane: MountControlPlane) -> None:
    client = await control_plane()
    assert "No key is configured" in await (await client.get("/login")).text()
    response = await client.post("/login", data={"api_key": "anything"}, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, "/")
    assert not response.cookies
