"""What was said and not transcribed yet: by positions where providers tell them, else by order."""

from __future__ import annotations

import pytest

from tests.simulator.sounds import buzz
from voicegw_sidecar.events import Final
from voicegw_sidecar.unified.unheard import Unheard

RATE_HZ = 16_000
PAUSE = bytes(RATE_HZ * 2)
WORDS = buzz(after_s=0.0)
SAID_S = len(WORDS) / (2 * RATE_HZ)


def said(*sounds: bytes) -> Unheard:
    unheard = Unheard(RATE_HZ)
    for sound in sounds:
        unheard.feed(sound)
    return unheard


def test_silence_is_nothing() -> None:
    assert not said(PAUSE, PAUSE).is_any


def test_speech_is_unheard_while_it_lasts_and_afterwards() -> None:
    assert said(PAUSE, WORDS).is_any
    assert said(PAUSE, WORDS, PAUSE).is_any


@pytest.mark.parametrize("end_s", [1.0 + SAID_S, 1.0 + SAID_S - 0.2, None])
def test_final_transcript_settles_what_it_covers(end_s: float | None) -> None:
    unheard = said(PAUSE, WORDS, PAUSE)
    unheard.heard(Final("Words.", end_s))
    assert not unheard.is_any


@pytest.mark.parametrize("end_s", [1.0 + SAID_S, None])
def test_late_transcript_of_one_utterance_settles_not_the_next(end_s: float | None) -> None:
    unheard = said(PAUSE, WORDS, PAUSE, WORDS, PAUSE)
    unheard.heard(Final("First.", end_s))
    assert unheard.is_any
    unheard.heard(Final("Second.", None if end_s is None else end_s + 1.0 + SAID_S))
    assert not unheard.is_any


def test_provider_that_ends_an_utterance_before_a_pause_is_seen() -> None:
    unheard = said(PAUSE, WORDS)
    unheard.heard(Final("Of before."))
    assert unheard.is_any, "nobody is through who has not been quiet for a moment"
    unheard.feed(PAUSE[: len(PAUSE) // 4])
    unheard.heard(Final("Words."))
    assert not unheard.is_any
    unheard.feed(PAUSE)
    assert not unheard.is_any
    unheard.feed(WORDS)
    assert unheard.is_any


def test_positions_count_from_where_another_provider_began() -> None:
    unheard = said(PAUSE, WORDS, PAUSE)
    unheard.begin(len(WORDS) + len(PAUSE), 0.5)
    unheard.heard(Final("Words.", SAID_S))
    assert not unheard.is_any
    unheard.begin(0, 0.5)
    unheard.feed(WORDS)
    unheard.heard(Final("Of before.", 0.0))
    assert unheard.is_any


def test_cough_that_nobody_transcribes_is_forgotten_by_providers_without_positions() -> None:
    unheard = said(WORDS, *[PAUSE] * 16, WORDS, PAUSE)
    unheard.heard(Final("Words."))
    assert not unheard.is_any
