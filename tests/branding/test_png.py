"""PNG logos: every kind of pixel survives, nothing else does, and no file makes the decoder work without bound."""

from __future__ import annotations

import hashlib
import io
import struct
import sys
import tracemalloc
import warnings
import zlib
from collections.abc import Callable

import pytest
from PIL import Image, PngImagePlugin

from tests.branding.hostile import HOSTILE, zeros
from tests.branding.samples import (
    GOOD_PNG,
    GREY_16,
    SIGNATURE,
    apng,
    chunk,
    header,
    interlaced_png,
    pixels,
    plain_png,
    png,
    saved,
)
from voicegw_sidecar.branding import BadLogo, read_logo
from voicegw_sidecar.errors import TooLarge

Colour = tuple[int, ...]


def colours(content: bytes) -> list[Colour]:
    with Image.open(io.BytesIO(content)) as image:
        raw = image.convert("RGBA").tobytes()
    return [tuple(raw[at : at + 4]) for at in range(0, len(raw), 4)]


def kinds(content: bytes) -> list[bytes]:
    """Return the kinds of all chunks, without looking at anything else."""
    found, at = [], len(SIGNATURE)
    while at < len(content):
        found.append(content[at + 4 : at + 8])
        at += 12 + struct.unpack(">I", content[at : at + 4])[0]
    assert at == len(content)
    return found


@pytest.mark.parametrize("name", GOOD_PNG)
def test_a_good_file_is_written_anew_without_anything_but_pixels(name: str) -> None:
    logo = read_logo(GOOD_PNG[name])
    assert set(kinds(logo.content)) <= {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}
    assert (logo.extension, logo.content_type) == ("png", "image/png")
    assert (logo.width_px, logo.height_px) == struct.unpack(">II", GOOD_PNG[name][16:24])
    assert read_logo(logo.content) == logo


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("full colour with alpha", [(x * 16, y * 28, 120, 255 - x) for y in range(9) for x in range(16)]),
        ("16 bit grey", [(0, 0, 0, 255), (0, 0, 0, 255), (128, 128, 128, 255), (255, 255, 255, 255)]),
        ("16 bit colour", [(255, 128, 0, 255), (18, 0, 0, 255)]),
        ("16 bit colour with alpha", [(255, 0, 128, 64)]),
        ("16 bit grey with alpha", [(128, 128, 128, 64)]),
        ("16 bit with a transparent colour", [(255, 0, 0, 0), (0, 255, 0, 255)]),
        ("interlaced", [(v, v, v, 255) for v in (7 * x + 3 * y for y in range(11) for x in range(11))]),
        ("palette with transparency", [(0, 1, 2, 0), (3, 4, 5, 128), (6, 7, 8, 255), (9, 10, 11, 255)]),
        ("1 bit grey", [(v, v, v, 255) for v in (0 if bit == "0" else 255 for bit in "1010010101011010")]),
        ("2 bit grey with a transparent one", [(0, 0, 0, 255), (85, 85, 85, 0), (170, 170, 170, 255), (255,) * 4]),
    ],
)
def test_pixels_stay_what_they_were(name: str, expected: list[Colour]) -> None:
    assert colours(read_logo(GOOD_PNG[name]).content) == expected


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("bit", [0, 1])
def test_a_transparent_grey_is_found_at_any_depth(bits: int, bit: int) -> None:
    value = bit * ((1 << bits) - 1)
    raw = b"\0" + (struct.pack(">H", value) if bits == 16 else bytes([value << 8 - bits]))
    logo = read_logo(png(header(1, 1, bits, 0), chunk(b"tRNS", struct.pack(">H", value)), pixels(raw)))
    assert colours(logo.content) == [(bit * 255,) * 3 + (0,)]


@pytest.mark.parametrize("side_px", range(1, 18))
def test_interlaced_images_of_every_small_size_are_measured_right(side_px: int) -> None:
    expected = [(v, v, v, 255) for v in (7 * x + 3 * y for y in range(side_px) for x in range(side_px))]
    assert colours(read_logo(interlaced_png(side_px)).content) == expected


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_what_pillow_writes_comes_out_with_the_same_pixels(mode: str) -> None:
    ramp = Image.linear_gradient("L").resize((37, 53))
    image = Image.merge(
        "RGBA", (ramp, ramp.rotate(180), ramp.transpose(Image.Transpose.ROTATE_90).resize((37, 53)), ramp)
    )
    content = saved(image.quantize(31) if mode == "P" else image.convert(mode))
    logo = read_logo(content)
    assert colours(logo.content) == colours(content)
    assert len(logo.content) <= len(content) * 1.1 + 100


def test_text_profile_camera_data_and_time_are_gone() -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Author", "someone", zip=True)
    notes.add_itxt("Title", "a name")
    image = Image.new("RGB", (3, 3), "red")
    exif = Image.Exif()
    exif[0x010E] = "somewhere"
    content = saved(image, pnginfo=notes, icc_profile=b"profile" * 20, exif=exif, dpi=(72, 72))
    assert {b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"pHYs"} <= set(kinds(content))
    assert set(kinds(read_logo(content).content)) <= {b"IHDR", b"PLTE", b"IDAT", b"IEND"}


def test_of_an_animation_the_first_frame_stays() -> None:
    assert b"fdAT" in kinds(apng())
    assert set(colours(read_logo(apng()).content)) == {(255, 0, 0, 255)}


