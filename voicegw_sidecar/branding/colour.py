"""An accent colour: read, and shaded until text in it can be read on the pages' grounds.

Luminance and contrast are WCAG 2.2's (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio, read 2026-11-28).
The grounds are those of ``static/style.css``: page and surface of each scheme.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from msgspec import Struct

from voicegw_sidecar.errors import BadRequest

LEAST_CONTRAST = 4.5
"""Level AA for text of any size."""
LIGHT_GROUNDS = ("#fbfbfc", "#ffffff", "#f3f4f7")
DARK_GROUNDS = ("#121418", "#1a1d23", "#21252d")
BLACK, WHITE = "#000000", "#ffffff"
_SHADES = 256
"""Steps between a colour and black or white: no two shades of one channel lie between two steps."""
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")


class Accent(Struct, frozen=True):
    """A brand's colour, and what it becomes where it has to be read. All are ``#rrggbb``."""

    fill: str
    """The brand's own colour, for filled buttons."""
    on_fill: str
    """Text on the fill: black or white."""
    on_light: str
    """Text and outlines on either light ground."""
    on_dark: str
    """Text and outlines on either dark ground."""


def parse_accent(text: str) -> Accent:
    """Read ``#RGB`` or ``#RRGGBB``; anything else raises `BadRequest`."""
    fill = parse_hex(text)
    return Accent(
        fill=fill,
        on_fill=text_on(fill),
        on_light=readable_on(fill, _hardest(LIGHT_GROUNDS)),
        on_dark=readable_on(fill, _hardest(DARK_GROUNDS)),
    )


def parse_hex(text: str) -> str:
    """Return a colour as lower-case ``#rrggbb``."""
    if not _HEX.fullmatch(text):
        raise BadRequest(
            f"accent: expected a colour as #RRGGBB or #RGB, got {len(text)} characters of another form; "
            "write it as #3047d8"
        )
    digits = text[1:].lower()
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def luminance(colour: str) -> float:
    """Return the relative luminance of ``#rrggbb``: 0 is black, 1 is white."""
    red, green, blue = (_linear(channel) for channel in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21, whichever is the lighter."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def text_on(fill: str) -> str:
    """Return black or white, whichever contrasts better: the better one has 4.58 at least, on any colour."""
    return BLACK if contrast(BLACK, fill) >= contrast(WHITE, fill) else WHITE


def readable_on(accent: str, ground: str) -> str:
    """Return ``accent``, or the nearest shade of it that contrasts with ``ground`` by `LEAST_CONTRAST`.

    Shades go towards black on a light ground and towards white on a dark one.
    """
    if contrast(accent, ground) >= LEAST_CONTRAST:
        return accent
    end = text_on(ground)
    # a shade that contrasts enough is followed by such shades only, so the first one can be searched by halves
    step = bisect_left(
        range(_SHADES), True, key=lambda step: contrast(_mixed(accent, end, step), ground) >= LEAST_CONTRAST
    )
    return _mixed(accent, end, step)


def accent_css(accent: str) -> str:
    """Return the stylesheet of an accent, for both schemes; nothing of ``accent`` but its digits gets into it."""
    found = parse_accent(accent)
    fill = f"--accent-fill:{found.fill};--on-accent:{found.on_fill}"
    return (
        f":root{{--accent:{found.on_light};{fill}}}"
        f"@media (prefers-color-scheme: dark){{:root{{--accent:{found.on_dark};{fill}}}}}"
    )


def _hardest(grounds: tuple[str, ...]) -> str:
    """Return the ground that is nearest to the middle: what can be read on it can be read on the others."""
    return min(grounds, key=lambda ground: contrast(text_on(ground), ground))


def _channels(colour: str) -> bytes:
    return bytes.fromhex(colour[1:])


def _linear(channel: int) -> float:
    share = channel / 255
    return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)


def _mixed(colour: str, end: str, step: int) -> str:
    pairs = zip(_channels(colour), _channels(end), strict=True)
    return "#" + bytes(start + round((stop - start) * step / _SHADES) for start, stop in pairs).hex()
