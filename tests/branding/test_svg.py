"""SVG logos: what drawing tools export comes out whole, and reading takes no more work than the file is long."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]

import pytest

from tests.branding.hostile import pattern_bomb, svg
from tests.branding.samples import GOOD_SVG
from voicegw_sidecar.branding import BadLogo, attribute, css, expansion, grammar, read_logo, refusal
from voicegw_sidecar.branding import svg as svg_module
from voicegw_sidecar.branding.attribute import ATTRIBUTES_LIMIT
from voicegw_sidecar.branding.expansion import DEPTH_LIMIT as REFERENCES_DEEP
from voicegw_sidecar.branding.expansion import DRAWN_LIMIT
from voicegw_sidecar.branding.grammar import SVG, XLINK
from voicegw_sidecar.branding.svg import DEPTH_LIMIT, ELEMENTS_LIMIT

ROOT = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10">'
SPACES = re.compile(r"\s+")


def read(inside: str, root: str = "") -> str:
    """Return what is stored of a drawing's inside."""
    text = read_logo(svg(inside, root)).content.decode()
    if text.endswith("/>") and text.count("<") == 1:
        return ""
    return text[text.index(">") + 1 :].removesuffix("</svg>")


def facts(content: bytes) -> Iterator[tuple[str, str, str]]:
    """Yield every attribute and style property of every SVG element that is drawn, as tools mean them."""

    def walk(element: ET.Element) -> Iterator[tuple[str, str, str]]:
        namespace, _, name = element.tag[1:].partition("}")
        if namespace != SVG or name in grammar.DROPPED:
            return
        yield name, "", ""
        for key, value in element.attrib.items():
            if key == f"{{{XLINK}}}href":
                key = "href"
            if key == "style":
                for declaration in filter(None, (part.strip() for part in value.split(";"))):
                    yield (name, *_declared(declaration))
            elif not key.startswith("{") or key.endswith("}space"):
                yield name, key, _plain(value)
        if name == "style":
            for rule in re.sub(r"/\*.*?\*/", "", element.text or "").split("}"):
                selector, _, body = rule.partition("{")
                for declaration in filter(None, (part.strip() for part in body.split(";"))):
                    yield (SPACES.sub("", selector), *_declared(declaration))
        elif name in grammar.WITH_TEXT:
            yield name, "text", element.text or ""
        for child in element:
            yield from walk(child)

    return walk(ET.fromstring(content))


def _declared(text: str) -> tuple[str, str]:
    name, _, value = text.partition(":")
    return name.strip(), _plain(value).replace(" !", "!")


def _plain(value: str) -> str:
    return SPACES.sub(" ", value).strip()


@pytest.mark.parametrize("name", GOOD_SVG)
def test_a_tools_export_comes_out_whole(name: str) -> None:
    before = Counter(facts(GOOD_SVG[name].content))
    after = Counter(facts(read_logo(GOOD_SVG[name].content).content))
    assert after - before == Counter()
    assert {key for _, key, _ in before - after} == GOOD_SVG[name].lost


def test_gradients_that_follow_others_survive() -> None:
    text = read_logo(GOOD_SVG["inkscape"].content).content
    assert b'<radialGradient href="#linearGradient1234" id="radialGradient99"' in text
    assert b'<linearGradient id="linearGradient1234"><stop style="stop-color:#3047d8;stop-opacity:1"' in text


def test_the_form_that_is_stored_is_exact() -> None:
    content = (
        b'\xef\xbb\xbf<?xml version="1.0" encoding="utf-8" standalone="no"?>\n<!-- x --><s:svg '
        b'xmlns:s="http://www.w3.org/2000/svg" width="10" height = "20px" '
        b'viewBox=" 0,0 \n10,20" x="1" y="2" class="a b/c">'
        b"<s:title>A &lt;b&gt; &amp; \xc3\xa9</s:title> stray <s:g></s:g><s:path d=' M0\n0  h1 ' fill='red'/></s:svg>\n"
    )
    assert read_logo(content).content.decode() == (
        '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="20px" viewBox="0,0 10,20" class="a">'
        '<title>A &lt;b&gt; &amp; é</title><g/><path d="M0 0 h1" fill="red"/></svg>'
    )


@pytest.mark.parametrize(
    "root",
    [
        'viewBox="0 0 1 1"', 'width="1" height="1"', 'width="10000px" height="0.5"',
        'width="100%" height="100%" viewBox="0 0 9 9"',
        'width="210mm" height="2.5cm"', 'width="1in" height="72pt"', 'width="5pc" height="1e2"',
        'viewBox="-5,-5,10,10"',
        'width="5" height="5" preserveAspectRatio="xMidYMid meet"', 'viewBox="0 0 1e4 .5"',
        'viewBox="0 0 5 5" width="5"',
    ],
)  # fmt: skip
def test_sizes_that_tools_write_are_taken(root: str) -> None:
    text = f'<svg xmlns="http://www.w3.org/2000/svg" {root}/>'
    assert read_logo(text.encode()).content.decode() == text


