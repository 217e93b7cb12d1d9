"""Sound of a provider to samples at the rate that is wanted, cut anywhere."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sound.tones import level_db, tone
from voicegw_sidecar.asks import Container, Sound
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.errors import UpstreamSilent
from voicegw_sidecar.facades.samples import Samples, require_sound
from voicegw_sidecar.sound.encode import wav_head_of_unknown_length
from voicegw_sidecar.wire.frames import ResponseHead

LENGTH_S = 0.3
WAV = Sound(Container.WAV)


def heard(gives: Sound, rate_hz: int, *pieces: bytes) -> bytes:
    samples = Samples(gives, rate_hz)
    return b"".join([*(samples.feed(piece) for piece in pieces), samples.rest()])


def body(gives: Sound, rate_hz: int) -> bytes:
    """A tone as a provider sends it."""
    samples = tone(440, rate_hz, LENGTH_S)
    return wav_file(samples, rate_hz) if gives.container is Container.WAV else samples


def wav_of(tag: int, channels: int, bits: int) -> bytes:
    """A WAV file of another kind than is asked for."""
    form = struct.pack("<HHIIHH", tag, channels, 24_000, 24_000 * channels * 2, channels * 2, bits)
    head = struct.pack("<4sI4s4sI", b"RIFF", 36, b"WAVE", b"fmt ", len(form))
    return head + form + struct.pack("<4sI", b"data", 400) + bytes(400)


@pytest.mark.parametrize("rate_hz", [8000, 16_000, 24_000, 44_100])
@pytest.mark.parametrize("container", [Container.PCM, Container.WAV])
def test_sound_at_the_wanted_rate_is_not_touched(container: Container, rate_hz: int) -> None:
    gives = Sound(container, rate_hz)
    assert heard(gives, rate_hz, body(gives, rate_hz)) == tone(440, rate_hz, LENGTH_S)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(22_050, 24_000), (24_000, 16_000), (16_000, 48_000), (48_000, 8000)])
@pytest.mark.parametrize("container", [Container.PCM, Container.WAV])
def test_sound_at_another_rate_is_converted(container: Container, from_hz: int, to_hz: int) -> None:
    gives = Sound(container, from_hz)
    samples = heard(gives, to_hz, body(gives, from_hz))
    assert len(samples) / 2 / to_hz == pytest.approx(LENGTH_S, abs=0.002)
    assert level_db(samples) == pytest.approx(0, abs=0.5)


def test_a_wav_file_says_its_rate_itself() -> None:
    assert heard(WAV, 16_000, wav_file(tone(440, 16_000, LENGTH_S), 16_000)) == tone(440, 16_000, LENGTH_S)
    stated_wrongly = heard(Sound(Container.WAV, 48_000), 16_000, wav_file(tone(440, 16_000, LENGTH_S), 16_000))
    assert stated_wrongly == tone(440, 16_000, LENGTH_S)


def test_samples_of_a_rate_that_is_not_told_are_taken_as_they_are() -> None:
    assert heard(Sound(Container.PCM), 16_000, b"abcd") == b"abcd"


def test_a_wav_file_that_streams_states_no_length() -> None:
    file = wav_head_of_unknown_length(24_000) + tone(440, 24_000, LENGTH_S)
    assert heard(WAV, 24_000, file) == tone(440, 24_000, LENGTH_S)


def test_nothing_waits_for_more_than_the_head() -> None:
    samples, file = Samples(WAV, 24_000), wav_file(tone(440, 24_000, LENGTH_S), 24_000)
    assert samples.feed(file[:43]) == b""
    assert samples.feed(file[43:48]) == file[44:48]


def test_half_a_sample_waits_for_its_other_half() -> None:
    samples = Samples(Sound(Container.PCM, 24_000), 24_000)
    assert [samples.feed(piece) for piece in (b"a", b"bc", b"d")] == [b"", b"ab", b"cd"]


@pytest.mark.parametrize("content", [b"RIFF", wav_file(b"", 24_000)[:30]])
def test_a_head_that_never_ends_is_no_sound(content: bytes) -> None:
    with pytest.raises(UpstreamSilent) as caught:
        heard(WAV, 24_000, content)
    assert caught.value.message == (
        "the provider answered with sound that cannot be read: a WAV file cut short in its head"
    )


@pytest.mark.parametrize("gives", [WAV, Sound(Container.PCM, 24_000), Sound(Container.PCM, 16_000)], ids=str)
@pytest.mark.parametrize("pieces", [(), (b"",)], ids=["none", "empty"])
def test_a_body_of_nothing_is_no_sound(gives: Sound, pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(UpstreamSilent) as caught:
        heard(gives, 24_000, *pieces)
    assert caught.value.message == "the provider answered with nothing, not with sound"


def test_a_wav_file_of_no_samples_is_silence() -> None:
    assert heard(WAV, 24_000, wav_file(b"", 24_000)) == b""


@pytest.mark.parametrize(
    "head",
    [
        ResponseHead(200),
        ResponseHead(200, "audio/wav"),
        ResponseHead(200, "audio/mpeg; rate=1"),
        ResponseHead(200, "audio/l16;rate=24000;channels=1"),
        ResponseHead(200, "application/octet-stream"),
        ResponseHead(200, "application/ogg", "identity"),
        ResponseHead(200, "binary/octet-stream", " Identity "),
    ],
    ids=str,
)
def test_what_may_be_sound_is_taken_for_sound(head: ResponseHead) -> None:
    require_sound("acme", head)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (ResponseHead(200, "application/json"), "application/json"),
        (ResponseHead(200, "Application/JSON; charset=utf-8"), "application/json"),
        (ResponseHead(200, "application/problem+json"), "application/problem+json"),
        (ResponseHead(200, "text/html"), "text/html"),
        (ResponseHead(200, "text/event-stream"), "text/event-stream"),
        (ResponseHead(200, "application/xhtml+xml"), "application/xhtml+xml"),
        (ResponseHead(200, "application/xml"), "application/xml"),
        (ResponseHead(200, "audio/wav", "gzip"), "content encoding gzip"),
        (ResponseHead(200, "audio/wav", "BR"), "content encoding br"),
        (ResponseHead(200, "text/" + "a" * 500), "text/" + "a" * 55),
    ],
    ids=str,
)
def test_what_says_that_it_is_none_is_no_sound(head: ResponseHead, found: str) -> None:
    with pytest.raises(UpstreamSilent) as caught:
        require_sound("acme", head)
    assert caught.value.message == f"acme answered with {found}, not with sound"


def test_a_rate_that_cannot_be_is_the_providers_fault() -> None:
    with pytest.raises(UpstreamSilent) as caught:
        heard(WAV, 24_000, wav_file(tone(440, 24_000, LENGTH_S), 300_000))
    assert caught.value.message == "the provider answered with sound that cannot be read: 300000 Hz"


def test_whose_sound_it_is_is_said_where_it_is_known() -> None:
    with pytest.raises(UpstreamSilent) as caught:
        Samples(WAV, 24_000, "piper").rest()
    assert caught.value.message == "piper answered with nothing, not with sound"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"ID3 is no wav file at all", "no WAV file"),
        (b"{}", "no WAV file"),
        (wav_of(tag=7, channels=1, bits=8), "pcm_mulaw"),
        (wav_of(tag=3, channels=1, bits=32), "pcm_f32le"),
        (wav_of(tag=1, channels=2, bits=16), "pcm_s16le"),
        (wav_of(tag=85, channels=1, bits=0), "another encoding"),
    ],
)
def test_sound_of_another_kind_is_not_taken_for_samples(content: bytes, found: str) -> None:
    with pytest.raises(UpstreamSilent) as caught:
        heard(WAV, 24_000, content)
    assert caught.value.message == (
        f"the provider answered with sound that cannot be read: {found}, not 16-bit mono WAV"
    )


FILES = {(container, rate_hz): body(Sound(container, rate_hz), rate_hz)
         for container in (Container.PCM, Container.WAV) for rate_hz in (16_000, 24_000)}  # fmt: skip


@settings(deadline=None)  # the first conversion imports its library
@given(borders=st.lists(st.one_of(st.integers(0, 60), st.integers(0, 14_500)), max_size=10).map(sorted))
@pytest.mark.parametrize(("container", "rate_hz"), FILES)
def test_any_split_gives_the_same(container: Container, rate_hz: int, borders: list[int]) -> None:
    content, gives = FILES[container, rate_hz], Sound(container, rate_hz)
    pieces = [content[start:stop] for start, stop in itertools.pairwise([0, *borders, len(content)])]
    assert heard(gives, 24_000, *pieces) == heard(gives, 24_000, content)
