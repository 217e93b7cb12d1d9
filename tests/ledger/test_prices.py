"""What usage costs: the catalogue to the nano-dollar, overrides, the supplement, estimates, and never a guess."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
import voice_prices
from hypothesis import given
from hypothesis import strategies as st
from voice_prices import data

from voicegw_sidecar import estimate
from voicegw_sidecar.ledger.prices import UNKNOWN_COST, PriceBook, Priced, Rates, nanousd, read_supplement
from voicegw_sidecar.terms import Cost, CostSource, Modality, Usage

SUPPLEMENT_FILE = Path(__file__).parents[2] / "voicegw_sidecar/data/price_supplement.json"
BOOK = PriceBook({}, {})
TOKENS = [
    Usage(input_tokens=1000, output_tokens=200),
    Usage(input_tokens=1_234_567, cached_input_tokens=1024, output_tokens=1),
    Usage(input_tokens=300_001, cached_input_tokens=300_001, output_tokens=77, reasoning_tokens=70),
    Usage(input_tokens=50, input_audio_tokens=40, output_tokens=30, output_audio_tokens=20),
    Usage(input_tokens=9000, cached_input_tokens=4000, cache_write_tokens=3000, output_tokens=11),
    Usage(input_tokens=900, cached_input_tokens=500, cached_input_audio_tokens=300, input_audio_tokens=600,
          output_tokens=120, output_audio_tokens=100),
]  # fmt: skip
UNITS = [Usage(audio_s=0.1), Usage(audio_s=3599.999999), Usage(characters=1), Usage(characters=12_345)]
MODELS = [
    (provider.id, model.id)
    for provider in data.providers
    if provider.id in ("openai", "anthropic", "groq", "deepgram", "assemblyai", "cartesia", "elevenlabs")
    for model in provider.models
]

NOT_FOUND = [("openai", "ft:gpt-4o"), ("openai", "ft:gpt-4o-mini")]  # bases of fine-tunes: no model has just that name
PER_TOKEN = {"input_per_mtok": "1", "output_per_mtok": "2"}


def book(name: str, **rates: str) -> PriceBook:
    return PriceBook({name: Rates(**{key: Decimal(value) for key, value in rates.items()})}, {})


def priced(
    usage: Usage, model: str | None = "m", provider: str = "p", modality: Modality | None = None, **more: str | bool
) -> Priced:
    return Priced(provider, model, modality, usage, **more)  # type: ignore[arg-type]


def by_catalogue(usage: Usage, provider: str, model: str) -> int | None:
    """The catalogue's own calculation, asked directly."""
    output = usage.output_tokens if usage.output_tokens is not None else usage.output_audio_tokens
    if (provider, model) in NOT_FOUND:
        return None
    result = voice_prices.calc_price(
        voice_prices.Usage(
            input_tokens=usage.input_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            cache_audio_read_tokens=usage.cached_input_audio_tokens,
            output_tokens=output,
            input_audio_tokens=usage.input_audio_tokens,
            output_audio_tokens=usage.output_audio_tokens,
            audio_input_seconds=None if usage.audio_s is None else Decimal(str(usage.audio_s)),
            characters=usage.characters,
        ),
        model,
        provider_id=provider,
    )
    return None if result.unpriced_usage else nanousd(result.total_price)


