"""Providers' refusals in OpenAI's words, and answers that are passed on as they are."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable

import aiohttp
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIStatusError

from tests.facades.answered import answered
from tests.replay import Capture, captures
from tests.simulator.conftest import quick
from voicegw_sidecar.events import AudioOut, Event, Final, Finished, Reasoned, TextOut
from voicegw_sidecar.facades.translation import PassThrough, openai_error, refused
from voicegw_sidecar.providers import ALL, Provider
from voicegw_sidecar.simulator import Failure, FailureKind, Simulator
from voicegw_sidecar.wire.frames import ResponseHead, Side

WORDS = {
    "anthropic_messages_error_402": ("Your credit balance is too low.", "billing_error"),
    "cartesia_tts_bytes_error_402_text": ("Payment required: You have run out of credits.", "http_402"),
    "deepgram_prerecorded_error_402": ("Project does not have enough credits.", "ASR_PAYMENT_REQUIRED"),
    "elevenlabs_speech_error_401": ("This request exceeds your quota of 10000.", "quota_exceeded"),
    "ollama_chat_error_404": ("model 'qwen2.5:3b' not found", "http_404"),
    "openai_chat_error_401": ("Incorrect API key provided: sk-no.", "invalid_api_key"),
    "openai_responses_error_429": ("You exceeded your current quota.", "insufficient_quota"),
}
"""Captures of refusals, the sentence in each and its code."""
ENDPOINTS = {
    "anthropic": ("/v1/messages", "anthropic.messages"),
    "assemblyai": ("/v2/transcript", "assemblyai.transcript"),
    "cartesia": ("/tts/bytes", "cartesia.bytes"),
    "deepgram": ("/v1/speak", "deepgram.speech"),
    "elevenlabs": ("/v1/speech-to-text", "elevenlabs.transcribe"),
    "groq": ("/openai/v1/audio/speech", "groq.speech"),
    "kokoro": ("/v1/audio/speech", "kokoro.speech"),
    "ollama": ("/api/chat", "ollama.chat"),
    "openai": ("/v1/chat/completions", "openai.chat"),
    "piper": ("/synthesize", "piper.speech"),
    "whisper": ("/v1/audio/transcriptions", "whisper.transcriptions"),
}
"""An HTTP endpoint of each simulated provider."""


def worded(
    body: bytes, status: int = 400, provider: str = "acme", content_type: str = "", content_encoding: str = ""
) -> tuple[str, str]:
    """The sentence and the code that a caller gets."""
    answer = refused(provider, ResponseHead(status, content_type, content_encoding), (), body)
    error = msgspec.json.decode(answer.body)["error"]
    assert answer.status == (status if status >= 400 else 502)
    assert answer.text == error["message"]
    return error["message"], error["code"]


@pytest.mark.parametrize("capture", [one for one in captures() if one.name in WORDS], ids=str)
def test_the_sentence_is_found_in_captured_refusals(capture: Capture) -> None:
    body = b"".join(line.data for line in capture.lines if line.side is Side.PROVIDER and line.end is None)
    text, code = WORDS[capture.name]
    assert worded(body, capture.head.status, capture.head.provider) == (f"{capture.head.provider}: {text}", code)


@pytest.mark.parametrize("status", [400, 401, 402, 404, 429, 500, 503])
@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.id)
def test_the_sentence_is_found_in_every_providers_own_shape(provider: Provider, status: int) -> None:
    wording = provider.errors.encode(status, "made_up", "The sentence.")
    message, code = worded(wording.body, status, provider.id)
    assert message == f"{provider.id}: The sentence."
    assert code


@pytest.mark.parametrize("status", [400, 401, 402, 404, 422, 429, 500])
@pytest.mark.parametrize("provider", ENDPOINTS)
async def test_the_sentence_is_found_in_simulated_refusals(provider: str, status: int) -> None:
    path, endpoint = ENDPOINTS[provider]
    async with Simulator(quick()) as simulator, aiohttp.ClientSession() as http:
        simulator.fail_next(endpoint, Failure(FailureKind.STATUS, status=status))
        async with http.post(f"{simulator.base_url(provider)}{path}", data=b"{}") as answer:
            assert answer.status == status
            message, _ = worded(await answer.read(), status, provider)
    assert message.endswith(".")
    assert "answered with status" not in message
    assert not set("{}[]") & set(message)


@pytest.mark.parametrize(
    ("body", "text", "code"),
    [
        (b'{"error":{"message":"a"}}', "a", "http_400"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"a"}}', "a", "overloaded_error"),
        (b'{"err_code":"INVALID_AUTH","err_msg":"a"}', "a", "INVALID_AUTH"),
        (b'{"category":"INTERNAL","message":"a","details":"b"}', "a", "INTERNAL"),
        (b'{"error":"a"}', "a", "http_400"),
        (b'{"error_code":"quota_exceeded","title":"Quota","message":"a"}', "a", "quota_exceeded"),
        (b'{"error_code":"quota_exceeded","title":"Quota","message":""}', "Quota", "quota_exceeded"),
        (b'{"detail":"a"}', "a", "http_400"),
        (b'{"detail":{"status":"invalid_api_key","message":"a"}}', "a", "invalid_api_key"),
        (b'{"detail":{"error":"validation_error","message":"a"}}', "a", "http_400"),
        (b'{"detail":[{"loc":["body","text"],"msg":"a","type":"missing"},{"msg":"b"}]}', "a", "http_400"),
        (b'{"detail":[]}', "answered with status 400", "http_400"),
        (b'{"message":{"a":1}}', "answered with status 400", "http_400"),
        (b'{"error":{"error":{"error":{"message":"a"}}}}', "answered with status 400", "http_400"),
        (b'"a"', "a", "http_400"),
        (b"a\n", "a", "http_400"),
        (b"a\r\n\tb  c\n", "a b c", "http_400"),
        (b'{"message":"a\\nb"}', "a b", "http_400"),
        (b"<html>Please sign in.</html>", "answered with status 400", "http_400"),
        (b"", "answered with status 400", "http_400"),
        (b"[]", "answered with status 400", "http_400"),
        (b"7", "answered with status 400", "http_400"),
        (b"null", "answered with status 400", "http_400"),
        (b"[" * 100_000, "[" * 500, "http_400"),
        (b"\xff\xfe", "\ufffd\ufffd", "http_400"),
        (b"a" * 10_000, "a" * 500, "http_400"),
    ],
)
def test_the_sentence_is_found_wherever_it_is(body: bytes, text: str, code: str) -> None:
    assert worded(body) == (f"acme: {text}", code)


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), (" GZIP", gzip.compress), ("deflate", zlib.compress)]
)
def test_the_sentence_is_found_in_a_body_that_came_packed(encoding: str, pack: Callable[[bytes], bytes]) -> None:
    body = pack(b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."}}')
    assert worded(body, 429, content_encoding=encoding) == ("acme: Slow down.", "rate_limit_error")


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(b"a", "br"), (b"no gzip", "gzip"), (gzip.compress(b"a")[:-9], "gzip"), (gzip.compress(b"a" * 10**6), "gzip")],
)
def test_what_cannot_be_unpacked_is_not_repeated(body: bytes, encoding: str) -> None:
    assert worded(body, 429, content_encoding=encoding) == ("acme: answered with status 429", "http_429")


def test_a_page_has_no_sentence() -> None:
    assert worded(b"Please sign in", 503, content_type="Text/HTML; charset=utf-8") == (
        "acme: answered with status 503", "http_503",
    )  # fmt: skip


@pytest.mark.parametrize("status", [300, 302, 304, 307, 399])
@pytest.mark.parametrize("body", [b"", b"Found. Redirecting to /login", b'{"message":"Moved."}'])
def test_who_sends_the_caller_elsewhere_has_not_answered(status: int, body: bytes) -> None:
    sent = (("Location", "http://127.0.0.1:9/x"), ("x-request-id", "req_1"))
    answer = refused("acme", ResponseHead(status), sent, body)
    error = msgspec.json.decode(answer.body)["error"]
    assert (answer.status, error["type"], error["code"]) == (502, "server_error", f"http_{status}")
    assert error["message"] == answer.text == (
        f"acme: answered with status {status}, which leads elsewhere and is not followed; "
        "check providers.acme.base_url"
    )  # fmt: skip
    assert answer.headers == (sent[1], ("Content-Type", "application/json"))


def test_a_handshake_that_is_answered_as_if_it_were_none_is_a_502() -> None:
    assert worded(b"Welcome.", 200) == ("acme: Welcome.", "http_200")
    assert worded(b"", 200) == ("acme: answered with status 200", "http_200")


@given(body=st.binary(max_size=80), encoding=st.sampled_from(["", "gzip", "deflate", "br"]))
def test_any_body_gets_a_sentence(body: bytes, encoding: str) -> None:
    message, code = worded(body, content_encoding=encoding)
    assert message.removeprefix("acme: ")
    assert len(message.splitlines()) == 1
    assert code


def test_what_helps_the_caller_to_try_again_is_kept() -> None:
    sent = (
        ("Retry-After", "3"), ("X-Request-Id", "req_1"), ("request-id", "req_2"), ("x-should-retry", "false"),
        ("Content-Length", "7"), ("Content-Type", "text/html"), ("Set-Cookie", "a=1"), ("dg-error", "x"),
    )  # fmt: skip
    answer = refused("acme", ResponseHead(429), sent, b"{}")
    assert answer.headers == (*sent[:4], ("Content-Type", "application/json"))


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (429, "invalid_request_error"), (500, "server_error")]
)
def test_an_error_has_openais_shape(status: int, kind: str) -> None:
    assert msgspec.json.decode(openai_error("The sentence.", "the_code", status)) == {
        "error": {"message": "The sentence.", "type": kind, "param": None, "code": "the_code"}
    }


def test_a_refusal_is_what_the_sdk_raises() -> None:
    answer = refused("deepgram", ResponseHead(402), (), b'{"err_code":"ASR_PAYMENT_REQUIRED","err_msg":"No credit."}')
    with answered(answer.body, status=answer.status) as client, pytest.raises(APIStatusError) as raised:
        client.audio.speech.create(model="auto", voice="alloy", input="Hello.")
    assert (raised.value.status_code, raised.value.code) == (402, "ASR_PAYMENT_REQUIRED")
    assert "deepgram: No credit." in raised.value.message


def test_headers_pass_but_for_the_length() -> None:
    sent = (("Content-Type", "audio/mpeg"), ("CONTENT-LENGTH", "7"), ("x-mine", "1"))
    assert PassThrough().head(ResponseHead(200, "audio/mpeg"), sent) == (sent[0], sent[2])


@pytest.mark.parametrize(
    ("event", "expected"),
    [(TextOut("a"), True), (AudioOut(None), True), (Final("a"), True), (Reasoned("a"), False), (Finished(), False)],
)
def test_output_is_what_a_listener_could_hear(event: Event, expected: bool) -> None:
    passing = PassThrough()
    assert passing.take(b"bytes", [event]) == b"bytes"
    assert passing.has_output is expected


def test_output_once_heard_stays_heard() -> None:
    passing = PassThrough()
    passing.take(b"", [TextOut("a")])
    passing.take(b"", [Finished()])
    assert passing.has_output


def drops(data: bytes | None) -> bool:
    return data == b"drop"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("text/event-stream", b"data: a\n\ndata: unfinished"),
        ("Text/Event-Stream; charset=utf-8", b"data: a\n\ndata: unfinished"),
        ("application/json", b"data: a\n\ndata: drop\n\ndata: unfinished"),
    ],
)
def test_events_that_nobody_asked_for_are_left_out(content_type: str, expected: bytes) -> None:
    passing = PassThrough(drops)
    passing.head(ResponseHead(200, content_type), ())
    assert passing.take(b"data: a\n\ndata: drop\n\ndata: unfinished", ()) + passing.end(()) == expected


def test_an_answer_that_breaks_is_broken_off() -> None:
    assert PassThrough().broken("the provider broke off", "connection_broken") is None
    assert PassThrough().end(()) == b""
    assert (PassThrough().failure, PassThrough().is_heavy) == (None, False)
