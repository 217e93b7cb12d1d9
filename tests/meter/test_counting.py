"""The length of a text in pieces equals that of the text joined and stripped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from voicegw_sidecar.meter.counting import StrippedLength

pieces = st.lists(st.text(alphabet=st.sampled_from(" \n\tab\u3000\U0001f642"), max_size=6), max_size=12)


@given(pieces)
def test_length_is_that_of_the_joined_and_stripped_text(texts: list[str]) -> None:
    length = StrippedLength()
    firsts = [length.add(text) for text in texts]
    assert length.value == len("".join(texts).strip())
    assert firsts == [
        bool(text.strip()) and not any(before.strip() for before in texts[:number]) for number, text in enumerate(texts)
    ]
