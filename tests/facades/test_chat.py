"""Chat requests: read, put to each kind of provider, and Anthropic's answers written anew."""

from __future__ import annotations

import contextlib
import gzip
import itertools
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.facades.anything import json_like
from tests.facades.test_openai_chat import heard
from tests.replay import captures
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest, UpstreamSilent
from voicegw_sidecar.events import Event, Failed, Finished, TextOut
from voicegw_sidecar.facades.chat import Chat, ChatTranslation
from voicegw_sidecar.facades.translation import Attempt, PassThrough, Translation
from voicegw_sidecar.providers import BY_ID, registry
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

SAID = [{"role": "user", "content": "Hello"}]
STREAMED: dict[str, Any] = {"messages": SAID, "stream": True}
USAGE_CHUNK = b'data: {"object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":1}}\n\n'
TEXT_CHUNK = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}],"usage":null}\n\n'
EVENTS = ResponseHead(200, "text/event-stream; charset=utf-8")
[CACHED_TOOL] = captures("anthropic_messages_sse_cached_tool")
ANSWER = b"".join(line.data for line in CACHED_TOOL.lines if line.side is Side.PROVIDER and line.end is None)


def chat(**members: Any) -> Chat:
    return Chat(msgspec.json.encode({"messages": SAID} | members), "application/json")


def leg(provider: str, model: str = "the-model", *, is_declared: bool = False) -> Leg:
    return Leg(Modality.LLM, registry((provider,))[provider], model, is_declared=is_declared)


def attempt(provider: str, *, includes_usage: bool = True, is_declared: bool = False, **members: Any) -> Attempt:
    asked = chat(model="auto", **members)
    return asked.attempt(leg(provider, is_declared=is_declared), "1f", 1_790_000_000, includes_usage=includes_usage)


def body_of(found: Attempt) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(found.request.body)
    return body


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: "),
        (b"{", "body: "),
        (b"\xff", "body: "),
        (b"[]", "body: Expected `object`, got `array`"),
        (b'{"messages":[{"role":"user","content":"\xff"}]}', "body: "),
        (b'{"messages":7}', "body: Expected `array`, got `int` - at `$.messages`"),
        (b'{"messages":[{"role":"user","content":7}]}', "body: Expected `str | array | null`, got `int`"),
        (b'{"a":' + b"[" * 100_000, "body: "),
        (b"{}", "messages: found none; expected at least one message"),
        (b'{"messages":[]}', "messages: found none; expected at least one message"),
    ],
)
def test_what_is_no_chat_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        Chat(body, "application/json")
    assert caught.value.message.startswith(message)
    assert len(caught.value.message) < 200


