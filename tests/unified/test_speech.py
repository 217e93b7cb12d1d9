"""The real OpenAI SDK at ``/v1/audio/speech``: every provider that speaks, in every sound that is asked for."""

from __future__ import annotations

import gzip
import io
import wave

import pytest
from openai import APIError, APIStatusError

from tests.sidecar import raw_server
from tests.unified.conftest import Setup, StartUnified
from tests.unified.test_chat import answering
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.sound.decode import decoded
from voicegw_sidecar.wire.pcm import PcmFormat, levels

MODELS = {
    "openai": "openai/gpt-4o-mini-tts",
    "groq": "groq/canopylabs/orpheus-v1-english",
    "cartesia": "cartesia/sonic-3",
    "elevenlabs": "elevenlabs/eleven_flash_v2_5",
    "deepgram": "deepgram/aura-2-thalia-en",
    "kokoro": "kokoro/kokoro",
    "piper": "piper/en_US-lessac-medium",
}
MADE_HERE = [("groq", "mp3"), ("groq", "opus"), ("groq", "pcm"), ("cartesia", "opus"), ("cartesia", "flac"),
             ("piper", "mp3"), ("piper", "opus"), ("piper", "pcm"), ("piper", "flac")]  # fmt: skip
TEXT = "Your order has left the warehouse."
SECONDS = 0.02 * len(TEXT)  # how long the simulated voices speak
every_model = pytest.mark.parametrize(("provider", "model"), MODELS.items())


async def spoken(unified: Setup, model: str, sound: str, voice: str = "alloy") -> bytes:
    async with unified.openai() as client:
        answer = await client.audio.speech.create(model=model, voice=voice, input=TEXT, response_format=sound)  # type: ignore[arg-type]
        return answer.content


@every_model
@pytest.mark.parametrize("sound", ["pcm", "wav"])
async def test_samples_of_every_provider(unified: Setup, provider: str, model: str, sound: str) -> None:
    content = await spoken(unified, model, sound)
    if sound == "wav":
        with wave.open(io.BytesIO(content)) as file:
            assert file.getnchannels() == 1
            rate_hz, samples = file.getframerate(), file.readframes(10**6)
    else:
        rate_hz, samples = 24_000, content
    assert len(samples) / (2 * rate_hz) == pytest.approx(SECONDS, abs=0.03)
    [row] = await unified.sidecar.rows(1)
    assert (row.provider, row.modality, row.status) == (provider, "tts", "ok")
    assert row.usage.characters == len(TEXT)
    assert row.cost_nanousd is not None


@pytest.mark.parametrize(("provider", "sound"), MADE_HERE)
async def test_sound_that_a_provider_lacks_is_made_here(unified: Setup, provider: str, sound: str) -> None:
    content = await spoken(unified, MODELS[provider], sound)
    if sound == "pcm":
        assert len(content) / 48_000 == pytest.approx(SECONDS, abs=0.03)
        return
    samples = decoded(content, 24_000)
    assert len(samples) / 48_000 == pytest.approx(SECONDS, abs=0.15)  # encoders pad
    assert max(levels(samples, PcmFormat("pcm_s16le", 24_000))) > 500, "silence is no speech"


@pytest.mark.parametrize("voice", ["alloy", "onyx"])
@every_model
async def test_voice_of_openais_is_understood_everywhere(unified: Setup, provider: str, model: str, voice: str) -> None:
    assert await spoken(unified, model, "pcm", voice)


async def test_auto_is_the_projects_pick(unified: Setup) -> None:
    assert await spoken(unified, "auto", "pcm")
    [row] = await unified.sidecar.rows(1)
    assert row.provider == "cartesia"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"model": "cartesia/sonic-3", "input": "Hello", "voice": "no such voice"}, "voice: found 'no such voice'"),
        ({"model": "openai/gpt-4o-mini-tts", "voice": "alloy"}, "input"),
        ({"model": "nobody/voice", "input": "Hello", "voice": "alloy"}, "nobody"),
        ({"model": "deepgram/aura-2-thalia-en", "input": "Hello", "response_format": "midi"}, "response_format"),
        ({"model": "anthropic/claude-haiku-4-5", "input": "Hello", "voice": "alloy"}, "anthropic"),
        ({"model": "groq/canopylabs/orpheus-v1-english", "input": "Hello", "response_format": "aac"}, "aac"),
        ({"model": "openai/gpt-4o-mini-tts", "input": "a" * 5000, "voice": "alloy"}, "4096"),
        ({"model": "groq/canopylabs/orpheus-v1-english", "input": "Well. " * 40, "voice": "alloy"}, "200 at most"),
    ],
)
async def test_bad_input_gets_one_clear_line(unified: Setup, body: dict[str, str], words: str) -> None:
    url = unified.sidecar.url + "/p/acme/v1/audio/speech"
    async with unified.sidecar.http.post(url, json=body) as response:
        answer = await response.json()
    assert response.status == 400
    assert words in answer["error"]["message"]
    assert unified.simulator.ledger.entries() == []


