"""Refusals in each provider's own shape, with the headers that say whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from voicegw_sidecar.errors import (
    BadRequest,
    BudgetExceeded,
    BudgetThrottled,
    MissingKey,
    SidecarError,
    UnpricedModel,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from voicegw_sidecar.providers import ALL, BY_ID, Provider
from voicegw_sidecar.wording import refusal

OLD_CARTESIA = {"cartesia-version": "2025-04-16"}
SPENT = BudgetExceeded("The budget is spent.")
WORDS = "budget_exceeded: The budget is spent."
"""They begin with the code, for SDKs that keep nothing else."""


def worded(error: SidecarError, provider: str | None, asked: Mapping[str, str] | None = None) -> Any:
    return msgspec.json.decode(refusal(error, None if provider is None else BY_ID[provider], asked or {}).body)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        (None, {"error": {"message": WORDS, "type": "insufficient_quota", "param": None,
                          "code": "insufficient_quota"}}),
        ("openai", {"error": {"message": WORDS, "type": "insufficient_quota", "param": None,
                              "code": "insufficient_quota"}}),
        ("anthropic", {"type": "error", "error": {"type": "billing_error", "message": WORDS},
                       "request_id": None}),
        ("deepgram", {"err_code": "budget_exceeded", "err_msg": WORDS, "request_id": ""}),
        ("assemblyai", {"error": WORDS}),
        ("cartesia", {"error_code": "budget_exceeded", "title": "Budget exceeded", "message": WORDS,
                      "request_id": ""}),
    ],
)  # fmt: skip
def test_a_spent_budget_in_each_shape(provider: str | None, expected: dict[str, Any]) -> None:
    assert worded(SPENT, provider) == expected


@pytest.mark.parametrize("provider", ALL, ids=lambda provider: provider.id)
def test_the_sentence_is_in_every_shape(provider: Provider) -> None:
    found = refusal(BadRequest("The sentence."), provider, {})
    assert b"The sentence." in found.body
    assert dict(found.headers)["Content-Type"] == "application/json"


def test_a_client_that_expects_text_gets_text() -> None:
    found = refusal(SPENT, BY_ID["cartesia"], OLD_CARTESIA)
    assert found.body == f"Budget exceeded: {WORDS}".encode()
    assert dict(found.headers)["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadRequest("a"), 400, "bad_request"), (MissingKey("a"), 401, "missing_key"),
        (SPENT, 402, "budget_exceeded"), (UnpricedModel("a"), 402, "unpriced_model"),
        (UpstreamUnreachable("a"), 502, "upstream_unreachable"), (UpstreamTimeout("a"), 504, "upstream_timeout"),
    ],
)  # fmt: skip
def test_the_error_says_its_status_and_code(error: SidecarError, status: int, code: str) -> None:
    found = refusal(error, None, {})
    assert found.status == status
    assert dict(found.headers)["X-VoiceGW-Error"] == code


@pytest.mark.parametrize(
    ("error", "expected"),
    [(BadRequest("a"), "false"), (SPENT, "false"), (UpstreamUnreachable("a"), None), (UpstreamTimeout("a"), None)],
)
def test_sdks_are_told_where_trying_again_is_in_vain(error: SidecarError, expected: str | None) -> None:
    assert dict(refusal(error, None, {}).headers).get("x-should-retry") == expected


def test_an_errors_own_headers_and_those_of_the_call_are_added() -> None:
    error = BudgetThrottled("a", "ollama/qwen2.5:3b")
    found = refusal(error, None, {}, (("X-VoiceGW-Project", "acme"),))
    assert ("X-VoiceGW-Throttle-To", "ollama/qwen2.5:3b") in found.headers
    assert ("X-VoiceGW-Project", "acme") in found.headers
