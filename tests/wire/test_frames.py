"""What is read from a request's head."""

from __future__ import annotations

import pytest

from voicegw_sidecar.wire.frames import RequestHead


@pytest.mark.parametrize(
    ("value", "number"),
    [("16000", 16_000), ("0", 0), ("-1", None), ("1.5", None), ("٣", None), ("9" * 12, None), ("", None)],
)
def test_number_is_a_whole_one_or_none(value: str, number: int | None) -> None:
    assert RequestHead("GET", "/", (("rate", value),)).number("rate") == number


def test_first_of_repeated_parameters_counts() -> None:
    head = RequestHead("GET", "/", (("a", "1"), ("a", "2")))
    assert head.parameter("a") == "1"
    assert head.parameter("b") is None
    assert head.number("b") is None
