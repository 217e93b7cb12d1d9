"""Anthropic's messages beyond the captures."""

from __future__ import annotations

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
