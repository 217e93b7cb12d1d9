"""Whom calls are for, by context, and the addresses that say so."""

from __future__ import annotations

import asyncio

import pytest

from voicegw_sidecar import inference

HERE = "http://127.0.0.1:8080"


async def test_addresses_name_project_and_session() -> None:
    assert inference.base_url("openai") == f"{HERE}/openai"
    assert inference.unified_url() == f"{HERE}/v1"
    inference.set_project("prod")
    assert inference.base_url("deepgram") == f"{HERE}/p/prod/deepgram"
    inference.set_session("call-42")
    assert inference.base_url("deepgram") == f"{HERE}/p/prod/s/call-42/deepgram"
    assert inference.ws_url("cartesia") == "ws://127.0.0.1:8080/p/prod/s/call-42/cartesia"
    assert inference.unified_url() == f"{HERE}/p/prod/s/call-42/v1"
    assert inference.base_url("openai", project="dev") == f"{HERE}/p/dev/openai"
    assert inference.base_url("openai", project="dev", session="c") == f"{HERE}/p/dev/s/c/openai"


async def test_a_session_is_of_the_project_that_it_was_set_for() -> None:
    inference.set_project("prod")
    inference.set_session("call-42")
    inference.set_project("staging")
    assert inference.current_session() is None
    assert inference.base_url("openai") == f"{HERE}/p/staging/openai"
    inference.set_project("prod")
    assert inference.current_session() == "call-42"
    inference.set_session(None)
    assert inference.base_url("openai") == f"{HERE}/p/prod/openai"


async def test_environment_where_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGW_PROJECT", "staging")
    monkeypatch.setenv("VOICEGW_URL", "https://voice.example.com/behind/")
    assert inference.current_project() == "staging"
    assert inference.base_url("openai") == "https://voice.example.com/behind/p/staging/openai"
    assert inference.ws_url("openai") == "wss://voice.example.com/behind/p/staging/openai"
    inference.set_project("prod")
    assert inference.current_project() == "prod"
    inference.set_project(None)
    assert inference.current_project() == "staging"


async def test_tasks_beside_each_other_keep_their_own() -> None:
    inference.set_project("prod")
    have_set = asyncio.Barrier(2)

    async def serve(project: str) -> str:
        inference.set_project(project)
        inference.set_session(f"call-of-{project}")
        await have_set.wait()
        return inference.base_url("openai")

    assert await asyncio.gather(serve("staging"), serve("dev")) == [
        f"{HERE}/p/staging/s/call-of-staging/openai",
        f"{HERE}/p/dev/s/call-of-dev/openai",
    ]
    assert inference.base_url("openai") == f"{HERE}/p/prod/openai"

    async def child() -> str:
        return inference.base_url("openai")

    assert await asyncio.create_task(child()) == f"{HERE}/p/prod/openai"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda: inference.set_project("Prod"), "project: found 'Prod'"),
        (lambda: inference.set_project("a/b"), "project: found 'a/b'"),
        (lambda: inference.set_session(" call"), "session: found ' call'"),
        (lambda: inference.set_session("x" * 65), "session: found"),
        (lambda: inference.base_url("../v1"), "provider: found '../v1'"),
        (lambda: inference.base_url("s"), "provider: found 's'"),
        (lambda: inference.base_url("openai", project="a b"), "project: found 'a b'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(wrong: object, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        wrong()  # type: ignore[operator]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://a..b:80",
        "http://h\tsecret",
        "127.0.0.1:8080",
        "http://user:secret@localhost",
        "http://h?key=secret",
        "ftp://secret",
        "http://h:99999",
    ],
)
def test_an_address_that_is_none_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("VOICEGW_URL", url)
    with pytest.raises(ValueError, match="VOICEGW_URL: expected an address") as caught:
        inference.base_url("openai")
    assert "secret" not in str(caught.value)


def test_an_address_as_people_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGW_URL", "HTTP://LOCALHOST:8080/\n")
    assert inference.base_url("openai") == "http://LOCALHOST:8080/openai"
    assert inference.ws_url("openai") == "ws://LOCALHOST:8080/openai"


def test_a_project_of_the_environment_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICEGW_PROJECT", "No Project")
    with pytest.raises(ValueError, match="VOICEGW_PROJECT: found 'No Project'"):
        inference.base_url("openai")
