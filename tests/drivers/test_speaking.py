"""What text-to-speech drivers share."""

from __future__ import annotations

import msgspec
import pytest

from voicegw_sidecar.asks import Container, Sound
from voicegw_sidecar.drivers.base import Messages, SocketAddress
from voicegw_sidecar.drivers.listening import text
from voicegw_sidecar.drivers.speaking import Offer, Speaking, json_request, pace, sound_to_ask
from voicegw_sidecar.errors import BadRequest

PCM, WAV, MP3, OPUS, FLAC, AAC = (
    Container.PCM, Container.WAV, Container.MP3, Container.OPUS, Container.FLAC, Container.AAC,
)  # fmt: skip
PLAIN = Offer((8000, 24_000, 48_000), {MP3: (22_050, 44_100), WAV: (8000, 24_000), FLAC: ()})
FILES_ONLY = Offer(())


@pytest.mark.parametrize(
    ("offer", "wanted", "expected"),
    [
        (PLAIN, Sound(PCM), Sound(PCM, 24_000)),
        (PLAIN, Sound(PCM, 8000), Sound(PCM, 8000)),
        (PLAIN, Sound(PCM, 16_000), Sound(PCM, 24_000)),
        (PLAIN, Sound(PCM, 96_000), Sound(PCM, 48_000)),
        (PLAIN, Sound(WAV), Sound(WAV, 24_000)),
        (PLAIN, Sound(WAV, 8000), Sound(WAV, 8000)),
        (PLAIN, Sound(WAV, 16_000), Sound(PCM, 24_000)),
        (PLAIN, Sound(MP3), Sound(MP3, 44_100)),
        (PLAIN, Sound(MP3, 22_050), Sound(MP3, 22_050)),
        (PLAIN, Sound(MP3, 24_000), Sound(PCM, 24_000)),
        (PLAIN, Sound(FLAC), Sound(FLAC)),
        (PLAIN, Sound(FLAC, 8000), Sound(PCM, 8000)),
        (PLAIN, Sound(OPUS), Sound(PCM, 24_000)),
        (FILES_ONLY, Sound(PCM, 16_000), Sound(WAV)),
        (FILES_ONLY, Sound(WAV, 16_000), Sound(WAV)),
        (FILES_ONLY, Sound(OPUS), Sound(WAV)),
    ],
)
def test_the_sound_that_loses_least_is_asked_for(offer: Offer, wanted: Sound, expected: Sound) -> None:
    assert sound_to_ask(offer, wanted, "x") == expected


@pytest.mark.parametrize("offer", [PLAIN, FILES_ONLY])
def test_aac_is_refused_where_it_would_have_to_be_made(offer: Offer) -> None:
    with pytest.raises(BadRequest, match="response_format: found 'aac', which x does not deliver"):
        sound_to_ask(offer, Sound(AAC), "x")
    assert sound_to_ask(Offer((), {AAC: ()}), Sound(AAC), "x") == Sound(AAC)


@pytest.mark.parametrize(("speed", "expected"), [(None, None), (1.0, None), (0.5, 0.5), (2.0, 2.0)])
def test_a_pace_within_the_range_is_asked_for(speed: float | None, expected: float | None) -> None:
    assert pace(speed, 0.5, 2.0, "m") == expected


@pytest.mark.parametrize("speed", [0.49, 2.01, -1.0, 0.0, float("nan"), float("inf")])
def test_a_pace_outside_is_refused(speed: float) -> None:
    with pytest.raises(BadRequest, match=f"speed: found {speed:g}, expected 0.5 to 2, which is what m can do"):
        pace(speed, 0.5, 2.0, "m")


def test_a_request_has_no_empty_fields() -> None:
    request = json_request("/p", {"a": 1, "b": None, "c": ""}, (("q", "1"),), (("H", "v"),))
    assert (request.method, request.path, request.query) == ("POST", "/p", (("q", "1"),))
    assert request.headers == (("H", "v"), ("Content-Type", "application/json"))
    assert msgspec.json.decode(request.body) == {"a": 1, "c": ""}


class _Plain(Speaking):
    def finish(self) -> Messages:
        return text("finish")

    def _first(self, text: str) -> Messages:
        return self._more(f"<{text}")

    def _more(self, words: str) -> Messages:
        return text(words)

    def _last(self) -> Messages:
        return text(">")

    def _stop(self) -> Messages:
        return text("stop")


def _said(messages: Messages) -> list[str]:
    return [msgspec.json.decode(message.data) for message in messages]


def test_utterances_follow_each_other() -> None:
    driver = _Plain(SocketAddress("/"), 24_000)
    assert driver.ends == 0
    told = [driver.speak(" "), driver.speak("a"), driver.speak(" "), driver.speak("b"), driver.flush()]
    assert [_said(messages) for messages in told] == [[], ["<a"], [" "], ["b"], [">"]]
    assert driver.ends == 1
    assert _said(driver.speak("c")) == ["<c"]
    assert driver.ends == 1
    assert (driver.opening(), driver.keepalive(), driver.keepalive_s) == ((), (), None)


def test_an_utterance_without_text_ends_by_itself() -> None:
    driver = _Plain(SocketAddress("/"), 24_000)
    assert _said(driver.speak("a") + driver.flush()) == ["<a", ">"]
    assert driver.speak("  ") == driver.flush() == ()
    assert driver.ends == 0


def test_what_the_provider_ended_by_itself_goes_on_with_the_next_text() -> None:
    driver = _Plain(SocketAddress("/"), 24_000)
    driver.speak("a")
    driver.ended()
    assert _said(driver.speak("b")) == ["<b"]
    assert driver.ends == 2
    assert _said(driver.flush()) == [">"]
    assert driver.ends == 2
    assert _said(driver.speak("c")) == ["<c"]
    driver.ended()
    assert driver.flush() == ()
    assert driver.ends == 1
    assert _said(driver.speak("d")) == ["<d"]
    assert driver.ends == 1


@pytest.mark.parametrize("is_flushed", [True, False])
def test_cancelling_stops_what_was_begun(is_flushed: bool) -> None:
    driver = _Plain(SocketAddress("/"), 24_000)
    assert driver.cancel() == ()
    driver.speak("a")
    if is_flushed:
        driver.flush()
    assert _said(driver.cancel()) == ["stop"]
    assert driver.ends == 0
    assert driver.cancel() == driver.flush() == ()
    assert _said(driver.speak("b")) == ["<b"]
