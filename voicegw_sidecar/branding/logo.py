"""An uploaded logo, told by its content and never by its name, in the form that is stored and shown."""

from __future__ import annotations

import hashlib

from msgspec import Struct

from voicegw_sidecar.branding.png import SIGNATURE, read_png
from voicegw_sidecar.branding.refusal import BadLogo
from voicegw_sidecar.branding.svg import read_svg
from voicegw_sidecar.errors import TooLarge

__all__ = ["LIMIT_BYTES", "LIMIT_PX", "BadLogo", "Logo", "read_logo"]

LIMIT_BYTES = 262_144
LIMIT_PX = 512
_UTF8_MARK = b"\xef\xbb\xbf"
_KNOWN = (
    (b"\xff\xd8\xff", "a JPEG file"),
    (b"GIF8", "a GIF file"),
    (b"RIFF", "a WebP file"),
    (b"BM", "a BMP file"),
    (b"%PDF", "a PDF file"),
    (b"\x1f\x8b", "a compressed file"),
    (b"PK\x03\x04", "a zip file"),
    (b"\xff\xfe", "a text in UTF-16 or UTF-32"),
    (b"\xfe\xff", "a text in UTF-16 or UTF-32"),
)
"""How files begin that are likely to be tried, so that the refusal can say what they are."""


class Logo(Struct, frozen=True):
    """A logo that is safe to store and to show through ``<img>``; reading ``content`` again gives the same."""

    content: bytes
    extension: str
    """``png`` or ``svg``."""
    content_type: str
    digest: str
    """The first 16 hexadecimal digits of the SHA-256 of ``content``: names the file, and changes with it."""
    width_px: int | None
    height_px: int | None
    """None for an SVG, which has no pixels of its own."""


def read_logo(content: bytes) -> Logo:
    """Check an uploaded file and write it anew; raises `BadLogo`, or `TooLarge` for the file or what it becomes."""
    _check_length(content, "the file is")
    if content.startswith(SIGNATURE):
        picture = read_png(content, LIMIT_PX)
        return _logo(picture.content, "png", "image/png", picture.width_px, picture.height_px)
    if content.removeprefix(_UTF8_MARK).lstrip(b" \t\r\n").startswith(b"<"):
        return _logo(read_svg(content.removeprefix(_UTF8_MARK)), "svg", "image/svg+xml", None, None)
    found = next((name for start, name in _KNOWN if content.startswith(start)), "a file of another kind")
    raise BadLogo(
        found if content else "an empty file",
        f"a PNG of at most {LIMIT_PX} x {LIMIT_PX} px or an SVG in UTF-8",
        "export the logo as one of them",
    )


def _logo(content: bytes, extension: str, content_type: str, width_px: int | None, height_px: int | None) -> Logo:
    # pixels packed cleverly and text full of markup signs may come out longer than they went in
    _check_length(content, "written anew it is")
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Logo(content, extension, content_type, digest, width_px, height_px)


def _check_length(content: bytes, what: str) -> None:
    if len(content) > LIMIT_BYTES:
        raise TooLarge(
            f"logo: {what} {len(content)} bytes long; expected at most {LIMIT_BYTES}; "
            "use fewer pixels or colours, or a simpler drawing"
        )
