"""What usage costs: overrides, then the supplement, then the voice-prices catalogue, behind one function.

A price is never guessed: an unknown model or a unit without a price gives a null cost, not 0. Costs are
computed in decimals and rounded once, to whole nano-dollars, half to even.
The catalogue: https://pypi.org/project/voice-prices (MIT, bundled snapshot, no network).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal

import msgspec
import voice_prices
from msgspec import Struct

from voicegw_sidecar import estimate
from voicegw_sidecar.terms import NANO_PER_USD, NOTHING_USED, Cost, CostSource, Modality, Usage

_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1000)
_MINUTE_S = Decimal(60)
UNKNOWN_COST = Cost(None, CostSource.NONE)
NO_COST = Cost(0, CostSource.NONE)


class Rates(Struct, frozen=True, omit_defaults=True):
    """USD per unit; a unit without a rate is not priced."""

    input_per_mtok: Decimal | None = None
    cached_input_per_mtok: Decimal | None = None
    output_per_mtok: Decimal | None = None
    audio_input_per_mtok: Decimal | None = None
    audio_output_per_mtok: Decimal | None = None
    per_minute: Decimal | None = None
    per_1k_chars: Decimal | None = None


class Priced(Struct, frozen=True):
    """What is to be priced: who served it, under which names, and what it used."""

    provider: str
    model: str | None
    modality: Modality | None
    usage: Usage
    catalogue_provider: str | None = None
    catalogue_model: str | None = None
    """The catalogue's name of the model on that endpoint, where it is not ``model``."""
    is_local: bool = False


class _SupplementEntry(Struct, frozen=True, forbid_unknown_fields=True):
    model: str
    source: str
    read: str
    per_minute: Decimal | None = None
    per_1k_chars: Decimal | None = None
    input_per_mtok: Decimal | None = None
    cached_input_per_mtok: Decimal | None = None
    output_per_mtok: Decimal | None = None


class _Supplement(Struct, frozen=True):
    about: str
    prices: list[_SupplementEntry]


class PriceBook:
    """The one place that prices; immutable, cheap to call (tens of microseconds)."""

    def __init__(self, overrides: Mapping[str, Rates], supplement: Mapping[str, Rates]) -> None:
        self._overrides = dict(overrides)
        self._supplement = dict(supplement)

    @property
    def catalogue_version(self) -> str:
        """Version of the catalogue package."""
        return voice_prices.__version__

    def cost(self, item: Priced) -> Cost:
        """Price one exchange; None nano-dollars where no price or no usage is known."""
        name = f"{item.provider}/{item.model}"
        if name in self._overrides:
            return _cost(_by_rates(item.usage, self._overrides[name]), CostSource.OVERRIDE)
        if item.is_local:
            return Cost(0, CostSource.LOCAL)
        if item.usage == NOTHING_USED or item.model is None:
            return UNKNOWN_COST
        if name in self._supplement:
            return _cost(_by_rates(item.usage, self._supplement[name]), CostSource.SUPPLEMENT)
        if item.catalogue_provider is None:
            return UNKNOWN_COST
        return _by_catalogue(item, item.catalogue_provider, item.catalogue_model or item.model)


def read_supplement(content: bytes) -> dict[str, Rates]:
    """Read ``data/price_supplement.json``: every entry has its source and date."""
    entries = msgspec.json.decode(content, type=_Supplement).prices
    names = Rates.__struct_fields__
    return {
        entry.model: Rates(**{name: getattr(entry, name) for name in names if hasattr(entry, name)})
        for entry in entries
    }


def _cost(usd: Decimal | None, source: CostSource, *, estimated: bool = False) -> Cost:
    return UNKNOWN_COST if usd is None else Cost(nanousd(usd), source, estimated)


def nanousd(usd: Decimal) -> int:
    """Round a decimal of dollars to whole nano-dollars, half to even."""
    return int((usd * NANO_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def _by_catalogue(item: Priced, provider: str, model: str) -> Cost:
    try:
        usd = _catalogue_usd(item.usage, provider, model)
        if usd is None and item.modality is Modality.TTS:
            # sold by tokens, and the answer did not say how many
            usd = _catalogue_usd(_tokens_only(estimate.speech_usage(item.usage)), provider, model)
            return _cost(usd, CostSource.CATALOGUE, estimated=True)
    except LookupError:
        return UNKNOWN_COST
    return _cost(usd, CostSource.CATALOGUE)


def _tokens_only(usage: Usage) -> Usage:
    return Usage(input_tokens=usage.input_tokens, output_audio_tokens=usage.output_audio_tokens)


def _catalogue_usd(usage: Usage, provider: str, model: str) -> Decimal | None:
    """Ask the catalogue; None where it knows the model but has no price for what was used."""
    has_tokens = usage.input_tokens is not None or usage.output_tokens is not None
    audio_out_tokens = usage.output_audio_tokens
    result = voice_prices.calc_price(
        voice_prices.Usage(
            input_tokens=usage.input_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            output_tokens=usage.output_tokens if usage.output_tokens is not None else audio_out_tokens,
            input_audio_tokens=usage.input_audio_tokens,
            output_audio_tokens=audio_out_tokens,
            # a model takes tokens, seconds or characters: never two of them, or it would be paid twice
            audio_input_seconds=None if has_tokens or usage.audio_s is None else Decimal(str(usage.audio_s)),
            characters=None if has_tokens else usage.characters,
        ),
        model,
        provider_id=provider,
    )
    return None if result.unpriced_usage else result.total_price


def _by_rates(usage: Usage, rates: Rates) -> Decimal | None:
    """Price by plain rates; None where something was used that has no rate, or nothing that has one is known."""
    lines: list[tuple[Decimal | None, Decimal | None]] = []
    text_input = usage.input_tokens
    if text_input is not None:
        cached, audio = usage.cached_input_tokens or 0, 0
        if rates.audio_input_per_mtok is not None:
            audio = usage.input_audio_tokens or 0
            lines.append((rates.audio_input_per_mtok, audio / _MILLION))
        cached_rate = rates.cached_input_per_mtok if rates.cached_input_per_mtok is not None else rates.input_per_mtok
        lines.append((rates.input_per_mtok, (text_input - cached - audio) / _MILLION))
        lines.append((cached_rate, cached / _MILLION))
    text_output, audio_output = usage.output_tokens, usage.output_audio_tokens
    if audio_output is not None and rates.audio_output_per_mtok is not None:
        lines.append((rates.audio_output_per_mtok, audio_output / _MILLION))
        text_output = None if text_output is None else text_output - audio_output
    if text_output is not None:
        lines.append((rates.output_per_mtok, text_output / _MILLION))
    if usage.audio_s is not None and rates.per_minute is not None:
        lines.append((rates.per_minute, Decimal(str(usage.audio_s)) / _MINUTE_S))
    if usage.characters is not None and rates.per_1k_chars is not None:
        lines.append((rates.per_1k_chars, usage.characters / _THOUSAND))
    priced = [(rate, amount) for rate, amount in lines if rate is not None]
    is_whole = all(rate is not None or not amount for rate, amount in lines)
    by_tokens_only = not any((rates.per_minute, rates.per_1k_chars))
    if not priced or (by_tokens_only and not is_whole):
        return None
    return sum((rate * (amount or Decimal(0)) for rate, amount in priced), Decimal(0))
