"""Whole recordings to samples."""

from __future__ import annotations

import io
from contextlib import suppress

import numpy
import pytest
import soundfile

from tests.sound.tones import PEAK, level_db, tone
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.sound import decode
from voicegw_sidecar.sound.decode import decoded, decoded_pieces

FORMATS = [
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAVEX", "PCM_16"), ("FLAC", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"), ("OGG", "OPUS"), ("OGG", "VORBIS"),
]  # fmt: skip


def written(
    samples: bytes, rate_hz: int, kind: str = "WAV", subtype: str = "PCM_16", channels: int = 1, **more: object
) -> bytes:
    floats = numpy.frombuffer(samples, "<i2").reshape(-1, channels) / 32_768
    file = io.BytesIO()
    soundfile.write(file, floats, rate_hz, format=kind, subtype=subtype, **more)
    return file.getvalue()


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_sound_comes_back(kind: str, subtype: str, rate_hz: int) -> None:
    file = written(tone(440, 24_000, 1.0), 24_000, kind, subtype)
    samples = decoded(file, rate_hz)
    assert len(samples) / 2 / rate_hz == pytest.approx(1.0, abs=0.001)
    assert level_db(samples) == pytest.approx(0, abs=0.5)


def test_channels_are_mixed() -> None:
    left = numpy.frombuffer(tone(440, 16_000, 0.5), "<i2")
    both = numpy.stack([left, numpy.zeros_like(left)], axis=1).tobytes()
    samples = numpy.frombuffer(decoded(written(both, 16_000, channels=2), 16_000), "<i2")
    assert int(samples.max()) == pytest.approx(PEAK / 2, abs=1)


def test_pieces_are_the_whole() -> None:
    file = written(tone(440, 24_000, 10.0), 24_000, "FLAC")
    pieces = list(decoded_pieces(file, 16_000))
    assert len(pieces) > 3
    assert b"".join(pieces) == decoded(file, 16_000)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"\x1aE\xdf\xa3" + bytes(40), r"webm \(or Matroska\)"),
        (bytes(4) + b"ftypM4A " + bytes(40), r"m4a \(or MP4\)"),
        (b"\xff\xf1\x50\x80" + bytes(40), "aac"),
        (b"#!AMR\n" + bytes(40), "amr"),
        (b"FORM" + bytes(4) + b"AIFF", "aiff"),
        (b"RIFF" + bytes(4) + b"AVI ", "something that begins with 52 49 46 46"),
        (b"hello there", "something that begins with 68 65 6c 6c"),
        (b"\xff", "something that begins with ff"),
    ],
)
def test_what_is_no_known_file_is_named(data: bytes, found: str) -> None:
    with pytest.raises(BadRequest, match=f"^audio: found {found}, expected a file of wav, mp3, flac, or ogg with opus"):
        decoded(data, 16_000)


@pytest.mark.parametrize(
    "data", [b"RIFF\xff\xff\xff\xffWAVE", b"fLaC" + bytes(100), b"OggS" + bytes(100), b"ID3" + bytes(200)]
)
def test_broken_files_are_refused(data: bytes) -> None:
    with pytest.raises(BadRequest, match="found a broken file"):
        decoded(data, 16_000)


@pytest.mark.parametrize(("kind", "subtype"), FORMATS)
def test_a_file_cut_anywhere_gives_samples_or_a_refusal(kind: str, subtype: str) -> None:
    file = written(tone(440, 24_000, 0.3), 24_000, kind, subtype)
    whole_bytes = len(decoded(file, 24_000))
    for size in range(0, len(file), max(1, len(file) // 40)):
        with suppress(BadRequest):
            assert len(decoded(file[:size], 24_000)) <= whole_bytes + 4_800


def test_mp3_without_its_index_is_not_cut_short_in_silence() -> None:
    """Its frames vary in length, its first frame is what the index was: libsndfile takes it for a fifth of it."""
    file = written(tone(440, 24_000, 3.0), 24_000, "MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE")
    index = file.find(b"Xing")
    assert index > 0
    frame_end = file.find(b"\xff\xf3", 4)
    bare = file[:4] + bytes(frame_end - 4) + file[frame_end:]
    assert len(decoded(file, 24_000)) == pytest.approx(3.0 * 48_000, abs=100)
    with pytest.raises(BadRequest, match="varying bit rate without its index"):
        decoded(bare, 24_000)
    with pytest.raises(BadRequest, match="varying bit rate without its index"):
        decoded(file[frame_end:], 24_000)


def test_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tone(440, 8_000, 3.0), 8_000, "FLAC")
    monkeypatch.setattr(decode, "LIMIT_S", 2)
    with pytest.raises(BadRequest, match="found more than"):
        decoded(file, 8_000)
    monkeypatch.setattr(decode, "LIMIT_BYTES", len(file) - 1)
    with pytest.raises(BadRequest, match=f"found {len(file)} bytes, expected {len(file) - 1} at most"):
        decoded(file, 8_000)


def test_more_samples_than_the_longest_recording_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short it is: channels that are mixed into one have to be unpacked all the same."""
    file = written(bytes(2 * 8 * 8_000 * 2), 8_000, "FLAC", channels=8)
    assert len(decoded(file, 8_000)) == 2 * 8_000 * 2
    monkeypatch.setattr(decode, "LIMIT_SAMPLES", 8 * 8_000)
    with pytest.raises(BadRequest, match="found more than 64000 samples of 8 channels at 8000 Hz"):
        decoded(file, 8_000)


def test_too_many_channels_are_refused() -> None:
    with pytest.raises(BadRequest, match="found 10 channels, expected 8 at most"):
        decoded(written(bytes(2_000), 8_000, channels=10), 8_000)
