"""The real OpenAI SDK at ``/v1/audio/transcriptions``, answered by every provider that listens."""

from __future__ import annotations

import asyncio
import io
import struct
import wave
from collections.abc import Awaitable, Callable

import pytest
import soundfile
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from openai import APIStatusError

from tests.sidecar import raw_server
from tests.simulator.conftest import UTTERANCES, quick
from tests.simulator.sounds import PCM, buzz
from tests.unified.conftest import Setup, StartUnified
from tests.unified.test_failover import answers
from voicegw_sidecar import legs
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.facades.transcription import Transcribe
from voicegw_sidecar.providers import registry
from voicegw_sidecar.simulator import Failure, FailureKind, Listening
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.unified import decoding, transcribe
from voicegw_sidecar.wire.multipart import Part, form

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


UNKNOWN = b"data\xff\xff\xff\xff"  # how long the samples are, as streaming writers state it
FAILOVER = "routing: {{failover: true, rosters: {{stt: [{}], llm: [groq], tts: [cartesia]}}}}"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first word is waited for 20 ms, whatever a provider's usual is."""
    monkeypatch.setattr(legs, "LEAST_PATIENCE_MS", 20.0)
    monkeypatch.setattr(legs, "_PATIENCE_FACTOR", 0.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("first", ["groq", "openai/whisper-1", "deepgram/flux-general-en"])
async def test_a_provider_is_given_the_time_to_hear_a_recording(start_unified: StartUnified, first: str) -> None:
    """It takes 0.6 s here: less than the recording lasts, and more than a first word is waited for."""
    slow = Listening(final_ms=600.0, utterances=UTTERANCES)
    roster = FAILOVER.format(f"{first}, deepgram")
    async with start_unified(roster, script=quick(transcription=slow, turns=slow)) as unified:
        async with unified.sidecar.http.post(unified.sidecar.url + "/v1/sessions", json={
            "project": "acme", "session_id": "call-1", "stt": first}) as made:  # fmt: skip
            assert made.status == 201, await made.text()
        async with unified.openai("/p/acme/s/call-1") as client:
            answer = await client.audio.transcriptions.create(model="auto", file=recording())
        rows = await unified.sidecar.rows(1)
    assert answer.text == UTTERANCES[0]
    assert [(row.provider, row.status) for row in rows] == [(first.partition("/")[0], "ok")]


@pytest.mark.usefixtures("impatient")
async def test_a_provider_that_is_silent_for_longer_gives_way(start_unified: StartUnified) -> None:
    async with start_unified(FAILOVER.format("deepgram, groq")) as unified:
        unified.simulator.fail_next("groq.transcriptions", Failure(FailureKind.HANG))
        async with unified.openai() as client:
            answer = await client.audio.transcriptions.create(model="auto", file=recording(), timeout=10)
        rows = await unified.sidecar.rows(2)
    assert answer.text == UTTERANCES[0]
    assert sorted((row.provider, row.status, row.error) for row in rows) == [
        ("deepgram", "ok", None), ("groq", "cancelled", "failover_silent")]  # fmt: skip


@pytest.mark.parametrize(
    ("audio", "expected_ms"),
    [
        (recording()[1], 1000 + len(buzz()) / 32),  # 16 bits at 16 kHz: 32 bytes a millisecond
        (recording()[1].replace(b"data" + struct.pack("<I", len(buzz())), UNKNOWN), 1000 + len(buzz()) / 32),
        (bytes(6000), 1000 + 3000),
    ],
    ids=["wav", "wav of unknown length", "another"],
)  # fmt: skip
def test_patience_is_as_long_as_the_recording_besides(audio: bytes, expected_ms: float) -> None:
    upload = form([], Part("file", True, audio, "a", "audio/x"))
    leg = Leg(Modality.STT, registry(("groq",))["groq"], "whisper-large-v3", patience_ms=1000.0)
    assert transcribe.patience_ms(leg, Transcribe(upload.body, upload.content_type)) == expected_ms


async def upload(unified: Setup, model: str, kind: bytes = b"audio/wav") -> tuple[int, str]:
    """Send a form whose file has a type of these bytes; return the status and body of the answer."""
    parts = (
        b'Content-Disposition: form-data; name="model"\r\n\r\n' + model.encode(),
        b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: ' + kind + b"\r\n\r\n"
        + recording()[1],
    )  # fmt: skip
    body = b"".join(b"--XX\r\n" + part + b"\r\n" for part in parts) + b"--XX--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=XX"}
    url = unified.sidecar.url + "/p/acme/v1/audio/transcriptions"
    async with unified.sidecar.http.post(url, data=body, headers=headers) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("kind", [b"audio/wav\0x", b"audio/wav\rX: 1", b"audio/\xff", b""])
@pytest.mark.parametrize("model", ["deepgram/nova-3", "groq/whisper-large-v3-turbo"])
async def test_a_type_that_is_none_does_no_harm(unified: Setup, model: str, kind: bytes) -> None:
    assert (await upload(unified, model, kind))[0] == 200


Talk = Callable[[web.WebSocketResponse], Awaitable[object]]


