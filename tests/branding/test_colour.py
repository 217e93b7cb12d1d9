"""Accents: what is read, and that text in and on them can be read on every ground."""

from __future__ import annotations

import re
from itertools import product

import pytest

from voicegw_sidecar.branding.colour import (
    DARK_GROUNDS,
    LEAST_CONTRAST,
    LIGHT_GROUNDS,
    Accent,
    accent_css,
    contrast,
    luminance,
    parse_accent,
    parse_hex,
    readable_on,
    text_on,
)
from voicegw_sidecar.errors import BadRequest

STEPS = (*range(0, 256, 23), 255)
CUBE = ["#" + bytes(channels).hex() for channels in product(STEPS, repeat=3)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("#3047d8", "#3047d8"), ("#3047D8", "#3047d8"), ("#fA0", "#ffaa00"), ("#000", "#000000"), ("#FFFFFF", "#ffffff")],
)
def test_a_colour_of_three_or_six_digits_is_read(text: str, expected: str) -> None:
    assert parse_hex(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "#", "3047d8", "#30", "#3047", "#30478", "#3047d", "#3047d80", "#3047d8ff", "#gggggg", "# 3047d8",
        "#3047d8 ",
        "#3047d8\n", "\n#fff", "red", "rgb(1,2,3)", "#fff;}", "#fff}</style>", "url(javascript:x)",
        "#\uff11\uff12\uff13",
        "#\u0661\u0662\u0663", "#fff/*", "var(--x)", "#" * 9, "x" * 300_000,
    ],
)  # fmt: skip
def test_anything_else_is_refused_in_one_line_that_does_not_repeat_it(text: str) -> None:
    with pytest.raises(BadRequest) as refused:
        accent_css(text)
    assert "\n" not in refused.value.message
    assert len(refused.value.message) < 150
    assert not text.startswith(("#fff", "url", "var")) or text not in refused.value.message


def test_luminance_and_contrast_are_those_of_wcag() -> None:
    assert luminance("#000000") == 0
    assert luminance("#ffffff") == pytest.approx(1)
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # the example every guide has
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
    assert contrast("#3047d8", "#ffffff") == contrast("#ffffff", "#3047d8")


def test_text_on_any_fill_can_be_read() -> None:
    assert text_on("#ffffff") == "#000000"
    assert text_on("#000000") == "#ffffff"
    assert min(contrast(text_on(fill), fill) for fill in CUBE) >= LEAST_CONTRAST


@pytest.mark.parametrize("grounds", [LIGHT_GROUNDS, DARK_GROUNDS], ids=["light", "dark"])
def test_every_accent_can_be_read_on_both_grounds_of_a_scheme(grounds: tuple[str, ...]) -> None:
    for colour in CUBE:
        found = parse_accent(colour)
        shade = found.on_light if grounds is LIGHT_GROUNDS else found.on_dark
        assert min(contrast(shade, ground) for ground in grounds) >= LEAST_CONTRAST


@pytest.mark.parametrize("ground", ["#ffffff", "#fbfbfc", "#121418", "#1a1d23", "#777777", "#888888", "#000000"])
def test_a_shade_is_the_nearest_that_can_be_read(ground: str) -> None:
    for colour in CUBE[::7]:
        shade = readable_on(colour, ground)
        assert contrast(shade, ground) >= LEAST_CONTRAST
        if shade == colour:
            continue
        assert contrast(colour, ground) < LEAST_CONTRAST
        shades = [_shade(colour, text_on(ground), step) for step in range(257)]
        assert all(contrast(nearer, ground) < LEAST_CONTRAST for nearer in shades[: shades.index(shade)])


def _shade(colour: str, end: str, step: int) -> str:
    pairs = zip(bytes.fromhex(colour[1:]), bytes.fromhex(end[1:]), strict=True)
    return "#" + bytes(start + round((stop - start) * step / 256) for start, stop in pairs).hex()


def test_an_accent_that_can_be_read_stays_as_it_is() -> None:
    assert parse_accent("#3047d8") == Accent(
        fill="#3047d8", on_fill="#ffffff", on_light="#3047d8", on_dark=readable_on("#3047d8", "#21252d")
    )
    assert readable_on("#ffffff", "#000000") == "#ffffff"


def test_shades_go_to_black_on_light_and_to_white_on_dark() -> None:
    assert readable_on("#ffff00", "#ffffff") < "#ffff00"
    assert readable_on("#000080", "#121418") > "#000080"
    assert readable_on("#ffffff", "#ffffff") == readable_on("#ffffff", "#ffffff")


def test_the_stylesheet_has_both_schemes_and_nothing_but_digits() -> None:
    form = re.compile(
        r":root\{--accent:(#[0-9a-f]{6});--accent-fill:#ffcc00;--on-accent:#000000\}"
        r"@media \(prefers-color-scheme: dark\)\{:root\{--accent:(#[0-9a-f]{6});"
        r"--accent-fill:#ffcc00;--on-accent:#000000\}\}"
    )
    found = form.fullmatch(accent_css("#FC0"))
    assert found is not None
    assert (found[1], found[2]) == (parse_accent("#fc0").on_light, "#ffcc00")