@settings(max_examples=300, deadline=None)
@given(body=st.one_of(st.binary(max_size=60), json_like("model", "messages", "stream", "tools", "role", "content")))
def test_nothing_but_a_bad_request_is_raised(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        asked = Chat(body, "application/json")
        for provider in ("openai", "anthropic", "deepgram"):
            with contextlib.suppress(BadRequest):
                asked.attempt(leg(provider), "1f", 0, includes_usage=True)


@pytest.mark.parametrize(("members", "expected"), [({}, None), ({"model": "auto"}, "auto"), ({"model": None}, None)])
def test_the_model_that_is_wanted(members: dict[str, Any], expected: str | None) -> None:
    assert chat(**members).wanted == expected


@pytest.mark.parametrize(
    ("provider", "is_declared", "path"),
    [("openai", False, "/v1/chat/completions"), ("groq", False, "/openai/v1/chat/completions"),
     ("ollama", False, "/v1/chat/completions"), ("vllm", True, "/v1/chat/completions")],
)  # fmt: skip
def test_those_who_speak_openais_protocol_get_the_callers_own_request(
    provider: str, is_declared: bool, path: str
) -> None:
    members: dict[str, Any] = {
        "temperature": 0.5,
        "metadata": {"call": "7"},
        "messages": [{"role": "user", "content": "é", "x": 1}],
    }
    found = attempt(provider, is_declared=is_declared, **members)
    request = found.request
    assert (request.method, request.path, request.query) == ("POST", path, ())
    assert request.headers == (("Content-Type", "application/json"),)
    assert body_of(found) == members | {"model": "the-model"}
    assert found.is_openai_shaped


@pytest.mark.parametrize("provider", ["deepgram", "cartesia", "elevenlabs", "assemblyai", "piper"])
def test_those_who_have_no_language_model_are_refused(provider: str) -> None:
    with pytest.raises(BadRequest) as caught:
        attempt(provider)
    expected = f"model: {provider} is no LLM provider; expected one that is, such as openai"
    assert caught.value.message == expected


@pytest.mark.parametrize(
    ("members", "includes_usage", "asks", "shows"),
    [
        (STREAMED, True, True, False),
        (STREAMED, False, False, True),
        ({**STREAMED, "stream_options": {"include_usage": True}}, True, True, True),
        ({**STREAMED, "stream_options": {"include_usage": True}}, False, True, True),
        ({"messages": SAID}, True, False, True),
    ],
)
def test_usage_is_asked_for_and_shown_to_who_asked(
    members: dict[str, Any], includes_usage: bool, asks: bool, shows: bool
) -> None:
    found = attempt("openai", includes_usage=includes_usage, **members)
    assert bool(body_of(found).get("stream_options", {}).get("include_usage")) is asks
    translation = found.translation
    translation.head(EVENTS, ())
    passed = translation.take(TEXT_CHUNK + USAGE_CHUNK, ()) + translation.end(())
    assert passed == (TEXT_CHUNK + USAGE_CHUNK if shows else TEXT_CHUNK)


def test_an_answer_in_json_passes_as_it_is() -> None:
    translation = attempt("openai", **STREAMED).translation
    assert isinstance(translation, PassThrough)
    translation.head(ResponseHead(200, "application/json"), ())
    assert translation.take(USAGE_CHUNK, ()) == USAGE_CHUNK


def test_claude_is_asked_in_anthropics_words() -> None:
    found = attempt("anthropic", stream=True)
    assert found.request.path == "/v1/messages"
    assert (body_of(found)["model"], body_of(found)["stream"]) == ("the-model", True)
    assert isinstance(found.translation, ChatTranslation)
    assert not found.translation.is_heavy
    assert not found.is_openai_shaped


def test_claudes_answer_says_when_it_was_made_and_by_which_model() -> None:
    answer = msgspec.json.decode(attempt("anthropic").translation.end([TextOut("Hi")]))
    assert (answer["id"], answer["created"], answer["model"]) == ("chatcmpl-1f", 1_790_000_000, "the-model")


def translated(
    pieces: list[bytes], *, stream: bool, head: ResponseHead = EVENTS, translation: Translation | None = None
) -> bytes:
    """Anthropic's own bytes through its dialect and the translation, as the caller gets them."""
    translation = translation or attempt("anthropic", stream=stream).translation
    endpoint = BY_ID["anthropic"].endpoint("POST", "/v1/messages", is_socket=False)
    assert endpoint is not None
    dialect = endpoint.dialect(RequestHead("POST", "/v1/messages"))
    dialect.answered(head)
    translation.head(head, ())
    out = b"".join(
        translation.take(piece, dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, piece))) for piece in pieces
    )
    return out + translation.end(dialect.ended(Side.PROVIDER, End.COMPLETE))


def test_claudes_answer_comes_in_openais_chunks() -> None:
    text, [(id_, name, arguments)], reason = heard(translated([ANSWER], stream=True))
    assert (text, id_, name, reason) == ("", "toolu_01T1x1fJ34qAmk2tNTrN7Up6", "get_weather", "tool_calls")
    assert msgspec.json.decode(arguments) == {"location": "San Francisco, CA"}


@given(borders=st.lists(st.integers(0, len(ANSWER)), max_size=8).map(sorted))
def test_any_split_of_claudes_answer_gives_the_same(borders: list[int]) -> None:
    edges = [0, *borders, len(ANSWER)]
    pieces = [ANSWER[start:stop] for start, stop in itertools.pairwise(edges)]
    assert translated(pieces, stream=True) == translated([ANSWER], stream=True)


LAST = ANSWER.rindex(b"event: message_stop")


@pytest.mark.parametrize("length", [0, 1, 300, ANSWER.index(b"tool_use"), LAST - 10, LAST, LAST + 20])
def test_a_stream_that_is_cut_short_is_not_completed(length: int) -> None:
    translation = attempt("anthropic", stream=True).translation
    out = translated([ANSWER[:length]], stream=True, translation=translation)
    assert translation.failure is not None
    assert translation.failure.code == "incomplete_answer"
    assert b"[DONE]" not in out
    assert b'"finish_reason":"' not in out


@pytest.mark.parametrize("length", [0, 1, 300, LAST])
def test_a_stream_that_is_cut_short_is_no_whole_answer(length: int) -> None:
    with pytest.raises(UpstreamSilent) as raised:
        translated([ANSWER[:length]], stream=False)
    assert raised.value.message == "anthropic: the answer broke off before its end; call again"


