"""Conversations in Anthropic's order. What each becomes, message by message, is in `test_anthropic_chat` too."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegw_sidecar.chat_ask import read_chat
from voicegw_sidecar.drivers.anthropic_turns import conversation
from voicegw_sidecar.errors import BadRequest

PIXEL = "iVBORw0KGgo="
HELLO: dict[str, Any] = {"role": "user", "content": "Hello"}
WAIT: dict[str, Any] = {"role": "user", "content": "Still there?"}
BRIEF: dict[str, Any] = {"role": "system", "content": "Be brief."}


def called(*ids: str, content: str | None = None, arguments: str = "{}") -> dict[str, Any]:
    calls = [{"id": id_, "type": "function", "function": {"name": "f", "arguments": arguments}} for id_ in ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(id_: str, content: object = "42") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content}


def put(*asked: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The turns in short: a text as it is, ``use a`` for a call and ``result a`` for its result."""
    told = conversation(read_chat(msgspec.json.encode({"messages": asked})).messages)
    messages = msgspec.json.decode(msgspec.json.encode(told.messages))
    return [(message["role"], [short(block) for block in message["content"]]) for message in messages]


def short(block: dict[str, Any]) -> str:
    match block["type"]:
        case "text":
            return str(block["text"])
        case "tool_use":
            return f"use {block['id']}"
        case "tool_result":
            return f"result {block['tool_use_id']}"
        case kind:
            return str(kind)


def refusal(*asked: dict[str, Any]) -> str:
    with pytest.raises(BadRequest) as caught:
        put(*asked)
    return caught.value.message


INSTRUCTIONS = "<instructions>\nBe brief.\n</instructions>"
ORDERS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, list[str]]]]] = {
    "words between a call and its result": (
        [HELLO, called("a"), WAIT, result("a")],
        [("user", ["Hello"]), ("assistant", ["use a"]), ("user", ["result a", "Still there?"])],
    ),
    "instructions between a call and its result": (
        [HELLO, called("a"), BRIEF, result("a")],
        [("user", ["Hello"]), ("assistant", ["use a"]), ("user", ["result a", INSTRUCTIONS])],
    ),
    "words between the results": (
        [HELLO, called("a", "b"), result("b"), WAIT, result("a")],
        [("user", ["Hello"]), ("assistant", ["use a", "use b"]), ("user", ["result a", "result b", "Still there?"])],
    ),
    "words of the agent between a call and its result": (
        [HELLO, called("a"), {"role": "assistant", "content": "One moment."}, result("a")],
        [("user", ["Hello"]), ("assistant", ["One moment.", "use a"]), ("user", ["result a"])],
    ),
    "a whole exchange of words between a call and its result": (
        [HELLO, called("a"), WAIT, {"role": "assistant", "content": "Yes."}, result("a"), WAIT],
        [("user", ["Hello"]), ("assistant", ["use a"]), ("user", ["result a", "Still there?"]), ("assistant", ["Yes."]),
         ("user", ["Still there?"])],
    ),
    "one call after the other": (
        [HELLO, called("a"), result("a"), called("b"), result("b")],
        [("user", ["Hello"]), ("assistant", ["use a"]), ("user", ["result a"]), ("assistant", ["use b"]),
         ("user", ["result b"])],
    ),
    "two messages that call, then both results": (
        [HELLO, called("a"), called("b", content="And that."), result("b"), result("a")],
        [("user", ["Hello"]), ("assistant", ["And that.", "use a", "use b"]), ("user", ["result a", "result b"])],
    ),
    "a call first of all": (
        [called("a"), result("a")], [("user", ["(silence)"]), ("assistant", ["use a"]), ("user", ["result a"])]),
    "instructions before a call first of all": (
        [BRIEF, called("a"), result("a")],
        [("user", ["(silence)"]), ("assistant", ["use a"]), ("user", ["result a"])],
    ),
    "a blank between a call and its result": (
        [HELLO, called("a"), {"role": "user", "content": " "}, {"role": "assistant", "content": ""}, result("a")],
        [("user", ["Hello"]), ("assistant", ["use a"]), ("user", ["result a"])],
    ),
    "an id used once more": (
        [HELLO, called("a"), result("a"), called("a"), result("a")],
        [("user", ["Hello"]), ("assistant", ["use a"]), ("user", ["result a"]), ("assistant", ["use a_2"]),
         ("user", ["result a_2"])],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), ORDERS.values(), ids=ORDERS)
def test_results_come_first_and_directly_after_their_calls(
    asked: list[dict[str, Any]], expected: list[tuple[str, list[str]]]
) -> None:
    assert put(*asked) == expected


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (["call_1-B"], ["call_1-B"]),
        (["functions.f:0"], ["functions_f_0"]),
        (["call:1/é"], ["call_1__"]),
        ([""], ["call"]),
        (["a:b", "a.b", "a_b"], ["a_b", "a_b_2", "a_b_3"]),
        (["a_b", "a:b"], ["a_b", "a_b_2"]),
        (["a_b_2", "a_b", "a:b"], ["a_b_2", "a_b", "a_b_3"]),
    ],
)
def test_ids_are_in_characters_that_are_taken_in_call_and_result(ids: list[str], expected: list[str]) -> None:
    *_, (_, made), (_, results) = put(HELLO, called(*ids), *(result(id_) for id_ in ids))
    assert made == [f"use {id_}" for id_ in expected]
    assert results == [f"result {id_}" for id_ in expected]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            [HELLO, called("a")],
            "messages: found no result of the call 'a'; expected a tool message with this tool_call",
        ),
        ([HELLO, called("a"), WAIT], "messages: found no result of the call 'a'"),
        ([HELLO, called("a", "b"), result("a")], "messages: found no result of the call 'b'"),
        ([HELLO, called("a", "a"), result("a"), result("a")], "messages: found no result of the call 'a'"),
        ([HELLO, result("a")], "messages: found a result of the call 'a'; expected one assistant message before it"),
        ([HELLO, result("a"), called("a")], "messages: found a result of the call 'a'"),
        ([HELLO, called("a"), result("a"), result("a")], "messages: found a result of the call 'a'"),
        ([HELLO, called("a"), {"role": "tool", "content": "42"}], "messages: found a result of the call ''"),
        ([HELLO, called("a" * 500)], f"messages: found no result of the call '{'a' * 64}';"),
    ],
)
def test_calls_and_results_that_do_not_pair_are_refused(asked: list[dict[str, Any]], message: str) -> None:
    assert refusal(*asked).startswith(message)


