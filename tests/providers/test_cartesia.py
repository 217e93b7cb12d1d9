"""Cartesia's messages beyond the captures."""

from __future__ import annotations

import msgspec
import pytest

from voicegw_sidecar.events import (
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    Stopped,
    TextIn,
    UtteranceEnded,
)
from voicegw_sidecar.providers.cartesia import CONTEXT_LIMIT, CartesiaSpeech, CartesiaTurns
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, Side


def pass_on(dialect: CartesiaSpeech | CartesiaTurns, side: Side, **message: object) -> list[Event]:
    return list(dialect.decode(Frame(side, Kind.TEXT, 0, msgspec.json.encode(message))))


def asked(dialect: CartesiaSpeech, **message: object) -> list[Event]:
    return pass_on(dialect, Side.AGENT, **message)


def told(dialect: CartesiaSpeech | CartesiaTurns, **message: object) -> list[Event]:
    return pass_on(dialect, Side.PROVIDER, **message)


def speech() -> CartesiaSpeech:
    return CartesiaSpeech(RequestHead("GET", "/tts/websocket"))


def test_blank_alone_is_no_exchange() -> None:
    dialect = speech()
    assert asked(dialect, context_id="a", transcript=" ") == []
    assert told(dialect, type="chunk", context_id="a", data="AAAA") == []
    assert told(dialect, type="done", context_id="a", done=True) == []


def test_context_used_again_is_a_new_exchange() -> None:
    dialect = speech()
    asked(dialect, context_id="a", transcript="x", model_id="m")
    assert told(dialect, type="done", context_id="a", done=True) == [Finished("a")]
    assert asked(dialect, context_id="a", transcript="y", model_id="m")[0] == Began(Modality.TTS, "a", "m")


def test_context_without_an_id_or_a_known_format_is_followed() -> None:
    dialect = speech()
    assert asked(dialect, transcript="x") == [Began(Modality.TTS), TextIn("x")]
    assert told(dialect, type="chunk", data="AAAA", done=False) == [AudioOut(None, audio="AAAA")]


def test_cancel_ends_one_context() -> None:
    dialect = speech()
    asked(dialect, context_id="a", transcript="x")
    assert asked(dialect, context_id="a", cancel=True) == [Stopped("a")]
    assert told(dialect, type="chunk", context_id="a", data="AAAA") == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"context_id": "a", "error_code": "quota_exceeded"}, Failed("quota_exceeded", "a")),
        ({"context_id": "a", "error": "a text", "status_code": 400}, Failed("error_400", "a", "a text")),
        ({"error": "a" * 501}, Failed("error_frame", "*", "a" * 500)),
        ({"error": "old", "message": "new", "status_code": 400}, Failed("error_400", "*", "new")),
        ({"error_code": "a text of its own", "status_code": 500}, Failed("error_500", "*")),
    ],
)
def test_errors_name_a_code_and_keep_the_text_apart(message: dict[str, object], expected: Event) -> None:
    dialect = speech()
    asked(dialect, context_id="a", transcript="x")
    assert told(dialect, type="error", done=True, **message) == [expected]


def test_close_by_the_provider_fails_what_is_open() -> None:
    assert list(speech().ended(Side.PROVIDER, End.COMPLETE)) == [Failed("connection_closed", "*")]
    assert list(speech().ended(Side.AGENT, End.COMPLETE)) == []
    assert list(speech().ended(Side.PROVIDER, End.BROKEN)) == []


def test_contexts_over_the_limit_are_not_followed() -> None:
    dialect = speech()
    for number in range(CONTEXT_LIMIT):
        assert asked(dialect, context_id=str(number), transcript="x")
    assert asked(dialect, context_id="one more", transcript="x") == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "turn.update", "transcript": "a"}, [Interim("a")]),
        ({"type": "turn.eager_end", "transcript": "a"}, [Interim("a", is_eager=True)]),
        ({"type": "turn.end", "transcript": "a"}, [Final("a"), UtteranceEnded()]),
        ({"type": "turn.end", "transcript": ""}, []),
        ({"type": "turn.update", "transcript": None}, []),
        ({"type": "turn.start"}, []),
        ({"type": "error", "error_code": "x y"}, [Failed("provider_error", "*")]),
    ],
)
def test_messages_of_turns(message: dict[str, object], expected: list[Event]) -> None:
    assert told(CartesiaTurns(RequestHead("GET", "/")), **message) == expected
