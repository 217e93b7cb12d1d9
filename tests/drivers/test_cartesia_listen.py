"""Cartesia's listen drivers: addresses, refusals, and streams against the simulated provider."""

from __future__ import annotations

import pytest

from tests.drivers.live import listen, speech
from tests.simulator.conftest import UTTERANCES, quick
from tests.simulator.sounds import spoken
from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.base import Message
from voicegw_sidecar.drivers.cartesia_listen import CartesiaListenDriver, CartesiaTurnsDriver, listening
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Final, Interim
from voicegw_sidecar.simulator import Listening, Simulator
from voicegw_sidecar.terms import Status
from voicegw_sidecar.wire.frames import Kind


def ask(model: str = "ink-2", language: str | None = None, rate_hz: int = 16_000, **more: object) -> ListenAsk:
    return ListenAsk(model, rate_hz, language, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "path", "differs"),
    [
        (ask(), "/stt/turns/websocket", {}),
        (ask(language="en-US", rate_hz=24_000), "/stt/turns/websocket", {}),
        (ask(options={"turn_end_threshold": 0.3}), "/stt/turns/websocket", {"turn_end_threshold": "0.3"}),
        (ask("ink-whisper"), "/stt/websocket", {}),
        (ask("ink-whisper", "pt-BR"), "/stt/websocket", {"language": "pt"}),
        (ask("ink-whisper-2025-06-04", "yue", keyterms=("Ada",)), "/stt/websocket", {"language": "yue"}),
        (ask("ink-whisper", options={"min_volume": 0.1}), "/stt/websocket", {"min_volume": "0.1"}),
    ],
)
def test_the_address(asked: ListenAsk, path: str, differs: dict[str, str]) -> None:
    factory = listening(asked.model)
    assert factory is not None
    driver = factory(asked)
    sound = {"model": asked.model, "encoding": "pcm_s16le", "sample_rate": str(asked.rate_hz)}
    assert (driver.address.path, dict(driver.address.query)) == (path, sound | differs)
    assert driver.address.headers == (("Cartesia-Version", "2026-03-01"),)
    assert (driver.rate_hz, driver.opening(), driver.keepalive_s) == (asked.rate_hz, (), 120.0)
    [keepalive] = driver.keepalive()
    assert keepalive == Message(Kind.BINARY, bytes(asked.rate_hz // 10 * 2))


def test_terms_come_one_by_one() -> None:
    query = CartesiaTurnsDriver(ask(keyterms=("Ada", "New York"))).address.query
    assert query[-2:] == (("keyterm", "Ada"), ("keyterm", "New York"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (ask(language="fr"), "^language: found 'fr', which ink-2 does not know; expected 'en'; use ink-whisper"),
        (ask(language="multi"), "^language: found 'multi', which ink-2 does not know"),
        (
            ask("ink-whisper", "multi"),
            "^language: found 'multi', which ink-whisper does not know; expected one language",
        ),
        (ask("ink-whisper", "tlh"), "^language: found 'tlh'"),
        (ask("ink-whisper", "English!"), "^language: found 'English!', expected a BCP-47 tag"),
        (ask(options={"sample_rate": 8000}), "^options: found 'sample_rate'"),
    ],
)
def test_what_certainly_cannot_be_is_refused(asked: ListenAsk, message: str) -> None:
    factory = listening(asked.model)
    assert factory is not None
    with pytest.raises(BadRequest, match=message):
        factory(asked)


def test_only_the_word_of_the_end_ends_a_stream_of_commands() -> None:
    driver = CartesiaListenDriver(ask("ink-whisper"))
    assert not driver.is_over(b'{"type":"done"}')
    assert driver.finish() == (Message(Kind.TEXT, b"close"),)
    assert not driver.is_over(b'{"type":"transcript","text":"done","is_final":true}')
    assert driver.is_over(b'{"type":"done"}')


async def test_ink_2_finds_turns_and_ends_one_in_the_silence_it_is_sent() -> None:
    turns = Listening(final_ms=10.0, hangover_ms=300.0, utterances=UTTERANCES, eager_end=True)
    async with Simulator(quick(turns=turns)) as simulator:
        driver = CartesiaTurnsDriver(ask())
        audio = [spoken("Where is my order", after_s=0.8), "wait", speech(16_000), "finalize"]
        heard = await listen(simulator, "cartesia", driver, audio)
    assert heard.finals == list(UTTERANCES)
    assert [event.text for event in heard.events if isinstance(event, Interim) and event.is_eager] == list(UTTERANCES)
    assert [row.status for row in heard.exchanges][:2] == [Status.OK, Status.OK]
    assert heard.sent[-1] == Message(Kind.TEXT, b'{"type":"close"}')
    [socket] = [entry for entry in simulator.ledger.entries("cartesia.turns") if not entry.key]
    assert (socket.model, socket.headers["cartesia-version"]) == ("ink-2", "2026-03-01")
    assert socket.audio_in_s == pytest.approx(heard.audio_s)


async def test_a_turn_that_is_open_at_the_end_is_heard() -> None:
    async with Simulator(quick()) as simulator:
        heard = await listen(simulator, "cartesia", CartesiaTurnsDriver(ask()), [speech(16_000)])
    assert heard.finals == [UTTERANCES[0]]


async def test_ink_whisper_obeys_its_commands() -> None:
    async with Simulator(quick()) as simulator:
        driver = CartesiaListenDriver(ask("ink-whisper", "en"))
        audio = [spoken("Where is my order", after_s=0.0), "finalize", speech(16_000)]
        heard = await listen(simulator, "cartesia", driver, audio)
    assert (heard.finals, heard.is_over) == (list(UTTERANCES), True)
    assert {event.language for event in heard.events if isinstance(event, Final)} == {"en"}
    assert [row.status for row in heard.exchanges] == [Status.OK, Status.OK]
    [socket] = [entry for entry in simulator.ledger.entries("cartesia.manual") if not entry.key]
    assert socket.model == "ink-whisper"
