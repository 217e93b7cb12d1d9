"""Endpoints that are not understood: their two ends are all that is known."""

from __future__ import annotations

from voicegw_sidecar.dialects.opaque import OpaqueRequest, OpaqueSocket
from voicegw_sidecar.events import Answered, Began, Finished, RequestComplete
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

HEAD = RequestHead("POST", "/v1/unknown")


def test_request_runs_from_its_end_to_the_answers() -> None:
    dialect = OpaqueRequest(HEAD)
    assert list(dialect.decode(Frame(Side.AGENT, Kind.BODY, 0, b"x"))) == []
    assert list(dialect.ended(Side.AGENT, End.COMPLETE)) == [Began(None), RequestComplete()]
    assert list(dialect.answered(ResponseHead(200))) == [Answered()]
    assert list(dialect.ended(Side.PROVIDER, End.BROKEN)) == []
    assert list(dialect.ended(Side.PROVIDER, End.COMPLETE)) == [Finished()]


def test_socket_runs_from_its_handshake_to_a_good_close() -> None:
    dialect = OpaqueSocket(HEAD)
    assert list(dialect.answered(ResponseHead(101))) == [Began(None), RequestComplete()]
    assert list(dialect.decode(Frame(Side.AGENT, Kind.TEXT, 0, b"x"))) == []
    assert list(dialect.ended(Side.AGENT, End.BROKEN)) == []
    assert list(dialect.ended(Side.AGENT, End.COMPLETE)) == [Finished()]
