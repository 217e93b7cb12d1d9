"""Chat answers written in OpenAI's words: whole and in chunks, as the real SDK reads them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.facades.answered import answered
from tests.replay import Capture, captures, replay
from voicegw_sidecar.events import (
    Answered,
    AudioOut,
    Event,
    Failed,
    Finished,
    Named,
    Reasoned,
    TextOut,
    ToolCall,
    Used,
)
from voicegw_sidecar.facades.openai_chat import ChatAnswer
from voicegw_sidecar.terms import Usage

DONE = b"data: [DONE]\n\n"
TOLD = Usage(input_tokens=12, output_tokens=5, cached_input_tokens=4, reasoning_tokens=2)
WHOLE = {f"anthropic_messages_{name}" for name in ("json", "sse", "sse_cached_tool", "sse_thinking")}
"""Captures of answers that neither were refused nor broke off."""
Calls = list[tuple[str, str, str]]


def call(index: int, arguments: str = "", id_: str = "", name: str = "") -> TextOut:
    """A piece of a call; the first of each has an id and a name."""
    return TextOut(name + arguments, is_call=True, call=ToolCall(index, id_, name, arguments))


BEGUN = call(0, id_="call_a", name="look_up")
TOOLS: dict[str, tuple[list[Event], str, Calls]] = {
    "arguments in pieces": (
        [BEGUN, call(0, '{"city":'), call(0, '"Paris"}')], "", [("call_a", "look_up", '{"city":"Paris"}')]),
    "arguments at once": ([call(0, '{"a":1}', "call_a", "look_up")], "", [("call_a", "look_up", '{"a":1}')]),
    "none": ([BEGUN], "", [("call_a", "look_up", "{}")]),
    "an empty piece": ([BEGUN, call(0, "")], "", [("call_a", "look_up", "{}")]),
    "several": (
        [call(0, "{", "call_a", "one"), call(0, "}"), call(1, '{"b":', "call_b", "two"), call(1, "2}")],
        "", [("call_a", "one", "{}"), ("call_b", "two", '{"b":2}')]),
    "several, the first and the last without arguments": (
        [BEGUN, call(1, '{"b":2}', "call_b", "two"), call(2, "", "call_c", "three")],
        "", [("call_a", "look_up", "{}"), ("call_b", "two", '{"b":2}'), ("call_c", "three", "{}")]),
    "text before it": ([TextOut("One moment. "), BEGUN], "One moment. ", [("call_a", "look_up", "{}")]),
}  # fmt: skip


def answer(*, wants_usage: bool = False) -> ChatAnswer:
    return ChatAnswer("chatcmpl-1", 1_790_000_000, "claude-haiku-4-5", wants_usage=wants_usage)


def written(events: Iterable[Event], *, wants_usage: bool = False) -> bytes:
    """A whole answer in chunks, told event by event."""
    writing = answer(wants_usage=wants_usage)
    return b"".join([*(writing.take([event]) for event in events), writing.end()])


def chunks(stream: bytes) -> list[ChatCompletionChunk]:
    """The chunks as the SDK's own type; the stream has to end as OpenAI's."""
    assert stream.endswith(DONE)
    return [ChatCompletionChunk.model_validate_json(data) for data in payloads(stream)]


def payloads(stream: bytes) -> list[bytes]:
    events = stream.removesuffix(DONE).split(b"\n\n")
    assert events.pop() == b""
    assert all(event.startswith(b"data: ") for event in events)
    return [event.removeprefix(b"data: ") for event in events]


def heard(stream: bytes) -> tuple[str, Calls, str | None]:
    """What a client that puts the chunks together has in the end: text, calls and the reason it ended."""
    text, calls, reason = "", dict[int, tuple[str, str, str]](), None
    for chunk in chunks(stream):
        for choice in chunk.choices:
            assert reason is None, "nothing comes after the reason"
            text += choice.delta.content or ""
            reason = choice.finish_reason
            for piece in choice.delta.tool_calls or []:
                assert piece.function is not None
                id_, name, arguments = calls.get(piece.index, ("", "", ""))
                calls[piece.index] = (
                    id_ + (piece.id or ""), name + (piece.function.name or ""),
                    arguments + (piece.function.arguments or ""),
                )  # fmt: skip
    return text, [calls[index] for index in sorted(calls)], reason


def whole(events: Iterable[Event]) -> ChatCompletion:
    writing = answer()
    writing.take(events)
    return ChatCompletion.model_validate_json(writing.whole())


def called(completion: ChatCompletion) -> Calls:
    found: Calls = []
    for one in completion.choices[0].message.tool_calls or []:
        assert one.type == "function"
        found.append((one.id, one.function.name, one.function.arguments))
    return found


def test_text_goes_on_as_it_comes() -> None:
    writing = answer()
    first, second, last = writing.take([TextOut("Hel")]), writing.take([TextOut("lo.")]), writing.end()
    assert [chunk.choices[0].delta.content for chunk in chunks(first + DONE)] == ["Hel"]
    assert [chunk.choices[0].delta.content for chunk in chunks(second + DONE)] == ["lo."]
    [end] = chunks(last)
    assert (end.choices[0].delta.content, end.choices[0].finish_reason) == (None, "stop")


@pytest.mark.parametrize("events", [[TextOut("a"), TextOut("b")], [BEGUN], []], ids=["text", "a call", "nothing"])
def test_the_role_is_in_the_first_chunk_only(events: list[Event]) -> None:
    found = chunks(written(events))
    assert [chunk.choices[0].delta.role for chunk in found] == ["assistant"] + [None] * (len(found) - 1)


def test_every_chunk_says_whose_it_is() -> None:
    found = chunks(written([TextOut("a"), Used(TOLD)], wants_usage=True))
    assert {(chunk.id, chunk.created, chunk.model, chunk.object) for chunk in found} == {
        ("chatcmpl-1", 1_790_000_000, "claude-haiku-4-5", "chat.completion.chunk")
    }


@pytest.mark.parametrize(("events", "text", "expected"), TOOLS.values(), ids=TOOLS)
def test_calls_of_tools_in_chunks(events: list[Event], text: str, expected: Calls) -> None:
    assert heard(written(events)) == (text, expected, "tool_calls")


@pytest.mark.parametrize(("events", "text", "expected"), TOOLS.values(), ids=TOOLS)
def test_calls_of_tools_in_one_piece(events: list[Event], text: str, expected: Calls) -> None:
    completion = whole(events)
    assert (completion.choices[0].message.content, called(completion)) == (text or None, expected)
    assert completion.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize(("events", "text", "expected"), TOOLS.values(), ids=TOOLS)
def test_a_call_is_complete_before_the_next_begins(events: list[Event], text: str, expected: Calls) -> None:
    order = [
        piece.index
        for chunk in chunks(written(events))
        for choice in chunk.choices
        for piece in choice.delta.tool_calls or []
    ]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([TextOut("a"), Finished(reason="length")], "length"),
        ([TextOut("a"), Finished(reason="content_filter")], "content_filter"),
        ([TextOut("a"), Finished()], "stop"),
        ([TextOut("a")], "stop"),
        ([BEGUN, Finished(reason="tool_calls")], "tool_calls"),
        ([BEGUN, Finished()], "tool_calls"),
        ([TextOut("a"), Finished(reason="length"), Finished()], "length"),
    ],
)
def test_why_it_ended_is_said_in_both_forms(events: list[Event], expected: str) -> None:
    assert heard(written(events))[2] == expected
    assert whole(events).choices[0].finish_reason == expected


def test_usage_comes_last_where_it_is_asked_for() -> None:
    *others, last = chunks(written([TextOut("a"), Used(TOLD), Finished()], wants_usage=True))
    assert [chunk.usage for chunk in others] == [None] * len(others)
    assert last.choices == []
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens, last.usage.total_tokens) == (12, 5, 17)
    assert last.usage.prompt_tokens_details is not None
    assert last.usage.prompt_tokens_details.cached_tokens == 4
    assert last.usage.completion_tokens_details is not None
    assert last.usage.completion_tokens_details.reasoning_tokens == 2


def test_usage_is_not_shown_unasked() -> None:
    found = payloads(written([TextOut("a"), Used(TOLD), Finished()]))
    assert all("usage" not in msgspec.json.decode(data) for data in found)
    assert all(chunk.choices for chunk in chunks(written([TextOut("a"), Used(TOLD), Finished()])))


def test_a_later_report_replaces_an_earlier_one() -> None:
    usage = whole([TextOut("a"), Used(Usage(input_tokens=12, output_tokens=1)), Used(TOLD)]).usage
    assert usage is not None
    assert usage.completion_tokens == 5


@pytest.mark.parametrize(
    "events", [[], [Used(Usage(input_tokens=12))], [Used(Usage(output_tokens=5))]], ids=["none", "input", "output"]
)
def test_usage_that_is_not_known_is_null_and_never_0(events: list[Event]) -> None:
    assert whole([TextOut("a"), *events]).usage is None
    last = payloads(written([TextOut("a"), *events], wants_usage=True))[-1]
    assert msgspec.json.decode(last)["usage"] is None


def test_details_that_are_not_known_are_left_out() -> None:
    usage = whole([TextOut("a"), Used(Usage(input_tokens=12, output_tokens=5))]).usage
    assert usage is not None
    assert (usage.prompt_tokens_details, usage.completion_tokens_details) == (None, None)


def test_a_detail_of_0_is_told() -> None:
    told = Usage(input_tokens=12, output_tokens=5, cached_input_tokens=0, reasoning_tokens=0)
    usage = whole([TextOut("a"), Used(told)]).usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    assert usage.prompt_tokens_details.cached_tokens == 0
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 0


def test_a_whole_answer_without_words_has_no_content() -> None:
    message = whole([]).choices[0].message
    assert (message.role, message.content, message.tool_calls) == ("assistant", None, None)


@pytest.mark.parametrize(
    "event", [Answered(), Reasoned("Hmm."), Named("claude"), AudioOut(1.0), TextOut(""), TextOut("f{}", is_call=True)]
)
def test_what_is_no_answer_writes_nothing(event: Event) -> None:
    writing = answer()
    assert writing.take([event]) == b""
    assert not writing.has_output


@pytest.mark.parametrize("event", [TextOut("a"), BEGUN])
def test_output_is_what_could_be_heard(event: Event) -> None:
    writing = answer()
    writing.take([event])
    assert writing.has_output


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], True),
        ([Answered(), Used(TOLD), Reasoned("Hmm."), Finished()], True),
        ([TextOut("a")], False),
        ([BEGUN], False),
        ([Finished(reason="stop")], False),
    ],
)
def test_an_answer_says_something_or_why_it_does_not(events: list[Event], expected: bool) -> None:
    writing = answer()
    writing.take(events)
    assert writing.says_nothing is expected


def test_of_several_failures_the_first_counts() -> None:
    writing = answer()
    writing.take([Failed("overloaded_error"), Failed("incomplete_answer")])
    assert writing.failure == Failed("overloaded_error")


def test_an_answer_ends_once() -> None:
    writing = answer()
    writing.take([TextOut("a")])
    assert writing.end().endswith(DONE)
    assert writing.end() == b""


def test_a_failure_after_the_beginning_is_raised_by_the_sdk() -> None:
    writing = answer()
    begun = writing.take([TextOut("Hel"), Failed("overloaded_error", message="Overloaded")])
    assert writing.failure == Failed("overloaded_error", message="Overloaded")
    stream = begun + writing.failed("Overloaded", "overloaded_error")
    assert writing.end() == b"", "an answer that failed is not complete"
    text = ""
    with answered(stream, "text/event-stream") as client:
        with pytest.raises(APIError) as raised:
            for chunk in client.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "Hello"}], stream=True
            ):
                text += chunk.choices[0].delta.content or ""
    assert text == "Hel"
    assert raised.value.message == "Overloaded"
    assert raised.value.code == "overloaded_error"


@pytest.mark.parametrize("capture", [one for one in captures("anthropic_messages_*") if one.name in WHOLE], ids=str)
def test_answers_of_anthropic_are_the_same_in_both_forms(capture: Capture) -> None:
    events = [event for _, event in replay(capture).events]
    text = "".join(event.text for event in events if isinstance(event, TextOut) and not event.is_call)
    in_chunks, completion = heard(written(events)), whole(events)
    assert in_chunks[0] == text == (completion.choices[0].message.content or "")
    assert in_chunks[1] == called(completion)
    for _, _, arguments in in_chunks[1]:
        assert isinstance(msgspec.json.decode(arguments), dict)


said = st.lists(st.text(max_size=5).map(TextOut), max_size=4)
pieces_of_a_call = st.lists(st.text(max_size=5), max_size=4)


@given(before=said, calls=st.lists(pieces_of_a_call, max_size=4))
def test_both_forms_tell_the_same(before: list[TextOut], calls: list[list[str]]) -> None:
    events: list[Event] = [*before]
    for index, pieces in enumerate(calls):
        events.append(call(index, "", f"call_{index}", "f"))
        events += [call(index, piece) for piece in pieces]
    completion = whole(events)
    text, in_chunks, reason = heard(written(events))
    assert text == (completion.choices[0].message.content or "")
    assert in_chunks == called(completion)
    assert [arguments for _, _, arguments in in_chunks] == ["".join(pieces) or "{}" for pieces in calls]
    assert reason == completion.choices[0].finish_reason