JSON = ResponseHead(200, "application/json")
MESSAGE = b'{"type":"message","role":"assistant","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn"}'
NOTHING = b'{"type":"message","role":"assistant","content":[],"stop_reason":"end_turn"}'


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "anthropic: the answer is empty or no message; call again"),
        (b"<html>Please sign in.</html>", "anthropic: the answer is empty or no message; call again"),
        (MESSAGE[:-9], "anthropic: the answer is empty or no message; call again"),
        (b'{"detail":"gone"}', "anthropic answered with no message; check its address, or call again"),
        (b"{}", "anthropic answered with no message; check its address, or call again"),
        (b'{"type":"error","error":{"type":"api_error","message":"Boom."}}', "anthropic: Boom."),
        (b'{"type":"error","error":{"type":"api_error"}}', "anthropic: api_error"),
    ],
)
@pytest.mark.parametrize("kind", ["", "application/json"])
def test_what_is_no_message_is_no_answer(body: bytes, message: str, kind: str) -> None:
    with pytest.raises(UpstreamSilent) as raised:
        translated([body], stream=False, head=ResponseHead(200, kind))
    assert raised.value.message == message


@pytest.mark.parametrize(("body", "said"), [(MESSAGE, "Hi."), (NOTHING, None)])
def test_a_message_is_an_answer_even_where_it_says_nothing(body: bytes, said: str | None) -> None:
    packed = gzip.compress(body)
    for content, head in ((body, JSON), (packed, ResponseHead(200, "application/json", "gzip"))):
        choice = msgspec.json.decode(translated([content], stream=False, head=head))["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == (said, "stop")


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("head", "message"),
    [
        (ResponseHead(200, "text/html; charset=utf-8"), "with text/html, not with JSON or events"),
        (ResponseHead(200, "text/plain"), "with text/plain, not with JSON or events"),
        (ResponseHead(200, "x/" + "a" * 500), f"with x/{'a' * 58}, not with JSON or events"),
        (ResponseHead(200, "text/event-stream", "gzip"), "with events in the content encoding gzip"),
    ],
)
def test_what_says_that_it_is_something_else_is_no_answer(stream: bool, head: ResponseHead, message: str) -> None:
    with pytest.raises(UpstreamSilent) as raised:
        attempt("anthropic", stream=stream).translation.head(head, ())
    assert raised.value.message == f"anthropic answered {message}; check its address, or call again"


@pytest.mark.parametrize(
    ("stream", "content_type"), [(True, "text/event-stream"), (False, "application/json"), (None, "application/json")]
)
def test_of_the_providers_headers_its_name_of_the_request_is_kept(stream: bool | None, content_type: str) -> None:
    sent = (("Content-Type", "text/event-stream; charset=utf-8"), ("Request-Id", "req_1"), ("x-request-id", "req_2"),
            ("Content-Length", "7"), ("anthropic-ratelimit-requests-limit", "9"))  # fmt: skip
    headers = attempt("anthropic", stream=stream).translation.head(EVENTS, sent)
    assert headers == (("Request-Id", "req_1"), ("x-request-id", "req_2"), ("Content-Type", content_type))


def test_a_whole_answer_is_held_until_its_end() -> None:
    translation = attempt("anthropic").translation
    assert translation.take(b"x", [TextOut("Hi")]) == b""
    assert translation.has_output
    assert msgspec.json.decode(translation.end([Finished()]))["choices"][0]["message"]["content"] == "Hi"


@pytest.mark.parametrize("events", [[], [Failed("overloaded_error")], [Finished()]])
def test_before_the_first_word_another_may_take_over(events: list[Event]) -> None:
    translation = attempt("anthropic", stream=True).translation
    translation.take(b"x", events)
    assert not translation.has_output


def test_what_claude_says_went_wrong_is_its_failure() -> None:
    translation = attempt("anthropic", stream=True).translation
    assert translation.failure is None
    translation.take(b"x", [Failed("overloaded_error", message="Overloaded")])
    assert translation.failure == Failed("overloaded_error", message="Overloaded")


def test_a_broken_stream_says_so_and_a_broken_body_breaks_off() -> None:
    said = attempt("anthropic", stream=True).translation.broken("the provider broke off", "connection_broken")
    assert said is not None
    assert msgspec.json.decode(said.removeprefix(b"data: "))["error"]["code"] == "connection_broken"
    assert attempt("anthropic").translation.broken("the provider broke off", "connection_broken") is None
