"""Speech packed into files, read back by two decoders: libsndfile, and FFmpeg's where it is installed."""

from __future__ import annotations

import io
from itertools import pairwise

import numpy
import pytest

from tests.sound.tones import level_db, noise_db, tone
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.sound.decode import decoded
from voicegw_sidecar.sound.encode import Encoder, encoded_hz
from voicegw_sidecar.wire.wav import wav_head, wav_seconds

BYTES_PER_S = 2
PADDING_S = {"mp3": 0.11, "opus": 0.0, "flac": 0.0, "wav": 0.0}
"""What an encoder adds in silence: MP3's frames at 22.05 kHz and below last 26 to 72 ms, and it begins with two."""


def encoded(container: str, samples: bytes, rate_hz: int, piece_bytes: int = 4_801) -> list[bytes]:
    """A file as it comes: one piece for each that went in, and the end."""
    encoder = Encoder(container, rate_hz)
    borders = [*range(0, len(samples), piece_bytes), len(samples)]
    return [*(encoder.feed(samples[start:end]) for start, end in pairwise(borders)), encoder.rest()]


@pytest.mark.parametrize("container", ["wav", "mp3", "opus", "flac"])
@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 24_000, 44_100])
def test_a_file_holds_what_went_in(container: str, rate_hz: int) -> None:
    samples = tone(440, rate_hz, 1.2)
    file = b"".join(encoded(container, samples, rate_hz))
    again = decoded(file, rate_hz)
    longer_s = (len(again) - len(samples)) / BYTES_PER_S / rate_hz
    assert -0.001 <= longer_s <= PADDING_S[container] * max(1, 24_000 / rate_hz) + 0.001
    assert level_db(again) == pytest.approx(0, abs=0.5)
    if container in ("wav", "flac"):
        assert again == samples


@pytest.mark.parametrize("container", ["wav", "mp3", "opus", "flac"])
def test_another_decoder_reads_it_too(container: str) -> None:
    av = pytest.importorskip("av")
    file = b"".join(encoded(container, tone(440, 24_000, 1.2), 24_000))
    with av.open(io.BytesIO(file)) as opened:
        blocks = [frame.to_ndarray() for frame in opened.decode(audio=0)]
        rate_hz = opened.streams.audio[0].rate
    found = numpy.concatenate(blocks, axis=1)[0]
    scaled = found if found.dtype == numpy.int16 else found * 32_767
    again = numpy.rint(scaled).astype("<i2").tobytes()
    assert len(again) / BYTES_PER_S / rate_hz == pytest.approx(1.2, abs=0.11)
    # of MP3 and Opus the quantisation is meant; a gap or a click would be far louder
    assert noise_db(again[rate_hz // 5 :], 440, rate_hz) < -30


@pytest.mark.parametrize(("container", "within_s"), [("wav", 0.1), ("mp3", 0.2), ("flac", 0.4), ("opus", 1.2)])
def test_it_streams(container: str, within_s: float) -> None:
    """Of four seconds, fed a tenth of a second at a time, none waits longer than this for the first of its bytes."""
    pieces = encoded(container, tone(440, 24_000, 4.0), 24_000, piece_bytes=4_800)
    came = [number for number, piece in enumerate(pieces) if piece]
    gaps = [after - before for before, after in pairwise(came)]
    assert max(gaps) * 0.1 <= within_s + 1e-9
    assert len(came) >= 4


@pytest.mark.parametrize("container", ["pcm", "wav", "mp3", "opus", "flac"])
def test_odd_pieces_give_the_same_file(container: str) -> None:
    samples = tone(440, 24_000, 0.7)
    assert _without_serial(b"".join(encoded(container, samples, 24_000, 777))) == _without_serial(
        b"".join(encoded(container, samples, 24_000, len(samples)))
    )


def _without_serial(file: bytes) -> bytes:
    """Ogg gives each stream a random number and sums over it: those are left out."""
    pages = file.split(b"OggS")
    return b"OggS".join([pages[0], *(page[:10] + page[22:] for page in pages[1:])])


def test_wav_states_no_length() -> None:
    pieces = encoded("wav", tone(440, 16_000, 0.5), 16_000)
    assert pieces[0][4:8] == pieces[0][40:44] == b"\xff\xff\xff\xff"
    head = wav_head(pieces[0])
    assert head is not None
    assert (head.pcm and head.pcm.rate_hz, head.bytes_per_s, head.size_bytes) == (16_000, 32_000, 44)
    file = b"".join(pieces)
    assert wav_seconds(file, len(file)) == pytest.approx(0.5)


def test_pcm_is_what_went_in() -> None:
    assert b"".join(encoded("pcm", b"abcdef", 24_000, 1)) == b"abcdef"


@pytest.mark.parametrize(
    ("container", "rate_hz", "expected"),
    [("opus", 22_050, 24_000), ("opus", 44_100, 48_000), ("opus", 16_000, 16_000), ("mp3", 96_000, 48_000),
     ("wav", 22_050, 22_050), ("flac", 44_100, 44_100), ("pcm", 11_025, 11_025)],
)  # fmt: skip
def test_rates_are_raised_where_the_container_needs_it(container: str, rate_hz: int, expected: int) -> None:
    assert encoded_hz(container, rate_hz) == expected


@pytest.mark.parametrize("container", ["aac", "ogg", ""])
def test_what_cannot_be_made_is_refused(container: str) -> None:
    with pytest.raises(BadRequest, match="cannot be made here; expected pcm, wav, mp3, opus or flac"):
        Encoder(container, 24_000)