@pytest.mark.parametrize(
    "root",
    [
        "", 'width="5"', 'height="5"', 'width="5" height="50%"', 'width="0" height="5"', 'width="5em" height="5"',
        'width="5vw" height="5"',
        'width="" height="5"', 'width="10001" height="5"', 'width="5" height="-1"', 'width="1 2" height="5"',
        'width="+-5" height="5"',
        'width="265in" height="5"', 'viewBox=""', 'viewBox="0 0 0 5"', 'viewBox="0 0 5 -5"', 'viewBox="0 0 5 5 5"',
        'viewBox="10001 0 5 5"',
        'viewBox="0 0 5 5px"', 'viewBox="0 0 1e999 5"', f'width="{"9" * 400}" height="5"',
        f'viewBox="0 0 5 {"5" * 400}"',
        'width="Infinity" height="1"', 'width="0x10" height="1"', 'width="\u0661" height="1"',
    ],
)  # fmt: skip
def test_sizes_that_are_none_are_refused(root: str) -> None:
    with pytest.raises(BadLogo, match="size"):
        read_logo(f'<svg xmlns="http://www.w3.org/2000/svg" {root}/>'.encode())


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("<metadata><x/></metadata><g/>", "<g/>"),
        ('<filter id="f"><feOffset dy="1"/></filter><g filter="url(#f)" style="filter:url(#f)"/>', "<g/>"),
        ('<x:y xmlns:x="urn:x"><g/><path/></x:y><g x:z="1" xmlns:x="urn:x"/>', "<g/>"),
        ('<g unknown="1" version="2" focusable="false" data-x="url(http://y)" aria-label="data:"/>', "<g/>"),
        ('<g id="1a" class="1 2"/><g id="a b"/><g id="ä"/>', "<g/><g/><g/>"),
        ('<g id="a.b-c_d:1" class="-a _b"/>', '<g id="a.b-c_d:1" class="-a _b"/>'),
        (f'<g id="{"a" * 64}"/><g id="{"a" * 65}"/>', f'<g id="{"a" * 64}"/><g/>'),
        ('<g xml:space="preserve" xml:lang="de" xml:id="x"/><g xml:space="?"/>', '<g xml:space="preserve"/><g/>'),
        ('<rect href="#a"/><use href="#a" xlink:href="#b"/>', '<rect/><use href="#a"/>'),
        ('<use xlink:href=" #a " xlink:type="simple" xlink:title="t"/>', '<use href="#a"/>'),
        ("<text> a <tspan>b</tspan>\n c</text>", "<text> a <tspan>b</tspan>\n c</text>"),
        ("<text>&#13;&#10;&#9;]]&gt;\"'</text>", "<text>&#13;\n\t]]&gt;\"'</text>"),
        ("<g>text</g>text", "<g/>"),
        ("<flowRoot><flowPara>x</flowPara></flowRoot>", ""),
        ("<style/><style> </style><style>.a{unknown:1}</style>", ""),
        ('<style type="text/css" media="screen">.a{fill:red}</style>', "<style>.a{fill:red}</style>"),
        ('<path d="M0 0(" fill="?" stroke="red"/>', '<path stroke="red"/>'),
        ('<path d=""/>', "<path/>"),
    ],
)
def test_what_is_harmless_to_lose_is_left_out(inside: str, expected: str) -> None:
    assert read(inside) == expected
    assert read(expected) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("fill", "#ABC", "#ABC"),
        ("fill", "#abcdef80", "#abcdef80"),
        ("fill", "rgb(1, 2, 3)", "rgb(1, 2, 3)"),
        ("fill", "RGBA(1 2 3 / 50%)", "RGBA(1 2 3 / 50%)"),
        ("fill", "color(display-p3 1 0 0)", "color(display-p3 1 0 0)"),
        ("fill", "url( '#a' )  red", "url(#a) red"),
        ("fill", 'url("#a")', "url(#a)"),
        ("fill", "currentColor", "currentColor"),
        ("clip-path", "url(#a)", "url(#a)"),
        ("transform", "translate(1,2)rotate(-3e1)\n scale(.5)", "translate(1,2)rotate(-3e1) scale(.5)"),
        ("font-family", "\"Open Sans\", 'Zoë', sans-serif", "'Open Sans', 'Zoë', sans-serif"),
        ("stroke-dasharray", "1,2 3", "1,2 3"),
        ("fill", "var(--x)", None),
        ("fill", "image-set('x')", None),
        ("fill", "attr(x)", None),
        ("fill", "#12", None),
        ("fill", "#1234567890", None),
        ("fill", "rgb(1", None),
        ("fill", "rgb(calc(1))", None),
        ("fill", "red;x", None),
        ("opacity", "url(#a)", None),
        ("fill", "'x'", None),
        ("font-family", "'x", None),
        ("font-family", "'<x'", None),
        ("transform", "", None),
    ],
)
def test_values_are_known_or_left_out(name: str, value: str, expected: str | None) -> None:
    assert css.clean_value(name, value) == expected
    if expected is not None:
        assert css.clean_value(name, expected) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".a{fill:red}", ".a{fill:red}"),
        ("a , #b.c  *.d{ FILL : red ; ; stroke:blue!IMPORTANT;x:y }", "a,#b.c *.d{fill:red;stroke:blue!important}"),
        ("/* url(http://x) @ */.a{fill:/**/red}", ".a{fill:red}"),
        (".a{fill:red !unimportant}", ""),
        (".a{}.b{fill:red}", ".b{fill:red}"),
        (".a{fill:url(#b)}", ".a{fill:url(#b)}"),
        (".a{font-family:'x;y'}", ""),
        (".a{scroll-behavior:smooth;fill:red}", ".a{fill:red}"),
    ],
)
def test_style_sheets_are_written_anew(text: str, expected: str) -> None:
    assert "".join(rule.text() for rule in css.rules(text)) == expected
    assert "".join(rule.text() for rule in css.rules(expected)) == expected


