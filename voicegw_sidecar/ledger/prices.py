"""What usage costs: overrides, then the supplement, then the voice-prices catalogue, behind one function.

A price is never guessed: an unknown model or a unit without a price gives a null cost, not 0. Costs are
computed in decimals and rounded once, to whole nano-dollars, half to even.
The catalogue: https://pypi.org/project/voice-prices (MIT, bundled snapshot, no network).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache

import msgspec
import voice_prices
import voice_prices.data
from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar import estimate
from voicegw_sidecar.terms import NANO_PER_USD, NOTHING_USED, Cost, CostSource, Modality, Usage

_MILLION = Decimal(1_000_000)
_THOUSAND = Decimal(1000)
_MINUTE_S = Decimal(60)
_PROBES = (
    Usage(input_tokens=1000, output_tokens=1000),
    Usage(audio_s=60.0),
    Usage(characters=1000),
)
_REMEMBERED_MODELS = 1000
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
    """The one place that prices; its prices never change, and it is cheap to call (tens of microseconds)."""

    def __init__(self, overrides: Mapping[str, Rates], supplement: Mapping[str, Rates]) -> None:
        self._overrides = dict(overrides)
        self._supplement = dict(supplement)
        self._priced: dict[tuple[str, str | None, Modality | None, str | None], bool] = {}

    @property
    def catalogue_version(self) -> str:
        """Version of the catalogue package."""
        return voice_prices.__version__

    def cost(self, item: Priced) -> Cost:
        """Price one exchange; None nano-dollars where no price or no usage is known."""
        name = f"{item.provider}/{item.model}"
        if name in self._overrides:
            return _by_rates(item, self._overrides[name], CostSource.OVERRIDE)
        if item.is_local:
            return Cost(0, CostSource.LOCAL)
        if item.model is None:
            return UNKNOWN_COST
        for supplied in (f"{item.provider}/{item.catalogue_model}", name):  # an endpoint's own price comes first
            if supplied in self._supplement:
                return _by_rates(item, self._supplement[supplied], CostSource.SUPPLEMENT)
        if item.catalogue_provider is None:
            return UNKNOWN_COST
        provider, model = item.catalogue_provider, item.catalogue_model or item.model
        return _cost(item, CostSource.CATALOGUE, lambda usage: _catalogue_usd(usage, provider, model))

    def is_priced(self, item: Priced) -> bool:
        """Say whether some usage of this model has a price; ``item.usage`` is not looked at."""
        name = (item.provider, item.model, item.modality, item.catalogue_model)
        known = self._priced.get(name)
        if known is None:
            known = any(self.cost(replace(item, usage=probe)).nanousd is not None for probe in _PROBES)
            if len(self._priced) < _REMEMBERED_MODELS:  # names come from the wire
                self._priced[name] = known
        return known

    def dearest(self, item: Priced) -> Cost:
        """Price an exchange as the dearest model of its provider would be: a flagged estimate, or unknown."""
        own = [name.partition("/")[2] for name in self._overrides if name.startswith(f"{item.provider}/")]
        candidates = [*own, *catalogue_models(item.catalogue_provider)]
        costs = [self.cost(replace(item, model=model, catalogue_model=None)).nanousd for model in candidates]
        known = [nanousd for nanousd in costs if nanousd is not None]
        return Cost(max(known), CostSource.ESTIMATE, estimated=True) if known else UNKNOWN_COST


@lru_cache(maxsize=64)
def catalogue_models(provider: str | None) -> tuple[str, ...]:
    """Return the models of a provider that the catalogue has prices for."""
    found = [entry for entry in voice_prices.data.providers if entry.id == provider]
    return tuple(model.id for entry in found for model in entry.models)


def read_supplement(content: bytes) -> dict[str, Rates]:
    """Read ``data/price_supplement.json``: every entry has its source and date."""
    entries = msgspec.json.decode(content, type=_Supplement).prices
    names = Rates.__struct_fields__
    return {
        entry.model: Rates(**{name: getattr(entry, name) for name in names if hasattr(entry, name)})
        for entry in entries
    }


def nanousd(usd: Decimal) -> int:
    """Round a decimal of dollars to whole nano-dollars, half to even."""
    return int((usd * NANO_PER_USD).to_integral_value(ROUND_HALF_EVEN))


def _cost(item: Priced, source: CostSource, price: Callable[[Usage], Decimal | None]) -> Cost:
    """Price what was used by one unit: tokens where they are known and sold, else seconds or characters.

    Speech from a model that is sold by tokens, whose answer did not say how many, is estimated.
    """
    usage = item.usage
    if item.modality is Modality.LLM and (usage.input_tokens is None or usage.output_tokens is None):
        return UNKNOWN_COST  # half a bill is none
    for part in (_tokens_of(usage), _units_of(usage)):
        # a unit of which nothing was used costs 0 only where there is no other
        usd = price(part) if _has_amount(part) or (part != NOTHING_USED and not _has_amount(usage)) else None
        if usd is not None:
            return Cost(nanousd(usd), source)
    if item.modality is Modality.TTS and usage.characters is not None and usage.output_audio_tokens is None:
        usd = price(_tokens_of(estimate.speech_usage(usage)))
        if usd is not None:
            return Cost(nanousd(usd), source, estimated=True)
    return UNKNOWN_COST


def _has_amount(usage: Usage) -> bool:
    return any((usage.input_tokens, usage.output_tokens, usage.output_audio_tokens, usage.audio_s, usage.characters))


def _tokens_of(usage: Usage) -> Usage:
    return replace(usage, audio_s=None, audio_out_s=None, characters=None)


def _units_of(usage: Usage) -> Usage:
    return Usage(audio_s=usage.audio_s, characters=usage.characters)


def _catalogue_usd(usage: Usage, provider: str, model: str) -> Decimal | None:
    """Ask the catalogue; None where it does not know the model or has no price for what was used."""
    audio_out_tokens = usage.output_audio_tokens
    try:
        result = voice_prices.calc_price(
            voice_prices.Usage(
                input_tokens=usage.input_tokens,
                cache_read_tokens=usage.cached_input_tokens,
                cache_write_tokens=usage.cache_write_tokens,
                cache_audio_read_tokens=usage.cached_input_audio_tokens,
                output_tokens=usage.output_tokens if usage.output_tokens is not None else audio_out_tokens,
                input_audio_tokens=usage.input_audio_tokens,
                output_audio_tokens=audio_out_tokens,
                audio_input_seconds=None if usage.audio_s is None else Decimal(str(usage.audio_s)),
                characters=usage.characters,
            ),
            model,
            provider_id=provider,
        )
    except (LookupError, ValueError):  # unknown, or figures that contradict each other
        return None
    return None if result.unpriced_usage else result.total_price


def _by_rates(item: Priced, rates: Rates, source: CostSource) -> Cost:
    return _cost(item, source, lambda usage: _rated_usd(usage, rates))


def _rated_usd(usage: Usage, rates: Rates) -> Decimal | None:
    """Price by plain rates; None where something was used that has no rate, or nothing was."""
    audio_in = 0 if rates.audio_input_per_mtok is None else usage.input_audio_tokens or 0
    audio_out = 0 if rates.audio_output_per_mtok is None else usage.output_audio_tokens or 0
    text_in = max(0, (usage.input_tokens or 0) - audio_in)
    cached = min(usage.cached_input_tokens or 0, text_in)
    text_out = usage.output_tokens if usage.output_tokens is not None else usage.output_audio_tokens or 0
    cached_rate = rates.input_per_mtok if rates.cached_input_per_mtok is None else rates.cached_input_per_mtok
    lines = (
        (rates.input_per_mtok, (text_in - cached) / _MILLION),
        (cached_rate, cached / _MILLION),
        (rates.audio_input_per_mtok, audio_in / _MILLION),
        (rates.output_per_mtok, max(0, text_out - audio_out) / _MILLION),
        (rates.audio_output_per_mtok, audio_out / _MILLION),
        (rates.per_minute, Decimal(str(usage.audio_s or 0)) / _MINUTE_S),
        (rates.per_1k_chars, (usage.characters or 0) / _THOUSAND),
    )
    if usage == NOTHING_USED or any(rate is None and amount for rate, amount in lines):
        return None
    return sum((rate * amount for rate, amount in lines if rate is not None), Decimal(0))
