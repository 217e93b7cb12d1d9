"""AssemblyAI's listen driver: addresses, refusals, and a stream against the simulated provider."""

from __future__ import annotations

import pytest

from tests.drivers.live import listen, speech
from tests.simulator.conftest import UTTERANCES, quick
from tests.simulator.sounds import spoken
from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.assemblyai_listen import AssemblyAIListenDriver, listening
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Final
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.terms import Status
from voicegw_sidecar.wire.frames import Kind

PRO = {"speech_model": "universal-3-6-pro", "language_detection": "true"}
SHORT = {"min_turn_silence": "100", "max_turn_silence": "100"}


def ask(model: str = "universal-3-6-pro", language: str | None = None, **more: object) -> ListenAsk:
    return ListenAsk(model, 16_000, language, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        (ask(), PRO | SHORT),
        (ask(language="multi"), PRO | SHORT),
        (ask(language="pt-BR"), PRO | SHORT | {"language_codes": '["pt"]'}),
        (ask(keyterms=("Ada", "New York")), PRO | SHORT | {"keyterms_prompt": '["Ada","New York"]'}),
        (ask(options={"mode": "balanced"}), PRO | {"mode": "balanced"}),
        (ask(options={"min_turn_silence": 300}), PRO | {"min_turn_silence": "300", "max_turn_silence": "300"}),
        (ask(options={"language_codes": ["en", "es"], "keyterms_prompt": []}),
         PRO | SHORT | {"language_codes": '["en","es"]'}),
        (ask("universal-streaming"), {"speech_model": "universal-streaming-english", "min_turn_silence": "100"}),
        (ask("universal-streaming", "en-GB"),
         {"speech_model": "universal-streaming-english", "min_turn_silence": "100"}),
        (ask("universal-streaming", "fr"), {"speech_model": "universal-streaming-multilingual",
                                            "min_turn_silence": "100", "language_detection": "true"}),
        (ask("universal-streaming", "multi", options={"format_turns": True}),
         {"speech_model": "universal-streaming-multilingual", "min_turn_silence": "100", "language_detection": "true",
          "format_turns": "true"}),
        (ask("whisper-rt", "ja"), {"speech_model": "whisper-rt", "min_turn_silence": "100",
                                   "language_detection": "true"}),
    ],
)  # fmt: skip
def test_the_address(asked: ListenAsk, differs: dict[str, str]) -> None:
    driver = AssemblyAIListenDriver(asked)
    assert dict(driver.address.query) == {"sample_rate": "16000", "encoding": "pcm_s16le"} | differs
    assert (driver.address.path, driver.rate_hz, driver.keepalive_s) == ("/v3/ws", 16_000, None)
    assert (driver.opening(), driver.keepalive()) == ((), ())


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (ask("universal-streaming-english", "fr"), "^language: found 'fr', which universal-streaming-english does not"),
        (ask("universal-streaming-english", "multi"), "^language: found 'multi'"),
        (ask("universal-streaming", "ja"), "^language: found 'ja', .* expected one of en, es, de, fr, pt, it; use"),
        (ask(language="Klingon!"), "^language: found 'Klingon!', expected a BCP-47 tag"),
        (ask(options={"encoding": "pcm_mulaw"}), "^options: found 'encoding'"),
    ],
)
def test_what_certainly_cannot_be_is_refused(asked: ListenAsk, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        AssemblyAIListenDriver(asked)


@pytest.mark.parametrize(
    ("model", "listens"), [("u3-rt-pro", True), ("universal-3-6-pro", True), ("universal-2", False)]
)
def test_some_models_transcribe_recordings_only(model: str, listens: bool) -> None:
    assert (listening(model) is not None) is listens


def test_no_message_is_shorter_than_50_ms_or_longer_than_a_second() -> None:
    driver = AssemblyAIListenDriver(ask())
    assert driver.audio(bytes(1598)) == ()
    sent = [*driver.audio(bytes(80_000)), *driver.finalize(), *driver.audio(bytes(2)), *driver.finish()]
    audio = [len(message.data) for message in sent if message.kind is Kind.BINARY]
    assert audio == [32_000, 32_000, 17_598, 1600]
    assert [message.data for message in sent if message.kind is Kind.TEXT] == [
        b'{"type":"ForceEndpoint"}', b'{"type":"Terminate"}']  # fmt: skip
    assert not AssemblyAIListenDriver(ask()).is_over(b'{"type":"Termination"}')  # not asked for


async def test_turns_are_heard_and_the_session_is_terminated() -> None:
    async with Simulator(quick()) as simulator:
        driver = AssemblyAIListenDriver(ask(language="en"))
        audio = [spoken("Where is my order", after_s=0.8), "wait", speech(16_000), "finalize"]
        heard = await listen(simulator, "assemblyai", driver, audio)
    assert heard.finals == list(UTTERANCES)
    assert heard.interims
    assert heard.is_over
    first = next(event for event in heard.events if isinstance(event, Final))
    assert [word.text for word in first.words] == UTTERANCES[0].split()
    assert (first.words[0].start_s, first.words[-1].end_s) == (first.speech_start_s, first.speech_end_s)
    assert [row.status for row in heard.exchanges][:2] == [Status.OK, Status.OK]
    [session] = [entry for entry in simulator.ledger.entries("assemblyai.live") if not entry.key]
    assert session.model == "universal-3-6-pro"
    assert session.audio_in_s == pytest.approx(heard.audio_s)


async def test_a_turn_that_is_open_at_the_end_is_heard() -> None:
    async with Simulator(quick()) as simulator:
        heard = await listen(simulator, "assemblyai", AssemblyAIListenDriver(ask()), [speech(16_000)])
    assert (heard.finals, heard.is_over) == ([UTTERANCES[0]], True)
