"""Answers that name a service tier: their price is an estimate."""

from __future__ import annotations

import pytest

from voicegw_sidecar.dialects.base import HttpDialect, SocketDialect, carries_many
from voicegw_sidecar.dialects.openai_chat import OpenAIChat
from voicegw_sidecar.dialects.openai_responses import OpenAIResponses
from voicegw_sidecar.meter import Closed, Meter
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

CHAT = (
    b'{"choices":[{"message":{"content":"a"}}],"usage":{"prompt_tokens":1,"completion_tokens":1},"service_tier":"%s"}'
)
RESPONSE = b'{"id":"r","status":"completed","usage":{"input_tokens":1,"output_tokens":1},"service_tier":"%s"}'


@pytest.mark.parametrize(("tier", "estimated"), [("default", False), ("on_demand", False), ("priority", True)])
@pytest.mark.parametrize(("kind", "answer"), [(OpenAIChat, CHAT), (OpenAIResponses, RESPONSE)])
def test_a_tier_of_its_own_makes_the_price_an_estimate(
    kind: type[HttpDialect], answer: bytes, tier: str, estimated: bool
) -> None:
    dialect, meter = kind(RequestHead("POST", "/")), Meter()
    events = [
        *dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, b'{"model":"gpt-4.1"}')),
        *dialect.ended(Side.AGENT, End.COMPLETE),
        *dialect.answered(ResponseHead(200, "application/json")),
        *dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, answer % tier.encode())),
        *dialect.ended(Side.PROVIDER, End.COMPLETE),
    ]
    for event in events:
        meter.apply(event, 0)
    [closed] = meter.changes()
    assert isinstance(closed, Closed)
    assert (closed.exchange.estimated, closed.exchange.usage.output_tokens) == (estimated, 1)


def test_a_dialect_that_says_nothing_asks_for_nothing() -> None:
    dialect, frame = SocketDialect(), Frame(Side.AGENT, Kind.TEXT, 0, b"{}")
    assert (dialect.model, dialect.asks(frame), dialect.declines(frame), carries_many(dialect)) == (
        None, None, False, False)  # fmt: skip
    assert list(dialect.answered(ResponseHead(101))) == list(dialect.ended(Side.AGENT, End.COMPLETE)) == []