def flux(talk: Talk) -> TestServer:
    """A Deepgram Flux of our own: it says hello, and does something when it is told that no more comes."""

    async def listen(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str('{"type":"Connected","request_id":"x","sequence_id":0}')
        async for message in socket:
            if message.type is WSMsgType.TEXT and "CloseStream" in message.data:
                await talk(socket)
                break
        return socket

    app = web.Application()
    app.router.add_get("/v2/listen", listen)
    return TestServer(app)


TURN = (
    '{"type":"TurnInfo","request_id":"x","sequence_id":1,"event":"EndOfTurn","turn_index":0,"audio_window_start":0.0,'
    '"audio_window_end":1.0,"transcript":"Where is my order","words":[],"end_of_turn_confidence":0.9}'
)
FAILED = '{"type":"Error","sequence_id":2,"code":"INTERNAL_SERVER_ERROR","description":"out of memory"}'


async def breaks_off(socket: web.WebSocketResponse) -> None:
    await socket.send_str(TURN)
    await socket.close(code=1011, message=b"internal error")


async def fails(socket: web.WebSocketResponse) -> None:
    await socket.send_str(TURN)
    await socket.send_str(FAILED)
    await socket.close()


async def says_no_more(socket: web.WebSocketResponse) -> None:
    await socket.send_str(TURN)
    await socket.receive()


@pytest.mark.parametrize("talk", [breaks_off, fails, says_no_more])
async def test_half_of_a_transcript_is_not_given_for_the_whole(
    start_unified: StartUnified, monkeypatch: pytest.MonkeyPatch, talk: Talk
) -> None:
    if talk is says_no_more:
        monkeypatch.setattr(transcribe, "_LEAST_FINISH_S", 0.1)
    async with flux(talk) as server:
        more = f"providers: {{deepgram: {{base_url: '{server.make_url('')}'}}}}"
        async with start_unified(more) as unified:
            status, body = await upload(unified, "deepgram/flux-general-en")
    assert status in (502, 504)
    assert "order" not in body


async def test_what_is_left_of_a_stream_is_waited_for(unified: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    finish = transcribe.SocketHearer.finish

    async def told(self: transcribe.SocketHearer, *, within_s: float, is_unheard: bool = True) -> None:
        asked.append(within_s)
        await finish(self, within_s=within_s, is_unheard=is_unheard)

    monkeypatch.setattr(transcribe.SocketHearer, "finish", told)
    assert (await upload(unified, "deepgram/flux-general-en"))[0] == 200
    monkeypatch.setattr(transcribe, "_LEAST_FINISH_S", 0.1)
    assert (await upload(unified, "deepgram/flux-general-en"))[0] == 200
    assert asked == [30.0, len(buzz()) / 32_000]


async def test_more_recordings_than_can_be_unpacked_are_refused(
    unified: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "OPEN_LIMIT", 0)
    async with unified.openai() as client:
        with pytest.raises(APIStatusError) as raised:
            await client.audio.transcriptions.create(model="deepgram/flux-general-en", file=recording())
        await client.audio.transcriptions.create(model="deepgram/nova-3", file=recording())  # is sent as it is
    assert raised.value.status_code == 503
    assert raised.value.response.headers["X-VoiceGW-Error"] == "busy"
    assert raised.value.response.headers["Retry-After"] == "5"
    assert "0 recordings are being unpacked" in raised.value.message


async def test_recording_broken_in_its_middle_is_the_caller_s_fault(unified: Setup) -> None:
    name, file = recording("flac")
    async with unified.openai() as client:
        with pytest.raises(APIStatusError) as raised:
            await client.audio.transcriptions.create(
                model="deepgram/flux-general-en", file=(name, file[: len(file) // 2] + bytes(len(file) // 2))
            )
    assert raised.value.status_code == 400
    assert "broken file" in raised.value.message


async def test_rate_that_no_recording_has_is_the_caller_s_fault(unified: Setup) -> None:
    name, file = recording()
    file = file.replace(struct.pack("<II", 16_000, 32_000), struct.pack("<II", 300_000, 600_000))
    async with unified.openai() as client:
        with pytest.raises(APIStatusError) as raised:
            await client.audio.transcriptions.create(model="deepgram/flux-general-en", file=(name, file))
    assert raised.value.status_code == 400
    assert "300000 Hz" in raised.value.message


@pytest.mark.parametrize("model", ["deepgram/nova-3", "deepgram/flux-general-en"])
async def test_stand_in_that_cannot_be_dialled_is_said(start_unified: StartUnified, model: str) -> None:
    spent = "daily_budget: 0.000000001\nbudget_action: throttle\nthrottle_to: {stt: whisper}"
    async with start_unified(spent, down=("whisper",)) as unified, unified.openai() as client:
        await client.audio.transcriptions.create(model=model, file=recording())
        with pytest.raises(APIStatusError) as raised:
            await client.audio.transcriptions.create(model=model, file=recording())
    assert raised.value.status_code == 402
    assert raised.value.response.headers["X-VoiceGW-Error"] == "budget_throttled"
    assert raised.value.response.headers["X-VoiceGW-Throttle-To"].startswith("whisper/")


@pytest.mark.parametrize("status", ["302 Found", "101 Switching Protocols"])
@pytest.mark.parametrize("provider", ["openai", "groq", "deepgram", "assemblyai"])
async def test_provider_that_sends_the_caller_elsewhere_has_no_answer(
    start_unified: StartUnified, provider: str, status: str
) -> None:
    async with raw_server(answers(status.encode(), b"Location: http://127.0.0.1:9/x\r\n")) as elsewhere:
        async with start_unified(f"providers: {{{provider}: {{base_url: '{elsewhere}'}}}}") as unified:
            code, body = await asyncio.wait_for(upload(unified, MODELS[provider]), 10)
    assert code == 502
    assert f"{provider}: answered with status {status[:3]}" in body
