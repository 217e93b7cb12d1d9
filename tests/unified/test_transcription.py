"""The real OpenAI SDK at ``/v1/audio/transcriptions``, answered by every provider that listens."""

from __future__ import annotations

import io
import wave

import pytest
import soundfile
from openai import APIStatusError

from tests.simulator.conftest import UTTERANCES
from tests.simulator.sounds import PCM, buzz
from tests.unified.conftest import Setup, StartUnified

MODELS = {
    "openai": "openai/gpt-4o-mini-transcribe",
    "groq": "groq/whisper-large-v3-turbo",
    "deepgram": "deepgram/nova-3",
    "flux": "deepgram/flux-general-en",
    "assemblyai": "assemblyai/universal-2",
    "elevenlabs": "elevenlabs/scribe_v1",
    "cartesia": "cartesia/ink-whisper",
    "whisper": "whisper/whisper-1",
}
every_model = pytest.mark.parametrize(("provider", "model"), MODELS.items())


def recording(container: str = "wav") -> tuple[str, bytes]:
    """Half a second of something loud between silences, as a file."""
    samples, sink = buzz(), io.BytesIO()
    if container == "wav":
        with wave.open(sink, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(PCM.rate_hz)
            file.writeframes(samples)
    else:
        import numpy

        soundfile.write(sink, numpy.frombuffer(samples, "<i2"), PCM.rate_hz, format=container.upper())
    return f"speech.{container}", sink.getvalue()


@every_model
async def test_json_transcript(unified: Setup, provider: str, model: str) -> None:
    async with unified.openai() as client:
        raw = await client.audio.transcriptions.with_raw_response.create(model=model, file=recording())
    assert raw.parse().text == UTTERANCES[0]
    assert raw.headers["X-VoiceGW-Model"] == model
    rows = [row for row in await unified.sidecar.rows(at_least=1) if row.status == "ok"]
    [row] = rows
    assert (row.provider, row.modality) == ("deepgram" if provider == "flux" else provider, "stt")


@pytest.mark.parametrize("model", ["openai/whisper-1", *(one for one in MODELS.values() if "gpt-4o" not in one)])
async def test_plain_text(unified: Setup, model: str) -> None:
    async with unified.openai() as client:
        text = await client.audio.transcriptions.create(model=model, file=recording(), response_format="text")
    assert str(text).strip() == UTTERANCES[0]


@pytest.mark.parametrize("model", ["groq/whisper-large-v3-turbo", "deepgram/nova-3", "cartesia/ink-whisper"])
async def test_words_and_their_times(unified: Setup, model: str) -> None:
    async with unified.openai() as client:
        verbose = await client.audio.transcriptions.create(
            model=model, file=recording(), response_format="verbose_json", timestamp_granularities=["word"]
        )
    assert verbose.words is not None
    assert " ".join(word.word for word in verbose.words).split() == UTTERANCES[0].split()
    assert all(word.start <= word.end for word in verbose.words)


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini-transcribe", "deepgram/nova-3", "groq/whisper-large-v3-turbo"])
async def test_streamed_transcript(unified: Setup, model: str) -> None:
    async with unified.openai() as client:
        stream = await client.audio.transcriptions.create(model=model, file=recording(), stream=True)
        events = [event async for event in stream]
    text = "".join(event.delta for event in events if event.type == "transcript.text.delta")
    assert text.strip() == UTTERANCES[0]
    assert events[-1].type == "transcript.text.done"


@pytest.mark.parametrize("container", ["flac", "mp3", "ogg"])
async def test_file_of_another_kind_is_read_for_a_provider_that_takes_streams_only(
    unified: Setup, container: str
) -> None:
    async with unified.openai() as client:
        answer = await client.audio.transcriptions.create(model="deepgram/flux-general-en", file=recording(container))
    assert answer.text == UTTERANCES[0]


async def test_auto_is_the_projects_pick(unified: Setup) -> None:
    async with unified.openai() as client:
        await client.audio.transcriptions.create(model="auto", file=recording())
    [row] = await unified.sidecar.rows(1)
    assert row.provider == "deepgram"


@pytest.mark.parametrize(
    ("model", "file", "options", "words"),
    [
        ("nobody/ears", recording(), {}, "nobody"),
        ("deepgram/nova-3", ("speech.wav", b""), {}, "file"),
        ("deepgram/nova-3", recording(), {"response_format": "srt"}, "response_format"),
        ("deepgram/flux-general-en", ("speech.webm", b"\x1aE\xdf\xa3" + bytes(100)), {}, "webm"),
        ("cartesia/sonic-3", recording(), {"language": "xx-invented"}, "language"),
    ],
)
async def test_bad_input_gets_one_clear_line(
    unified: Setup, model: str, file: tuple[str, bytes], options: dict[str, str], words: str
) -> None:
    async with unified.openai() as client:
        with pytest.raises(APIStatusError) as raised:
            await client.audio.transcriptions.create(model=model, file=file, **options)  # type: ignore[call-overload]
    assert raised.value.status_code == 400
    assert words in raised.value.message


async def test_body_that_is_no_form_is_said(unified: Setup) -> None:
    url = unified.sidecar.url + "/p/acme/v1/audio/transcriptions"
    async with unified.sidecar.http.post(url, json={"model": "auto"}) as response:
        answer = await response.json()
    assert response.status == 400
    assert "multipart/form-data" in answer["error"]["message"]


async def test_provider_that_is_down_gives_way(start_unified: StartUnified) -> None:
    failover = "routing: {failover: true, rosters: {stt: [deepgram, groq], llm: [groq], tts: [cartesia]}}"
    async with start_unified(failover, down=("groq",)) as unified, unified.openai() as client:
        answer = await client.audio.transcriptions.create(model="auto", file=recording())
        assert answer.text == UTTERANCES[0]
        rows = await unified.sidecar.rows(2)
    assert [(row.provider, row.status) for row in rows] == [("groq", "upstream_error"), ("deepgram", "ok")]


async def test_spent_budget_is_transcribed_by_the_local_stand_in(start_unified: StartUnified) -> None:
    spent = "daily_budget: 0.000000001\nbudget_action: throttle\nthrottle_to: {stt: whisper}"
    async with start_unified(spent) as unified, unified.openai() as client:
        await client.audio.transcriptions.create(model="deepgram/nova-3", file=recording())
        raw = await client.audio.transcriptions.with_raw_response.create(model="deepgram/nova-3", file=recording())
        assert raw.headers["X-VoiceGW-Throttled"].startswith("whisper/")
        rows = await unified.sidecar.rows(2)
    assert [row.provider for row in rows] == ["deepgram", "whisper"]
