"""What a drawn logo may be made of: elements, attributes and style properties. Tables only.

Names are those of SVG 2 (https://www.w3.org/TR/SVG2/, read 2026-11-28), as far as drawing tools write them for a
still picture. What is in no table is not known to be harmless: an element is refused, an attribute is left out.
"""

from __future__ import annotations

SVG = "http://www.w3.org/2000/svg"
XHTML = "http://www.w3.org/1999/xhtml"
XLINK = "http://www.w3.org/1999/xlink"
XML = "http://www.w3.org/XML/1998/namespace"


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


DRAWN = _names("path rect circle ellipse line polyline polygon text tspan use")
"""What paints; other elements only hold or describe."""
KEPT = DRAWN | _names("svg g defs symbol linearGradient radialGradient stop clipPath mask pattern title desc style")
WITH_TEXT = frozenset({"text", "tspan", "title", "desc"})
REFUSED = _names(
    "script handler listener foreignobject iframe embed object audio video canvas image feimage a "
    "animate animatecolor animatemotion animatetransform set discard mpath"
)
"""In lower case: what runs, loads, links or moves."""
DROPPED = frozenset({"metadata", "filter", "flowRoot"})
"""Left out with all that is in them; `flowRoot` is a text that only one tool ever drew."""
WITH_HREF = frozenset({"use", "linearGradient", "radialGradient", "pattern"})

ATTRIBUTES = _names(
    "d points x y width height rx ry r cx cy fx fy fr x1 y1 x2 y2 dx dy rotate refX refY viewBox preserveAspectRatio "
    "pathLength textLength lengthAdjust offset gradientUnits gradientTransform spreadMethod clipPathUnits maskUnits "
    "maskContentUnits patternUnits patternContentUnits patternTransform"
)
PROPERTIES = _names(
    "fill fill-opacity fill-rule stroke stroke-dasharray stroke-dashoffset stroke-linecap stroke-linejoin "
    "stroke-miterlimit stroke-opacity stroke-width opacity color color-interpolation color-rendering stop-color "
    "stop-opacity clip-path clip-rule mask mask-type display visibility overflow paint-order vector-effect "
    "mix-blend-mode isolation shape-rendering text-rendering image-rendering transform transform-origin transform-box "
    "font font-family font-size font-size-adjust font-stretch font-style font-variant font-weight font-kerning "
    "letter-spacing word-spacing line-height text-anchor text-decoration text-transform white-space "
    "dominant-baseline alignment-baseline baseline-shift writing-mode direction unicode-bidi"
)
"""Both as attributes and in styles."""
PAINTS = frozenset({"fill", "stroke"})
EFFECTS = frozenset({"clip-path", "mask"})
"""With `PAINTS` the properties whose value may be another element, ``url(#id)``; paints are inherited, effects not."""
REFERRING = PAINTS | EFFECTS
FONTS = frozenset({"font", "font-family"})
