"""OpenAI responses beyond the captures."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from voicegw_sidecar.dialects.base import Ask
from voicegw_sidecar.dialects.openai_responses import WAITING_LIMIT, OpenAIResponses, OpenAIResponsesSocket
from voicegw_sidecar.events import Began, Event, Failed, Finished, Named, TextOut, Used
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side


def frame(side: Side, **message: object) -> Frame:
    return Frame(side, Kind.TEXT, 0, msgspec.json.encode(message))


def socket() -> OpenAIResponsesSocket:
    return OpenAIResponsesSocket(RequestHead("GET", "/v1/responses"))


def create(**more: object) -> Frame:
    return frame(Side.AGENT, type="response.create", model="m", **more)


def told(dialect: OpenAIResponsesSocket, **message: object) -> list[Event]:
    return list(dialect.decode(frame(Side.PROVIDER, **message)))


def answered(body: object, request: object = None) -> list[Event]:
    dialect = OpenAIResponses(RequestHead("POST", "/v1/responses"))
    dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, msgspec.json.encode(request)))
    events = [*dialect.ended(Side.AGENT, End.COMPLETE), *dialect.answered(ResponseHead(200, "application/json"))]
    dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, msgspec.json.encode(body)))
    return [*events, *dialect.ended(Side.PROVIDER, End.COMPLETE)]


def test_create_asks_for_the_next_response_and_begins_it() -> None:
    dialect = socket()
    assert dialect.asks(create()) == Ask("0", "m", begins=True)
    assert dialect.asks(create()) == Ask("0", "m", begins=True)  # asking changes nothing
    assert next(iter(dialect.decode(create(input="x")))) == Began(Modality.LLM, "0", "m", 1)
    assert dialect.asks(create()) == Ask("1", "m", begins=True)


@pytest.mark.parametrize(
    "other",
    [
        frame(Side.AGENT, type="response.steer", input="response.create"),
        frame(Side.PROVIDER, type="response.in_progress"),
        Frame(Side.AGENT, Kind.BINARY, 0, b'{"type":"response.create"}'),
        Frame(Side.AGENT, Kind.TEXT, 0, b'"response.create" is no object'),
    ],
)
def test_other_messages_ask_for_nothing(other: Frame) -> None:
    assert socket().asks(other) is None


def test_response_that_the_provider_begins_by_itself_is_asked_about() -> None:
    dialect = socket()
    created: dict[str, Any] = {"type": "response.created", "response": {"id": "r", "model": "m"}}
    assert dialect.asks(frame(Side.PROVIDER, **created)) == Ask("0", "m", begins=True)
    dialect.decode(create())
    assert dialect.asks(frame(Side.PROVIDER, **created)) is None


def test_request_in_a_shape_that_is_not_known_still_begins() -> None:
    assert next(iter(socket().decode(create(input={"odd": 1})))) == Began(Modality.LLM, "0", "m")


def test_usage_of_an_answer_in_a_shape_that_is_not_known_still_counts() -> None:
    usage = {"input_tokens": 3, "output_tokens": 4}
    body = {"id": "r", "model": "m", "output": [{"type": "new", "content": 5}], "usage": usage}
    assert answered(body, {"input": "x"})[-3:] == [
        Named("m"), Used(Usage(input_tokens=3, output_tokens=4)), Finished()]  # fmt: skip
    dialect = socket()
    dialect.decode(create())
    events = told(dialect, type="response.completed", response=body)
    assert events == [Used(Usage(input_tokens=3, output_tokens=4), "0"), Finished("0")]


def test_call_whose_arguments_come_at_once_is_told_by_its_end() -> None:
    dialect = socket()
    dialect.decode(create())
    item = {"type": "function_call", "name": "f"}
    assert told(dialect, type="response.output_item.added", item=item) == [TextOut("f", "0", is_call=True)]
    done = told(dialect, type="response.output_item.done", item={**item, "arguments": "{}"})
    assert done == [TextOut("{}", "0", is_call=True)]


def test_content_before_a_call_is_content() -> None:
    dialect = socket()
    dialect.decode(create())
    assert told(dialect, type="response.output_text.delta", delta="a") == [TextOut("a", "0")]
    delta = told(dialect, type="response.function_call_arguments.delta", delta="{}")
    assert delta == [TextOut("{}", "0", is_call=True)]
    output = [{"type": "message", "content": [{"text": "a"}]}, {"type": "function_call", "name": "f"}]
    assert [event for event in answered({"id": "r", "output": output}, {"input": "x"}) if type(event) is TextOut] == [
        TextOut("a"), TextOut("f", is_call=True)]  # fmt: skip


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"error": {"code": "rate_limit_exceeded", "type": "requests"}}, "rate_limit_exceeded"),
        ({"error": {"type": "server_error"}, "status": 500}, "server_error"),
        ({"code": "server_error", "message": "text"}, "server_error"),
        ({"code": "a text of its own"}, "provider_error"),
        ({}, "provider_error"),
    ],
)
def test_errors_name_a_code_and_no_text(message: dict[str, Any], code: str) -> None:
    dialect = socket()
    dialect.decode(create())
    assert told(dialect, type="error", **message) == [Failed(code, "0")]


def test_responses_over_the_limit_are_not_followed() -> None:
    dialect = socket()
    for number in range(WAITING_LIMIT):
        assert dialect.decode(create(stream_id=str(number)))
    assert list(dialect.decode(create(stream_id="one more"))) == []
    assert told(dialect, type="response.created", response={"id": "r"}) == []
    assert told(dialect, type="error", stream_id="0") == [Failed("provider_error", "0")]
    assert list(dialect.decode(create()))


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/realtime"])
def test_refusal_in_an_open_socket_is_an_error_event(path: str) -> None:
    endpoint = BY_ID["openai"].endpoint("GET", path, is_socket=True)
    assert endpoint is not None
    assert endpoint.refusal_frame is not None
    refusal: Any = endpoint.refusal_frame("0", "budget_exceeded", "The budget is spent.")
    assert (refusal["type"], refusal["error"]["code"]) == ("error", "insufficient_quota")
    assert refusal["error"]["message"] == "The budget is spent."
