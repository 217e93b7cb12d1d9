"""Anthropic's messages beyond the captures."""

from __future__ import annotations

import gzip

import msgspec
import pytest

from voicegw_sidecar.events import Began, Event, Failed, Finished, Named, RequestComplete, TextOut, ToolCall, Used
from voicegw_sidecar.providers.anthropic import ANTHROPIC, AnthropicMessages
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

HEAD = RequestHead("POST", "/v1/messages", content_type="application/json")


def begun(request: object) -> tuple[AnthropicMessages, list[Event]]:
    dialect = AnthropicMessages(HEAD)
    body = request if isinstance(request, bytes) else msgspec.json.encode(request)
    list(dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, body)))
    return dialect, list(dialect.ended(Side.AGENT, End.COMPLETE))


def told(dialect: AnthropicMessages, **event: object) -> list[Event]:
    data = b"event: x\r\ndata: " + msgspec.json.encode(event) + b"\r\n\r\n"
    return list(dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, data)))


def streaming(request: object = None) -> AnthropicMessages:
    dialect, _ = begun(request or {"model": "m", "messages": []})
    list(dialect.answered(ResponseHead(200, "text/event-stream")))
    return dialect


@pytest.mark.parametrize(
    ("request_body", "model", "input_chars"),
    [
        ({"model": "m", "system": "abc", "messages": [{"content": "de"}]}, "m", 5),
        ({"model": "m", "messages": [{"content": [{"type": "image", "source": {"data": "A" * 99}}]}]}, "m", 0),
        ({"model": "m", "messages": [{"content": [{"type": "tool_result", "content": [{"text": "ab"}]}]}]}, "m", 2),
        (
            {"model": "m", "messages": [{"content": [{"type": "web_fetch_tool_result", "content": {"url": "u"}}]}]},
            "m",
            0,
        ),
        ({"model": "m", "messages": "of another shape"}, "m", None),
        (b"no JSON", None, None),
    ],
)
def test_request(request_body: object, model: str | None, input_chars: int | None) -> None:
    _, events = begun(request_body)
    began, _, complete = events
    assert [began, complete] == [Began(Modality.LLM, model=model, input_chars=input_chars), RequestComplete()]


def test_call_without_arguments_is_an_answer_at_its_first_fragment() -> None:
    dialect = streaming()
    assert (
        told(
            dialect,
            type="content_block_start",
            content_block={"type": "tool_use", "id": "t1", "name": "end", "input": {}},
        )
        == []
    )
    assert told(dialect, type="content_block_delta", delta={"type": "input_json_delta", "partial_json": ""}) == [
        TextOut("end", is_call=True, call=ToolCall(0, "t1", "end"))
    ]
    assert told(dialect, type="content_block_delta", delta={"type": "input_json_delta", "partial_json": ""}) == []


def test_call_of_which_no_fragment_comes_is_told_at_its_end() -> None:
    dialect = streaming()
    told(
        dialect, type="content_block_start", content_block={"type": "tool_use", "id": "t1", "name": "end", "input": {}}
    )
    call = TextOut("end", is_call=True, call=ToolCall(0, "t1", "end"))
    assert told(dialect, type="content_block_stop") == [call]
    assert told(dialect, type="content_block_stop") == []


def test_model_of_a_request_that_could_not_be_read_is_the_answers() -> None:
    dialect = streaming(b"{")
    assert told(dialect, type="message_start", message={"model": "claude-haiku-4-5-20251001"}) == [
        Named("claude-haiku-4-5-20251001")
    ]


def test_figures_that_the_end_does_not_repeat_stay() -> None:
    dialect = streaming()
    told(dialect, type="message_start", message={"usage": {"input_tokens": 5, "cache_read_input_tokens": 7}})
    assert told(dialect, type="message_delta", delta={}, usage={"output_tokens": 3}) == [
        Used(Usage(input_tokens=12, cached_input_tokens=7, output_tokens=3))
    ]


@pytest.mark.parametrize("event", [{"type": "ping"}, {"type": "content_block_stop"}, {"type": "new_kind"}, {}])
def test_other_events_are_none(event: dict[str, object]) -> None:
    assert told(streaming(), **event) == []


