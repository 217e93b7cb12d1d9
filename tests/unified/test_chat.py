"""The real OpenAI SDK at ``/v1/chat/completions``, answered by every provider that has language models."""

from __future__ import annotations

import gzip
from asyncio import StreamReader, StreamWriter
from typing import Any

import msgspec
import pytest
from openai import APIError, APIStatusError

from tests.sidecar import Script, raw_server, read_request
from tests.simulator.conftest import ANSWER, eventually, quick
from tests.simulator.test_openai import ASKED, TOOLS, WEATHER
from tests.unified.conftest import Setup, StartUnified
from voicegw_sidecar.simulator import Failure, FailureKind, Thinking

MODELS = {
    "openai": "openai/gpt-4.1-mini",
    "groq": "groq/llama-3.3-70b-versatile",
    "anthropic": "anthropic/claude-haiku-4-5",
    "ollama": "ollama/qwen2.5:3b",
}
every_model = pytest.mark.parametrize(("provider", "model"), MODELS.items())


@every_model
async def test_json_completion(unified: Setup, provider: str, model: str) -> None:
    async with unified.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(model=model, messages=ASKED)
    completion = raw.parse()
    assert completion.choices[0].message.content == ANSWER
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert raw.headers["X-VoiceGW-Model"] == model
    [row] = await unified.sidecar.rows(1)
    assert (row.project, row.provider, row.modality, row.status) == ("acme", provider, "llm", "ok")
    assert f"{row.provider}/{row.model}" == model
    assert (row.usage.input_tokens, row.usage.output_tokens) == (
        completion.usage.prompt_tokens, completion.usage.completion_tokens)  # fmt: skip
    assert raw.headers["X-VoiceGW-Exchange"] == row.id
    assert row.cost_nanousd == 0 if provider == "ollama" else (row.cost_nanousd or 0) > 0
    [entry] = unified.simulator.ledger.entries()
    assert "sk-agent" not in str(entry.headers), "the caller's key is the sidecar's matter"


@every_model
@pytest.mark.parametrize("asks", [True, False])
async def test_streamed_completion(unified: Setup, provider: str, model: str, asks: bool) -> None:
    options: Any = {"stream_options": {"include_usage": True}} if asks else {}
    async with unified.openai() as client:
        stream = await client.chat.completions.create(model=model, messages=ASKED, stream=True, **options)
        chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == ANSWER
    assert [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason] == ["stop"]
    assert any(chunk.usage for chunk in chunks) is asks
    [row] = await unified.sidecar.rows(1)
    assert (row.provider, row.status, row.estimated) == (provider, "ok", False)
    assert row.first_ms is not None


@every_model
@pytest.mark.parametrize("streamed", [True, False])
async def test_tool_call_and_its_result(unified: Setup, provider: str, model: str, streamed: bool) -> None:
    asked: list[Any] = list(WEATHER)
    async with unified.openai() as client:
        if streamed:
            name, arguments, call_id, finish = "", "", "", None
            async for chunk in await client.chat.completions.create(
                model=model, messages=asked, tools=TOOLS, stream=True
            ):
                for call in chunk.choices[0].delta.tool_calls or [] if chunk.choices else []:
                    assert call.function is not None
                    name += call.function.name or ""
                    arguments += call.function.arguments or ""
                    call_id += call.id or ""
                finish = (chunk.choices[0].finish_reason if chunk.choices else None) or finish
        else:
            completion = await client.chat.completions.create(model=model, messages=asked, tools=TOOLS)
            finish = completion.choices[0].finish_reason
            [made] = completion.choices[0].message.tool_calls or []
            assert made.type == "function"
            name, arguments, call_id = made.function.name, made.function.arguments, made.id
        assert (name, finish) == ("look_up", "tool_calls")
        assert msgspec.json.decode(arguments) == {"city": "Paris", "days": 1}
        called = {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        asked += [
            {"role": "assistant", "tool_calls": [called]},
            {"role": "tool", "tool_call_id": call_id, "content": "sunny"},
        ]
        completion = await client.chat.completions.create(model=model, messages=asked, tools=TOOLS)
    assert completion.choices[0].message.content == ANSWER


async def test_auto_is_the_projects_pick(unified: Setup) -> None:
    async with unified.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=ASKED)
    assert raw.headers["X-VoiceGW-Model"].startswith("groq/")


async def test_auto_keeps_to_its_session(unified: Setup) -> None:
    async with unified.openai("/p/acme/s/call-1") as client:
        await client.chat.completions.create(model="auto", messages=ASKED)
    session = await unified.sidecar.get_json("/v1/sessions/call-1?project=acme")
    assert session["origin"] == "named"
    assert session["predicted_ms"] == 480
    assert session["route"]["llm"]["used"] == ["groq/llama-3.3-70b-versatile"]
    assert session["route"]["stt"]["provider"] == "deepgram"


