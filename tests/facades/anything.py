"""Requests that nobody would send, for tests that say what may be raised."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.sampled_from(["user", "assistant", "tool", "system", "auto", "pcm", "{}", "é", "16000"]),
)  # fmt: skip


def json_like(*names: str) -> st.SearchStrategy[bytes]:
    """JSON objects whose members are often called ``names``, with values of any kind, cut short now and then."""
    keys = st.one_of(st.sampled_from(names), st.text(max_size=4))
    tree = st.recursive(_VALUES, lambda inner: st.one_of(st.lists(inner, max_size=4), _members(keys, inner)))
    whole = _members(keys, tree).map(msgspec.json.encode)
    return st.one_of(whole, whole.flatmap(lambda body: st.integers(0, len(body)).map(lambda size: body[:size])))


def _members(keys: st.SearchStrategy[str], values: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(keys, values, max_size=6)
