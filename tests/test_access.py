"""Who may do what: Host, Origin, loopback and keys, as a table of requests."""

from __future__ import annotations

import ipaddress

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


@pytest.mark.parametrize("area", list(Area))
@pytest.mark.parametrize("seat", [Role.SHARE, Role.VIEWER, Role.ADMIN])
def test_a_cookie_opens_pages_and_brands_and_nothing_else(area: Area, seat: Role) -> None:
    def role(access: Access, *headers: tuple[str, str]) -> str:
        try:
            return access.check(caller(*headers), area, seat=seat).value
        except SidecarError as error:
            return error.code

    if area in (Area.PAGE, Area.BRAND):
        assert role(KEYED) == seat.value
        assert role(KEYED, ("Authorization", "Bearer viewer-key")) == "viewer"  # a key says more than a cookie
        assert role(OPEN_ACCESS) == seat.value  # a share link shows what it shows, also on its maker's machine
    elif area in (Area.API, Area.SESSION):
        assert role(KEYED) == "unauthorized"
        assert role(OPEN_ACCESS) == "admin"
    else:
        assert role(KEYED) == "nobody"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_form_needs_a_sign_that_a_page_of_ours_sent_it(method: str) -> None:
    same = ("Sec-Fetch-Site", "same-origin")
    own = ("Origin", "http://127.0.0.1:8080")
    assert outcome(OPEN_ACCESS, caller(method=method), Area.PAGE) == "cross_site"
    assert outcome(OPEN_ACCESS, caller(("Sec-Fetch-Site", "none"), method=method), Area.PAGE) == "cross_site"
    for header in (same, own):
        assert outcome(OPEN_ACCESS, caller(header, method=method), Area.PAGE) == "admin"
    for key, expected in (("admin-key", "admin"), ("viewer-key", "forbidden")):
        assert outcome(KEYED, caller(("Authorization", f"Bearer {key}"), method=method), Area.PAGE) == expected
    assert outcome(OPEN_ACCESS, caller(method=method), Area.DOOR) == "nobody"


def test_share_links_change_nothing() -> None:
    with pytest.raises(SidecarError) as refused:
        KEYED.check(caller(("Sec-Fetch-Site", "same-origin"), method="POST"), Area.PAGE, seat=Role.SHARE)
    assert refused.value.code == "forbidden"


def test_a_key_has_a_print_that_tells_nothing_without_the_signing_key() -> None:
    one, other = (Access([Secret("admin-key")], [Secret("viewer-key")], signing_key=key) for key in (b"a", b"b"))
    admitted = one.admitted("viewer-key")
    assert admitted is not None
    role, key_print = admitted
    assert role is Role.VIEWER
    assert one.role_of(key_print) is Role.VIEWER
    assert other.role_of(key_print) is None
    assert other.admitted("viewer-key") != admitted
    assert one.admitted("nobody's") is None
    assert one.admitted("") is None


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("10.0.0.9", "203.0.113.7", "10.0.0.9"), ("10.1.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.1.0.1", "127.0.0.1, 203.0.113.7", "203.0.113.7"), ("10.1.0.1", "203.0.113.7, 10.1.0.2", "203.0.113.7"),
        ("10.1.0.1", "nonsense, 10.1.0.2", "10.1.0.2"), ("10.1.0.1", "", "10.1.0.1"),
        ("10.1.0.1", "10.1.0.3", "10.1.0.3"),
    ],
)  # fmt: skip
def test_a_trusted_proxy_says_who_it_came_for_and_no_other_does(peer: str, forwarded: str, seen: str) -> None:
    access = Access([Secret("k")], [], trusted_proxies=[ipaddress.ip_network("10.1.0.0/24")])
    found = access.seen(caller(("X-Forwarded-For", forwarded), ("X-Forwarded-Proto", "https"), peer=peer))
    assert found.peer == seen
    assert found.scheme == ("https" if peer == "10.1.0.1" else "http")
    assert OPEN_ACCESS.seen(caller(("X-Forwarded-For", forwarded), peer=peer)).peer == peer
