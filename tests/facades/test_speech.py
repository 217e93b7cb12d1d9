"""Speech requests: read, put to each kind of provider, and their sound packed as it was asked for."""

from __future__ import annotations

import base64
import contextlib
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.facades.anything import json_like
from tests.facades.test_openai_chat import payloads
from tests.sound.tones import tone
from voicegw_sidecar.asks import Container, Sound
from voicegw_sidecar.drivers.cartesia_speech import CARTESIA_VOICES
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.errors import BadRequest, UpstreamSilent
from voicegw_sidecar.facades.speech import TEXT_LIMIT_CHARS, Speech, SpeechTranslation
from voicegw_sidecar.facades.translation import Attempt, PassThrough
from voicegw_sidecar.providers import registry
from voicegw_sidecar.sound.decode import decoded
from voicegw_sidecar.sound.encode import wav_head_of_unknown_length
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import ResponseHead

HEAD = ResponseHead(200, "audio/pcm")
TONE = tone(440, 24_000, 0.3)
OWN_VOICE = "694f9389-aac1-45b6-b726-9d9369183238"


def speech(**members: Any) -> Speech:
    return Speech(msgspec.json.encode({"input": "Hello."} | members), "application/json")


def attempt(
    provider: str, model: str = "the-model", variant: str | None = None, *, is_declared: bool = False, **members: Any
) -> Attempt:
    leg = Leg(Modality.TTS, registry((provider,))[provider], model, variant, is_declared=is_declared)
    return speech(**members).attempt(leg, "1f", 1_790_000_000, includes_usage=True)


def body_of(found: Attempt) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(found.request.body)
    return body


def heard(translation: SpeechTranslation, *pieces: bytes) -> bytes:
    """What a caller gets of a body that comes in these pieces."""
    translation.head(HEAD, ())
    return b"".join([*(translation.take(piece, ()) for piece in pieces), translation.end(())])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: "),
        (b"\xff", "body: "),
        (b"[]", "body: Expected `object`, got `array`"),
        (b'{"input":7}', "body: Expected `str`, got `int` - at `$.input`"),
        (b'{"input":"\xff"}', "body: "),
        (b'{"input":"a","voice":7}', "body: "),
        (b'{"input":"a","x":' + b"[" * 100_000, "body: "),
        (b"{}", "input: found no text; expected what is to be spoken"),
        (b'{"input":" \\n"}', "input: found no text"),
        (b'{"input":"' + b"a" * (TEXT_LIMIT_CHARS + 1) + b'"}', "input: found 4097 characters, expected 4096 at most"),
        (b'{"input":"a","response_format":"midi"}', "response_format: found 'midi', expected one of pcm, wav, mp3"),
        (b'{"input":"a","stream_format":"json"}', "stream_format: found 'json', expected audio or sse"),
    ],
)
def test_what_is_no_speech_request_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Speech(body, "application/json")
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 200


def test_the_longest_text_is_taken() -> None:
    assert body_of(attempt("cartesia", "sonic-3", input="é" * TEXT_LIMIT_CHARS))["transcript"]


