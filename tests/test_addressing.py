"""Request targets and what they address: projects, sessions, providers, paths, and the slips that are mended."""

from __future__ import annotations

import pytest

from voicegw_sidecar.addressing import Target, parse
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.providers import registry

PROVIDERS = registry(["my_vllm"])


def target(raw: str, socket: bool = False, method: str = "GET", **headers: str) -> Target:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return parse(raw, named, PROVIDERS, method=method, is_socket=socket)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("/openai/v1/chat/completions", (None, None, "openai", "/v1/chat/completions", "")),
        ("/p/acme/openai/v1/models", ("acme", None, "openai", "/v1/models", "")),
        ("/p/acme/s/call-42/cartesia/tts/websocket?a=1", ("acme", "call-42", "cartesia", "/tts/websocket", "a=1")),
        (
            "/s/AJ_1.x:y/deepgram/v1/listen?model=nova-3&x=%2F",
            (None, "AJ_1.x:y", "deepgram", "/v1/listen", "model=nova-3&x=%2F"),
        ),
        ("//p//acme//openai//v1//x", ("acme", None, "openai", "/v1/x", "")),
        ("/my_vllm/v1/chat/completions", (None, None, "my_vllm", "/v1/chat/completions", "")),
        ("/openai/chat/completions", (None, None, "openai", "/v1/chat/completions", "")),
        ("/openai/v1/a%2Fb%20c", (None, None, "openai", "/v1/a%2Fb%20c", "")),
        ("/tts/websocket?cartesia_version=1", (None, None, "cartesia", "/tts/websocket", "cartesia_version=1")),
        ("/stt/websocket", (None, None, "cartesia", "/stt/websocket", "")),
        ("/stt/turns/websocket", (None, None, "cartesia", "/stt/turns/websocket", "")),
        ("/tts/bytes", (None, None, "cartesia", "/tts/bytes", "")),
        ("/v1/listen", (None, None, "deepgram", "/v1/listen", "")),
        ("/v2/speak", (None, None, "deepgram", "/v2/speak", "")),
        ("/v3/ws", (None, None, "assemblyai", "/v3/ws", "")),
        ("/v1/messages", (None, None, "anthropic", "/v1/messages", "")),
        ("/v1/text-to-speech/voice/stream", (None, None, "elevenlabs", "/v1/text-to-speech/voice/stream", "")),
        ("/groq/openai/v1/openai/v1/chat/completions", (None, None, "groq", "/openai/v1/chat/completions", "")),
        ("/groq/chat/completions", (None, None, "groq", "/openai/v1/chat/completions", "")),
        ("/groq/openai/audio/speech", (None, None, "groq", "/openai/v1/audio/speech", "")),
        ("/groq/v1/models", (None, None, "groq", "/openai/v1/models", "")),
        ("/openai/v1/v1/responses", (None, None, "openai", "/v1/responses", "")),
        ("/elevenlabs/text-to-speech/v", (None, None, "elevenlabs", "/v1/text-to-speech/v", "")),
        ("/v1/realtime?model=gpt-realtime", (None, None, "openai", "/v1/realtime", "model=gpt-realtime")),
        (
            "/openai/v1/realtime?intent=transcription&model=gpt-4o-transcribe",
            (None, None, "openai", "/v1/realtime", "intent=transcription"),
        ),
    ],
)
def test_targets(raw: str, expected: tuple[str | None, ...]) -> None:
    found = target(raw)
    assert (found.project, found.session_id, found.provider, found.path, found.query) == expected


def test_the_bare_root_of_a_client_that_takes_full_endpoints_is_mended_for_sockets() -> None:
    assert target("/deepgram?model=nova-3", socket=True).path == "/v1/listen"
    assert target("/deepgram/?model=nova-3", socket=True).path == "/v1/listen"
    assert target("/deepgram?model=nova-3", method="POST").path == "/v1/listen"
    assert target("/deepgram?model=nova-3").path == "/"


@pytest.mark.parametrize("root", ["/openai", "/openai/", "/openai/v1", "/p/acme/openai/v1"])
def test_a_socket_to_openais_bare_root_is_told_by_its_model_or_its_client(root: str) -> None:
    assert target(f"{root}?model=gpt-4.1", socket=True, user_agent="Python/3.11 aiohttp/3.14").path == "/v1/responses"
    assert target(f"{root}?model=gpt-realtime", socket=True).path == "/v1/realtime"
    assert target(f"{root}?model=my-model", socket=True, user_agent="LiveKit Agents").path == "/v1/realtime"
    assert target(root).path in ("/", "/v1")


@pytest.mark.parametrize("root", ["/v1", "/v1/", "/p/acme/v1", "/v1/realtime"])
def test_a_socket_to_the_unified_root_is_realtime(root: str) -> None:
    found = target(f"{root}?model=openai/gpt-realtime", socket=True)
    assert (found.provider, found.path, found.query) == ("openai", "/v1/realtime", "model=gpt-realtime")


def test_the_path_goes_before_headers_and_the_sidecars_before_livekits() -> None:
    found = target("/p/acme/openai/v1/x", x_voicegw_project="other", x_voicegw_session="s1", x_livekit_job_id="AJ_1")
    assert (found.project, found.session_id) == ("acme", "s1")
    found = target("/openai/v1/x", x_voicegw_project="other", x_livekit_job_id="AJ_1", x_livekit_room_id="RM_1")
    assert (found.project, found.session_id) == ("other", "AJ_1")
    assert target("/openai/v1/x", x_livekit_room_id="RM_1").session_id == "RM_1"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        ("/openai/../admin", "bad_request"), ("/openai/%2e%2e/x", "bad_request"), ("/openai/v1/./x", "bad_request"),
        ("/openai/..%2fx", "bad_request"), ("/openai/%5cevil", "bad_request"), ("/openai/\\evil", "bad_request"),
        ("/openai/a%0d%0aX: y", "bad_request"), ("/openai/%00", "bad_request"),
        ("/p/ACME/openai/v1", "bad_request"), ("/p/a.b/openai/v1", "bad_request"), ("/p/%2e%2e/x", "bad_request"),
        ("/p/" + "a" * 65 + "/openai/v1", "bad_request"), ("/s/-x/openai/v1", "bad_request"),
        ("/", "not_found"), ("/v1/nothing", "not_found"), ("/nope/v1", "unknown_provider"), ("/p/acme", "not_found"),
        ("/evil.test:80/x", "unknown_provider"), ("/@evil/x", "unknown_provider"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(raw: str, code: str) -> None:
    with pytest.raises(SidecarError) as caught:
        target(raw)
    assert caught.value.code == code
    assert "\n" not in caught.value.message
