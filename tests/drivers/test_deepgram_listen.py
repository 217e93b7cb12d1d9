"""Deepgram's listen drivers: addresses, refusals, and streams against the simulated provider."""

from __future__ import annotations

import pytest

from tests.drivers.live import listen, speech
from tests.simulator.conftest import UTTERANCES, quick
from tests.simulator.sounds import spoken
from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.base import Message
from voicegw_sidecar.drivers.deepgram_listen import DeepgramFluxDriver, DeepgramListenDriver, listening
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Final, Interim
from voicegw_sidecar.simulator import Listening, Simulator
from voicegw_sidecar.terms import FirstBasis, Status
from voicegw_sidecar.wire.frames import Kind

USUAL = {
    "encoding": "linear16", "channels": "1", "punctuate": "true", "smart_format": "false", "no_delay": "true",
    "interim_results": "true", "vad_events": "true", "endpointing": "25", "filler_words": "true",
}  # fmt: skip


def ask(model: str = "nova-3", language: str | None = None, rate_hz: int = 16_000, **more: object) -> ListenAsk:
    return ListenAsk(model, rate_hz, language, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        (ask(), {"model": "nova-3", "sample_rate": "16000"}),
        (ask("nova-2", "pt-BR", 8000), {"model": "nova-2", "sample_rate": "8000", "language": "pt-BR"}),
        (ask("nova-3", "multi", 48_000), {"model": "nova-3", "sample_rate": "48000", "language": "multi"}),
        (ask("nova-2-phonecall", "en-GB"), {"model": "nova-2-phonecall", "sample_rate": "16000", "language": "en-GB"}),
        (
            ask(options={"endpointing": 300, "filler_words": False, "diarize": True, "channels": 1}),
            {
                "model": "nova-3",
                "sample_rate": "16000",
                "endpointing": "300",
                "filler_words": "false",
                "diarize": "true",
            },
        ),
    ],
)
def test_the_address_of_nova(asked: ListenAsk, differs: dict[str, str]) -> None:
    driver = DeepgramListenDriver(asked)
    assert (driver.address.path, driver.rate_hz, driver.keepalive_s) == ("/v1/listen", asked.rate_hz, 5.0)
    assert dict(driver.address.query) == USUAL | differs
    assert driver.opening() == ()


@pytest.mark.parametrize(
    ("model", "name", "terms"), [("nova-3-medical", "keyterm", ["New York", "Ada"]), ("nova-2", "keywords", ["Ada"])]
)
def test_terms_go_by_the_name_the_model_knows(model: str, name: str, terms: list[str]) -> None:
    query = DeepgramListenDriver(ask(model, keyterms=("New York", "Ada"))).address.query
    assert [pair for pair in query if pair[0] in ("keyterm", "keywords")] == [(name, term) for term in terms]


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        (ask("flux-general-en", "en-US"), {"model": "flux-general-en", "sample_rate": "16000"}),
        (ask("flux-general", None, 22_050), {"model": "flux-general-en", "sample_rate": "24000"}),
        (ask("flux", "de-AT"), {"model": "flux-general-multi", "sample_rate": "16000", "language_hint": "de"}),
        (ask("flux-general", "multi"), {"model": "flux-general-multi", "sample_rate": "16000"}),
        (
            ask("flux-general-multi", "fr", options={"language_hint": ["fr", "es"], "eager_eot_threshold": None}),
            {"model": "flux-general-multi", "sample_rate": "16000", "language_hint": "es", "eager_eot_threshold": ""},
        ),
        (
            ask("flux-general-en", keyterms=("Ada",), options={"eot_threshold": 0.8}),
            {"model": "flux-general-en", "sample_rate": "16000", "keyterm": "Ada", "eot_threshold": "0.8"},
        ),
    ],
)
def test_the_address_of_flux(asked: ListenAsk, differs: dict[str, str]) -> None:
    driver = DeepgramFluxDriver(asked)
    assert (driver.address.path, driver.keepalive_s) == ("/v2/listen", None)
    expected = {"encoding": "linear16", "eager_eot_threshold": "0.5"} | differs
    assert dict(driver.address.query) == {name: value for name, value in expected.items() if value}
    assert str(driver.rate_hz) == differs["sample_rate"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (ask("flux-general-en", "fr"), "^language: found 'fr', which flux-general-en does not know; expected 'en';"),
        (ask("flux-general-en", "multi"), "^language: found 'multi', .* use flux-general-multi"),
        (ask("nova-2-phonecall", "fr"), "^language: found 'fr', which nova-2-phonecall does not know; expected 'en'"),
        (ask("enhanced", "multi"), "^language: found 'multi', which enhanced does not know; expected one language;"),
        (ask("nova-2-medical", "multi"), "^language: found 'multi'"),
        (ask("nova-3", "a language"), "^language: found 'a language', expected a BCP-47 tag"),
        (ask("nova-3", options={"sample_rate": 8000}), "^options: found 'sample_rate'"),
        (ask("flux-general-en", options={"encoding": "opus"}), "^options: found 'encoding'"),
    ],
)
def test_what_certainly_cannot_be_is_refused(asked: ListenAsk, message: str) -> None:
    factory = listening(asked.model)
    assert factory is not None
    with pytest.raises(BadRequest, match=message):
        factory(asked)


def test_flux_is_known_by_its_name() -> None:
    assert listening("flux-general-multi") is DeepgramFluxDriver
    assert listening("nova-3") is DeepgramListenDriver


async def test_nova_hears_two_utterances_and_tells_their_words() -> None:
    async with Simulator(quick()) as simulator:
        driver = DeepgramListenDriver(ask(language="en"))
        audio = [spoken("Where is my order", after_s=0.8), "wait", spoken("Thank you", after_s=0.0), "finalize"]
        heard = await listen(simulator, "deepgram", driver, audio)
    assert heard.finals == list(UTTERANCES)
    assert heard.interims
    first, second = [event for event in heard.events if isinstance(event, Final)]
    assert [word.text for word in first.words] == UTTERANCES[0].split()
    assert first.words[-1].end_s == first.speech_end_s
    assert (second.speech_start_s or 0.0) > (first.speech_end_s or 0.0)
    assert [row.status for row in heard.exchanges] == [Status.OK, Status.OK]
    assert {row.first_ms_basis for row in heard.exchanges} == {FirstBasis.PROVIDER}
    [entry] = [entry for entry in simulator.ledger.entries("deepgram.listen") if not entry.key]
    assert (entry.model, entry.close_code, entry.audio_in_s) == ("nova-3", 1000, pytest.approx(heard.audio_s))
    words = [message.data for message in heard.sent if message.kind is Kind.TEXT]
    assert words == [b'{"type":"Finalize"}', b'{"type":"KeepAlive"}', b'{"type":"CloseStream"}']


async def test_flux_ends_a_turn_that_is_forced_and_one_that_is_left_open() -> None:
    async with Simulator(quick(listen=Listening(final_ms=10.0, utterances=UTTERANCES, eager_end=True))) as simulator:
        driver = DeepgramFluxDriver(ask("flux-general-en"))
        heard = await listen(simulator, "deepgram", driver, [speech(16_000), "finalize", speech(16_000)])
    assert heard.finals == list(UTTERANCES)
    assert [event.text for event in heard.events if isinstance(event, Interim) and event.is_eager] == list(UTTERANCES)
    assert [row.status for row in heard.exchanges] == [Status.OK, Status.OK]
    assert heard.sent[-2:] == [
        Message(Kind.TEXT, b'{"type":"ForceEndTurn"}'),
        Message(Kind.TEXT, b'{"type":"CloseStream"}'),
    ]