async def test_bare_name_goes_to_the_one_provider_that_lists_it(unified: Setup) -> None:
    async with unified.openai() as client:
        raw = await client.chat.completions.with_raw_response.create(model="gpt-4.1-mini", messages=ASKED)
        with pytest.raises(APIStatusError) as raised:
            await client.chat.completions.create(model="gpt-of-tomorrow", messages=ASKED)
    assert raw.headers["X-VoiceGW-Model"] == "openai/gpt-4.1-mini"
    assert raised.value.status_code == 400
    assert "gpt-of-tomorrow" in raised.value.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "body"),
        (b'{"model":"openai/gpt-4.1-mini","messages":[]}', "messages"),
        (b'{"model":"openai/gpt-4.1-mini","messages":7}', "$.messages"),
        (b'{"model":"nobody/m","messages":[{"role":"user","content":"a"}]}', "nobody"),
        (b'{"model":"deepgram/nova-3","messages":[{"role":"user","content":"a"}]}', "deepgram"),
        (b'{"model":"anthropic/claude-haiku-4-5","n":2,"messages":[{"role":"user","content":"a"}]}', "n:"),
    ],
)
async def test_bad_input_gets_one_clear_line(unified: Setup, body: bytes, words: str) -> None:
    async with unified.sidecar.http.post(unified.sidecar.url + "/p/acme/v1/chat/completions", data=body) as response:
        answer = await response.json()
    assert response.status == 400
    assert response.headers["X-VoiceGW-Error"] == "bad_request"
    assert words in answer["error"]["message"]
    assert unified.simulator.ledger.entries() == []


@every_model
@pytest.mark.parametrize("status", [401, 429, 529])
async def test_refusal_of_the_provider_keeps_its_status(unified: Setup, provider: str, model: str, status: int) -> None:
    endpoint = {"anthropic": "anthropic.messages", "ollama": "ollama.openai_chat"}.get(provider, f"{provider}.chat")
    unified.simulator.fail_next(endpoint, Failure(FailureKind.STATUS, status=status))
    async with unified.openai() as client:
        with pytest.raises(APIStatusError) as raised:
            await client.chat.completions.create(model=model, messages=ASKED)
    assert raised.value.status_code == status
    assert "X-VoiceGW-Error" not in raised.value.response.headers
    [row] = await unified.sidecar.rows(1)
    assert (row.status, row.http_status) == ("upstream_error", status)


MESSAGE = (
    b'{"type":"message","role":"assistant","content":[{"type":"text","text":"Hi."}],"stop_reason":"end_turn",'
    b'"usage":{"input_tokens":5,"output_tokens":1}}'
)
BEGUN = (
    b'data: {"type":"message_start","message":{"model":"c","usage":{"input_tokens":5,"output_tokens":1}}}\n\n'
    b'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Your order has"}}\n\n'
)
NO_ANSWERS: dict[str, tuple[tuple[str, ...], bytes, int, str]] = {
    "a page": (
        ("200 OK", "Content-Type: text/html"), b"<html>Please sign in.</html>", 502,
        "anthropic answered with text/html, not with JSON or events; check its address, or call again"),
    "nothing": (
        ("200 OK", "Content-Type: application/json"), b"", 502,
        "anthropic: the answer is empty or no message; call again"),
    "no events": (
        ("200 OK", "Content-Type: text/event-stream"), b"", 502,
        "anthropic: the answer broke off before its end; call again"),
    "a way elsewhere": (
        ("302 Found", "Location: http://127.0.0.1:9/x"), b"", 502,
        "anthropic: answered with status 302, which leads elsewhere and is not followed; "
        "check providers.anthropic.base_url"),
    "a packed refusal": (
        ("429 Too Many Requests", "Content-Type: application/json", "Content-Encoding: gzip"),
        gzip.compress(b'{"type":"error","error":{"type":"rate_limit_error","message":"Slow down."}}'), 429,
        "anthropic: Slow down."),
}  # fmt: skip
"""What Anthropic's address may answer that is no answer; the status and words that a caller gets."""


def answering(head: tuple[str, ...], body: bytes) -> Script:
    """A server that answers everything so, each time to its end."""
    lines = "\r\n".join([f"HTTP/1.1 {head[0]}", *head[1:], f"Content-Length: {len(body)}", "", ""])

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(lines.encode() + body)
            await writer.drain()

    return serve


