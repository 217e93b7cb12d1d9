"""A PNG logo: walked chunk by chunk, measured, and only then decoded and written anew from its pixels.

Nothing is decoded before its header says that it is small, and nothing is inflated beyond what the header calls for.
The decoder is given what makes up the pixels and nothing else: no text, no colour profile, no further frame.
Format: https://www.w3.org/TR/png-3/ (read 2026-11-28).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from msgspec import Struct

from voicegw_sidecar.branding import pillow
from voicegw_sidecar.branding.refusal import BadLogo

if TYPE_CHECKING:
    from PIL.Image import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_AROUND_BYTES = 12  # of a chunk: its length, its kind and its checksum
_PIXELS = (b"PLTE", b"tRNS", b"IDAT")
_GREY, _COLOUR, _PALETTE = 0, 2, 3
_FORMS = {
    _GREY: (1, (1, 2, 4, 8, 16)),
    _COLOUR: (3, (8, 16)),
    _PALETTE: (1, (1, 2, 4, 8)),
    4: (2, (8, 16)),
    6: (4, (8, 16)),
}
"""By colour type: samples of a pixel, and the bits a sample may have."""
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Of an interlaced image: first column and row, and the steps between columns and rows."""
_BEFORE = {b"PLTE": (b"tRNS", b"IDAT"), b"tRNS": (b"IDAT",)}
"""Chunks that must not come before the one that is named."""
_COLOURS_LIMIT = 256


class Picture(Struct, frozen=True):
    """A PNG as it is stored, with its size."""

    content: bytes
    width_px: int
    height_px: int