async def test_events_where_they_are_asked_for(unified: Setup) -> None:
    body = {"model": "cartesia/sonic-3", "input": TEXT, "voice": "alloy", "response_format": "pcm",
            "stream_format": "sse"}  # fmt: skip
    async with unified.sidecar.http.post(unified.sidecar.url + "/p/acme/v1/audio/speech", json=body) as response:
        assert response.content_type == "text/event-stream"
        text = await response.text()
    assert "speech.audio.delta" in text
    assert text.rstrip().endswith('data: {"type":"speech.audio.done"}')


NO_SPEECH: dict[str, tuple[str, tuple[str, ...], bytes, str]] = {
    "JSON": ("kokoro", ("Content-Type: application/json",), b'{"error":"out of memory"}',
             "kokoro answered with application/json, not with sound"),
    "a page": ("kokoro", ("Content-Type: text/html",), b"<html>Please sign in.</html>",
               "kokoro answered with text/html, not with sound"),
    "packed": ("kokoro", ("Content-Type: audio/pcm", "Content-Encoding: gzip"), gzip.compress(bytes(4800)),
               "kokoro answered with content encoding gzip, not with sound"),
    "nothing": ("kokoro", ("Content-Type: audio/pcm",), b"", "kokoro answered with nothing, not with sound"),
    "another rate": ("piper", ("Content-Type: audio/wav",), wav_file(bytes(4800), 300_000),
                     "piper answered with sound that cannot be read: 300000 Hz"),
}  # fmt: skip
"""What a server of speech may answer with status 200 that is none, and the words that a caller gets."""


@pytest.mark.parametrize("sound", ["pcm", "mp3"])
@pytest.mark.parametrize(("provider", "head", "body", "message"), NO_SPEECH.values(), ids=NO_SPEECH)
async def test_what_is_no_sound_is_an_error(
    start_unified: StartUnified, provider: str, head: tuple[str, ...], body: bytes, message: str, sound: str
) -> None:
    async with raw_server(answering(("200 OK", *head), body)) as address:
        async with start_unified(f"providers: {{{provider}: {{base_url: '{address}'}}}}") as unified:
            with pytest.raises(APIStatusError) as raised:
                await spoken(unified, MODELS[provider], sound)
    assert raised.value.status_code == 502
    assert message in raised.value.message


@pytest.mark.parametrize("sound", ["pcm", "mp3"])
async def test_a_file_cut_short_in_its_head_is_not_passed_off_as_speech(
    start_unified: StartUnified, sound: str
) -> None:
    async with raw_server(answering(("200 OK", "Content-Type: audio/wav"), b"RIFF\xff\xff\xff\xffWAVE")) as address:
        async with start_unified(f"providers: {{piper: {{base_url: '{address}'}}}}") as unified:
            with pytest.raises(APIError):
                await spoken(unified, MODELS["piper"], sound)


@pytest.mark.parametrize("kind", [(), ("Content-Type: application/octet-stream",), ("Content-Type: audio/x-raw",)])
async def test_sound_need_not_say_that_it_is_some(start_unified: StartUnified, kind: tuple[str, ...]) -> None:
    async with raw_server(answering(("200 OK", *kind), bytes(4800))) as address:
        async with start_unified(f"providers: {{kokoro: {{base_url: '{address}'}}}}") as unified:
            assert await spoken(unified, MODELS["kokoro"], "pcm") == bytes(4800)


async def test_spent_budget_is_spoken_by_the_local_stand_in(start_unified: StartUnified) -> None:
    spent = "daily_budget: 0.000000001\nbudget_action: throttle\nthrottle_to: {tts: kokoro}"
    async with start_unified(spent) as unified:
        await spoken(unified, "cartesia/sonic-3", "pcm")
        async with unified.openai() as client:
            raw = await client.audio.speech.with_raw_response.create(
                model="cartesia/sonic-3", voice="694f9389-aac1-45b6-b726-9d9369183238", input=TEXT,
                response_format="mp3",
            )  # fmt: skip
        assert raw.headers["X-VoiceGW-Throttled"] == "kokoro/kokoro"
        assert len(raw.content) > 100


async def test_provider_that_fails_gives_way(start_unified: StartUnified) -> None:
    failover = "routing: {failover: true, rosters: {stt: [deepgram], llm: [groq], tts: [cartesia, deepgram]}}"
    async with start_unified(failover, down=("cartesia",)) as unified:
        assert await spoken(unified, "auto", "mp3")
        rows = await unified.sidecar.rows(2)
    assert [(row.provider, row.status) for row in rows] == [("cartesia", "upstream_error"), ("deepgram", "ok")]


async def test_refusal_of_the_provider_keeps_its_status(start_unified: StartUnified) -> None:
    async with start_unified(without_key=("cartesia",)) as unified:
        with pytest.raises(APIStatusError) as raised:
            await spoken(unified, "cartesia/sonic-3", "pcm")
        assert raised.value.status_code == 401
        assert raised.value.response.headers["X-VoiceGW-Error"] == "missing_key"