@pytest.mark.parametrize(("provider", "model"), MODELS, ids=[f"{provider}-{model}" for provider, model in MODELS])
def test_every_catalogue_price_is_the_catalogues_own(provider: str, model: str) -> None:
    for usage in TOKENS + UNITS:
        cost = BOOK.cost(priced(usage, model, provider, catalogue_provider=provider))
        expected = by_catalogue(usage, provider, model)
        assert cost == (UNKNOWN_COST if expected is None else Cost(expected, CostSource.CATALOGUE)), usage


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        (
            "openai/gpt-4.1-mini",
            Usage(input_tokens=1_000_000, cached_input_tokens=500_000, output_tokens=1_000_000),
            "1.85",
        ),
        ("openai/whisper-1", Usage(audio_s=60.0), "0.006"),
        ("openai/tts-1", Usage(characters=1000, audio_out_s=60.0), "0.015"),
        ("deepgram/nova-3", Usage(audio_s=60.0), "0.0048"),
        ("deepgram/aura-2-thalia-en", Usage(characters=1000, audio_out_s=60.0), "0.03"),
        ("cartesia/sonic-3", Usage(characters=1000), "0.05"),
        ("cartesia/ink-2", Usage(audio_s=60.0), "0.009"),
        (
            "openai/gpt-4o-transcribe",
            Usage(input_tokens=100, input_audio_tokens=80, output_tokens=10, audio_s=60.0),
            "0.00063",
        ),
    ],
)
def test_known_prices(model: str, usage: Usage, usd: str) -> None:
    provider, _, name = model.partition("/")
    cost = BOOK.cost(priced(usage, name, provider, catalogue_provider=provider))
    assert cost.nanousd == pytest.approx(nanousd(Decimal(usd)), rel=1e-6)


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("nova-3", Usage(characters=100)),
        ("nova-99", Usage(audio_s=1.0)),
        ("aura-2-thalia-en", Usage(audio_s=1.0)),
        ("nova-3", Usage()),
        ("nova-3", Usage(audio_out_s=1.0)),
        (None, Usage(audio_s=1.0)),
    ],
)
def test_no_price_or_nothing_known_is_null_and_never_zero(model: str | None, usage: Usage) -> None:
    assert BOOK.cost(priced(usage, model, "deepgram", catalogue_provider="deepgram")) == UNKNOWN_COST


def test_unknown_providers_are_null() -> None:
    assert BOOK.cost(priced(Usage(audio_s=1.0), "nova-3", "mine")) == UNKNOWN_COST
    assert BOOK.cost(priced(Usage(audio_s=1.0), "nova-3", "mine", catalogue_provider="mine")) == UNKNOWN_COST


def test_zero_of_a_unit_that_is_not_sold_hides_nothing() -> None:
    usage = Usage(input_tokens=0, output_tokens=0, audio_s=60.0)
    assert BOOK.cost(priced(usage, "whisper-1", "openai", catalogue_provider="openai")).nanousd == 6_000_000
    assert BOOK.cost(priced(Usage(audio_s=0.0), "nova-3", "deepgram", catalogue_provider="deepgram")).nanousd == 0


def test_half_of_a_completions_tokens_is_no_bill() -> None:
    for usage in (Usage(input_tokens=5), Usage(output_tokens=5)):
        item = priced(usage, "gpt-4.1", "openai", Modality.LLM, catalogue_provider="openai")
        assert BOOK.cost(item) == UNKNOWN_COST
        assert book("openai/gpt-4.1", input_per_mtok="1", output_per_mtok="1").cost(item) == UNKNOWN_COST


def test_figures_that_contradict_each_other_are_null() -> None:
    usage = Usage(input_tokens=10, cached_input_tokens=1000, output_tokens=1)
    assert BOOK.cost(priced(usage, "gpt-4.1", "openai", catalogue_provider="openai")) == UNKNOWN_COST


def test_speech_sold_by_unreported_tokens_is_estimated() -> None:
    counted = Usage(characters=150, audio_out_s=10.0)
    item = priced(counted, "gpt-4o-mini-tts", "openai", Modality.TTS, catalogue_provider="openai")
    guessed = estimate.speech_usage(counted)
    tokens = Usage(input_tokens=guessed.input_tokens, output_audio_tokens=guessed.output_audio_tokens)
    assert BOOK.cost(item) == Cost(by_catalogue(tokens, "openai", "gpt-4o-mini-tts"), CostSource.CATALOGUE, True)
    own = book("openai/gpt-4o-mini-tts", input_per_mtok="0.6", audio_output_per_mtok="12").cost(item)
    assert (own.source, own.estimated) == (CostSource.OVERRIDE, True)
    reported = priced(
        Usage(input_tokens=38, output_audio_tokens=208, characters=150),
        "gpt-4o-mini-tts",
        "openai",
        Modality.TTS,
        catalogue_provider="openai",
    )
    assert BOOK.cost(reported) == Cost(38 * 600 + 208 * 12_000, CostSource.CATALOGUE)