@pytest.mark.parametrize(
    "selector", ["", "a,", "a>b", "a:hover", "a::before", "[x]", "a+b", "a~b", ".1", "#", "a.", "(", "é"]
)
def test_selectors_that_are_not_plain_are_refused(selector: str) -> None:
    with pytest.raises(BadLogo):
        css.rules(f"{selector}{{fill:red}}")


def test_limits_are_where_they_are_said_to_be() -> None:
    deep, many = DEPTH_LIMIT - 1, ELEMENTS_LIMIT - 1
    read("<g>" * deep + "</g>" * deep)
    read("<g/>" * many)
    read("<g " + " ".join(f'a{n}=""' for n in range(ATTRIBUTES_LIMIT)) + "/>")
    for beyond in ("<g>" * (deep + 1) + "</g>" * (deep + 1), "<g/>" * (many + 1)):
        with pytest.raises(BadLogo):
            read(beyond)


def test_expansion_is_counted_to_the_element() -> None:
    shapes = '<g id="a">' + "<path/>" * 99 + "</g>"
    uses = (DRAWN_LIMIT - 101) // 101  # each use draws itself and a hundred elements
    left = DRAWN_LIMIT - 101 - uses * 101
    read(shapes + '<use href="#a"/>' * uses + "<path/>" * left)
    with pytest.raises(BadLogo, match="over and over"):
        read(shapes + '<use href="#a"/>' * uses + "<path/>" * (left + 1))


def test_references_may_follow_each_other_so_far_and_no_further() -> None:
    def chain(links: int) -> str:
        return '<linearGradient id="g0"/>' + "".join(
            f'<linearGradient id="g{n}" href="#g{n - 1}"/>' for n in range(1, links + 1)
        )

    read(chain(REFERENCES_DEEP))
    with pytest.raises(BadLogo, match="too many in a row"):
        read(chain(REFERENCES_DEEP + 1))


def test_honest_patterns_and_many_gradients_pass() -> None:
    read('<linearGradient id="a"><stop/><stop/><stop/></linearGradient><g fill="url(#a)">' + "<path/>" * 4000 + "</g>")
    read(f'<pattern id="a">{"<path/>" * 40}</pattern><g fill="url(#a)">{"<path/>" * 100}</g>')
    read_logo(pattern_bomb(3))


def test_names_of_the_file_are_repeated_only_if_they_are_plain() -> None:
    with pytest.raises(BadLogo, match="a <bl-ink> element"):
        read("<bl-ink/>")
    for name in ("bé", "b" * 42, "_b"):
        with pytest.raises(BadLogo, match=r"a <\(unnamed\)> element") as refused:
            read(f"<{name}/>")
        assert name not in refused.value.message


def test_the_place_of_a_mistake_is_named() -> None:
    with pytest.raises(BadLogo, match="a mistake in the XML at line 2, column 3"):
        read_logo(f"{ROOT}\n<g</svg>".encode())


