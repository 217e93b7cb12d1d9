"""Brands over HTTP: merged, cleared, uploaded, refused, and shown to those alone who may see the project."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.api.test_managed_projects import ask
from tests.branding.hostile import HOSTILE, MUST_BE_REFUSED
from tests.branding.samples import GOOD_PNG, GOOD_SVG
from tests.conftest import Client, MountControlPlane, StartSidecar
from tests.sidecar import send_raw
from voicegw_sidecar.api.answers import RUNTIME

NONE = {"product_name": None, "accent_color": None, "logo_url": None}
PNG, SVG = next(iter(GOOD_PNG.values())), next(iter(GOOD_SVG.values())).content


async def upload(client: Client, content: bytes, project: str = "acme", name: str = "logo.png") -> tuple[int, Any]:
    form = aiohttp.FormData()
    form.add_field("file", content, filename=name)
    response = await client.post(f"/api/projects/{project}/branding/logo", data=form)
    return response.status, await response.json()


async def test_fields_merge_and_null_clears_one(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    path = "/api/projects/acme/branding"
    assert await ask(client, "GET", path) == (200, {"project_id": "acme", "branding": NONE})
    assert (await ask(client, "POST", path, {"product_name": "AcmeVoice"}))[1]["branding"][
        "product_name"
    ] == "AcmeVoice"
    both = (await ask(client, "POST", path, {"accent_color": "#FF6633"}))[1]["branding"]
    assert both == {"product_name": "AcmeVoice", "accent_color": "#FF6633", "logo_url": None}
    assert (await ask(client, "POST", path, {"product_name": None}))[1]["branding"]["product_name"] is None
    assert (await ask(client, "DELETE", path))[1]["branding"] == NONE
    assert (await ask(client, "GET", "/api/projects/nope/branding"))[0] == 404


@pytest.mark.parametrize(
    "body",
    [
        {"product_name": ""}, {"product_name": "a" * 65}, {"product_name": 7}, {"accent_color": "red"},
        {"accent_color": "#12"}, {"accent_color": "#gggggg"}, {"accent_color": "#fff;}"}, {"accent": "#fff"},
        {"logo_url": "/static/branding/x.png"}, {"product_name": "a\nb"}, {"accent_color": "#FF6633 "},
    ],
)  # fmt: skip
async def test_anything_else_is_a_400(control_plane: MountControlPlane, body: dict[str, object]) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    assert (await ask(client, "POST", "/api/projects/acme/branding", {"product_name": "Kept"}))[0] == 200
    status, answer = await ask(client, "POST", "/api/projects/acme/branding", body)
    assert (status, answer["error"]["code"]) == (400, "bad_request")
    assert next(iter(body)) in answer["error"]["message"]
    assert (await ask(client, "GET", "/api/projects/acme/branding"))[1]["branding"]["product_name"] == "Kept"


async def test_a_logo_is_served_with_headers_that_let_it_do_nothing(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    for content, url, kind in (
        (PNG, "/static/branding/acme.png", "image/png"), (SVG, "/static/branding/acme.svg", "image/svg+xml"),
    ):  # fmt: skip
        status, answer = await upload(client, content, name="anything.exe")
        assert (status, answer["branding"]["logo_url"]) == (200, url)
        response = await client.get(url)
        assert (response.status, response.content_type) == (200, kind)
        assert "sandbox" in response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert (await response.read()).startswith((b"\x89PNG", b"<svg"))
    assert (await client.get("/static/branding/acme.png")).status == 404  # there is one logo, the newest
    folder = client.app[RUNTIME].store.path.parent / "branding"
    assert [path.name for path in folder.iterdir()] == ["acme.svg"]
    assert (await ask(client, "POST", "/api/projects/acme/branding", {"logo_url": None}))[1]["branding"] == NONE
    assert [*folder.iterdir()] == []


async def test_hostile_files_are_refused_in_one_line_or_cleaned(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    for name, content in HOSTILE.items():
        status, answer = await upload(client, content)
        if not MUST_BE_REFUSED[name]:
            assert status == 200, name
            await ask(client, "DELETE", "/api/projects/acme/branding")
            continue
        assert status in (400, 413), name
        assert answer["error"]["code"] in ("bad_request", "too_large"), name
        assert "\n" not in answer["error"]["message"], name
        assert (await ask(client, "GET", "/api/projects/acme/branding"))[1]["branding"] == NONE, name


async def test_uploads_are_bounded_and_must_be_forms(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {}}\n")
    assert (await upload(client, b"x" * 262_145))[1]["error"]["code"] == "too_large"
    response = await client.post("/api/projects/acme/branding/logo", data=PNG, headers={"Content-Type": "image/png"})
    assert (response.status, response.headers["X-VoiceGW-Error"]) == (415, "unsupported_type")
    broken = await client.post(
        "/api/projects/acme/branding/logo",
        data=b"--x\r\nnonsense",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert broken.status == 400
    assert (await upload(client, PNG, project="nope"))[0] == 404


@pytest.mark.parametrize(("project", "code"), [("nope", b"unknown_project"), ("acme?x=1", b"bad_request")])
async def test_what_is_not_there_is_refused_before_the_image_is_read(
    start_sidecar: StartSidecar, project: str, code: bytes
) -> None:
    path, _, query = project.partition("?")
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        head = (
            f"POST /api/projects/{path}/branding/logo?{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000\r\n\r\n--x\r\n"
        )
        reader, writer = await send_raw(sidecar.url, head.encode())
        try:
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        finally:
            writer.close()
    assert b"X-VoiceGW-Error: " + code in answer


async def test_the_files_brand_is_below_what_was_set(control_plane: MountControlPlane, tmp_path: Path) -> None:
    (tmp_path / "acme.svg").write_bytes(SVG)
    (tmp_path / "bad.svg").write_bytes(b"<svg onload='x'/>")
    client = await control_plane(
        "projects:\n  acme: {branding: {product_name: Of the file, accent_color: '#123456', logo: acme.svg}}\n"
        "  bad: {branding: {product_name: Bad logo, logo: bad.svg}}\n  gone: {branding: {logo: nowhere.png}}\n"
    )
    path = "/api/projects/acme/branding"
    of_the_file = {"product_name": "Of the file", "accent_color": "#123456", "logo_url": "/static/branding/acme.svg"}
    assert (await ask(client, "GET", path))[1]["branding"] == of_the_file
    assert (await client.get("/static/branding/acme.svg")).status == 200
    assert (await upload(client, PNG))[1]["branding"]["logo_url"] == "/static/branding/acme.png"
    assert (await ask(client, "POST", path, {"product_name": "Set"}))[1]["branding"]["product_name"] == "Set"
    assert (await ask(client, "DELETE", path))[1]["branding"] == of_the_file
    status = (await ask(client, "GET", "/v1/status"))[1]
    assert set(status["logo_errors"]) == {"bad", "gone"}
    assert (await ask(client, "GET", "/api/projects/bad/branding"))[1]["branding"]["product_name"] == "Bad logo"


async def test_a_brand_outlives_a_restart(start_sidecar: StartSidecar) -> None:
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        form = aiohttp.FormData()
        form.add_field("file", PNG, filename="logo.png")
        async with sidecar.http.post(f"{sidecar.url}/api/projects/acme/branding/logo", data=form) as response:
            assert response.status == 200
    async with start_sidecar("projects: {acme: {}}\n") as sidecar:
        async with sidecar.http.get(f"{sidecar.url}/static/branding/acme.png") as response:
            assert response.status == 200
        async with sidecar.http.get(f"{sidecar.url}/?project=acme") as response:
            html = await response.text()
    assert html.count("/static/branding/acme.png?v=") == 2  # the sidebar and the tab's icon


async def test_an_accent_is_a_stylesheet_of_its_own_readable_in_both_schemes(control_plane: MountControlPlane) -> None:
    client = await control_plane("projects: {acme: {branding: {accent_color: '#F63'}}, plain: {}}\n")
    page = await (await client.get("/?project=acme")).text()
    assert '<link rel="stylesheet" href="/brand/acme.css?v=f63">' in page
    css = await (await client.get("/brand/acme.css")).text()
    assert "--accent:" in css
    assert "prefers-color-scheme: dark" in css
    assert "style=" not in page
    for path in ("/brand/plain.css", "/brand/nope.css", "/brand/..%2facme.css", "/brand/acme.js"):
        assert (await client.get(path)).status == 404
