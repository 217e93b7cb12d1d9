"""Which provider can be driven to do what, and that all of it is metered."""

from __future__ import annotations

import msgspec
import pytest

from tests.drivers.live import speech
from voicegw_sidecar.asks import Container, ListenAsk, RecordingAsk, Sound, SpeakAsk, SpeechAsk
from voicegw_sidecar.drivers.base import Drivers, ProviderRequest, SocketAddress
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.drivers.segments import wav_file
from voicegw_sidecar.drivers.table import drivers_of
from voicegw_sidecar.drivers.voices import voice_of
from voicegw_sidecar.facades.chat import Chat
from voicegw_sidecar.providers import ALL, BY_ID, Endpoint, Provider
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import RequestHead

LISTENS = [
    ("deepgram", "nova-3"), ("deepgram", "nova-2-phonecall"), ("deepgram", "flux-general-en"),
    ("assemblyai", "universal-streaming"), ("assemblyai", "universal-3-6-pro"), ("openai", "gpt-4o-transcribe"),
    ("openai", "gpt-realtime-whisper"), ("elevenlabs", "scribe_v2_realtime"), ("cartesia", "ink-2"),
    ("cartesia", "ink-whisper"),
]  # fmt: skip
"""Models that stream."""
TRANSCRIBES = [
    ("deepgram", "nova-3"), ("assemblyai", "universal-2"), ("assemblyai", "universal-3-6-pro"), ("openai", "whisper-1"),
    ("openai", "gpt-4o-mini-transcribe"), ("groq", "whisper-large-v3-turbo"), ("elevenlabs", "scribe_v1"),
    ("elevenlabs", "scribe_v2"), ("cartesia", "ink-whisper"), ("whisper", "large-v3"),
]  # fmt: skip
"""Models that take recordings."""
STREAMS_ONLY = [("deepgram", "flux-general-en"), ("assemblyai", "universal-streaming"), ("cartesia", "ink-2"),
                ("elevenlabs", "scribe_v2_realtime"), ("openai", "gpt-realtime-whisper")]  # fmt: skip
RECORDINGS_ONLY = [("openai", "whisper-1"), ("groq", "whisper-large-v3-turbo"), ("whisper", "large-v3"),
                   ("assemblyai", "universal-2"), ("elevenlabs", "scribe_v1")]  # fmt: skip
SPEAKS = [("cartesia", "sonic-3"), ("elevenlabs", "eleven_flash_v2_5"), ("elevenlabs", "eleven_v3"),
          ("deepgram", "aura-2-thalia-en"), ("deepgram", "flux-alexis-en")]  # fmt: skip
"""Models whose utterances go over one socket."""
SAYS = [*SPEAKS, ("openai", "gpt-4o-mini-tts"), ("openai", "tts-1"), ("groq", "canopylabs/orpheus-v1-english"),
        ("kokoro", "kokoro"), ("piper", ""), ("piper", "en_US-lessac-medium")]  # fmt: skip
"""Models that speak a whole text."""
SILENT = ["anthropic", "assemblyai", "ollama", "whisper"]
AUDIO = wav_file(speech(16_000), 16_000)
DEFAULTS = [(provider, modality, model) for provider in ALL for modality, model in provider.default_models]


def drivers(provider: str) -> Drivers:
    return drivers_of(provider, is_declared=False)


def metered(
    provider: str, method: str, path: str, query: tuple[tuple[str, str], ...] = ()
) -> tuple[Endpoint, Modality]:
    """The endpoint at an address, and what kind of work it is there."""
    endpoint = BY_ID[provider].endpoint(method, path, is_socket=method == "GET")
    assert endpoint is not None, f"{provider} has no endpoint at {method} {path}"
    return endpoint, endpoint.modality_of(RequestHead(method, path, query))


def socket(provider: str, address: SocketAddress) -> Modality:
    return metered(provider, "GET", address.path, address.query)[1]


@pytest.mark.parametrize(("provider", "model"), LISTENS)
def test_models_that_stream_are_dialled_where_they_are_metered(provider: str, model: str) -> None:
    factory = drivers(provider).listen(model)
    assert factory is not None
    assert socket(provider, factory(ListenAsk(model, 16_000)).address) is Modality.STT


@pytest.mark.parametrize(("provider", "model"), TRANSCRIBES)
def test_models_that_take_recordings_are_asked_where_they_are_metered(provider: str, model: str) -> None:
    factory = drivers(provider).recording(model)
    assert factory is not None
    driver = factory(RecordingAsk(model, AUDIO, "a.wav", "audio/wav"))
    request = driver.request()
    if provider == "assemblyai":  # the upload costs nothing; the job does
        assert (request.method, request.path) == ("POST", "/v2/upload")
        following = driver.answered(b'{"upload_url":"https://example.com/1"}')
        assert isinstance(following, ProviderRequest)
        request = following
    assert metered(provider, request.method, request.path)[1] is Modality.STT


