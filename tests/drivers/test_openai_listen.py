"""OpenAI's listen driver: sessions, its end, and streams against the simulated provider."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.drivers.live import listen, speech
from tests.simulator.conftest import UTTERANCES, quick
from voicegw_sidecar.asks import ListenAsk
from voicegw_sidecar.drivers.openai_listen import OpenAIListenDriver, listening
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.events import Failed
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.terms import Status

TURNS = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 600, "silence_duration_ms": 350}
TRANSCRIPTION = "conversation.item.input_audio_transcription"


def ask(model: str = "gpt-4o-mini-transcribe", language: str | None = None, **more: object) -> ListenAsk:
    return ListenAsk(model, 16_000, language, **more)  # type: ignore[arg-type]


def heard_in(driver: OpenAIListenDriver) -> dict[str, Any]:
    [opening] = driver.opening()
    message = msgspec.json.decode(opening.data)
    assert (message["type"], message["session"]["type"]) == ("session.update", "transcription")
    found: dict[str, Any] = message["session"]["audio"]["input"]
    assert found.pop("format") == {"type": "audio/pcm", "rate": 24_000}
    return found


@pytest.mark.parametrize(
    ("asked", "transcription", "more"),
    [
        (ask(), {}, {"turn_detection": TURNS}),
        (ask(language="multi"), {}, {"turn_detection": TURNS}),
        (ask(language="pt-BR", keyterms=("Ada",)), {"language": "pt"}, {"turn_detection": TURNS}),
        (ask("gpt-transcribe", "pt-BR", keyterms=("Ada",)), {"languages": ["pt"], "keywords": ["Ada"]},
         {"turn_detection": TURNS}),
        (ask("gpt-live-transcribe", options={"languages": ["en", "es"], "keywords": [], "delay": "low"}),
         {"languages": ["en", "es"], "delay": "low"}, {"turn_detection": None}),
        (ask("gpt-realtime-whisper", "en", options={"turn_detection": TURNS}), {"language": "en"},
         {"turn_detection": None}),
        (ask(options={"turn_detection": {"type": "semantic_vad"}, "noise_reduction": "near_field", "prompt": "Ships."}),
         {"prompt": "Ships."}, {"turn_detection": {"type": "semantic_vad"}, "noise_reduction": {"type": "near_field"}}),
    ],
)  # fmt: skip
def test_the_session(asked: ListenAsk, transcription: dict[str, object], more: dict[str, object]) -> None:
    driver = OpenAIListenDriver(asked)
    assert heard_in(driver) == {"transcription": {"model": asked.model} | transcription} | more
    assert (driver.address.path, driver.address.query) == ("/v1/realtime", (("intent", "transcription"),))
    assert (driver.rate_hz, driver.keepalive_s, driver.keepalive()) == (24_000, None, ())


def test_whisper_is_not_live_and_what_is_no_language_is_refused() -> None:
    assert listening("whisper-1") is None
    assert listening("gpt-4o-transcribe") is OpenAIListenDriver
    with pytest.raises(BadRequest, match=r"^language: found 'no language'"):
        OpenAIListenDriver(ask(language="no language"))


def told(driver: OpenAIListenDriver, kind: str, **more: object) -> bool:
    return driver.is_over(msgspec.json.encode({"type": kind, **more}))


def test_it_is_over_once_the_last_commit_is_answered_and_each_item_transcribed() -> None:
    driver = OpenAIListenDriver(ask())
    assert not told(driver, "input_audio_buffer.committed", item_id="a")
    assert not told(driver, "input_audio_buffer.committed", item_id="b")
    assert not told(driver, f"{TRANSCRIPTION}.completed", item_id="a")
    driver.finish()
    assert not told(driver, "error", error={"event_id": None, "message": "another"})
    assert not told(driver, "input_audio_buffer.committed", item_id="c")
    assert not told(driver, f"{TRANSCRIPTION}.completed", item_id="c")
    assert told(driver, f"{TRANSCRIPTION}.failed", item_id="b")


def test_it_is_over_where_nothing_is_left_to_commit() -> None:
    driver = OpenAIListenDriver(ask())
    [commit] = driver.finish()
    event_id = msgspec.json.decode(commit.data)["event_id"]
    assert told(driver, "error", error={"event_id": event_id, "code": "input_audio_buffer_commit_empty"})
    assert not driver.is_over(b"nonsense")


async def test_the_provider_ends_an_utterance_by_itself_and_the_last_one_is_committed() -> None:
    async with Simulator(quick()) as simulator:
        driver = OpenAIListenDriver(ask(language="en"))
        audio = [speech(24_000, after_s=0.8), "wait", speech(24_000)]
        heard = await listen(simulator, "openai", driver, audio)
        requests = simulator.ledger.entries("openai.realtime")
    assert (heard.finals, heard.is_over) == (list(UTTERANCES), True)
    assert heard.interims[:2] == ["Where ", "Where is "]
    assert [(row.status, row.model) for row in heard.exchanges] == [(Status.OK, "gpt-4o-mini-transcribe")] * 2
    assert requests[0].request_line.startswith("GET /openai/v1/realtime?intent=transcription ")


async def test_a_model_without_turns_is_told_when_an_utterance_has_ended() -> None:
    async with Simulator(quick()) as simulator:
        driver = OpenAIListenDriver(ask("gpt-live-transcribe"))
        heard = await listen(simulator, "openai", driver, [speech(24_000), "finalize", speech(24_000), "finalize"])
    assert (heard.finals, heard.is_over) == (list(UTTERANCES), True)
    assert not [event for event in heard.events if isinstance(event, Failed)]  # though nothing was left to commit