@settings(max_examples=300, deadline=None)
@given(body=st.one_of(st.binary(max_size=60), json_like("model", "input", "voice", "response_format", "speed", "id")))
def test_nothing_but_a_bad_request_is_raised(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        asked = Speech(body, "application/json")
        for provider in ("openai", "cartesia", "piper", "anthropic"):
            with contextlib.suppress(BadRequest):
                leg = Leg(Modality.TTS, registry(())[provider], "the-model")
                asked.attempt(leg, "1f", 0, includes_usage=True)


@pytest.mark.parametrize(("members", "expected"), [({}, None), ({"model": "cartesia/sonic-3"}, "cartesia/sonic-3")])
def test_the_model_that_is_wanted(members: dict[str, Any], expected: str | None) -> None:
    assert speech(**members).wanted == expected


@pytest.mark.parametrize(("provider", "is_declared"), [("openai", False), ("openedai", True)])
def test_openais_kind_gets_the_callers_own_request(provider: str, is_declared: bool) -> None:
    members: dict[str, Any] = {"input": "é", "voice": "onyx", "speed": 1.5, "stream_format": "sse", "extra": {"a": 1}}
    found = attempt(provider, is_declared=is_declared, **members)
    assert (found.request.method, found.request.path, found.request.query) == ("POST", "/v1/audio/speech", ())
    assert found.request.headers == (("Content-Type", "application/json"),)
    assert body_of(found) == {"model": "the-model", **members}
    assert isinstance(found.translation, PassThrough)
    assert found.is_openai_shaped


@pytest.mark.parametrize(
    ("voice", "variant", "expected"),
    [
        (None, None, None),
        ("onyx", None, "onyx"),
        (None, "coral", "coral"),
        ("alloy", "coral", "coral"),
        ("voice_1", "coral", "voice_1"),
        ({"id": "voice_1"}, None, {"id": "voice_1"}),
        ({"id": "voice_1"}, "coral", {"id": "voice_1"}),
    ],
)
def test_a_models_own_suffix_is_meant_more_than_a_general_voice(
    voice: object, variant: str | None, expected: object
) -> None:
    members: dict[str, Any] = {} if voice is None else {"voice": voice}
    assert body_of(attempt("openai", variant=variant, **members)).get("voice") == expected


@pytest.mark.parametrize(
    ("voice", "variant", "expected"),
    [
        (None, None, CARTESIA_VOICES.female),
        ("onyx", None, CARTESIA_VOICES.male),
        ("alloy", OWN_VOICE, OWN_VOICE),
        (OWN_VOICE, None, OWN_VOICE),
        ({"id": OWN_VOICE}, None, OWN_VOICE),
        (OWN_VOICE, CARTESIA_VOICES.male, OWN_VOICE),
    ],
)
def test_another_provider_gets_a_voice_of_its_own(voice: object, variant: str | None, expected: str) -> None:
    members: dict[str, Any] = {} if voice is None else {"voice": voice}
    assert body_of(attempt("cartesia", "sonic-3", variant, **members))["voice"] == {"mode": "id", "id": expected}


@pytest.mark.parametrize(
    ("provider", "members", "message"),
    [
        ("cartesia", {"voice": "alloy2"}, "voice: found 'alloy2', which cartesia does not have"),
        ("cartesia", {"response_format": "aac"}, "response_format: found 'aac', which cartesia does not deliver"),
        ("cartesia", {"speed": 9}, "speed: found 9"),
        ("anthropic", {}, "model: anthropic does not speak; expected a text-to-speech provider"),
        ("assemblyai", {}, "model: assemblyai does not speak"),
    ],
)
def test_what_a_provider_cannot_say_is_refused(provider: str, members: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        attempt(provider, **members)
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("asked", "is_heavy"), [(None, False), ("mp3", False), ("wav", False), ("pcm", False), ("opus", True)]
)
def test_sound_that_a_provider_has_is_asked_for_and_goes_on_as_it_is(asked: str | None, is_heavy: bool) -> None:
    members: dict[str, Any] = {} if asked is None else {"response_format": asked}
    found = attempt("cartesia", "sonic-3", **members)
    assert found.translation.is_heavy is is_heavy
    assert not found.is_openai_shaped
    output = body_of(found)["output_format"]
    assert output["container"] == {None: "mp3", "pcm": "raw", "opus": "raw"}.get(asked, asked)
    assert output["sample_rate"] == 24_000


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(Container.PCM, "audio/pcm"), (Container.WAV, "audio/wav"), (Container.MP3, "audio/mpeg"),
     (Container.OPUS, "audio/opus"), (Container.FLAC, "audio/flac"), (Container.AAC, "audio/aac")],
)  # fmt: skip
def test_the_caller_is_told_the_type_it_asked_for(wanted: Container, expected: str) -> None:
    translation = SpeechTranslation("acme", Sound(wanted, 24_000), Sound(wanted, 24_000))
    assert translation.head(ResponseHead(200, "application/octet-stream"), (("X-Request-Id", "1"),)) == (
        ("Content-Type", expected),
    )


@pytest.mark.parametrize(
    ("gives", "wanted"),
    [(Sound(Container.PCM, 24_000), Sound(Container.PCM, 24_000)), (Sound(Container.MP3), Sound(Container.MP3)),
     (Sound(Container.WAV, 24_000), Sound(Container.WAV, 24_000)),
     (Sound(Container.MP3, 44_100), Sound(Container.MP3))],
)  # fmt: skip
def test_the_same_sound_is_not_touched(gives: Sound, wanted: Sound) -> None:
    translation = SpeechTranslation("acme", gives, wanted)
    assert not translation.is_heavy
    assert heard(translation, b"any", b"thing") == b"anything"


def test_a_wav_file_becomes_samples_without_its_head() -> None:
    translation = SpeechTranslation("acme", Sound(Container.WAV), Sound(Container.PCM, 24_000))
    assert translation.is_heavy
    assert heard(translation, wav_file(TONE, 24_000)) == TONE


def test_samples_become_a_wav_file_of_a_length_not_known_yet() -> None:
    translation = SpeechTranslation("acme", Sound(Container.PCM, 24_000), Sound(Container.WAV, 24_000))
    assert heard(translation, TONE) == wav_head_of_unknown_length(24_000) + TONE


@pytest.mark.parametrize("gives_hz", [8000, 22_050, 48_000])
def test_another_rate_is_converted(gives_hz: int) -> None:
    translation = SpeechTranslation("acme", Sound(Container.PCM, gives_hz), Sound(Container.PCM, 24_000))
    samples = heard(translation, tone(440, gives_hz, 0.5))
    assert len(samples) / 2 / 24_000 == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(("wanted", "mark"), [("mp3", b"\xff"), ("opus", b"OggS"), ("flac", b"fLaC")])
