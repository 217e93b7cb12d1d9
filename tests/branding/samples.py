"""Good logos: SVG as drawing tools export it, and PNG of every kind of pixel. Small, written for these tests."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field

from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Drawing:
    """An SVG, and the attributes and style properties that it is harmless to lose."""

    content: bytes
    lost: frozenset[str] = field(default=frozenset())


def _drawing(text: str, *lost: str) -> Drawing:
    return Drawing(text.encode(), frozenset(lost))


ILLUSTRATOR = _drawing(
    """<?xml version="1.0" encoding="utf-8"?>
<!-- Generator: Adobe Illustrator 27.0.0, SVG Export Plug-In . SVG Version: 6.00 Build 0)  -->
<svg version="1.1" id="Layer_1" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" x="0px"
\t y="0px" viewBox="0 0 200 80" style="enable-background:new 0 0 200 80;" xml:space="preserve">
<style type="text/css">
\t.st0{clip-path:url(#SVGID_2_);}
\t.st1{fill:url(#SVGID_3_);}
\t.st2{fill-rule:evenodd;clip-rule:evenodd;fill:#FFFFFF;stroke:#1D1D1B;stroke-width:2;stroke-miterlimit:10;}
\t.st3{font-family:'MyriadPro-Regular';}
\t.st4{font-size:24px;}
</style>
<metadata><?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<xmpGImg:image xmlns:xmpGImg="http://ns.adobe.com/xap/1.0/g/img/">/9j/4AAQ</xmpGImg:image></x:xmpmeta></metadata>
<g>
\t<defs>
\t\t<rect id="SVGID_1_" x="10" y="10" width="60" height="60"/>
\t</defs>
\t<clipPath id="SVGID_2_">
\t\t<use xlink:href="#SVGID_1_"  style="overflow:visible;"/>
\t</clipPath>
\t<g class="st0">
\t\t<linearGradient id="SVGID_3_" gradientUnits="userSpaceOnUse" x1="10" y1="40" x2="70" y2="40"
\t\t\t gradientTransform="matrix(1 0 0 -1 0 80)">
\t\t\t<stop  offset="0" style="stop-color:#E30613"/>
\t\t\t<stop  offset="1" style="stop-color:#F9B233"/>
\t\t</linearGradient>
\t\t<circle class="st1" cx="40" cy="40" r="32"/>
\t\t<polygon class="st2" points="30,30 50,30 40,50.5 \t"/>
\t</g>
</g>
<text transform="matrix(1 0 0 1 80 48)" class="st3 st4">Acme &amp; Sons</text>
</svg>
""",
    "version", "x", "y", "enable-background", "type",
)  # fmt: skip

INKSCAPE = _drawing(
    """<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<!-- Created with Inkscape (http://www.inkscape.org/) -->

<svg
   width="60mm"
   height="30mm"
   viewBox="0 0 60 30"
   version="1.1"
   id="svg5"
   inkscape:version="1.2.2 (b0a8486541, 2022-12-01)"
   sodipodi:docname="C:\\Users\\someone\\logo.svg"
   xmlns:inkscape="http://www.inkscape.org/namespaces/inkscape"
   xmlns:sodipodi="http://sodipodi.sourceforge.net/DTD/sodipodi-0.dtd"
   xmlns:xlink="http://www.w3.org/1999/xlink"
   xmlns="http://www.w3.org/2000/svg"
   xmlns:svg="http://www.w3.org/2000/svg"
   xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
   xmlns:cc="http://creativecommons.org/ns#"
   xmlns:dc="http://purl.org/dc/elements/1.1/">
  <sodipodi:namedview id="namedview7" pagecolor="#ffffff" inkscape:zoom="4.1" showgrid="false">
    <inkscape:grid type="xygrid" id="grid1" />
  </sodipodi:namedview>
  <defs
     id="defs2">
    <linearGradient
       id="linearGradient1234">
      <stop style="stop-color:#3047d8;stop-opacity:1;" offset="0" id="stop1" />
      <stop style="stop-color:#3047d8;stop-opacity:0;" offset="1" id="stop2" />
    </linearGradient>
    <radialGradient
       inkscape:collect="always"
       xlink:href="#linearGradient1234"
       id="radialGradient99"
       cx="20" cy="15" fx="20" fy="15" r="12"
       gradientTransform="matrix(1,0,0,0.8,0,3)"
       gradientUnits="userSpaceOnUse" />
    <filter inkscape:collect="always" style="color-interpolation-filters:sRGB" id="filter1" x="-0.1" y="-0.1">
      <feGaussianBlur inkscape:collect="always" stdDeviation="0.4" id="fe1" />
    </filter>
  </defs>
  <metadata id="metadata5"><rdf:RDF><cc:Work rdf:about=""><dc:format>image/svg+xml</dc:format>
    <dc:title>Logo</dc:title></cc:Work></rdf:RDF></metadata>
  <g
     inkscape:label="Layer 1"
     inkscape:groupmode="layer"
     id="layer1">
    <path
       style="fill:url(#radialGradient99);fill-opacity:1;stroke:#1a1d23;stroke-width:0.264583px;stroke-linecap:butt"
       d="m 8,15 c 0,-6.6 5.4,-12 12,-12 6.6,0 12,5.4 12,12 z"
       id="path111"
       sodipodi:nodetypes="cscc" />
    <rect style="fill:#ff8800;filter:url(#filter1)" id="rect2" width="20" height="6" x="34" y="12" ry="1.5" />
    <text
       xml:space="preserve"
       style="font-size:4px;line-height:1.25;font-family:sans-serif;-inkscape-font-specification:'sans-serif, Normal'"
       x="8" y="26" id="text1"><tspan sodipodi:role="line" id="tspan1" x="8" y="26">Zoë  Ltd</tspan></text>
  </g>
</svg>
""",
    "version", "filter", "-inkscape-font-specification",
)  # fmt: skip

FIGMA = _drawing(
    """<svg width="120" height="40" viewBox="0 0 120 40" fill="none" xmlns="http://www.w3.org/2000/svg">
<g clip-path="url(#clip0_1:23)">
<g filter="url(#filter0_d_1_23)">
<path fill-rule="evenodd" clip-rule="evenodd" d="M20 4C11.2 4 4 11.2 4 20C4 28.8 11.2 36 20 36Z"
 fill="url(#paint0_linear)" style="fill:#5F3DC4;fill:color(display-p3 0.3725 0.2392 0.7686);fill-opacity:1;"/>
</g>
<mask id="mask0_1_23" style="mask-type:luminance" maskUnits="userSpaceOnUse" x="40" y="0" width="40" height="40">
<rect x="40" width="40" height="40" fill="white"/>
</mask>
<g mask="url(#mask0_1_23)">
<circle cx="60" cy="20" r="16" fill="url(#paint1_radial)"/>
<rect x="84.5" y="4.5" width="31" height="31" rx="7.5" stroke="#121418" stroke-opacity="0.4" stroke-dasharray="4 2"/>
<path d="M84 4H116V36H84Z" fill="#FF0000" style="mix-blend-mode:multiply"/>
</g>
</g>
<defs>
<filter id="filter0_d_1_23" x="0" y="0" width="40" height="48" filterUnits="userSpaceOnUse">
<feFlood flood-opacity="0" result="BackgroundImageFix"/><feOffset dy="4"/></filter>
<linearGradient id="paint0_linear" x1="4" y1="4" x2="36" y2="36" gradientUnits="userSpaceOnUse">
<stop stop-color="#5F3DC4"/>
<stop offset="1" stop-color="#5F3DC4" stop-opacity="0"/>
</linearGradient>
<radialGradient id="paint1_radial" cx="0" cy="0" r="1" gradientUnits="userSpaceOnUse"
 gradientTransform="translate(60 20) rotate(90) scale(16)">
<stop stop-color="white"/><stop offset="1" stop-color="rgba(95, 61, 196, 0.5)"/>
</radialGradient>
<clipPath id="clip0_1:23"><rect width="120" height="40" fill="white"/></clipPath>
</defs>
</svg>
""",
    "filter",
)

SKETCH = _drawing(
    """<?xml version="1.0" encoding="UTF-8"?>
<svg width="64px" height="64px" viewBox="0 0 64 64" version="1.1" xmlns="http://www.w3.org/2000/svg"
 xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:sketch="http://www.bohemiancoding.com/sketch/ns">
    <!-- Generator: Sketch 52.6 (67491) - http://www.bohemiantools.com/sketch -->
    <title>logo / mark</title>
    <desc>Created with Sketch.</desc>
    <defs>
        <path d="M32,0 C49.673112,0 64,14.326888 64,32 C64,49.673112 49.673112,64 32,64 Z" id="path-1"></path>
        <linearGradient x1="50%" y1="0%" x2="50%" y2="100%" id="linearGradient-3">
            <stop stop-color="#FAD961" offset="0%"></stop>
            <stop stop-color="#F76B1C" offset="100%"></stop>
        </linearGradient>
    </defs>
    <g id="Page-1" stroke="none" stroke-width="1" fill="none" fill-rule="evenodd" sketch:type="MSPage">
        <g id="logo-/-mark">
            <mask id="mask-2" fill="white">
                <use xlink:href="#path-1"></use>
            </mask>
            <use id="Mask" fill="#D8D8D8" xlink:href="#path-1"></use>
            <rect id="Rectangle" fill="url(#linearGradient-3)" mask="url(#mask-2)" x="0" y="0" width="64" height="40"
            ></rect>
            <ellipse id="Oval" fill="#4A90E2" cx="32" cy="48" rx="10" ry="6"
             transform="translate(32.000000, 48.000000) rotate(-12.000000) translate(-32.000000, -48.000000) "
            ></ellipse>
            <polyline id="Path" stroke="#979797" points="8 8 16 16 8 24"></polyline>
            <line x1="4" y1="60" x2="60" y2="60" id="Line" stroke="#979797" stroke-linecap="square"></line>
        </g>
    </g>
</svg>
""",
    "version", "id",
)  # fmt: skip

ILLUSTRATOR_WEB = _drawing(
    '<svg id="Layer_1" data-name="Layer 1: data:x" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" role="img" '
    'aria-label="Data: a logo"><defs><style>.cls-1{fill:#003049;}.cls-1, .cls-2 {stroke-width:0px;}'
    ".cls-2{fill:hsl(10 80% 50% / .5);mask:url(#m);}"
    "/* a comment about u@example.org */ #Layer_1 rect.cls-3{opacity:.3 !important}</style></defs>"
    '<symbol id="s" viewBox="0 0 10 10"><path class="cls-1" d="M0-1.5e-1.5.5l3 3z"/></symbol>'
    '<pattern id="p" width="10" height="10" patternUnits="userSpaceOnUse"><circle r="3" fill="red"/></pattern>'
    '<mask id="m"><rect width="100%" height="100%" fill="url(#p) none"/></mask>'
    '<use href="#s" width="40" height="40"/><rect class="cls-3" width="9" height="9"/><path class="cls-2" d="M1 1"/>'
    "</svg>",
    "role", "data-name", "aria-label",
)  # fmt: skip

GOOD_SVG = {
    "illustrator": ILLUSTRATOR,
    "illustrator-web": ILLUSTRATOR_WEB,
    "inkscape": INKSCAPE,
    "figma": FIGMA,
    "sketch": SKETCH,
}


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Return one PNG chunk with a right checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width_px: int, height_px: int, bits: int = 8, colour_type: int = 6, interlaced: int = 0) -> bytes:
    """Return an IHDR chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width_px, height_px, bits, colour_type, 0, 0, interlaced))


def png(*chunks: bytes) -> bytes:
    """Return a PNG of these chunks, with its signature and end."""
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND")


def pixels(raw: bytes) -> bytes:
    """Return an IDAT chunk of rows that have their filter bytes."""
    return chunk(b"IDAT", zlib.compress(raw))


def saved(image: Image.Image, **options: object) -> bytes:
    """Return an image as Pillow writes it."""
    out = io.BytesIO()
    image.save(out, "PNG", **options)  # type: ignore[arg-type]
    return out.getvalue()


def plain_png(width_px: int = 16, height_px: int = 9) -> bytes:
    """Return a small PNG in full colour with alpha."""
    image = Image.new("RGBA", (width_px, height_px))
    image.putdata([(x * 16 % 256, y * 28 % 256, 120, 255 - x) for y in range(height_px) for x in range(width_px)])
    return saved(image)


def interlaced_png(side_px: int = 11) -> bytes:
    """Return an Adam7 grey image whose every pixel has the value ``7 * x + 3 * y``."""
    raw = bytearray()
    for left, top, across, down in (
        (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2),
    ):  # fmt: skip
        for y in range(top, side_px, down) if left < side_px else ():
            raw += b"\0" + bytes(7 * x + 3 * y for x in range(left, side_px, across))
    return png(header(side_px, side_px, 8, 0, interlaced=1), pixels(bytes(raw)))


def apng() -> bytes:
    """Return an animation of a red and a blue frame, the red one first."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    return saved(frames[0], save_all=True, append_images=frames[1:], duration=100)


GREY_16 = png(header(4, 1, 16, 0), pixels(b"\0" + struct.pack(">4H", 0, 0x00FF, 0x80FF, 0xFFFF)))
GOOD_PNG = {
    "full colour with alpha": plain_png(),
    "largest": saved(Image.new("RGBA", (512, 512), (1, 2, 3, 4))),
    "one pixel": saved(Image.new("RGB", (1, 1), "teal")),
    "16 bit grey": GREY_16,
    "16 bit colour": png(header(2, 1, 16, 2), pixels(b"\0" + struct.pack(">6H", 0xFFFF, 0x8000, 0, 0x1234, 0, 0x00FF))),
    "16 bit colour with alpha": png(header(1, 1, 16, 6), pixels(b"\0" + struct.pack(">4H", 0xFFFF, 0, 0x8080, 0x40FF))),
    "16 bit grey with alpha": png(header(1, 1, 16, 4), pixels(b"\0" + struct.pack(">2H", 0x8080, 0x40FF))),
    "16 bit with a transparent colour": png(
        header(2, 1, 16, 2),
        chunk(b"tRNS", struct.pack(">3H", 0xFF00, 0, 0)),
        pixels(b"\0" + struct.pack(">6H", 0xFF00, 0, 0, 0, 0xFF00, 0)),
    ),
    "interlaced": interlaced_png(),
    "palette with transparency": png(
        header(4, 1, 2, 3), chunk(b"PLTE", bytes(range(12))), chunk(b"tRNS", b"\x00\x80"), pixels(b"\0\x1b")
    ),
    "1 bit grey": png(header(8, 2, 1, 0), pixels(b"\0\xa5\0\x5a")),
    "2 bit grey with a transparent one": png(
        header(4, 1, 2, 0), chunk(b"tRNS", struct.pack(">H", 1)), pixels(b"\0\x1b")
    ),
    "many small pieces": png(header(1, 1, 8, 0), *(chunk(b"IDAT", bytes([b])) for b in zlib.compress(b"\0\x7f"))),
}