def operations(content: bytes) -> int:
    """Count the calls that reading takes: the same on a fast machine and a slow one."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        read_logo(content)
    except BadLogo:
        pass
    finally:
        sys.setprofile(before)
    return count


WORST: dict[str, Callable[[int], str]] = {
    "comments": lambda n: "<!---->" * n,
    "comments in css": lambda n: f"<style>{'/**/' * n}</style>",
    "comment without an end": lambda n: f"<style>{'/*' * n}</style>",
    "rules": lambda n: f"<style>{'*{fill:red}' * n}</style>",
    "selectors": lambda n: f"<style>{'.a,' * n}g{{fill:red}}</style>",
    "parts of a selector": lambda n: f"<style>{'.a ' * n}{{fill:red}}</style>",
    "names in a selector": lambda n: f"<style>{'.a' * n}{{fill:red}}</style>",
    "a selector that fails late": lambda n: f"<style>{'.a' * n}:x{{fill:red}}</style>",
    "declarations": lambda n: f'<g style="{"fill:red;" * n}"/>',
    "separators": lambda n: f'<g style="{";" * n}"/>',
    "urls": lambda n: f'<g fill="{"url(#a)" * n}"/>',
    "urls without an end": lambda n: f'<g fill="{"url(#a" * n}"/>',
    "tokens": lambda n: f'<g fill="{"#abc," * n}"/>',
    "functions without an end": lambda n: f'<g fill="{"rgb(" * n}"/>',
    "one function without an end": lambda n: f'<g fill="rgb({"1 " * n}"/>',
    "quotes": lambda n: f'<g font-family="{chr(39) * n}"/>',
    "strings": lambda n: f'<g font-family="{chr(39) + "a" + chr(39)}{" , b" * n}("/>',
    "spaces": lambda n: f'<g fill="{"&#9; " * n}red"/>',
    "path data": lambda n: f'<path d="{"M0 0" * n}"/>',
    "path data that fails late": lambda n: f'<path d="{"M0 0" * n}?"/>',
    "classes": lambda n: f'<g class="{"a " * n}"/>',
    "digits": lambda n: f'<g width="{"1" * n}"/>',
    "text": lambda n: f"<text>{'a&amp;' * n}</text>",
    "names": lambda n: "".join(f"<g x{m}='{m}'/>" for m in range(n // 20)),
    "namespaces": lambda n: "".join(f"<x:a xmlns:x='urn:{m}'/>" for m in range(n // 20)),
    "uses": lambda n: '<path id="a"/>' + '<use href="#a"/>' * (n // 10),
    "effects of a sheet": lambda n: (
        "<style>" + "".join(f"*{{mask:url(#a{m})}}" for m in range(15)) + "</style>" + '<g id="a1"/>' * (n // 10)
    ),
}


@pytest.mark.parametrize("name", WORST)
def test_work_grows_no_faster_than_the_file(name: str) -> None:
    build = WORST[name]
    read_logo(svg(""))
    half, whole = (operations(svg(build(length))) for length in (10_000, 20_000))
    assert whole < 2.1 * half + 500


def _loose(items: object, *, is_last: bool) -> Iterator[object]:
    """Yield every endless repeat that may give back what it took to something after it."""
    found = list(items)  # type: ignore[call-overload]
    for place, (code, value) in enumerate(found):
        is_end = is_last and place == len(found) - 1
        if code in (op.MAX_REPEAT, op.MIN_REPEAT):
            _, most, inner = value
            if most == op.MAXREPEAT and not is_end:
                yield value
            # what is repeated is followed by itself: it has to begin with something that it cannot end with
            yield from _loose(inner, is_last=False)
        elif code is op.POSSESSIVE_REPEAT:
            yield from _loose(value[2], is_last=False)
        elif code is op.SUBPATTERN:
            yield from _loose(value[3], is_last=is_end)
        elif code is op.BRANCH:
            for branch in value[1]:
                yield from _loose(branch, is_last=is_end)


def _patterns() -> dict[str, re.Pattern[str] | re.Pattern[bytes]]:
    modules = (attribute, css, expansion, grammar, refusal, svg_module)
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, re.Pattern)
    }


@pytest.mark.parametrize("name", _patterns())
def test_no_pattern_gives_back_what_it_took(name: str) -> None:
    pattern = _patterns()[name]
    assert list(_loose(_parser.parse(pattern.pattern, pattern.flags & ~re.LOCALE), is_last=True)) == []


def test_the_rule_for_patterns_finds_those_that_do() -> None:
    for bad in ("(a+)+b", "a*b", "(a|b)*c", "(?:a*)*", "x(a+)y", "a+?b"):
        assert list(_loose(_parser.parse(bad), is_last=True))
    for good in ("a++b", "a*", "x(?:[.]a*+)*", "a{1,9}b"):
        assert not list(_loose(_parser.parse(good), is_last=True))