def test_calls_of_a_person_are_none() -> None:
    assert put({**called("a"), "role": "user", "content": "Hello"}) == [("user", ["Hello"])]


def contents(content: object) -> object:
    told = conversation(read_chat(msgspec.json.encode({"messages": [called("a"), result("a", content)]})).messages)
    [block] = msgspec.json.decode(msgspec.json.encode(told.messages[-1]["content"]))
    return block["content"]


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
SHOWN = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("sunny", "sunny"),
        ("", ""),
        (None, ""),
        ([{"type": "text", "text": "sun"}, {"type": "text", "text": "ny"}], "sunny"),
        ([{"type": "text", "text": "See: "}, IMAGE], [{"type": "text", "text": "See: "}, SHOWN]),
        ([IMAGE, {"type": "text", "text": " "}], [SHOWN]),
    ],
)
def test_results_with_their_images(content: object, expected: object) -> None:
    assert contents(content) == expected


def test_other_content_of_a_result_is_refused() -> None:
    with pytest.raises(BadRequest) as caught:
        contents([{"type": "input_audio"}])
    assert caught.value.message == "messages: found content of type 'input_audio'; expected text or image_url"


@pytest.mark.parametrize(
    ("url", "kind"),
    [("data:image/jpg;base64,AAAA", "image/jpeg"), ("data:image/JPEG;base64,AAAA", "image/jpeg"),
     ("data:image/gif;base64,AAAA", "image/gif"), ("data:image/webp;base64,AAAA", "image/webp")],
)  # fmt: skip
def test_images_have_a_type_that_is_taken(url: str, kind: str) -> None:
    [block] = contents([{"type": "image_url", "image_url": {"url": url}}])  # type: ignore[misc]
    assert block == {"type": "image", "source": {"type": "base64", "media_type": kind, "data": "AAAA"}}


@pytest.mark.parametrize("kind", ["svg+xml", "bmp", "heic"])
def test_images_of_other_types_are_refused(kind: str) -> None:
    part = {"type": "image_url", "image_url": {"url": f"data:image/{kind};base64,AAAA"}}
    assert refusal({"role": "user", "content": [part]}) == (
        "messages: image_url has to be an https address or base64 data of a PNG, JPEG, GIF or WebP image"
    )


@pytest.mark.parametrize("before", [[], [HELLO]], ids=["leading", "in the middle"])
def test_an_image_is_no_instruction(before: list[dict[str, Any]]) -> None:
    assert refusal(*before, {"role": "system", "content": [IMAGE]}) == (
        "messages: found content of type 'image_url' in instructions; expected text"
    )


def test_blank_arguments_are_none() -> None:
    assert put(HELLO, called("a", arguments=" \n"), result("a"))[1] == ("assistant", ["use a"])


def test_the_tools_that_were_called_are_named_once() -> None:
    other = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "g"}}]}
    asked = [called("a", "b"), result("a"), result("b"), other, result("c")]
    assert conversation(read_chat(msgspec.json.encode({"messages": asked})).messages).called == ["f", "g"]


ids = st.sampled_from(["a", "b", "a:b", "a_b", ""])
words = st.sampled_from(["Hello", " ", "See?"])
messages = st.one_of(
    st.builds(lambda content: {"role": "user", "content": content}, words),
    st.builds(lambda content: {"role": "system", "content": content}, words),
    st.builds(lambda content: {"role": "assistant", "content": content}, words),
    st.builds(lambda made, content: called(*made, content=content), st.lists(ids, max_size=3, unique=True), words),
    st.builds(result, ids),
)


@settings(max_examples=500)
@given(asked=st.lists(messages, max_size=9), answers=st.booleans())
def test_any_conversation_keeps_the_rules_or_is_refused(asked: list[dict[str, Any]], answers: bool) -> None:
    if answers:  # else few conversations would be whole
        open_calls = [call["id"] for message in asked for call in message.get("tool_calls", ())]
        asked = [message for message in asked if message["role"] != "tool"] + [result(id_) for id_ in open_calls]
    with contextlib.suppress(BadRequest):
        turns = put(*asked)
        assert [role for role, _ in turns] == (["user", "assistant"] * len(turns))[: len(turns)]
        assert turns[-1][0] == "user"
        expected: list[str] = []
        seen: set[str] = set()
        for _, blocks in turns:
            assert blocks[: len(expected)] == [block.replace("use", "result") for block in expected]
            assert not any(block.startswith("result ") for block in blocks[len(expected) :])
            expected = [block for block in blocks if block.startswith("use ")]
            assert expected == blocks[len(blocks) - len(expected) :], "calls come last"
            assert not seen & set(expected)
            assert all(re.fullmatch("use [a-zA-Z0-9_-]+", block) for block in expected)
            seen |= set(expected)