@pytest.mark.parametrize("gives", [Sound(Container.PCM, 24_000), Sound(Container.WAV)], ids=["pcm", "wav"])
def test_what_a_provider_lacks_is_packed_here(wanted: str, mark: bytes, gives: Sound) -> None:
    body = TONE if gives.container is Container.PCM else wav_file(TONE, 24_000)
    packed = heard(SpeechTranslation("acme", gives, Sound(Container(wanted))), body)
    assert packed.startswith(mark)
    assert len(decoded(packed, 24_000)) / 48_000 == pytest.approx(0.3, abs=0.11)  # encoders pad


PCM, WAV, MP3 = Sound(Container.PCM, 24_000), Sound(Container.WAV), Sound(Container.MP3)
WAYS = pytest.mark.parametrize(("gives", "wanted"), [(PCM, PCM), (MP3, MP3), (WAV, MP3), (PCM, MP3)], ids=str)


@WAYS
@pytest.mark.parametrize("pieces", [(), (b"",)], ids=["none", "empty"])
@pytest.mark.parametrize("is_sse", [True, False])
def test_an_answer_of_nothing_is_no_speech(
    gives: Sound, wanted: Sound, pieces: tuple[bytes, ...], is_sse: bool
) -> None:
    with pytest.raises(UpstreamSilent) as raised:
        heard(SpeechTranslation("acme", gives, wanted, is_sse=is_sse), *pieces)
    assert raised.value.message == "acme answered with nothing, not with sound"


@WAYS
@pytest.mark.parametrize(
    ("head", "found"),
    [
        (ResponseHead(200, "application/json"), "application/json"),
        (ResponseHead(200, "text/html; charset=utf-8"), "text/html"),
        (ResponseHead(200, "audio/pcm", "gzip"), "content encoding gzip"),
    ],
)
def test_what_says_that_it_is_no_sound_is_not_played(
    gives: Sound, wanted: Sound, head: ResponseHead, found: str
) -> None:
    with pytest.raises(UpstreamSilent) as raised:
        SpeechTranslation("acme", gives, wanted).head(head, ())
    assert raised.value.message == f"acme answered with {found}, not with sound"


def test_a_wav_file_cut_short_is_no_speech() -> None:
    with pytest.raises(UpstreamSilent) as raised:
        heard(SpeechTranslation("acme", WAV, MP3), wav_file(TONE, 24_000)[:30])
    assert raised.value.message == "acme answered with sound that cannot be read: a WAV file cut short in its head"


def test_a_wav_file_of_no_samples_is_silence() -> None:
    assert heard(SpeechTranslation("acme", WAV, PCM), wav_file(b"", 24_000)) == b""


def test_output_is_any_sound() -> None:
    translation = SpeechTranslation("acme", Sound(Container.PCM, 24_000), Sound(Container.PCM, 24_000))
    translation.take(b"", ())
    assert not translation.has_output
    translation.take(b"\0\0", ())
    assert translation.has_output


def test_events_carry_the_sound_in_base64() -> None:
    translation = SpeechTranslation("acme", Sound(Container.WAV), Sound(Container.PCM, 24_000), is_sse=True)
    assert translation.head(HEAD, ()) == (("Content-Type", "text/event-stream"),)
    out = heard(translation, wav_file(TONE[:4000], 24_000), TONE[4000:])
    *deltas, done = [msgspec.json.decode(data) for data in payloads(out)]
    assert {delta["type"] for delta in deltas} == {"speech.audio.delta"}
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == TONE
    assert done == {"type": "speech.audio.done"}, "usage that nobody told is not there"


def test_events_are_what_a_caller_of_events_gets() -> None:
    translation = attempt("cartesia", "sonic-3", response_format="pcm", stream_format="sse").translation
    assert translation.head(HEAD, ()) == (("Content-Type", "text/event-stream"),)


def test_a_broken_stream_of_events_says_so_and_sound_breaks_off() -> None:
    same = Sound(Container.PCM, 24_000)
    said = SpeechTranslation("acme", same, same, is_sse=True).broken("the provider broke off", "connection_broken")
    assert said is not None
    [told] = [msgspec.json.decode(data) for data in payloads(said)]
    assert told == {"type": "error", "error": {"message": "the provider broke off", "code": "connection_broken"}}
    assert SpeechTranslation("acme", same, same).broken("the provider broke off", "connection_broken") is None


FILE = wav_file(TONE, 24_000)


@settings(deadline=None)  # the first conversion imports its library
@given(borders=st.lists(st.integers(0, len(FILE)), max_size=8).map(sorted))
@pytest.mark.parametrize("wanted", [Sound(Container.PCM, 24_000), Sound(Container.PCM, 16_000),
                                    Sound(Container.WAV, 24_000), Sound(Container.FLAC)], ids=str)  # fmt: skip
def test_any_split_gives_the_same(wanted: Sound, borders: list[int]) -> None:
    pieces = [FILE[start:stop] for start, stop in itertools.pairwise([0, *borders, len(FILE)])]
    in_pieces, at_once = (
        SpeechTranslation("acme", Sound(Container.WAV), wanted),
        SpeechTranslation("acme", Sound(Container.WAV), wanted),
    )
    assert heard(in_pieces, *pieces) == heard(at_once, FILE)
