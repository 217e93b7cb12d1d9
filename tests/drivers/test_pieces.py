"""Texts cut into pieces of a length that a provider takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.drivers.pieces import pieces


@pytest.mark.parametrize(
    ("text", "limit_chars", "expected"),
    [
        ("", 5, ()),
        (" \n", 5, ()),
        (" \n" * 9, 5, ()),
        ("Hello. ", 7, ("Hello. ",)),
        ("Hello.  ", 7, ("Hello.",)),
        ("a" * 500, None, ("a" * 500,)),
        (" ", None, ()),
        ("One. Two. Three.", 10, ("One. Two.", "Three.")),
        ("One. Two. Three.", 9, ("One. Two.", "Three.")),
        ("One. Two. Three.", 8, ("One.", "Two.", "Three.")),
        ("Is it? Yes! Good… And so on", 12, ("Is it? Yes!", "Good…", "And so on")),
        ('He said "Go." Then he left.', 15, ('He said "Go."', "Then he left.")),
        ("It is 3.5 degrees. Cold.", 20, ("It is 3.5 degrees.", "Cold.")),
        ("It is 3.5 degrees", 9, ("It is 3.5", "degrees")),
        ("It is 3.5 degrees", 8, ("It is", "3.5", "degrees")),
        ("a few words more", 11, ("a few words", "more")),
        ("a few words more", 10, ("a few", "words more")),
        ("First line\nsecond line", 12, ("First line", "second line")),
        ("今日は。いい天気です。", 6, ("今日は。", "いい天気です", "。")),
        ("今日は。いい天気です。", 7, ("今日は。", "いい天気です。")),
        ("abcdefgh", 3, ("abc", "def", "gh")),
        ("Hi. abcdefgh", 5, ("Hi.", "abcde", "fgh")),
        ("abe\u0301de", 3, ("ab", "e\u0301d", "e")),
        ("ab\U0001f469\u200d\U0001f52cc", 4, ("ab", "\U0001f469\u200d\U0001f52cc")),
        ("\u0301" * 5, 2, ("\u0301\u0301", "\u0301\u0301", "\u0301")),
    ],
)
def test_cuts(text: str, limit_chars: int | None, expected: tuple[str, ...]) -> None:
    assert pieces(text, limit_chars) == expected


texts = st.one_of(
    st.text(max_size=60), st.text(alphabet="ab .!?\n\u0301\u200d。", max_size=80), st.lists(st.text()).map(" ".join)
)


@given(text=texts, limit_chars=st.integers(1, 40))
def test_nothing_is_lost_and_nothing_too_long(text: str, limit_chars: int) -> None:
    found = pieces(text, limit_chars)
    assert "".join("".join(found).split()) == "".join(text.split())
    assert all(piece.strip() and len(piece) <= limit_chars for piece in found)