@pytest.mark.parametrize("name", ["full colour with alpha", "palette with transparency", "interlaced", "16 bit grey"])
def test_a_file_cut_at_any_place_is_refused(name: str) -> None:
    for length in range(len(GOOD_PNG[name])):
        with pytest.raises(BadLogo):
            read_logo(GOOD_PNG[name][:length])


@pytest.mark.parametrize("name", ["full colour with alpha", "palette with transparency"])
def test_a_file_with_any_bit_turned_is_refused(name: str) -> None:
    for at in range(len(GOOD_PNG[name])):
        turned = bytearray(GOOD_PNG[name])
        turned[at] ^= 1 << at % 8
        with pytest.raises(BadLogo):
            read_logo(bytes(turned))


def test_a_size_is_refused_before_anything_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(Image, "open", fail)
    monkeypatch.setattr(zlib, "decompressobj", fail)
    monkeypatch.setattr(zlib, "crc32", lambda *_: 0xAE426082 if _[0] == b"IEND" else zlib_crc32(*_))
    for width_px, height_px in ((30_000, 30_000), (0, 1), (1, 0), (513, 512), (512, 513), (1 << 31, 1)):
        with pytest.raises(BadLogo, match=f"an image of {width_px} x {height_px} px; expected 1 to 512 px"):
            read_logo(png(header(width_px, height_px), chunk(b"IDAT", b"x")))


zlib_crc32 = zlib.crc32


@pytest.mark.parametrize(
    "name",
    [
        "png: text bomb",
        "png: international text bomb",
        "png: colour profile bomb",
        "png: pixels that are a bomb",
        "png: size 30000 x 30000",
        "png: size that is a lie",
    ],
)
def test_a_bomb_is_never_unpacked(name: str) -> None:
    content = HOSTILE[name]
    _tried(plain_png())  # imports count as memory too
    tracemalloc.start()
    try:
        _tried(content)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20  # of 64 MiB that are packed


def _tried(content: bytes) -> None:
    try:
        read_logo(content)
    except BadLogo:
        return


def test_pillow_by_itself_would_stop_at_the_pixels_it_needs() -> None:
    """Not what is relied on: pixels are measured before. Shows that the decoder is a second wall, not a hole."""
    bomb = png(header(16, 16), chunk(b"IDAT", zeros(16)))
    with Image.open(io.BytesIO(bomb), formats=["PNG"]) as image:
        image.load()
    with pytest.raises(BadLogo, match="more pixels than the PNG header says"):
        read_logo(bomb)


@pytest.mark.parametrize(
    "error",
    [
        OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, OverflowError, ZeroDivisionError, EOFError,
        AttributeError, MemoryError, RuntimeError, NotImplementedError, UnicodeDecodeError, struct.error, zlib.error,
        Image.DecompressionBombError, Image.DecompressionBombWarning, Image.UnidentifiedImageError, DeprecationWarning,
    ],
)  # fmt: skip
def test_whatever_the_decoder_raises_is_a_refusal(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    content = plain_png()
    raised = error("utf-8", b"", 0, 1, "secret") if error is UnicodeDecodeError else error("secret")

    def fail(_: object) -> None:
        raise raised

    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", fail)
    with pytest.raises(BadLogo, match="pixels that cannot be decoded") as refused:
        read_logo(content)
    assert "secret" not in refused.value.message


def test_no_warning_is_lost_or_made() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for content in GOOD_PNG.values():
            read_logo(content)


def test_noise_stays_as_short_as_it_was() -> None:
    rows = b"".join(b"\0" + noise(y, 512) for y in range(500))
    content = png(header(512, 500, 8, 0), chunk(b"IDAT", zlib.compress(rows, 9)))
    assert len(content) < 262_144
    assert len(read_logo(content).content) < 262_144  # noise in grey stays grey
    transparent = png(
        header(512, 500, 8, 3),
        chunk(b"PLTE", bytes(768)),
        chunk(b"tRNS", bytes(range(256))),
        chunk(b"IDAT", zlib.compress(rows, 9)),
    )
    assert len(read_logo(transparent).content) < 262_144


def noise(seed: int, length_bytes: int) -> bytes:
    return hashlib.shake_128(seed.to_bytes(4)).digest(length_bytes)


def test_what_would_be_stored_too_long_is_refused() -> None:
    colours = [noise(number, 3) for number in range(300)]  # too many for a palette, too few for the usual filters
    picks = struct.unpack(">122500H", noise(0, 245_000))
    dots = b"".join(colours[pick % 300] for pick in picks)
    rows = b"".join(b"\0" + dots[at : at + 1050] for at in range(0, len(dots), 1050))
    content = png(header(350, 350, 8, 2), chunk(b"IDAT", zlib.compress(rows, 9)))
    assert len(content) < 262_144
    with pytest.raises(TooLarge, match="written anew it is"):
        read_logo(content)


def operations(content: bytes) -> int:
    """Count the calls that reading takes: the same on a fast machine and a slow one."""
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        _tried(content)
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize(
    "build",
    [
        lambda n: png(header(1, 1, 8, 0), chunk(b"tEXt") * n, pixels(b"\0\0")),
        lambda n: png(header(1, 1, 8, 0), pixels(b"\0\0"), chunk(b"IDAT") * n),
        lambda n: png(header(1, 1, 8, 0), *(chunk(b"IDAT", b"x") for _ in range(n))),
    ],
)
def test_work_grows_no_faster_than_the_file(build: Callable[[int], bytes]) -> None:
    read_logo(GREY_16)
    assert operations(build(8000)) < 2.1 * operations(build(4000)) + 2000
