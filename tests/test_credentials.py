"""Keys on their way: out with the agent's, in with the configured one, in the provider's own style."""

from __future__ import annotations

import pytest

from voicegw_sidecar.credentials import Swap, presented, swapped_headers, swapped_query, swapped_subprotocols
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.terms import Secret

KEY = Swap(Secret("k-1"))
PASS = Swap(passes=True)
TAKE_OUT = Swap()
SENT = (("authorization", "Bearer agent"), ("X-API-Key", "agent"), ("xi-api-key", "agent"), ("X-Mine", "1"),
        ("X-VoiceGW-Project", "acme"), ("X-LiveKit-Worker-Token", "t"))  # fmt: skip


def offer(*values: str) -> tuple[tuple[str, str], ...]:
    return tuple(("Sec-WebSocket-Protocol", value) for value in values)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [("openai", ("Authorization", "Bearer k-1")), ("groq", ("Authorization", "Bearer k-1")),
     ("deepgram", ("Authorization", "Token k-1")), ("assemblyai", ("Authorization", "k-1")),
     ("anthropic", ("X-API-Key", "k-1")), ("cartesia", ("X-API-Key", "k-1")), ("elevenlabs", ("xi-api-key", "k-1"))],
)  # fmt: skip
def test_a_configured_key_takes_the_place_of_all_others(provider: str, expected: tuple[str, str]) -> None:
    assert swapped_headers(SENT, BY_ID[provider], KEY) == (("X-Mine", "1"), expected)


def test_without_one_the_agents_own_pass_but_never_our_headers() -> None:
    assert swapped_headers(SENT, BY_ID["openai"], PASS) == SENT[:4]


def test_credentials_meant_for_another_go_nowhere() -> None:
    assert swapped_headers(SENT, BY_ID["ollama"], TAKE_OUT) == (("X-Mine", "1"),)
    assert swapped_query("a=1&token=agent&key=agent", TAKE_OUT) == "a=1"
    assert swapped_subprotocols(offer("token, agent-key"), TAKE_OUT) == ()


def test_query_keys_are_taken_out_and_the_rest_stays_as_written() -> None:
    query = "a=%2F&api_key=agent&access%5Ftoken=agent&b"
    assert swapped_query(query, KEY) == "a=%2F&b"
    assert swapped_query(query, PASS) == query


def test_subprotocols_that_carry_a_key_stay_behind() -> None:
    assert swapped_subprotocols(offer("token, agent-key"), KEY) == ()
    assert swapped_subprotocols(offer("json, token, agent-key"), KEY) == ("json",)
    assert swapped_subprotocols(offer("token", "agent-key"), KEY) == ()
    assert swapped_subprotocols(offer("realtime, openai-insecure-api-key.agent"), KEY) == ("realtime",)
    assert swapped_subprotocols(offer("token, agent-key"), PASS) == ("token", "agent-key")
    assert swapped_subprotocols((), KEY) == ()


def test_the_sidecars_own_keys_are_taken_out_wherever_they_are() -> None:
    swap = Swap(Secret("k-1"), is_ours=lambda text: text == "ours")
    headers = (("X-Goog-Api-Key", "ours"), ("Ocp-Apim-Subscription-Key", "Bearer ours"), ("X-Mine", "nothing"))
    assert swapped_headers(headers, BY_ID["openai"], swap) == (headers[2], ("Authorization", "Bearer k-1"))
    assert swapped_query("a=ours&b=1&c=Bearer%20ours&Api_Key=x", swap) == "b=1"
    assert swapped_subprotocols(offer("ours, json"), swap) == ("json",)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ((("Authorization", "Bearer the-key"),), ""),
        ((("authorization", "Token  the-key"),), ""),
        ((("Authorization", "the-key"),), ""),
        ((("X-API-Key", "the-key"),), ""),
        ((("xi-api-key", "the-key"),), ""),
        ((("Sec-WebSocket-Protocol", "token, the-key"),), ""),
        ((("Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.the-key"),), ""),
        ((), "model=x&token=the-key"),
        ((), "api_key=the%2Dkey"),
        ((), "xi-api-key=the-key&a"),
    ],
)
def test_a_key_is_found_wherever_sdks_put_it(headers: tuple[tuple[str, str], ...], query: str) -> None:
    assert "the-key" in list(presented(headers, query))


def test_a_secret_cannot_be_printed() -> None:
    assert "k-1" not in f"{KEY!r} {KEY.key} {[KEY.key]}"
