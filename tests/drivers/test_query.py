"""Queries: what wins, how values are written, and what no option may set."""

from __future__ import annotations

import pytest

from voicegw_sidecar.drivers.query import query, with_terms
from voicegw_sidecar.errors import BadRequest


@pytest.mark.parametrize(
    ("value", "plain", "in_json"),
    [
        ("a b", ["a b"], ["a b"]),
        (True, ["true"], ["true"]),
        (False, ["false"], ["false"]),
        (25, ["25"], ["25"]),
        (0.5, ["0.5"], ["0.5"]),
        (None, [], []),
        ([], [], []),
        (["a", "b"], ["a", "b"], ['["a","b"]']),
        (("a",), ["a"], ['["a"]']),
        ([("Ada", 1.5), ["Bob", 2]], ["Ada:1.5", "Bob:2"], ['[["Ada",1.5],["Bob",2]]']),
        ({"a": 1}, ['{"a":1}'], ['{"a":1}']),
    ],
)
def test_values_are_written_as_the_provider_reads_them(value: object, plain: list[str], in_json: list[str]) -> None:
    assert query({}, {}, {"x": value}) == tuple(("x", text) for text in plain)
    assert query({}, {}, {"x": value}, has_json_lists=True) == tuple(("x", text) for text in in_json)


def test_an_option_goes_before_what_is_usual_and_switches_it_off_with_none() -> None:
    assert query({"m": "a"}, {"x": 1, "y": 2}, {"x": 3, "y": None}) == (("m", "a"), ("x", "3"))


def test_no_option_changes_what_the_call_itself_sets() -> None:
    assert query({"rate": 16_000}, {}, {"rate": 16_000}) == (("rate", "16000"),)
    with pytest.raises(BadRequest, match=r"^options: found 'rate', which follows from the call itself; leave it out$"):
        query({"rate": 16_000}, {}, {"rate": 8000})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {"t": ["a", "b"]}),
        ({"t": "c"}, {"t": ["c", "a", "b"]}),
        ({"t": ["b", "c"], "x": 1}, {"t": ["b", "c", "a"], "x": 1}),
        ({"t": None}, {"t": ["a", "b"]}),
        ({"t": [["c", 1.5]]}, {"t": [["c", 1.5], "a", "b"]}),
    ],
)
def test_terms_are_added_to_those_of_the_options(options: dict[str, object], expected: dict[str, object]) -> None:
    assert with_terms(("a", "b", "a"), "t", options) == expected
    assert with_terms((), "t", {"x": 1}) == {"x": 1}
