"""Logos as a whole: told by content, refused in one line, the same when read again."""

from __future__ import annotations

import hashlib
import re

import pytest

from tests.branding.hostile import CANARY_SCRIPT, CANARY_URL, HOSTILE, MUST_BE_REFUSED, svg
from tests.branding.samples import GOOD_PNG, GOOD_SVG, plain_png
from voicegw_sidecar import branding
from voicegw_sidecar.branding import LIMIT_BYTES, LIMIT_PX, BadLogo, Logo, read_logo
from voicegw_sidecar.errors import BadRequest, TooLarge

ONE_LINE = re.compile(r"logo: found [^\n;]+; expected [^\n;]+; [^\n;]+")


@pytest.mark.parametrize("name", [name for name, refused in MUST_BE_REFUSED.items() if refused])
def test_a_hostile_file_is_refused_in_one_line_that_repeats_nothing_of_it(name: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_logo(HOSTILE[name])
    message = refused.value.message
    assert ONE_LINE.fullmatch(message), message
    assert len(message) < 250
    assert isinstance(refused.value, BadLogo)
    assert (refused.value.code, refused.value.status) == ("bad_request", 400)
    assert "canary" not in message


@pytest.mark.parametrize("name", [name for name, refused in MUST_BE_REFUSED.items() if not refused])
def test_of_a_hostile_file_that_is_accepted_nothing_hostile_stays(name: str) -> None:
    logo = read_logo(HOSTILE[name])
    assert read_logo(logo.content) == logo
    for word in (b"<script", b"<?", b"<!", b"http://canary", b"xml-stylesheet", b"PK\x03\x04"):
        if word == b"http://canary" and (b"<title" in logo.content or b"<text" in logo.content):
            continue  # words to read, escaped
        assert word not in logo.content


def test_the_table_of_hostile_files_is_complete_and_small_enough() -> None:
    assert HOSTILE.keys() == MUST_BE_REFUSED.keys()
    assert len(HOSTILE) > 150
    assert all(len(content) <= LIMIT_BYTES for content in HOSTILE.values())  # refused for what they are, not for length
    assert CANARY_URL in CANARY_SCRIPT


@pytest.mark.parametrize("content", [*GOOD_PNG.values(), *(drawing.content for drawing in GOOD_SVG.values())])
def test_a_logo_is_named_by_what_is_stored(content: bytes) -> None:
    logo = read_logo(content)
    assert logo.digest == hashlib.sha256(logo.content).hexdigest()[:16]
    assert (logo.width_px is None) == (logo.height_px is None) == (logo.extension == "svg")
    assert logo.content_type == {"png": "image/png", "svg": "image/svg+xml"}[logo.extension]
    assert read_logo(logo.content) == logo


@pytest.mark.parametrize("start", [b"\x89PNG\r\n\x1a\n", b"<svg", b"", b"\xff"])
def test_a_file_above_the_limit_is_too_large_whatever_it_is(start: bytes) -> None:
    with pytest.raises(TooLarge, match="262145 bytes long; expected at most 262144") as refused:
        read_logo(start.ljust(LIMIT_BYTES + 1, b" "))
    assert refused.value.status == 413


def test_a_file_of_just_the_limit_is_read() -> None:
    content = svg("<!--?-->").replace(b"?", b"x" * (LIMIT_BYTES - len(svg("<!---->"))))
    assert len(content) == LIMIT_BYTES
    assert read_logo(content).extension == "svg"


def test_a_drawing_that_would_be_stored_too_long_is_refused() -> None:
    with pytest.raises(TooLarge, match="written anew it is"):
        read_logo(svg("<text><![CDATA[" + ">" * 200_000 + "]]></text>"))


def test_the_kind_is_told_by_content() -> None:
    assert read_logo(plain_png()).extension == "png"
    assert read_logo(b"\xef\xbb\xbf \n" + svg("")).extension == "svg"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"\xff\xd8\xff\xe0", "a JPEG file"),
        (b"GIF89a", "a GIF file"),
        (b"\x1f\x8b\x08", "a compressed file"),
        ("\ufeff<svg/>".encode("utf-16-le"), "a text in UTF-16 or UTF-32"),
        (b"hello", "a file of another kind"),
    ],
)
def test_the_refusal_says_what_the_file_seems_to_be(content: bytes, found: str) -> None:
    with pytest.raises(BadLogo, match=f"logo: found {found}; expected a PNG of at most {LIMIT_PX} x {LIMIT_PX} px"):
        read_logo(content)


def test_what_the_package_offers_is_there() -> None:
    assert all(getattr(branding, name) is not None for name in branding.__all__)
    assert Logo.__struct_config__.frozen
