"""What a client of the sidecar says where no answer comes: whether it is there, and whether something was done."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.cli.test_commands import run
from tests.sidecar import Script, raw_server, read_request
from voicegw_sidecar.control_client import NoAnswer, control_client

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
UNKNOWN = "whether it was done is not known"


def sends(*pieces: bytes, every_s: float = 0.0, hangs: bool = True) -> Script:
    """A server that reads a request, says this, and then nothing more."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(every_s)
        if hangs:
            await reader.read()

    return script


async def told(script: Script, method: str, *, timeout_s: float = 0.3, **more: Any) -> str:
    """What the client raises; its time-outs are shortened, or a test would take as long as they do."""
    async with raw_server(script) as url:
        client = replace(control_client(url, "S3CRET"), timeout_s=timeout_s)
        with pytest.raises(NoAnswer) as refused:
            await asyncio.wait_for(asyncio.to_thread(client.ask, method, "/v1/x", **more), 20)
        message = refused.value.message.replace(url, "URL")
    assert "S3CRET" not in message
    assert "serve" not in message
    return message


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (sends(), "the sidecar at URL did not answer within 0.3 s"),
        (sends(b"HTTP/1.1 200 OK\r\nCont"), "the sidecar at URL did not answer within 0.3 s"),
        (sends(HEAD, b"{"), "the sidecar at URL did not answer within 0.3 s"),
        (sends(HEAD, *[b" "] * 900, every_s=0.05), "the sidecar at URL did not answer within 0.3 s"),
        (sends(hangs=False), "what answers at URL broke off, or is no sidecar: RemoteDisconnected"),
        (sends(HEAD, b"{}", hangs=False), "what answers at URL broke off, or is no sidecar: IncompleteRead"),
        (sends(b"HTTP/1.1 504 no\r\nContent-Length: 2\r\n\r\nno"), "it answered with status 504, which is not how a "
         "sidecar refuses"),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno"),
         "what answers at URL is no sidecar: it sent no JSON"),
        (sends(b"GARBAGE\r\n\r\n"), "what answers at URL broke off, or is no sidecar: BadStatusLine"),
    ],
    ids=["silent", "half a head", "half a body", "trickling", "gone", "broken off", "a proxy", "no JSON", "no HTTP"],
)  # fmt: skip
async def test_who_was_reached_may_have_done_it(script: Script, said: str) -> None:
    assert await told(script, "GET") == said
    assert await told(script, "POST", body={}) == f"{said}; {UNKNOWN}"
    assert await told(script, "DELETE") == f"{said}; {UNKNOWN}"


async def test_an_answer_with_another_status_may_hang_as_well() -> None:
    head = b"HTTP/1.1 503 no\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    assert await told(sends(head), "GET", also=503) == "the sidecar at URL did not answer within 0.3 s"
    assert await told(sends(head, hangs=False), "GET", also=503) == (
        "what answers at URL broke off, or is no sidecar: IncompleteRead")  # fmt: skip


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_where_nothing_listens_nothing_was_done(method: str) -> None:
    with pytest.raises(NoAnswer) as refused:
        await asyncio.to_thread(control_client("http://127.0.0.1:9", None).ask, method, "/v1/x")
    message = refused.value.message
    assert message.startswith("no sidecar answers at http://127.0.0.1:9: ")
    assert message.endswith("; start it with 'voicegw-sidecar serve'")
    assert "known" not in message


async def test_a_name_that_is_none_is_not_to_be_started() -> None:
    with pytest.raises(NoAnswer, match=r"no sidecar answers at http://nowhere\.invalid: .*; look at the address"):
        await asyncio.to_thread(control_client("http://nowhere.invalid", None).ask, "GET", "/v1/x")


async def test_a_refusal_that_comes_before_everything_was_sent_is_read() -> None:
    """A sidecar need not read a large body to say that its address is none."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            b"HTTP/1.1 404 no\r\nX-VoiceGW-Error: not_found\r\nContent-Length: 33\r\n\r\n"
            b'{"error":{"message":"not there"}}'
        )
        await writer.drain()
        await reader.read()

    assert await told(script, "POST", content=b"x" * 2_000_000, timeout_s=5) == "not there"


@pytest.mark.parametrize(
    "words",
    [
        ("brand", "set", "--project", "acme", "--name", "Acme"), ("brand", "clear", "--project", "acme"),
        ("share", "create", "acme"), ("share", "revoke", "x"),
    ],
)  # fmt: skip
async def test_the_command_line_says_the_same(words: tuple[str, ...]) -> None:
    async with raw_server(sends(hangs=False)) as url:
        code, out, err = await run(*words, "--url", url)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert f"broke off, or is no sidecar: RemoteDisconnected; {UNKNOWN}" in err
    assert "serve" not in err
