"""A whole recording unpacked: WAV, MP3, FLAC, or Ogg with Opus or Vorbis to 16-bit little-endian mono samples.

By libsndfile, to which only those formats are given, told by their first bytes: it knows two dozen more that no
caller sends and an attacker could. Several channels are mixed into one. The most are 32 MiB, four hours, and as many
samples as four hours of stereo at 48 kHz have: FLAC of silence is a thousandth of what it unpacks to.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.sound import load
from voicegw_sidecar.sound.resample import Resampler, rounded

if TYPE_CHECKING:
    from soundfile import SoundFile

LIMIT_BYTES = 32 * 1024 * 1024
LIMIT_S = 4 * 60 * 60
"""More than OpenAI's longest upload, 25 MB, lasts at 16 kbit/s, the thinnest usual coding of speech: 3.5 hours."""
LIMIT_SAMPLES = LIMIT_S * 48_000 * 2
_BLOCK_FRAMES = 65_536
_CHANNELS_LIMIT = 8
_FULL_SCALE = 32_768
_EXPECTED = "wav, mp3, flac, or ogg with opus"
_OTHERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x1aE\xdf\xa3", "webm (or Matroska)"),
    (4, b"ftyp", "m4a (or MP4)"),
    (0, b"#!AMR", "amr"),
    (0, b"FORM", "aiff"),
    (0, b"caff", "caf"),
    (0, b"0&\xb2u", "wma"),
)


def decoded(data: bytes, rate_hz: int) -> bytes:
    """Return the samples of a file at ``rate_hz``; :class:`BadRequest` says what was found instead of one."""
    return b"".join(decoded_pieces(data, rate_hz))


def decoded_pieces(data: bytes, rate_hz: int) -> Iterator[bytes]:
    """The same piece by piece: four hours are 460 MB at 16 kHz. Raises while it is read."""
    if len(data) > LIMIT_BYTES:
        raise BadRequest(f"audio: found {len(data)} bytes, expected {LIMIT_BYTES} at most")
    if not _can_be_read(data):
        raise BadRequest(f"audio: found {_name(data)}, expected a file of {_EXPECTED}; convert it first")
    load()
    import soundfile

    source = io.BytesIO(data)
    try:
        with soundfile.SoundFile(source) as file:
            yield from _pieces(file, rate_hz)
            if file.format == "MP3" and _is_mpeg_audio(data[source.tell() :][:2]):
                # its length was guessed from its first frame, and frames are left
                raise BadRequest(f"audio: found an mp3 of varying bit rate without its index, expected {_EXPECTED}")
    except soundfile.LibsndfileError:  # its words may quote the file
        raise BadRequest(f"audio: found a broken file, expected one of {_EXPECTED}") from None


def _pieces(file: SoundFile, rate_hz: int) -> Iterator[bytes]:
    if file.channels > _CHANNELS_LIMIT:
        raise BadRequest(f"audio: found {file.channels} channels, expected {_CHANNELS_LIMIT} at most")
    # else it seeks to where it is after each block, which fails at the end of FLAC that does not state its length
    file.seekable = lambda: False
    resampler = Resampler(file.samplerate, rate_hz)
    frames = 0
    while len(block := file.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
        frames += len(block)
        if frames > LIMIT_S * file.samplerate:
            raise BadRequest(f"audio: found more than {LIMIT_S // 60} minutes, expected less")
        if frames * file.channels > LIMIT_SAMPLES:
            raise BadRequest(
                f"audio: found more than {LIMIT_SAMPLES} samples of {file.channels} channels at {file.samplerate} Hz, "
                "expected less; convert it to 16 kHz mono first"
            )
        yield resampler.feed(rounded(block.mean(axis=1) * _FULL_SCALE))
    yield resampler.rest()


def _can_be_read(data: bytes) -> bool:
    if data[:4] == b"RIFF":
        return data[8:12] == b"WAVE"
    return data[:4] in (b"fLaC", b"OggS") or data[:3] == b"ID3" or _is_mpeg_audio(data)


def _is_mpeg_audio(data: bytes) -> bool:
    """Say whether an MPEG audio frame begins here: eleven ones, and a layer, which the AAC of ADTS has not."""
    return len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] & 0x06 != 0


def _name(data: bytes) -> str:
    """Name a file by its first bytes."""
    if not data:
        return "an empty file"
    if data[0] == 0xFF and len(data) > 1 and data[1] & 0xF6 == 0xF0:
        return "aac"
    for offset, mark, name in _OTHERS:
        if data[offset : offset + len(mark)] == mark:
            return name
    return f"something that begins with {data[:4].hex(' ')}"
