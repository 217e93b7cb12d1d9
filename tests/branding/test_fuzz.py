"""Whatever is uploaded, the answer is a refusal or a logo that is harmless and stays the same when read again."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.branding.hostile import HOSTILE, svg
from tests.branding.samples import GOOD_PNG, GOOD_SVG, SIGNATURE, chunk
from voicegw_sidecar.branding import BadLogo, Logo, read_logo
from voicegw_sidecar.branding.grammar import KEPT, SVG
from voicegw_sidecar.errors import TooLarge

NEVER = re.compile(
    rb"<\s*/?\s*(?:script|foreignObject|iframe|image|animate|set|a)\b|<!|<\?|\bon\w+\s*=[\"']", re.IGNORECASE
)
IN_ATTRIBUTES = re.compile(r"javascript:|vbscript:|data:|url\((?!#)|expression\(|\\|@|<", re.IGNORECASE)
DRAWINGS = [drawing.content for drawing in GOOD_SVG.values()]
ATTACKS = [content for name, content in HOSTILE.items() if name.startswith("svg") and 0 < len(content) < 4000]
IMAGES = list(GOOD_PNG.values())
PIECES = [
    b"<script>", b"</script>", b"<script/>", b" onload='x()'", b" onclick=\"x\"", b"javascript:", b"data:text/html,",
    b"<!DOCTYPE svg>",
    b"<!ENTITY a 'b'>", b"&a;", b"<![CDATA[", b"]]>", b"<!--", b"-->", b"<?xml-stylesheet href='x'?>",
    b"<foreignObject>", b"<image/>",
    b" href='#a'", b" xlink:href='http://x'", b" style='fill:url(x)'", b"<style>", b"</style>", b"@import 'x';",
    b"url(", b"/*", b"*/", b"{", b"}",
    b";", b":", b"'", b'"', b"<", b">", b"/>", b"=", b"\\", b"&lt;", b"&#60;", b"&#x3c;script&#x3e;", b"\0",
    b"\xef\xbb\xbf", b"\xc3", b"<use href='#a'/>",
    b"<g>", b"</g>", b"<svg>", b"<a href='x'>", b"<set/>", b"<metadata>", b"</metadata>", b" id='a'", b" xmlns='x'",
    b" xmlns:s='http://www.w3.org/2000/svg'",
    b"<s:script>", b"\xe2\x80\xa8", b"\r", b"\t", b"1e999", b"-", b"!important", b"(", b")", b",", b"#", b".", b"*",
]  # fmt: skip
changes = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES)), min_size=1, max_size=4)
small_changes = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 4), st.binary(max_size=6)), max_size=4)


def changed(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Put pieces in places, each instead of some bytes."""
    for where, gone, piece in edits:
        at = int(where * len(content))
        content = content[:at] + piece + content[at + gone :]
    return content


def checked(content: bytes) -> None:
    """Read it: what is refused is refused in one line."""
    try:
        logo = read_logo(content)
    except (BadLogo, TooLarge) as error:
        refused = error.message
    else:
        check_logo(logo)
        return
    assert refused.startswith("logo: ")
    assert "\n" not in refused
    assert len(refused) < 250


def check_logo(logo: Logo) -> None:
    """Hold what is stored to the promise."""
    assert read_logo(logo.content) == logo
    if logo.extension == "svg":
        check_drawing(logo)
    else:
        assert logo.content.startswith(SIGNATURE)
        assert logo.content.endswith(b"IEND\xaeB`\x82")


def check_drawing(logo: Logo) -> None:
    """Look at the stored form with a parser that allows everything."""
    tags = b"".join(re.findall(rb"<[^>]*>", logo.content))
    assert not NEVER.search(tags), tags
    for word in (b"<script", b"<!DOCTYPE", b"<foreignObject"):
        assert word.lower() not in logo.content.lower()
    for element in ET.fromstring(logo.content).iter():
        assert element.tag.removeprefix(f"{{{SVG}}}") in KEPT
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on")
            assert not IN_ATTRIBUTES.search(value)
            assert name != "href" or value.startswith("#")
        if element.tag.endswith("}style"):
            assert not IN_ATTRIBUTES.search(element.text or "")


@given(st.binary(max_size=200), st.sampled_from([b"", SIGNATURE, b"<svg ", b"\xef\xbb\xbf<"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_refused_or_harmless(content: bytes, start: bytes) -> None:
    checked(start + content)


@given(st.sampled_from(DRAWINGS), changes)
@settings(max_examples=150, deadline=None)
def test_any_change_of_a_good_drawing(content: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    checked(changed(content, edits))


@given(st.sampled_from(ATTACKS), changes)
@settings(max_examples=150, deadline=None)
def test_any_change_of_an_attack(content: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    checked(changed(content, edits))


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=12))
@settings(max_examples=150, deadline=None)
def test_any_pieces_inside_a_drawing(pieces: list[bytes]) -> None:
    checked(svg("?").replace(b"?", b"".join(pieces)))


NAMES = st.sampled_from([
    "fill", "style", "class", "id", "href", "xlink:href", "d", "transform", "width", "font-family", "clip-path",
    "onload", "xml:space", "x",
])  # fmt: skip
VALUES = st.lists(
    st.sampled_from(["url(#a)", "url(", "'", ";", ":", "fill:red", "red", "#", "#a", " ", "(", ")", "rgb(1)", "\\",
    "!important", "data:", "java", "script:"])
    | st.text("abz019 .,-+%#'()/*\t\n\r\u00a0\u2028é", max_size=4),
    max_size=5,
).map("".join)  # fmt: skip


@given(st.sampled_from(sorted(KEPT - {"svg"})), st.dictionaries(NAMES, VALUES, max_size=4), st.text(max_size=20))
@settings(max_examples=150, deadline=None)
def test_any_attributes_and_text(element: str, attributes: dict[str, str], text: str) -> None:
    def escaped(value: str) -> str:
        return "".join(f"&#{ord(letter)};" if letter in "<>&\"'\t\n\r" else letter for letter in value)

    pairs = "".join(f' {name}="{escaped(value)}"' for name, value in attributes.items())
    checked(svg(f"<{element}{pairs}>{escaped(text)}</{element}>"))


@given(st.sampled_from(IMAGES), small_changes)
@settings(max_examples=150, deadline=None)
def test_any_change_of_a_good_image(content: bytes, edits: list[tuple[float, int, bytes]]) -> None:
    checked(changed(content, edits))


@given(st.sampled_from(IMAGES), small_changes, st.data())
@settings(max_examples=150, deadline=None)
def test_any_change_inside_a_chunk_whose_checksum_is_mended(
    content: bytes, edits: list[tuple[float, int, bytes]], data: st.DataObject
) -> None:
    found, at = [], len(SIGNATURE)
    while at < len(content):
        length = int.from_bytes(content[at : at + 4])
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    place = data.draw(st.integers(0, len(found) - 1))
    kind, inside = found[place]
    if kind == b"IDAT" and len(found) < 6:
        inside = zlib.compress(changed(zlib.decompress(inside), edits))
    else:
        inside = changed(inside, edits)
    found[place] = (kind, inside)
    if data.draw(st.booleans()):
        found.insert(place, found[data.draw(st.integers(0, len(found) - 1))])
    checked(SIGNATURE + b"".join(chunk(*piece) for piece in found))
