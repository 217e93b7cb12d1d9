"""Uploads as SDKs send them, and copies of them cut anywhere."""

from __future__ import annotations

import pytest

from voicegw_sidecar.wire.multipart import boundary, parts

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
