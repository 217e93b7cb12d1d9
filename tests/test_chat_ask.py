"""OpenAI's chat request, read."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from tests.facades.anything import json_like
from voicegw_sidecar.chat_ask import (
    AskedCall,
    CalledFunction,
    ChatAsk,
    ChatMessage,
    ChosenTool,
    Function,
    ImageUrl,
    Part,
    StreamOptions,
    Tool,
    read_chat,
)
from voicegw_sidecar.errors import BadRequest

EVERYTHING = {
    "model": "auto",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is it?"},
                                     {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}]},
        {"role": "assistant", "content": None, "refusal": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ],
    "stream": True, "stream_options": {"include_usage": True},
    "tools": [{"type": "function", "function": {"name": "f"}}],
    "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": False, "max_tokens": 5,
    "max_completion_tokens": 6, "temperature": 1, "top_p": 0.5, "stop": ["a"], "n": 1, "logprobs": False,
    "modalities": ["text"], "audio": {"voice": "alloy"}, "functions": [{"name": "f"}],
    "seed": 7, "metadata": {"call": "1"}, "service_tier": "auto", "user": "x",
}  # fmt: skip


def read(**members: Any) -> ChatAsk:
    return read_chat(msgspec.json.encode(members))


def test_everything_is_read() -> None:
    assert read(**EVERYTHING) == ChatAsk(
        model="auto",
        messages=[
            ChatMessage("system", "Be brief."),
            ChatMessage("user", [Part("text", "What is it?"), Part("image_url", "", ImageUrl("https://a/b.png"))]),
            ChatMessage("assistant", None, [AskedCall("call_1", CalledFunction("f", "{}"))]),
            ChatMessage("tool", "sunny", tool_call_id="call_1"),
        ],
        stream=True, stream_options=StreamOptions(True), tools=[Tool("function", Function("f"))],
        tool_choice=ChosenTool(Function("f")), parallel_tool_calls=False, max_tokens=5, max_completion_tokens=6,
        temperature=1.0, top_p=0.5, stop=["a"], n=1, logprobs=False, modalities=["text"],
        audio=Raw(b'{"voice":"alloy"}'), functions=Raw(b'[{"name":"f"}]'),
    )  # fmt: skip


def test_a_tool_is_a_function_unless_it_says_otherwise() -> None:
    assert [tool.type for tool in read(tools=[{"function": {"name": "f"}}, {"type": "custom"}]).tools or ()] == [
        "function", "custom",
    ]  # fmt: skip


def test_what_is_not_said_is_none() -> None:
    asked = read()
    assert (asked.model, asked.stream, asked.temperature, asked.max_tokens, asked.n) == (None,) * 5
    assert asked.messages == []


@pytest.mark.parametrize("name", [name for name in EVERYTHING if name not in ("messages", "seed")])
def test_null_is_the_same_as_nothing(name: str) -> None:
    assert read(**{name: None}) == read()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, []),
        ("", []),
        (" \n", []),
        ("Hello ", [Part("text", "Hello ")]),
        ([], []),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": " "}, {"type": "text"}], [Part("text", "a")]),
        ([{"type": "input_audio", "input_audio": {"data": "AAAA"}}], [Part("input_audio")]),
    ],
)
def test_content_in_parts_without_what_is_blank(content: object, expected: list[Part]) -> None:
    [message] = read(messages=[{"role": "user", "content": content}]).messages
    assert message.parts == expected


@pytest.mark.parametrize(
    ("options", "expected"), [(None, False), ({}, False), ({"include_usage": False}, False),
                              ({"include_usage": None}, False), ({"include_usage": True}, True)],
)  # fmt: skip
def test_usage_is_wanted_by_who_asks_for_it(options: object, expected: bool) -> None:
    assert read(stream_options=options).wants_usage is expected


@pytest.mark.parametrize(("value", "expected"), [(None, False), ([], False), ({"voice": "a"}, True), ([{}], True)])
def test_what_is_there_is_told_from_what_is_not(value: object, expected: bool) -> None:
    asked = read(audio=value, functions=value)
    assert (asked.wants_audio, asked.has_functions) == (expected, expected)
    assert not read_chat(b'{"functions":[ ]}').has_functions


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: Input data was truncated"),
        (b"{", "body: Input data was truncated"),
        (b"model=auto", "body: JSON is malformed"),
        (b'"a"', "body: Expected `object`, got `str`"),
        (b'{"messages":{}}', "body: Expected `array`, got `object` - at `$.messages`"),
        (b'{"messages":[{"role":7}]}', "body: Expected `str`, got `int` - at `$.messages[0].role`"),
        (b'{"stream":"yes"}', "body: Expected `bool | null`, got `str` - at `$.stream`"),
        (b'{"max_tokens":1.5}', "body: Expected `int | null`, got `float` - at `$.max_tokens`"),
        (b'{"temperature":1e999}', "body: Number out of range"),
        (b'{"temperature":NaN}', "body: JSON is malformed"),
        (b'{"top_p":-Infinity}', "body: JSON is malformed"),
        (b'{"temperature":"NaN"}', "body: Expected `float | null`, got `str` - at `$.temperature`"),
        (b'{"n":1' + b"0" * 400 + b"}", "body: Expected `int` <= 2147483647 - at `$.n`"),
        (b'{"max_tokens":1' + b"0" * 5000 + b"}", "body: Integer value out of range - at `$.max_tokens`"),
        (b'{"max_completion_tokens":-1' + b"0" * 20 + b"}", "body: Expected `int` >= -2147483648"),
        (b'{"messages":[{"content":"\xff"}]}', "body: "),
        (b'{"messages":[{"content":"\\ud800"}]}', "body: "),
        (b'{"x":' + b"[" * 100_000, "body: "),
    ],
)
def test_what_is_wrong_is_named_and_never_repeated(body: bytes, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_chat(body)
    assert caught.value.message.startswith(message)
    assert caught.value.message.endswith("; expected a chat completion request as JSON")
    assert len(caught.value.message) < 200


def test_a_text_that_is_wrong_is_not_in_the_message() -> None:
    with pytest.raises(BadRequest) as caught:
        read(messages=[{"role": "user", "content": {"text": "my secret"}}])
    assert "secret" not in caught.value.message


@settings(max_examples=300)
@given(body=st.one_of(st.binary(max_size=60), json_like(*EVERYTHING, "role", "content", "function", "type")))
def test_nothing_but_a_bad_request_is_raised(body: bytes) -> None:
    with contextlib.suppress(BadRequest):
        for message in read_chat(body).messages:
            assert all(part.type != "text" or part.text.strip() for part in message.parts)
