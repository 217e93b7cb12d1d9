"""Texts are the same whoever wrote them down; digests are of one process alone."""

from __future__ import annotations

import pytest

from voicegw_sidecar.stitching.text import TEXT_LIMIT_CHARS, Digester, Text, folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Yes, please.", "yes please"),
        ("It's 5 o'clock!", "its 5 oclock"),
        ("**Bold** and _thin_", "bold and thin"),
        ('Wait <break time="1s"/> here', "wait here"),
        ("STRASSE", "straße"),
        ("ｆｕｌｌ width", "full width"),
    ],
)
def test_what_is_said_is_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_other_words_and_other_letters_differ() -> None:
    assert folded("yes") != folded("yes please")
    assert folded("schon") != folded("schön")
    assert folded("... !") == ""


def test_text_is_folded_as_it_grows_and_is_bounded() -> None:
    text = Text()
    text.add("Good ")
    assert text.folded() == "good"
    text.add("day!")
    assert text.folded() == "goodday"
    text.add("x" * (TEXT_LIMIT_CHARS * 2))
    assert len(text.folded()) <= TEXT_LIMIT_CHARS
    assert len(folded("\ufdfa" * TEXT_LIMIT_CHARS)) <= TEXT_LIMIT_CHARS, "one of these becomes eighteen"
    text.forget()
    text.add("more")
    assert text.folded() == ""


def test_digest_depends_on_the_key() -> None:
    assert Digester(b"a").of("hello") == Digester(b"a").of("hello") != Digester(b"b").of("hello")
