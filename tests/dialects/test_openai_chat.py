"""Chat completions beyond the captures: odd servers, huge requests, and the one edit that is allowed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from voicegw_sidecar.dialects.openai_chat import OpenAIChat, is_usage_chunk, with_usage_asked
from voicegw_sidecar.events import Began, Event, Failed, Finished, Named, Reasoned, TextOut, Used
from voicegw_sidecar.terms import Usage
from voicegw_sidecar.wire.body import BODY_LIMIT_BYTES
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

HEAD = RequestHead("POST", "/v1/chat/completions", (), "application/json")


def answered(
    *payloads: object, request: bytes = b'{"model":"m","messages":[]}', content_type: str = "text/event-stream"
) -> list[Event]:
    dialect = OpenAIChat(HEAD)
    events = [*dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, request)), *dialect.ended(Side.AGENT, End.COMPLETE)]
    events += dialect.answered(ResponseHead(200, content_type))
    for payload in payloads:
        data = payload if isinstance(payload, bytes) else b"data: " + msgspec.json.encode(payload) + b"\n\n"
        events += dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, data))
    return [*events, *dialect.ended(Side.PROVIDER, End.COMPLETE)]


def delta(**fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields}]}


@pytest.mark.parametrize(
    ("chunk", "expected"),
    [
        (delta(content="a"), [TextOut("a")]),
        (delta(role="assistant", content=""), []),
        (delta(content=None, refusal="no"), [TextOut("no")]),
        (delta(content=[{"type": "text", "text": "a"}, {"type": "other"}]), [TextOut("a")]),
        (delta(reasoning="r"), [Reasoned("r")]),
        (delta(reasoning_content="r", content="a"), [Reasoned("r"), TextOut("a")]),
        (delta(tool_calls=[{"index": 0, "function": {"name": "f", "arguments": ""}}]), [TextOut("f", is_call=True)]),
        (delta(function_call={"arguments": "{}"}), [TextOut("{}", is_call=True)]),
        (
            delta(content="a", tool_calls=[{"function": {"name": "f"}}, {"function": {"arguments": "{}"}}]),
            [TextOut("a"), TextOut("f{}", is_call=True)],
        ),
        (delta(tool_calls=[{"index": 0}]), []),
        ({"choices": [{"delta": {"content": "a"}}, {"delta": {"content": "b"}}]}, [TextOut("a"), TextOut("b")]),
        ({"choices": None}, []),
        ({"choices": [], "usage": {}}, []),
        (
            {"choices": 5, "usage": {"prompt_tokens": 1, "completion_tokens": 2}},
            [Used(Usage(input_tokens=1, output_tokens=2))],
        ),
        ({"choices": [{"delta": {"content": 5}}], "usage": {"prompt_tokens": 3}}, [Used(Usage(input_tokens=3))]),
        ({"error": {"message": "text of a prompt", "type": "server_error"}}, [Failed("server_error")]),
        ({"error": "text of a prompt"}, [Failed("provider_error")]),
        ({"error": {"code": "text of a prompt", "type": None}}, [Failed("provider_error")]),
        ({"object": "error", "message": "text", "code": 400}, [Failed("provider_error")]),
        (b"data: {broken\n\n", []),
        (b"data: \xff\n\n", []),
    ],
)
def test_chunks_of_all_sorts(chunk: object, expected: list[Event]) -> None:
    assert answered(chunk)[4:] == [*expected, Finished()]


def test_model_is_named_by_the_answer_where_the_request_did_not() -> None:
    events = answered({"model": "real", **delta(content="a")}, request=b"{}")
    assert Named("real") in events
    assert Named("real") not in answered({"model": "real", **delta(content="a")})


def test_usage_in_a_last_event_without_blank_line_counts() -> None:
    data = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    assert Used(Usage(input_tokens=1, output_tokens=2)) in answered(data)


def test_request_over_the_limit_still_begins_an_exchange() -> None:
    request = b'{"messages":[{"content":"' + b"x" * BODY_LIMIT_BYTES + b'"}],"model":"m"}'
    assert answered(request=request)[0].__class__ is Began


@pytest.mark.parametrize(
    ("request_body", "model", "chars"),
    [
        (b'{"model":"m","messages":[{"content":"abc"},{"content":[{"text":"de"},{"image_url":{}}]}]}', "m", 5),
        (
            b'{"model":"m","messages":[{"content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}',
            "m",
            3,
        ),
        (b'{"model":"m","messages":[],"tools":[1,2]}', "m", 5),
        (b'{"model":"m","messages":"odd"}', "m", None),
        (b'{"model":5}', None, None),
        (b"", None, None),
        (b"\xff\xfe", None, None),
    ],
)
def test_request_tells_model_and_length(request_body: bytes, model: str | None, chars: int | None) -> None:
    began = answered(request=request_body)[0]
    assert isinstance(began, Began)
    assert (began.model, began.input_chars) == (model, chars)


def test_answer_before_the_request_is_through_begins_the_exchange() -> None:
    dialect = OpenAIChat(HEAD)
    dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, b'{"model":'))
    assert isinstance(next(iter(dialect.answered(ResponseHead(200, "application/json")))), Began)
    assert list(dialect.ended(Side.AGENT, End.COMPLETE)) == []


def test_prompt_is_let_go_once_it_is_read() -> None:
    dialect = OpenAIChat(HEAD)
    dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, b'{"model":"m","messages":[{"content":"secret"}]}'))
    list(dialect.ended(Side.AGENT, End.COMPLETE))
    assert dialect._request.head() == b""


@pytest.mark.parametrize(
    ("body", "edited"),
    [
        (b' {"stream": true, "model":"m"}', b' {"stream_options":{"include_usage":true},"stream": true, "model":"m"}'),
        (b'{"stream":true,"stream_options":null}', b'{"stream":true,"stream_options":{"include_usage":true}}'),
        (
            b'{"stream":true,"n":1e3,"stream_options":{"a":1}}',
            b'{"stream":true,"n":1e3,"stream_options":{"a":1,"include_usage":true}}',
        ),
        (b'{"stream":true,"stream_options":{"include_usage":false}}', None),
        (b'{"stream":true,"stream_options":{"include_usage":true}}', None),
        (b'{"stream":true,"stream_options":5}', None),
        (b'{"stream":false}', None),
        (b'{"stream":"true"}', None),
        (b"{}", None),
        (b"[]", None),
        (b"", None),
        (b"no json", None),
    ],
)
def test_usage_is_asked_for_only_where_a_stream_does_not_say(body: bytes, edited: bytes | None) -> None:
    assert with_usage_asked(body) == edited


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"choices":[],"usage":{"prompt_tokens":1}}', True),
        (b'{"choices":[],"usage":null}', False),
        (b'{"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}', False),
        (b'{"usage":{"prompt_tokens":1}}', False),
        (b'{"choices":[]}', False),
        (b"[DONE]", False),
        (b'broken "usage"', False),
        (None, False),
    ],
)
def test_only_the_extra_chunk_is_a_usage_chunk(data: bytes | None, expected: bool) -> None:
    assert is_usage_chunk(data) is expected