def test_asking_for_a_job_is_no_work_of_its_own() -> None:
    factory = drivers("assemblyai").recording("universal-2")
    assert factory is not None
    driver = factory(RecordingAsk("universal-2", AUDIO, "a.wav", "audio/wav"))
    question = driver.answered(b'{"id":"job-1","status":"queued"}')
    assert isinstance(question, ProviderRequest)
    endpoint = BY_ID["assemblyai"].endpoint(question.method, question.path, is_socket=False)
    assert endpoint is not None
    assert endpoint.reads_job is not None


@pytest.mark.parametrize(("provider", "model"), STREAMS_ONLY)
def test_models_that_stream_only(provider: str, model: str) -> None:
    assert drivers(provider).recording(model) is None
    assert drivers(provider).listen(model) is not None


@pytest.mark.parametrize(("provider", "model"), RECORDINGS_ONLY)
def test_models_that_take_recordings_only(provider: str, model: str) -> None:
    assert drivers(provider).listen(model) is None
    assert drivers(provider).recording(model) is not None


@pytest.mark.parametrize(("provider", "model"), SPEAKS)
def test_models_that_speak_are_dialled_where_they_are_metered(provider: str, model: str) -> None:
    factory = drivers(provider).speak
    assert factory is not None
    assert socket(provider, factory(SpeakAsk(model, "", 24_000)).address) is Modality.TTS


@pytest.mark.parametrize("container", [Container.PCM, Container.WAV, Container.MP3, Container.OPUS, Container.FLAC])
@pytest.mark.parametrize(("provider", "model"), SAYS)
def test_models_that_speak_a_text_are_asked_where_they_are_metered(
    provider: str, model: str, container: Container
) -> None:
    factory = drivers(provider).speech
    assert factory is not None
    asked = factory(SpeechAsk(model, "", "Hello there.", Sound(container))).request
    assert metered(provider, asked.method, asked.path, asked.query)[1] is Modality.TTS


def test_utterances_on_one_socket_are_for_those_who_have_one() -> None:
    assert {one.id for one in ALL if drivers(one.id).speak is not None} == {provider for provider, _ in SPEAKS}
    assert {one.id for one in ALL if drivers(one.id).speech is not None} == {provider for provider, _ in SAYS}


@pytest.mark.parametrize("provider", SILENT)
def test_who_does_not_speak_has_no_voices(provider: str) -> None:
    found = drivers(provider)
    assert (found.speak, found.speech, found.voices) == (None, None, None)


@pytest.mark.parametrize("provider", ["anthropic", "ollama", "kokoro", "piper"])
def test_who_does_not_listen(provider: str) -> None:
    assert (drivers(provider).listen("m"), drivers(provider).recording("m")) == (None, None)


@pytest.mark.parametrize("provider", sorted({provider for provider, _ in SAYS}))
@pytest.mark.parametrize("voice", [None, "alloy", "onyx"])
def test_who_speaks_has_the_usual_voices(provider: str, voice: str | None) -> None:
    found = drivers(provider)
    assert found.voices is not None
    name = voice_of(provider, found.voices, voice)
    assert name == found.voices.default or found.voices.is_name(name)


@pytest.mark.parametrize(
    ("provider", "modality", "model"), DEFAULTS, ids=[f"{one.id}-{modality}" for one, modality, _ in DEFAULTS]
)
def test_every_default_model_can_be_driven(provider: Provider, modality: Modality, model: str) -> None:
    found = drivers(provider.id)
    match modality:
        case Modality.STT:
            listen, recording = found.listen(model), found.recording(model)
            assert listen is not None or recording is not None
            if listen is not None:
                assert socket(provider.id, listen(ListenAsk(model, 16_000)).address) is Modality.STT
            if recording is not None:
                assert recording(RecordingAsk(model, AUDIO, "a.wav", "audio/wav")).request().method == "POST"
        case Modality.TTS:
            assert found.speech is not None
            assert found.speech(SpeechAsk(model, "", "Hello.", Sound(Container.PCM, 24_000))).request.method == "POST"
            if found.speak is not None:
                assert found.speak(SpeakAsk(model, "", 24_000)).speak("Hello.")
        case Modality.LLM:
            chat = Chat(b'{"messages":[{"role":"user","content":"Hello"}]}', "application/json")
            request = chat.attempt(Leg(modality, provider, model), "1f", 0, includes_usage=True).request
            assert msgspec.json.decode(request.body)["model"] == model
            assert metered(provider.id, request.method, request.path)[1] is Modality.LLM
        case _:
            pytest.fail(f"{provider.id} has a default model of {modality}, which is never routed")


def test_who_is_not_known_can_do_nothing() -> None:
    found = drivers("vllm")
    assert (found.listen("m"), found.recording("m"), found.speak, found.speech) == (None, None, None, None)


def test_a_declared_server_is_driven_by_openais_protocol() -> None:
    found = drivers_of("vllm", is_declared=True)
    assert found.speech is not None
    assert found.speech(SpeechAsk("m", "", "Hello.", Sound(Container.MP3))).request.path == "/v1/audio/speech"
    recording = found.recording("m")
    assert recording is not None
    request = recording(RecordingAsk("m", AUDIO, "a.wav", "audio/wav")).request()
    assert request.path == "/v1/audio/transcriptions"
    assert (found.listen("m"), found.speak) == (None, None)