def test_order_is_override_then_local_then_supplement_then_catalogue() -> None:
    usage, rates = Usage(audio_s=60.0), Rates(per_minute=Decimal(1))
    item = priced(usage, "nova-3", "deepgram", catalogue_provider="deepgram")
    local = priced(usage, "nova-3", "deepgram", catalogue_provider="deepgram", is_local=True)
    names = {"deepgram/nova-3": rates}
    assert PriceBook(names, names).cost(local).source is CostSource.OVERRIDE
    assert PriceBook({}, names).cost(local) == Cost(0, CostSource.LOCAL)
    assert PriceBook({}, names).cost(item) == Cost(1_000_000_000, CostSource.SUPPLEMENT)
    assert PriceBook({}, {}).cost(item).source is CostSource.CATALOGUE
    assert PriceBook({}, {}).cost(priced(Usage(), None, "ollama", is_local=True)) == Cost(0, CostSource.LOCAL)


@pytest.mark.parametrize(
    ("rates", "usage", "nano"),
    [
        (PER_TOKEN, Usage(input_tokens=10, output_tokens=10), 30_000),
        (
            PER_TOKEN | {"cached_input_per_mtok": "0.5"},
            Usage(input_tokens=10, cached_input_tokens=4, output_tokens=0),
            8000,
        ),
        (
            PER_TOKEN | {"cached_input_per_mtok": "0"},
            Usage(input_tokens=10, cached_input_tokens=4, output_tokens=0),
            6000,
        ),
        (PER_TOKEN, Usage(input_tokens=10, cached_input_tokens=4, output_tokens=0), 10_000),
        (
            PER_TOKEN | {"audio_input_per_mtok": "10"},
            Usage(input_tokens=10, input_audio_tokens=4, output_tokens=0),
            46_000,
        ),
        (
            PER_TOKEN | {"audio_output_per_mtok": "10"},
            Usage(input_tokens=0, output_tokens=10, output_audio_tokens=4),
            52_000,
        ),
        (PER_TOKEN, Usage(input_tokens=1, output_audio_tokens=4), 9000),
        ({"input_per_mtok": "1"}, Usage(input_tokens=1, output_tokens=4), None),
        (
            {"input_per_mtok": "1", "per_minute": "6"},
            Usage(input_tokens=1, output_tokens=4, audio_s=10.0),
            1_000_000_000,
        ),
        (
            {"input_per_mtok": "1", "output_per_mtok": "1", "per_minute": "6"},
            Usage(input_tokens=1, output_tokens=4, audio_s=10.0),
            5000,
        ),
        ({"per_minute": "0.0043"}, Usage(audio_s=0.333333), 23_889),
        ({"per_minute": "0"}, Usage(audio_s=10.0), 0),
        ({"per_1k_chars": "0.05"}, Usage(characters=7, audio_out_s=1.0), 350_000),
        ({"per_1k_chars": "0.05"}, Usage(audio_s=1.0), None),
        ({"per_1k_chars": "0.05"}, Usage(), None),
        ({}, Usage(characters=1), None),
    ],
)
def test_rates_of_ones_own(rates: dict[str, str], usage: Usage, nano: int | None) -> None:
    expected = UNKNOWN_COST if nano is None else Cost(nano, CostSource.OVERRIDE)
    assert book("p/m", **rates).cost(priced(usage)) == expected