def test_error_that_came_with_a_good_status() -> None:
    dialect, _ = begun({"model": "m"})
    list(dialect.answered(ResponseHead(200, "application/json")))
    body = msgspec.json.encode({"type": "error", "error": {"type": "api_error", "message": "a text"}})
    list(dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, body)))
    assert list(dialect.ended(Side.PROVIDER, End.COMPLETE)) == [Failed("api_error", message="a text"), Finished()]


TEXT = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Your order has"}}
STOP = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
END = {"type": "message_stop"}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
BROKEN_OFF = Failed("incomplete_answer", message="the answer broke off before its end; call again")
NO_MESSAGE = Failed("incomplete_answer", message="the answer is empty or no message; call again")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], [BROKEN_OFF]),
        ([TEXT], [BROKEN_OFF]),
        ([TEXT, STOP], [BROKEN_OFF]),
        ([TEXT, STOP, END], [Finished(reason="stop")]),
        ([TEXT, END], [Finished()]),
        ([TEXT, OVERLOADED], [Finished()]),
    ],
)
def test_a_stream_is_whole_once_it_said_so(events: list[dict[str, object]], expected: list[Event]) -> None:
    dialect = streaming()
    for event in events:
        told(dialect, **event)
    assert list(dialect.ended(Side.PROVIDER, End.COMPLETE)) == expected


def test_a_last_event_without_its_blank_line_counts() -> None:
    dialect = streaming()
    list(dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, b'data: {"type":"message_stop"}')))
    assert list(dialect.ended(Side.PROVIDER, End.COMPLETE)) == [Finished(), Finished()]


def test_a_stream_that_breaks_tells_nothing_more() -> None:
    assert list(streaming().ended(Side.PROVIDER, End.BROKEN)) == []


def whole(body: bytes, kind: str = "application/json", encoding: str = "", status: int = 200) -> list[Event]:
    dialect, _ = begun({"model": "m"})
    list(dialect.answered(ResponseHead(status, kind, encoding)))
    list(dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, body)))
    return list(dialect.ended(Side.PROVIDER, End.COMPLETE))


@pytest.mark.parametrize("body", [b"", b"<html>Please sign in.</html>", b'{"type":"message","conte', b"[]", b"null"])
@pytest.mark.parametrize("kind", ["", "application/json", "text/html"])
def test_a_body_that_is_no_message_is_no_answer(body: bytes, kind: str) -> None:
    assert whole(body, kind) == [NO_MESSAGE, Finished()]
    assert whole(gzip.compress(body), kind, "gzip") == [NO_MESSAGE, Finished()]


@pytest.mark.parametrize(
    ("body", "kind", "encoding"),
    [
        (b"anything", "application/json", "br"),
        (b"no gzip", "application/json", "gzip"),
        (gzip.compress(b'data: {"type":"message_stop"}\n\n'), "text/event-stream", "gzip"),
        (b'{"type":"message","content":7}', "application/json", ""),
        (b'{"detail":"of another server"}', "application/json", ""),
    ],
)
def test_what_is_not_understood_is_no_failure(body: bytes, kind: str, encoding: str) -> None:
    assert whole(body, kind, encoding) == [Finished()]


@pytest.mark.parametrize(
    ("told_reason", "expected"),
    [("end_turn", "stop"), ("max_tokens", "length"), ("tool_use", "tool_calls"), ("of_tomorrow", "stop"), (None, "")],
)
def test_why_an_answer_ended(told_reason: str | None, expected: str) -> None:
    dialect = streaming()
    told(dialect, type="message_delta", delta={"stop_reason": told_reason})
    assert told(dialect, **END) == [Finished(reason=expected)]
    body = msgspec.json.encode({"type": "message", "content": [], "stop_reason": told_reason})
    assert whole(body) == [Finished(reason=expected)]


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (402, "budget_exceeded", "billing_error"),
        (402, "budget_throttled", "billing_error"),
        (401, "missing_key", "authentication_error"),
        (403, "forbidden", "permission_error"),
        (404, "not_found", "not_found_error"),
        (409, "no_route", "invalid_request_error"),
        (429, "any", "rate_limit_error"),
        (502, "upstream_unreachable", "api_error"),
        (503, "draining", "api_error"),
    ],
)
def test_refusals_carry_its_own_types(status: int, code: str, kind: str) -> None:
    body = msgspec.json.decode(ANTHROPIC.errors.encode(status, code, "Our words.").body)
    assert body["error"] == {"type": kind, "message": "Our words."}
