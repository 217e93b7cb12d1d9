"""Who may do what: Host, Origin, loopback and keys, as a table of requests."""

from __future__ import annotations

import pytest

from voicegw_sidecar.access import Access, Area, Caller, Role
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.terms import Secret

OPEN_ACCESS = Access([], [])
KEYED = Access([Secret("admin-key")], [Secret("viewer-key")])
PUBLIC = Access([Secret("admin-key")], [], ["voice.lan"], "https://voice.example.com")


def caller(
    *headers: tuple[str, str], method: str = "GET", peer: str = "127.0.0.1", host: str | None = "127.0.0.1:8080"
) -> Caller:
    pairs = [*([("Host", host)] if host is not None else []), *headers]
    return Caller(method, "http", pairs, peer)


def outcome(access: Access, who: Caller, area: Area) -> str:
    try:
        return access.check(who, area).value
    except SidecarError as error:
        return error.code


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]", "[::1]:8080", "127.8.9.1"]
)
@pytest.mark.parametrize("area", list(Area))
def test_loopback_hosts_are_served(host: str, area: Area) -> None:
    assert outcome(OPEN_ACCESS, caller(host=host), area) in (Role.ADMIN.value, Role.NOBODY.value)


@pytest.mark.parametrize(
    "host",
    ["evil.test", "localhost.evil.test", "127.0.0.1.nip.io", "127.0.0.1.", "localhost.", "", None, "a@127.0.0.1",
     "127.0.0.1:8080:1", "0.0.0.0", "192.168.1.1", "[::2]", "127.0.0.1, evil.test"],
)  # fmt: skip
@pytest.mark.parametrize("area", list(Area))
def test_other_hosts_are_refused_everywhere(host: str | None, area: Area) -> None:
    assert outcome(OPEN_ACCESS, caller(host=host), area) == "bad_host"


def test_two_hosts_are_refused() -> None:
    assert outcome(OPEN_ACCESS, caller(("Host", "127.0.0.1")), Area.API) == "bad_host"


@pytest.mark.parametrize("area", list(Area))
@pytest.mark.parametrize(
    "header",
    [("Origin", "http://evil.test"), ("Origin", "null"), ("Origin", "http://127.0.0.1:9999"),
     ("Origin", "https://127.0.0.1:8080"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-site")],
)  # fmt: skip
def test_pages_of_other_sites_are_refused_on_every_path(area: Area, header: tuple[str, str]) -> None:
    assert outcome(OPEN_ACCESS, caller(header), area) == "cross_site"


@pytest.mark.parametrize(
    "header", [("Origin", "http://127.0.0.1:8080"), ("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "none")]
)
def test_own_pages_and_sdks_are_served(header: tuple[str, str]) -> None:
    assert outcome(OPEN_ACCESS, caller(header), Area.API) == "admin"


def test_a_link_from_another_site_may_open_a_page_and_nothing_else() -> None:
    headers = (("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"))
    assert outcome(OPEN_ACCESS, caller(*headers), Area.PAGE) == "admin"
    assert outcome(OPEN_ACCESS, caller(*headers), Area.API) == "cross_site"
    assert outcome(OPEN_ACCESS, caller(*headers), Area.DATA) == "cross_site"
    assert outcome(OPEN_ACCESS, caller(*headers, method="POST"), Area.PAGE) == "cross_site"


@pytest.mark.parametrize(
    ("key", "method", "expected"),
    [(None, "GET", "unauthorized"), ("Bearer wrong", "GET", "unauthorized"), ("Bearer ", "GET", "unauthorized"),
     ("Basic admin-key", "GET", "unauthorized"), ("admin-key", "GET", "unauthorized"),
     ("Bearer admin-ke", "GET", "unauthorized"),
     ("Bearer admin-key", "GET", "admin"), ("bearer admin-key", "POST", "admin"),
     ("Bearer viewer-key", "GET", "viewer"), ("Bearer viewer-key", "POST", "forbidden"),
     ("Bearer viewer-key", "DELETE", "forbidden")],
)  # fmt: skip
@pytest.mark.parametrize("area", [Area.API, Area.PAGE])
def test_with_a_key_configured_the_control_plane_needs_one(
    key: str | None, method: str, expected: str, area: Area
) -> None:
    headers = [] if key is None else [("Authorization", key)]
    assert outcome(KEYED, caller(*headers, method=method), area) == expected


def test_with_a_key_configured_agents_and_orchestrators_on_this_machine_need_none() -> None:
    assert outcome(KEYED, caller(), Area.DATA) == "nobody"
    assert outcome(KEYED, caller(), Area.OPEN) == "nobody"


@pytest.mark.parametrize(
    "who",
    [caller(("X-Forwarded-For", "127.0.0.1")), caller(("Forwarded", "for=1.2.3.4")), caller(("X-Forwarded-Host", "a")),
     caller(peer="192.168.1.9"), caller(peer=""), caller(host="voice.lan"), caller(host="voice.example.com")],
)  # fmt: skip
def test_calls_from_off_this_machine_come_from_strangers_who_need_an_agent_key(who: Caller) -> None:
    assert outcome(PUBLIC, who, Area.DATA) == "stranger"
    assert (
        outcome(
            PUBLIC,
            Caller(who.method, who.scheme, [*who.headers, ("Authorization", "Bearer admin-key")], who.peer),
            Area.API,
        )
        == "admin"
    )


def test_without_a_key_nobody_off_this_machine_is_served() -> None:
    assert outcome(OPEN_ACCESS, caller(("X-Forwarded-For", "10.0.0.1")), Area.API) == "unauthorized"


def test_the_public_url_is_an_origin_of_ours() -> None:
    key = ("Authorization", "Bearer admin-key")
    assert (
        outcome(PUBLIC, caller(key, ("Origin", "https://voice.example.com"), host="voice.example.com"), Area.API)
        == "admin"
    )
