"""What OpenAI's file says beside its endpoints: queries mended, kinds of work, background responses, addresses."""

from __future__ import annotations

import pytest

from voicegw_sidecar.dialects.openai_responses import OpenAIResponses
from voicegw_sidecar.events import Answered, Deferred, Finished
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.providers.base import JobState
from voicegw_sidecar.terms import Modality, Usage
from voicegw_sidecar.wire.frames import End, Frame, Kind, RequestHead, ResponseHead, Side

OPENAI = BY_ID["openai"]


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/v1/realtime", "intent=transcription&model=x&a=1", "intent=transcription&a=1"),
        ("/v1/realtime", "model=openai/gpt-realtime", "model=gpt-realtime"),
        ("/v1/realtime", "model=OpenAI%2Fgpt-realtime", "model=gpt-realtime"),
        ("/v1/responses", "model=openai/x", "model=openai/x"),
    ],
)
def test_queries_of_realtime_addresses_are_mended(path: str, query: str, expected: str) -> None:
    assert OPENAI.mend_query is not None
    assert OPENAI.mend_query(path, query) == expected


def test_a_realtime_address_says_which_kind_of_work_it_is_for() -> None:
    endpoint = OPENAI.endpoint("GET", "/v1/realtime", is_socket=True)
    assert endpoint is not None
    head = RequestHead("GET", "/v1/realtime", (("intent", "transcription"),))
    assert endpoint.modality_of(head) is Modality.STT
    assert endpoint.modality_of(RequestHead("GET", "/v1/realtime")) is Modality.S2S


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b'{"id":"r","status":"in_progress"}', JobState("r")),
        (b'{"id":"r","status":"completed","model":"m","usage":{"input_tokens":1,"output_tokens":2}}',
         JobState("r", is_done=True, model="m", usage=Usage(input_tokens=1, output_tokens=2))),
        (b'{"id":"r","status":"cancelled","model":"m"}', JobState("r", is_done=True, model="m")),
        (b'{"id":"r","status":"failed","error":{"code":"server_error"}}', JobState("r", error="server_error")),
        (b'{"id":"r","status":"failed"}', JobState("r", error="response_failed")),
        (b'{"data":[]}', None),
        (b"no json", None),
    ],
)  # fmt: skip
def test_answers_about_background_responses(answer: bytes, expected: JobState | None) -> None:
    endpoint = OPENAI.endpoint("GET", "/v1/responses/resp_1", is_socket=False)
    assert endpoint is not None
    assert endpoint.reads_job is not None
    assert endpoint.reads_job(answer) == expected


def test_a_response_that_is_queued_goes_on_under_its_id() -> None:
    for status, end in (("queued", Deferred("r")), ("completed", Finished())):
        dialect = OpenAIResponses(RequestHead("POST", "/v1/responses"))
        list(dialect.ended(Side.AGENT, End.COMPLETE))
        assert list(dialect.answered(ResponseHead(200, "application/json"))) == [Answered()]
        body = f'{{"id":"r","status":"{status}"}}'.encode()
        list(dialect.decode(Frame(Side.PROVIDER, Kind.BODY, 0, body)))
        assert list(dialect.ended(Side.PROVIDER, End.COMPLETE))[-1] == end


def test_other_hosts_are_the_vendors_own_unless_another_address_is_configured() -> None:
    assemblyai = BY_ID["assemblyai"]
    assert assemblyai.address_of("/v3/ws", assemblyai.base_url) == "https://streaming.assemblyai.com"
    assert assemblyai.address_of("/v2/upload", assemblyai.base_url) == assemblyai.base_url
    assert assemblyai.address_of("/v3/ws", "http://127.0.0.1:9/x/") == "http://127.0.0.1:9/x"


def test_an_old_client_of_cartesia_is_told_in_plain_text() -> None:
    shape = BY_ID["cartesia"].errors
    old = shape.encode(402, "budget_exceeded", "The budget is spent.", {"cartesia-version": "2025-04-16"})
    assert old.content_type.startswith("text/plain")
    assert b"The budget is spent." in old.body
    assert (
        shape.encode(402, "budget_exceeded", "x", {"cartesia-version": "2026-08-14"}).content_type == "application/json"
    )
