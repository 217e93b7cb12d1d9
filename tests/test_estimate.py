"""Estimates for what was not reported."""

from __future__ import annotations

import pytest

from voicegw_sidecar.estimate import llm_usage, speech_usage, tokens
from voicegw_sidecar.terms import Usage


@pytest.mark.parametrize(("chars", "expected"), [(0, 0), (1, 1), (4, 1), (5, 2), (4000, 1000)])
def test_four_characters_are_a_token(chars: int, expected: int) -> None:
    assert tokens(chars) == expected


def test_a_prompt_that_was_not_read_has_no_tokens() -> None:
    assert llm_usage(None, 8) == Usage(output_tokens=2)
    assert llm_usage(8, 0) == Usage(input_tokens=2, output_tokens=0)


def test_speech_goes_by_its_length_where_that_is_known() -> None:
    counted = Usage(characters=150, audio_out_s=6.0)
    assert speech_usage(counted) == Usage(characters=150, audio_out_s=6.0, input_tokens=38, output_audio_tokens=125)
    assert speech_usage(Usage(characters=150)).output_audio_tokens == 208
    assert speech_usage(Usage()) == Usage(input_tokens=0, output_audio_tokens=0)
