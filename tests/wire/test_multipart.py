"""Uploads as SDKs send them, and copies of them cut anywhere."""

from __future__ import annotations

import pytest

from voicegw_sidecar.wire import multipart
from voicegw_sidecar.wire.multipart import PARTS_LIMIT, Part, boundary, form, parts, with_field

BODY = (
    b'preamble\r\n--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n'
    b"--x\r\nContent-Disposition: form-data; name=language\r\n\r\nen\r\n"
    b'--x\r\nContent-Disposition: form-data; filename="a.wav"; name="file"\r\n'
    b"Content-Type: audio/wav\r\n\r\nRI\r\nFF\r\n"
    b"--x--\r\nepilogue"
)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=x; BOUNDARY="a b"', b"a b"),
        ("application/json; boundary=abc", None),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=\udc80", b"?"),
        ("", None),
    ],
)
def test_boundary_is_read_from_the_content_type(content_type: str, expected: bytes | None) -> None:
    assert boundary(content_type) == expected


def test_fields_and_file_are_found_in_order() -> None:
    assert [(part.name, part.is_file, part.data) for part in parts(BODY, b"x")] == [
        ("model", False, b"whisper-1"),
        ("language", False, b"en"),
        ("file", True, b"RI\r\nFF"),
    ]


def test_a_copy_cut_anywhere_gives_a_beginning() -> None:
    whole = [part.name for part in parts(BODY, b"x")]
    for end in range(len(BODY)):
        names = [part.name for part in parts(BODY[:end], b"x")]
        assert names == whole[: len(names)]


def test_a_field_is_replaced_and_every_other_byte_kept() -> None:
    changed = with_field(BODY, b"x", "model", b"large-v3")
    assert changed == BODY.replace(b"whisper-1", b"large-v3")
    assert [part.data for part in parts(changed, b"x")] == [b"large-v3", b"en", b"RI\r\nFF"]


@pytest.mark.parametrize("stretch_bytes", [1, 2, 5, 17])
def test_however_short_the_stretches_the_parts_are_the_same(
    monkeypatch: pytest.MonkeyPatch, stretch_bytes: int
) -> None:
    found, changed = parts(BODY, b"x"), with_field(BODY, b"x", "new", b"v")
    written = form([], Part("file", True, b"ab--voicegw-form-0cd" * 3, "a", "b"))
    monkeypatch.setattr(multipart, "_STRETCH_BYTES", stretch_bytes)
    assert parts(BODY, b"x") == found
    assert with_field(BODY, b"x", "model", b"large-v3") == BODY.replace(b"whisper-1", b"large-v3")
    assert with_field(BODY, b"x", "new", b"v") == changed
    assert form([], Part("file", True, b"ab--voicegw-form-0cd" * 3, "a", "b")) == written


@pytest.mark.parametrize("body", [b"", b"preamble", b"--x--", b"\r\n--x\r\n\r\n"])
def test_a_field_is_added_to_whatever_there_is(body: bytes) -> None:
    delimiter = b"\r\n--x"
    before, found, after = (b"\r\n" + body).partition(delimiter)
    field = b'\r\nContent-Disposition: form-data; name="a"\r\n\r\nv'
    assert with_field(body, b"x", "a", b"v") == (before + delimiter + field + found + after)[2:]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"audio/wav", "audio/wav"), (b" audio/wav; codecs=1 ", "audio/wav; codecs=1"),
        (b"audio/wav\nX: y", "audio/wav"), (b"audio/wav\0", ""), (b"audio/wav\rX: y", ""), (b"audio/\xff", ""),
        (b"", ""),
    ],
)  # fmt: skip
def test_a_type_that_no_header_could_have_counts_as_none(line: bytes, expected: str) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\nContent-Type:' + line + b"\r\n\r\nv\r\n--x--"
    )
    assert [(part.name, part.data, part.content_type) for part in parts(body, b"x")] == [("f", b"v", expected)]


def test_a_field_that_is_missing_is_put_first_and_a_file_of_that_name_is_none() -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="model"; filename="m"\r\n\r\nfile\r\n--x--\r\n'
    changed = with_field(body, b"x", "model", b"large-v3")
    found = [(part.name, part.is_file, part.data) for part in parts(changed, b"x")]
    assert found == [("model", False, b"large-v3"), ("model", True, b"file")]


def test_no_more_parts_are_looked_at_than_an_upload_has() -> None:
    body = b"".join(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nv\r\n' for _ in range(1000)) + b"--x--\r\n"
    assert len(parts(body, b"x")) == PARTS_LIMIT


@pytest.mark.parametrize(
    "data",
    [b"", b"RI\r\nFF\r\n", b"--voicegw-form-0--\r\n", b"\r\n--voicegw-form-0\r\n--voicegw-form-1", bytes(range(256))],
)
def test_a_form_that_was_written_is_read_as_it_was(data: bytes) -> None:
    file = Part("file", True, data, "a.wav", "audio/wav")
    written = form([("model", "whisper-1"), ("prompt", 'a\r\nb "é"')], file)
    mark = boundary(written.content_type)
    assert mark is not None
    assert parts(written.body, mark) == [
        Part("model", False, b"whisper-1"),
        Part("prompt", False, 'a\r\nb "é"'.encode()),
        file,
    ]
    assert written.body.endswith(b"\r\n--" + mark + b"--\r\n")


def test_no_name_and_no_type_begins_another_line() -> None:
    written = form([], Part("file", True, b"RIFF", 'a"\r\nX: y.wav', "audio/wav\r\nX: y"))
    assert b'filename="a%22%0D%0AX: y.wav"\r\nContent-Type: audio/wavX: y\r\n\r\nRIFF' in written.body