def at(address: str) -> str:
    return f"providers: {{anthropic: {{base_url: '{address}', api_key: key-of-anthropic}}}}"


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(("head", "body", "status", "message"), NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_is_no_answer_of_claude_is_an_error(
    start_unified: StartUnified, head: tuple[str, ...], body: bytes, status: int, message: str, streamed: bool
) -> None:
    async with (
        raw_server(answering(head, body)) as address,
        start_unified(at(address)) as unified,
        unified.openai() as client,
    ):
        with pytest.raises(APIStatusError) as raised:
            await client.chat.completions.create(model=MODELS["anthropic"], messages=ASKED, stream=streamed)
        [row] = await unified.sidecar.rows(1)
    assert (raised.value.status_code, raised.value.type) == (
        status, "server_error" if status == 502 else "invalid_request_error")  # fmt: skip
    assert message in raised.value.message
    assert row.status == "upstream_error"


@pytest.mark.parametrize("body", [b'{"detail":"gone"}', MESSAGE[:-9], BEGUN])
async def test_what_is_no_message_is_no_whole_answer(start_unified: StartUnified, body: bytes) -> None:
    kind = "text/event-stream" if body is BEGUN else "application/json"
    async with (
        raw_server(answering(("200 OK", f"Content-Type: {kind}"), body)) as address,
        start_unified(at(address)) as unified,
        unified.openai() as client,
    ):
        with pytest.raises(APIError):
            await client.chat.completions.create(model=MODELS["anthropic"], messages=ASKED)


async def test_a_stream_of_claude_that_stops_short_is_not_passed_off_as_whole(start_unified: StartUnified) -> None:
    text = ""
    async with (
        raw_server(answering(("200 OK", "Content-Type: text/event-stream"), BEGUN)) as address,
        start_unified(at(address)) as unified,
        unified.openai() as client,
    ):
        stream = await client.chat.completions.create(model=MODELS["anthropic"], messages=ASKED, stream=True)
        with pytest.raises(APIError) as raised:
            async for chunk in stream:
                text += chunk.choices[0].delta.content or ""
                assert chunk.choices[0].finish_reason is None
        [row] = await unified.sidecar.rows(1)
    assert text == "Your order has"
    assert raised.value.code == "incomplete_answer"
    assert (row.status, row.error) == ("partial", "incomplete_answer")


async def test_a_packed_answer_of_claude_is_unpacked(start_unified: StartUnified) -> None:
    head = ("200 OK", "Content-Type: application/json", "Content-Encoding: gzip")
    async with (
        raw_server(answering(head, gzip.compress(MESSAGE))) as address,
        start_unified(at(address)) as unified,
        unified.openai() as client,
    ):
        completion = await client.chat.completions.create(model=MODELS["anthropic"], messages=ASKED)
        [row] = await unified.sidecar.rows(1)
    assert (completion.choices[0].message.content, row.status) == ("Hi.", "ok")


async def test_whoever_has_no_answer_gives_way(start_unified: StartUnified) -> None:
    rosters = "routing: {failover: true, rosters: {stt: [deepgram], llm: [anthropic, openai], tts: [cartesia]}}"
    head, body, *_ = NO_ANSWERS["a page"]
    async with (
        raw_server(answering(head, body)) as address,
        start_unified(f"{at(address)}\n{rosters}") as unified,
        unified.openai() as client,
    ):
        raw = await client.chat.completions.with_raw_response.create(model="auto", messages=ASKED, stream=True)
        assert raw.headers["X-VoiceGW-Model"] == MODELS["openai"]


async def test_missing_key_is_said_before_anything_is_sent(start_unified: StartUnified) -> None:
    async with start_unified(without_key=("openai",)) as unified, unified.openai() as client:
        with pytest.raises(APIStatusError) as raised:
            await client.chat.completions.create(model="openai/gpt-4.1-mini", messages=ASKED)
        assert raised.value.status_code == 401
        assert raised.value.response.headers["X-VoiceGW-Error"] == "missing_key"
        assert unified.simulator.ledger.entries() == []
        [row] = await unified.sidecar.rows(1)
    assert (row.status, row.error) == ("refused", "missing_key")


@every_model
async def test_caller_that_leaves_stops_the_provider(start_unified: StartUnified, provider: str, model: str) -> None:
    slow = quick(chat=Thinking(first_token_ms=10.0, token_interval_ms=50.0, answers=("word " * 60,)))
    async with start_unified(script=slow) as unified, unified.openai() as client:
        stream = await client.chat.completions.create(model=model, messages=ASKED, stream=True)
        async for chunk in stream:
            if chunk.choices and chunk.choices[0].delta.content:
                break
        await stream.close()
        [row] = await unified.sidecar.rows(1)
        await eventually(lambda: unified.simulator.ledger.entries()[0].hung_up_ns is not None)
        assert row.status == "cancelled"


async def test_question_for_the_models_makes_the_connection_ready(unified: Setup) -> None:
    async with unified.openai() as client:
        for _ in range(3):
            _ = [model async for model in client.models.list()]
        await eventually(lambda: len(unified.simulator.ledger.entries("groq.models")) == 1)
        await client.chat.completions.create(model="auto", messages=ASKED)
    [warm] = unified.simulator.ledger.entries("groq.models")
    [chat] = unified.simulator.ledger.entries("groq.chat")
    assert warm.connection == chat.connection, "the call came over the connection that was ready"
    assert warm.headers["authorization"] == "Bearer key-of-groq"
    assert len(await unified.sidecar.rows(1)) == 1


async def test_models_of_the_configured_providers_are_listed(start_unified: StartUnified) -> None:
    async with start_unified(without_key=()) as unified, unified.openai() as client:
        names = [model.id async for model in client.models.list()]
    assert names[0] == "auto"
    assert {"openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "deepgram/nova-3"} <= set(names)