@pytest.mark.parametrize(
    ("usd", "nano"), [("0.0000000005", 0), ("0.0000000015", 2), ("0.0000000025", 2), ("0.00000000251", 3), ("1", 10**9)]
)
def test_rounding_is_half_to_even_at_the_nano_dollar(usd: str, nano: int) -> None:
    assert nanousd(Decimal(usd)) == nano


def test_supplement_prices_ink_whisper_at_its_own_rate() -> None:
    supplement = read_supplement(SUPPLEMENT_FILE.read_bytes())
    item = priced(Usage(audio_s=60.0), "ink-whisper", "cartesia", catalogue_provider="cartesia")
    assert PriceBook({}, supplement).cost(item) == Cost(3_000_000, CostSource.SUPPLEMENT)


def test_supplement_entries_have_source_and_date() -> None:
    content = msgspec.json.decode(SUPPLEMENT_FILE.read_bytes())
    assert all(entry["source"].startswith("https://") and entry["read"] for entry in content["prices"])
    content["prices"][0].pop("source")
    with pytest.raises(msgspec.ValidationError, match="source"):
        read_supplement(msgspec.json.encode(content))


counts = st.none() | st.integers(0, 10**10)
usages = st.builds(
    Usage,
    *[counts] * 8,
    st.none() | st.floats(0, 1e7),
    st.none() | st.floats(0, 1e7),
    counts,
)


@given(
    usages,
    st.sampled_from(
        [("openai", "gpt-4.1"), ("openai", "gpt-4o-mini-tts"), ("deepgram", "nova-3"), ("cartesia", "sonic-3")]
    ),
    st.sampled_from([*Modality, None]),
)
def test_no_usage_makes_pricing_raise_or_pay_back(
    usage: Usage, model: tuple[str, str], modality: Modality | None
) -> None:
    item = priced(usage, model[1], model[0], modality, catalogue_provider=model[0])
    own = book("/".join(model), input_per_mtok="1", output_per_mtok="2", audio_input_per_mtok="3")
    for cost in (BOOK.cost(item), own.cost(item)):
        assert cost.nanousd is None or cost.nanousd >= 0
        assert (cost.nanousd is None) == (cost.source is CostSource.NONE)


def test_catalogue_version_is_the_packages() -> None:
    assert BOOK.catalogue_version == voice_prices.__version__


def test_a_model_is_priced_if_some_unit_of_it_is() -> None:
    prices = PriceBook({"p/own": Rates(per_minute=Decimal(1))}, {})
    assert BOOK.is_priced(priced(Usage(), "gpt-4.1", "openai", Modality.LLM, catalogue_provider="openai"))
    assert BOOK.is_priced(priced(Usage(), "nova-3", "deepgram", Modality.STT, catalogue_provider="deepgram"))
    assert BOOK.is_priced(priced(Usage(), "anything", "ollama", Modality.LLM, is_local=True))
    assert prices.is_priced(priced(Usage(), "own"))
    for _ in range(2):  # remembered, and still no
        assert not BOOK.is_priced(priced(Usage(), "unheard-of", "openai", Modality.LLM, catalogue_provider="openai"))
    assert not prices.is_priced(priced(Usage(), "other"))


def test_the_dearest_model_of_a_provider_prices_what_has_no_price() -> None:
    usage = Usage(audio_s=60.0)
    dearest = BOOK.dearest(priced(usage, "unheard-of", "deepgram", Modality.STT, catalogue_provider="deepgram"))
    assert dearest == Cost(16_500_000, CostSource.ESTIMATE, estimated=True)  # enhanced, 0.275 USD a thousand seconds
    own = PriceBook({"vllm/big": Rates(**{key: Decimal(value) for key, value in PER_TOKEN.items()})}, {})
    tokens = Usage(input_tokens=10, output_tokens=10)
    assert own.dearest(priced(tokens, "unheard-of", "vllm", Modality.LLM)).nanousd == 30_000
    assert own.dearest(priced(tokens, "unheard-of", "nobody", Modality.LLM)) == UNKNOWN_COST