class _Header(Struct, frozen=True):
    width_px: int
    height_px: int
    sample_bits: int
    colour_type: int
    is_interlaced: bool

    def raw_bytes(self) -> int:
        """Return how long the pixels are when inflated: each row that is not empty has one byte before it."""
        samples, _ = _FORMS[self.colour_type]
        pixel_bits = samples * self.sample_bits
        total = 0
        for left, top, across, down in _PASSES if self.is_interlaced else ((0, 0, 1, 1),):
            columns = (self.width_px - left + across - 1) // across
            rows = (self.height_px - top + down - 1) // down
            if columns > 0 and rows > 0:
                total += rows * (1 + (columns * pixel_bits + 7) // 8)
        return total


def read_png(content: bytes, limit_px: int) -> Picture:
    """Check a PNG and write its first frame's pixels anew, without anything else that was in it."""
    header, parts = _parts(content, limit_px)
    _check_pixels(parts[b"IDAT"], header)
    pillow.find()
    from PIL import Image  # slow to import, and rarely needed

    try:
        pixels = _pixels(_rebuilt(content[16:29], parts, header))
        return Picture(_written(pixels), header.width_px, header.height_px)
    except (
        OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, EOFError,
        MemoryError, RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
        Warning,  # raised where warnings are errors; a size that is warned of was refused before
    ) as error:  # fmt: skip
        raise _broken("pixels that cannot be decoded") from error


def _broken(found: str) -> BadLogo:
    return BadLogo(found, "a whole PNG file and nothing after it", "export the logo as PNG again")


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and data of every chunk up to the end of the file, which the last chunk has to be."""
    view, at, end = memoryview(content), len(SIGNATURE), len(content)
    while at < end:
        room_bytes = end - at - _AROUND_BYTES
        if room_bytes < 0:
            raise _broken("a PNG file that breaks off")
        length_bytes = int.from_bytes(view[at : at + 4])
        if length_bytes > room_bytes:
            raise _broken("a PNG chunk that is longer than the file")
        after = at + 8 + length_bytes
        kind = bytes(view[at + 4 : at + 8])
        if not kind.isalpha():
            raise _broken("a PNG chunk without a name")
        if zlib.crc32(view[at + 4 : after]) != int.from_bytes(view[after : after + 4]):
            raise _broken("a PNG chunk whose checksum is wrong")
        yield kind, bytes(view[at + 8 : after])
        at = after + 4
        if kind == b"IEND":
            if length_bytes or at != end:
                raise _broken("data after the end of the PNG image")
            return
    raise _broken("a PNG file that breaks off")


def _parts(content: bytes, limit_px: int) -> tuple[_Header, dict[bytes, bytes]]:
    """Return the header and what makes up the pixels, each kind joined; the size is checked before anything else."""
    chunks = _chunks(content)
    kind, data = next(chunks, (b"", b""))
    if kind != b"IHDR" or len(data) != 13:
        raise _broken("a PNG file that does not begin with its header")
    header = _header(data, limit_px)
    parts: dict[bytes, bytearray] = {}
    last = kind
    for kind, data in chunks:
        if kind in _PIXELS:
            if kind in parts and not kind == last == b"IDAT":
                raise _broken(f"a second {kind.decode()} chunk in the PNG file")
            if not parts.keys().isdisjoint(_BEFORE.get(kind, ())):
                raise _broken(f"a {kind.decode()} chunk out of place in the PNG file")
            parts.setdefault(kind, bytearray()).extend(data)
        elif kind != b"IEND" and kind[:1].isupper():
            raise _broken("a critical PNG chunk that is not known, or comes twice")
        last = kind
    return header, _colours_checked({kind: bytes(data) for kind, data in parts.items()}, header)


def _header(data: bytes, limit_px: int) -> _Header:
    width_px, height_px, sample_bits, colour_type, packing, filtering, interlacing = struct.unpack(">IIBBBBB", data)
    if not (0 < width_px <= limit_px and 0 < height_px <= limit_px):
        raise BadLogo(
            f"an image of {width_px} x {height_px} px",
            f"1 to {limit_px} px on each side",
            f"scale it down to {limit_px} px",
        )
    if colour_type not in _FORMS or sample_bits not in _FORMS[colour_type][1]:
        raise _broken("a PNG header with a kind of pixel that does not exist")
    if packing or filtering or interlacing > 1:
        raise _broken("a PNG header with a packing that does not exist")
    return _Header(width_px, height_px, sample_bits, colour_type, bool(interlacing))


def _colours_checked(parts: dict[bytes, bytes], header: _Header) -> dict[bytes, bytes]:
    """Return the parts with a palette and a transparency only where they have a meaning, and then of a right length."""
    if b"IDAT" not in parts:
        raise _broken("a PNG file without pixels")
    palette, transparency = parts.get(b"PLTE"), parts.get(b"tRNS")
    if header.colour_type != _PALETTE:
        parts.pop(b"PLTE", None)  # at most a hint for displays with few colours
    elif not palette or len(palette) % 3 or len(palette) > 3 << header.sample_bits:
        raise _broken("a PNG palette that is missing or has a wrong length")
    if transparency is not None:
        lengths: dict[int, range] = {_GREY: range(2, 3), _COLOUR: range(6, 7)}
        if palette and header.colour_type == _PALETTE:
            lengths[_PALETTE] = range(len(palette) // 3 + 1)
        if len(transparency) not in lengths.get(header.colour_type, range(0)):
            raise _broken("a PNG transparency that does not fit the image")
    return parts


def _check_pixels(packed: bytes, header: _Header) -> None:
    """Inflate no more than the image needs, and refuse pixels that are fewer or more."""
    needed_bytes = header.raw_bytes()
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(packed, needed_bytes + 1)
    except zlib.error as error:
        raise _broken("pixels that cannot be unpacked") from error
    if len(raw) > needed_bytes or inflater.unused_data:
        raise _broken("more pixels than the PNG header says")
    if len(raw) < needed_bytes or not inflater.eof:
        raise _broken("fewer pixels than the PNG header says")


def _rebuilt(ihdr: bytes, parts: dict[bytes, bytes], header: _Header) -> bytes:
    """Write the PNG that the decoder is given: header and pixels alone."""
    if b"tRNS" in parts:
        parts = {**parts, b"tRNS": _eight_bits(parts[b"tRNS"], header)}
    chunks = [(b"IHDR", ihdr), *((kind, parts[kind]) for kind in _PIXELS if kind in parts), (b"IEND", b"")]
    return SIGNATURE + b"".join(
        len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4) for kind, data in chunks
    )


def _eight_bits(transparency: bytes, header: _Header) -> bytes:
    """Return a transparent colour as the decoder compares it: it has made every sample eight bits before that."""
    if header.colour_type == _PALETTE:
        return transparency
    samples = struct.unpack(f">{len(transparency) // 2}H", transparency)
    if header.sample_bits == 16:
        samples = tuple(sample >> 8 for sample in samples)
    else:
        most = (1 << header.sample_bits) - 1
        samples = tuple((sample & most) * 255 // most for sample in samples)
    return struct.pack(f">{len(samples)}H", *samples)


def _pixels(content: bytes) -> Image:
    """Decode to eight-bit red, green, blue and alpha, with nothing attached."""
    from PIL import Image

    with Image.open(BytesIO(content), formats=["PNG"]) as image:
        image.load()
        found: Image.Image = image
        if found.mode == "I;16":  # its own conversion takes every sample above 255 for white
            grey = Image.frombytes("L", found.size, found.tobytes()[1::2])
            grey.info = {key: found.info[key] for key in ("transparency",) if key in found.info}
            found = grey
        return Image.frombytes("RGBA", found.size, found.convert("RGBA").tobytes())


def _written(pixels: Image) -> bytes:
    """Write the pixels in the smallest of the lossless forms, which depends on nothing but the pixels."""
    red, green, blue, alpha = pixels.split()
    is_opaque = alpha.getextrema() == (255, 255)
    is_grey = red.tobytes() == green.tobytes() == blue.tobytes()
    mode = ("L" if is_grey else "RGB") + ("" if is_opaque else "A")
    forms = [_saved(pixels.convert(mode))]
    colours = _colours(pixels)
    if colours is not None:
        alphas = bytes(colour[3] for colour in colours)
        forms.append(_saved(_indexed(pixels, colours), transparency=alphas))
    return min(forms, key=len)


def _saved(image: Image, **options: bytes) -> bytes:
    out = BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def _colours(pixels: Image) -> list[bytes] | None:
    """Return the colours, most transparent first, or None if they are too many for a palette."""
    counted = pixels.getcolors(_COLOURS_LIMIT)
    if counted is None:
        return None
    return sorted((bytes(colour) for _, colour in counted if isinstance(colour, tuple)), key=lambda it: (it[3], it))


def _indexed(pixels: Image, colours: list[bytes]) -> Image:
    from PIL import Image

    places = {memoryview(colour).cast("I")[0]: place for place, colour in enumerate(colours)}
    raw = memoryview(pixels.tobytes()).cast("I")
    indexed = Image.frombytes("P", pixels.size, bytes(map(places.__getitem__, raw)))
    indexed.putpalette(b"".join(colour[:3] for colour in colours))
    return indexed
