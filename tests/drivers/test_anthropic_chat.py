"""Chat requests in Anthropic's words, checked against the types of its own SDK."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import pytest
from anthropic.types import MessageParam, TextBlockParam, ToolChoiceParam, ToolParam
from anthropic.types.output_config_param import OutputConfigParam
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from voicegw_sidecar.chat_ask import read_chat
from voicegw_sidecar.drivers.anthropic_chat import DEFAULT_MAX_TOKENS, anthropic_chat
from voicegw_sidecar.errors import BadRequest

HAIKU = "claude-haiku-4-5"
SILENCE = {"role": "user", "content": [{"type": "text", "text": "(silence)"}]}
HELLO = {"role": "user", "content": "Hello"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"city":"Paris"}'}}
CALLED = {"type": "tool_use", "id": "call_1", "name": "look_up", "input": {"city": "Paris"}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
LOOK_UP = {
    "type": "function",
    "function": {"name": "look_up", "description": "Looks it up.", "parameters": SCHEMA},
}
PIXEL = "iVBORw0KGgo="
_TYPES: dict[str, TypeAdapter[Any]] = {
    "messages": TypeAdapter(list[MessageParam]),
    "system": TypeAdapter(list[TextBlockParam]),
    "tools": TypeAdapter(list[ToolParam]),
    "tool_choice": TypeAdapter(ToolChoiceParam),
    "output_config": TypeAdapter(OutputConfigParam),
    "stop_sequences": TypeAdapter(list[str]),
    "max_tokens": TypeAdapter(int),
    "stream": TypeAdapter(bool),
    "model": TypeAdapter(str),
    "temperature": TypeAdapter(float),
    "top_p": TypeAdapter(float),
}


def body_of(model: str = HAIKU, **members: Any) -> dict[str, Any]:
    """The body that a request becomes, each member of the type that the SDK has for it."""
    body: dict[str, Any] = msgspec.json.decode(anthropic_chat(read_chat(msgspec.json.encode(members)), model).body)
    for name, value in body.items():
        walk_through(_TYPES[name].validate_python(value))
    return body


def walk_through(value: object) -> None:
    """Go through a validated value: what a type calls iterable is validated only as it is iterated over."""
    if isinstance(value, Mapping):
        value = value.values()
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for inner in value:
            walk_through(inner)


def said(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = body_of(messages=messages)["messages"]
    return found


def text(*texts: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": [{"type": "text", "text": one} for one in texts]}


def asking(**members: Any) -> dict[str, Any]:
    return body_of(messages=[HELLO], **members)


def refusal(**members: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        asking(**members)
    return caught.value.message


def test_the_request_goes_where_messages_go() -> None:
    request = anthropic_chat(read_chat(msgspec.json.encode({"messages": [HELLO]})), HAIKU)
    assert (request.method, request.path, request.query) == ("POST", "/v1/messages", ())
    assert request.headers == (("anthropic-version", "2023-06-01"), ("Content-Type", "application/json"))


def test_a_plain_request_asks_for_nothing_else() -> None:
    assert asking() == {"model": HAIKU, "max_tokens": DEFAULT_MAX_TOKENS, "messages": [text("Hello")]}


CONVERSATIONS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "question and answer": (
        [HELLO, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Order?"}],
        [text("Hello"), text("Hi.", role="assistant"), text("Order?")],
    ),
    "two of a side in a row": (
        [HELLO, {"role": "user", "content": "Anyone?"}, {"role": "assistant", "content": "Yes."},
         {"role": "assistant", "content": "I am."}, {"role": "user", "content": "Good."}],
        [text("Hello", "Anyone?"), text("Yes.", "I am.", role="assistant"), text("Good.")],
    ),
    "nobody has spoken": ([{"role": "system", "content": "Be brief."}], [SILENCE]),
    "the agent greets first": (
        [{"role": "assistant", "content": "Welcome."}, HELLO], [SILENCE, text("Welcome.", role="assistant"),
                                                                text("Hello")]),
    "the agent goes on by itself": (
        [HELLO, {"role": "assistant", "content": "One moment."}],
        [text("Hello"), text("One moment.", role="assistant"), SILENCE],
    ),
    "the agent alone": (
        [{"role": "assistant", "content": "Welcome."}], [SILENCE, text("Welcome.", role="assistant"), SILENCE]),
    "blank messages": (
        [HELLO, {"role": "assistant", "content": ""}, {"role": "user", "content": " \n"},
         {"role": "user", "content": None}, {"role": "user", "content": [{"type": "text", "text": ""}]}],
        [text("Hello")],
    ),
    "nothing but blanks": ([{"role": "user", "content": " "}], [SILENCE]),
    "instructions in the middle": (
        [HELLO, {"role": "system", "content": "Offer help."}, {"role": "user", "content": "Yes?"}],
        [text("Hello", "<instructions>\nOffer help.\n</instructions>", "Yes?")],
    ),
    "instructions at the end": (
        [HELLO, {"role": "assistant", "content": "Hi."}, {"role": "developer", "content": "Say goodbye."}],
        [text("Hello"), text("Hi.", role="assistant"), text("<instructions>\nSay goodbye.\n</instructions>")],
    ),
    "a call and its result": (
        [HELLO, {"role": "assistant", "content": None, "tool_calls": [CALL]},
         {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}],
        [text("Hello"), {"role": "assistant", "content": [CALLED]},
         {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}]}],
    ),
    "words before a call": (
        [HELLO, {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]},
         {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}],
        [text("Hello"), {"role": "assistant", "content": [{"type": "text", "text": "Let me see."}, CALLED]},
         {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"}]}],
    ),
    "results of several calls and what is said next": (
        [HELLO, {"role": "assistant", "tool_calls": [CALL, {**CALL, "id": "call_2"}]},
         {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sun"},
                                                                {"type": "text", "text": "ny"}]},
         {"role": "tool", "tool_call_id": "call_2", "content": ""}, {"role": "user", "content": "And now?"}],
        [text("Hello"), {"role": "assistant", "content": [CALLED, {**CALLED, "id": "call_2"}]},
         {"role": "user", "content": [
             {"type": "tool_result", "tool_use_id": "call_1", "content": "sunny"},
             {"type": "tool_result", "tool_use_id": "call_2", "content": ""},
             {"type": "text", "text": "And now?"}]}],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations(asked: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert said(*asked) == expected


def test_leading_instructions_are_the_system() -> None:
    body = body_of(
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}, {"type": "text", "text": " "}]},
            HELLO,
        ]
    )
    assert body["system"] == [{"type": "text", "text": "Be brief."}, {"type": "text", "text": "Be kind."}]
    assert body["messages"] == [text("Hello")]


@pytest.mark.parametrize("content", ["", " ", None, []])
def test_blank_instructions_are_none(content: object) -> None:
    assert "system" not in body_of(messages=[{"role": "system", "content": content}, HELLO])


def test_a_call_without_arguments_has_an_empty_input() -> None:
    for arguments in ("", " ", "{}"):
        call = {**CALL, "function": {"name": "look_up", "arguments": arguments}}
        result = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
        [_, made, _] = said(HELLO, {"role": "assistant", "tool_calls": [call]}, result)
        assert made["content"] == [{**CALLED, "input": {}}]


@pytest.mark.parametrize(
    "arguments", ["{", "[]", "7", "null", '"Paris"', '{"a":' + "[" * 100_000 + "]" * 100_000 + "}"]
)
def test_arguments_that_are_no_object_are_refused(arguments: str) -> None:
    call = {"id": "call_1", "function": {"name": "look_up", "arguments": arguments}}
    with pytest.raises(BadRequest) as caught:
        said(HELLO, {"role": "assistant", "tool_calls": [call]})
    assert caught.value.message == "messages: the arguments of the call 'call_1' are not a JSON object"


@pytest.mark.parametrize(
    ("url", "source"),
    [
        (f"data:image/png;base64,{PIXEL}", {"type": "base64", "media_type": "image/png", "data": PIXEL}),
        ("https://example.com/a.png", {"type": "url", "url": "https://example.com/a.png"}),
    ],
)
def test_images(url: str, source: dict[str, str]) -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    assert said({"role": "user", "content": parts})[0]["content"] == [
        {"type": "text", "text": "What is it?"}, {"type": "image", "source": source},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"type": "image_url", "image_url": {"url": "http://example.com/a.png"}},
            "image_url has to be an https address",
        ),
        ({"type": "image_url", "image_url": {"url": "data:text/plain;base64,AAAA"}}, "image_url has to be an https"),
        ({"type": "image_url", "image_url": {"url": "data:image/png,raw"}}, "image_url has to be an https"),
        ({"type": "image_url"}, "found content of type 'image_url'; expected text or image_url"),
        ({"type": "input_audio", "input_audio": {}}, "found content of type 'input_audio'; expected text or image_url"),
        ({}, "found content of type ''; expected text or image_url"),
    ],
)
def test_content_that_claude_cannot_take_is_refused(part: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        said({"role": "user", "content": [part]})
    assert caught.value.message.startswith(f"messages: {message}")


@pytest.mark.parametrize("role", ["", "function", "narrator" * 100])
def test_another_role_is_refused(role: str) -> None:
    with pytest.raises(BadRequest) as caught:
        said({"role": role, "content": "Hello"})
    assert caught.value.message == (f"messages: found the role {role[:32]!r}; expected system, user, assistant or tool")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"n": 2}, "n: found 2, but anthropic gives one answer; leave it out"),
        ({"n": 0}, "n: found 0, but anthropic gives one answer; leave it out"),
        ({"modalities": ["audio"]}, "modalities: expected text, which is all that anthropic answers with"),
        (
            {"audio": {"voice": "alloy", "format": "wav"}},
            "audio: found a voice asked for, but anthropic answers with text only; leave it out",
        ),
        ({"functions": [{"name": "f"}]}, "functions: found some, which only OpenAI knows; expected them as tools"),
        ({"temperature": -0.1}, "temperature: found -0.1, expected 0 to 2"),
        ({"temperature": 2.5}, "temperature: found 2.5, expected 0 to 2"),
        ({"top_p": 1.5}, "top_p: found 1.5, expected 0 to 1"),
        ({"max_tokens": 0}, "max_tokens: found 0, expected 1 or more"),
        ({"max_completion_tokens": -5}, "max_completion_tokens: found -5, expected 1 or more"),
        (
            {"tool_choice": "required"},
            "tool_choice: found a call asked for, but no tools; expected some to choose from",
        ),
        (
            {"tools": [], "tool_choice": {"type": "function", "function": {"name": "f"}}},
            "tool_choice: found a call asked for, but no tools; expected some to choose from",
        ),
        ({"logprobs": True}, "logprobs: found true, but anthropic tells none; leave it out"),
        ({"modalities": ["text", "audio"]}, "modalities: expected text, which is all that anthropic answers with"),
        (
            {"response_format": {"type": "json_object"}},
            "response_format: found json_object; expected json_schema, which anthropic can be held to",
        ),
        ({"tools": [{"type": "custom"}]}, "tools: found one of type 'custom'; expected functions with a name"),
        ({"tools": [{"type": "function"}]}, "tools: found one of type 'function'; expected functions with a name"),
        (
            {"tools": [{"function": {"name": "f", "parameters": []}}]},
            "tools: the parameters of 'f' are not a JSON schema",
        ),
        (
            {"tools": [LOOK_UP], "tool_choice": "maybe"},
            "tool_choice: found 'maybe'; expected auto, none, required or one function",
        ),
        (
            {"tools": [LOOK_UP], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
            "tool_choice: found no function's name; expected auto, none, required or one function",
        ),
    ],
)
def test_what_changes_an_answers_meaning_is_refused(members: dict[str, Any], message: str) -> None:
    assert refusal(**members) == message


@pytest.mark.parametrize(
    "members",
    [{"n": 1}, {"n": None}, {"logprobs": False}, {"modalities": ["text"]}, {"response_format": {"type": "text"}},
     {"response_format": None}, {"stream": False}, {"stop": None}, {"stop": []}, {"tools": []}, {"tools": None},
     {"tool_choice": "auto"}, {"tool_choice": "none"}, {"stop": " \n"}, {"stop": ["\n", "", "\t \r"]},
     {"audio": None}, {"functions": None}, {"functions": []},
     {"seed": 1, "user": "a", "presence_penalty": 1, "service_tier": "auto"},
     {"stream_options": {"include_usage": True}}, {"parallel_tool_calls": False}],
)  # fmt: skip
def test_what_says_nothing_to_claude_is_left_out(members: dict[str, Any]) -> None:
    assert asking(**members) == asking()


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"stream": True}, {"stream": True}),
        ({"max_tokens": 100}, {"max_tokens": 100}),
        ({"max_completion_tokens": 200}, {"max_tokens": 200}),
        ({"max_tokens": 100, "max_completion_tokens": 200}, {"max_tokens": 200}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["END", "STOP"]}, {"stop_sequences": ["END", "STOP"]}),
        ({"stop": ["\n", "END\n", "", " "]}, {"stop_sequences": ["END\n"]}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
    ],
)
def test_wishes_in_anthropics_words(members: dict[str, Any], expected: dict[str, Any]) -> None:
    assert asking(**members) == asking() | expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"temperature": 1.5}, {"temperature": 1.0}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5}),
    ],
)
@pytest.mark.parametrize(
    "model", [HAIKU, "claude-haiku-4-5-20251001", "claude-sonnet-4-6", "claude-sonnet-4-20250514", "claude-opus-4-1",
              "claude-3-5-haiku-latest"],
)  # fmt: skip
def test_models_that_can_be_steered_are_told_one_figure(
    model: str, members: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert body_of(model, messages=[HELLO], **members) == asking() | {"model": model} | expected


@pytest.mark.parametrize(
    "model", ["claude-opus-4-7", "claude-opus-4-8", "claude-haiku-5-5", "claude-sonnet-5", "claude-sonnet-5-20260630",
              "claude-fable-5-1", "claude-mythos-preview"],
)  # fmt: skip
def test_models_that_cannot_be_steered_are_told_none(model: str) -> None:
    body = body_of(model, messages=[HELLO], temperature=0.5, top_p=0.9)
    assert body == asking() | {"model": model}


def test_tools() -> None:
    [tool] = asking(tools=[LOOK_UP])["tools"]
    assert tool == {
        "name": "look_up", "description": "Looks it up.", "input_schema": SCHEMA,
    }  # fmt: skip


@pytest.mark.parametrize("function", [{"name": "f"}, {"name": "f", "parameters": {}}, {"name": "f", "parameters": None},
                                      {"name": "f", "description": ""}])  # fmt: skip
def test_a_tool_without_parameters_takes_an_empty_object(function: dict[str, Any]) -> None:
    assert asking(tools=[{"type": "function", "function": function}])["tools"] == [
        {"name": "f", "input_schema": {"type": "object"}}
    ]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        (
            {"tool_choice": {"type": "function", "function": {"name": "look_up"}}},
            {"type": "tool", "name": "look_up"},
        ),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"parallel_tool_calls": False, "tool_choice": "required"},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
    ],
)
def test_which_tool_is_to_be_called(members: dict[str, Any], expected: dict[str, Any] | None) -> None:
    assert asking(tools=[LOOK_UP], **members).get("tool_choice") == expected


ANSWERED = [
    HELLO, {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
]  # fmt: skip


@pytest.mark.parametrize("members", [{}, {"tools": None}, {"tools": []}, {"tool_choice": "auto"},
                                     {"tool_choice": "none"}, {"parallel_tool_calls": False}])  # fmt: skip
def test_tools_that_were_called_and_are_no_longer_on_offer_are_named_and_not_called(members: dict[str, Any]) -> None:
    body = body_of(messages=ANSWERED, **members)
    assert body["tools"] == [{"name": "look_up", "input_schema": {"type": "object"}}]
    assert body["tool_choice"] == {"type": "none"}


def test_tools_on_offer_are_all_that_there_are() -> None:
    other = {"type": "function", "function": {"name": "other"}}
    body = body_of(messages=ANSWERED, tools=[other])
    assert body["tools"] == [{"name": "other", "input_schema": {"type": "object"}}]
    assert "tool_choice" not in body


texts = st.text(max_size=6)
parts = st.one_of(
    st.builds(lambda content: {"type": "text", "text": content}, texts),
    st.just({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}}),
)
contents = st.one_of(st.none(), texts, st.lists(parts, max_size=3))
calls = st.builds(
    lambda id_, arguments: {"id": id_, "function": {"name": "f", "arguments": arguments}},
    texts,
    st.one_of(st.sampled_from(["", "{}", '{"a":[1]}']), texts),
)
messages = st.one_of(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "system", "developer"]), "content": contents}),
    st.fixed_dictionaries({"role": st.just("tool"), "content": texts, "tool_call_id": texts}),
    st.fixed_dictionaries({"role": st.just("assistant"), "content": texts, "tool_calls": st.lists(calls, max_size=2)}),
)


@settings(max_examples=300)
@given(asked=st.lists(messages, max_size=8))
def test_any_conversation_alternates_begins_and_ends_with_a_person(asked: list[dict[str, Any]]) -> None:
    with contextlib.suppress(BadRequest):
        found = said(*asked)
        assert [message["role"] for message in found] == (["user", "assistant"] * len(found))[: len(found)]
        assert found[-1]["role"] == "user"
        for block in (block for message in found for block in message["content"]):
            assert block["type"] != "text" or block["text"].strip(), "Anthropic refuses blank text"
