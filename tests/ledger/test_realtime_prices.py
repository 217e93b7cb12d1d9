"""What a realtime session costs, to the nano-dollar as the catalogue computes it itself."""

from __future__ import annotations

from decimal import Decimal

import pytest
import voice_prices

from voicegw_sidecar.ledger.prices import PriceBook, Priced, nanousd
from voicegw_sidecar.terms import CostSource, Modality, Usage

BOOK = PriceBook({}, {})


def priced(model: str, usage: Usage, modality: Modality = Modality.S2S) -> tuple[int | None, CostSource]:
    cost = BOOK.cost(Priced("openai", model, modality, usage, catalogue_provider="openai"))
    return cost.nanousd, cost.source


@pytest.mark.parametrize(
    "model", ["gpt-realtime", "gpt-realtime-2025-08-28", "gpt-realtime-mini", "gpt-4o-realtime-preview"]
)
def test_text_sound_and_what_was_cached_of_both(model: str) -> None:
    used = Usage(
        input_tokens=1200, cached_input_tokens=500, cached_input_audio_tokens=300, input_audio_tokens=900,
        output_tokens=450, output_audio_tokens=400, audio_out_s=20.0,
    )  # fmt: skip
    own = voice_prices.Usage(
        input_tokens=1200, cache_read_tokens=500, cache_audio_read_tokens=300, input_audio_tokens=900,
        output_tokens=450, output_audio_tokens=400,
    )  # fmt: skip
    expected = voice_prices.calc_price(own, model, provider_id="openai").total_price
    assert priced(model, used) == (nanousd(expected), CostSource.CATALOGUE)


def test_written_answer_without_sound() -> None:
    own = voice_prices.Usage(input_tokens=100, output_tokens=20, input_audio_tokens=0, output_audio_tokens=0)
    expected = voice_prices.calc_price(own, "gpt-realtime", provider_id="openai").total_price
    used = Usage(input_tokens=100, output_tokens=20, input_audio_tokens=0, output_audio_tokens=0)
    assert priced("gpt-realtime", used) == (nanousd(expected), CostSource.CATALOGUE)


def test_transcripts_are_paid_by_tokens_or_by_seconds() -> None:
    by_tokens = Usage(input_tokens=120, input_audio_tokens=120, output_tokens=8)
    own = voice_prices.Usage(input_tokens=120, input_audio_tokens=120, output_tokens=8)
    expected = voice_prices.calc_price(own, "gpt-4o-mini-transcribe", provider_id="openai").total_price
    assert priced("gpt-4o-mini-transcribe", by_tokens, Modality.STT)[0] == nanousd(expected)
    for model in ("whisper-1", "gpt-realtime-whisper", "gpt-live-transcribe", "gpt-transcribe"):
        own = voice_prices.Usage(audio_input_seconds=Decimal("3.5"))
        expected = voice_prices.calc_price(own, model, provider_id="openai").total_price
        assert priced(model, Usage(audio_s=3.5), Modality.STT)[0] == nanousd(expected)


def test_model_that_nobody_knows_has_no_price() -> None:
    assert priced("gpt-realtime-9", Usage(input_tokens=1, output_tokens=1)) == (None, CostSource.NONE)
