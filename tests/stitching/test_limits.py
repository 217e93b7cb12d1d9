"""Everything is bounded, and odd orders of events are no more than odd."""

from __future__ import annotations

import pytest

from tests.stitching.played import Agent, Played, session_of
from voicegw_sidecar.events import Began, Final, Interim, Prompted, Said, TextIn, TextOut
from voicegw_sidecar.stitching import Peer, Process, answers, pool, stitcher
from voicegw_sidecar.terms import Modality


def test_conversations_are_bounded_and_the_quietest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CONVERSATIONS_LIMIT", 3)
    played = Played()
    first = Agent(played)
    for number in range(5):
        first.ask("Hello.", name=f"call-{number}")
    conversations = played.stitcher._pools["acme"].conversations
    assert len(conversations) == 3
    assert first.session in conversations, "its microphone is open"
    assert "call-4" in conversations
    assert "call-0" not in conversations


def test_answers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "ANSWERS_LIMIT", 4)
    played = Played()
    agent = Agent(played)
    for number in range(10):
        agent.turn(f"Number {number}.", "The same." if number % 2 else f"Answer {number}.")
    own = played.stitcher._pools["acme"]
    assert len(own._answers) == 4
    assert sum(len(same) for same in own._answers._same.values()) == 4


def test_digests_are_let_go_in_time() -> None:
    played = Played()
    agent = Agent(played)
    agent.turn("Number one.", "Answer one.")
    played.after(answers.KEPT_NS // 1_000_000 + 10_000)
    played.sweep()
    own = played.stitcher._pools["acme"]
    assert not own._answers.all()
    assert not own._answers._same
    assert not own._calls


def test_exchanges_of_one_connection_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stitcher, "STRANDS_LIMIT", 2)
    played = Played()
    agent = Agent(played)
    line = agent.line("call-1", is_socket=True)
    for number in range(4):
        line.apply(Began(Modality.TTS, f"c{number}"), played.now_ns)
    assert [line.opened(f"c{number}", f"r{number}", Modality.TTS, 0) is not None for number in range(4)] == [
        True, True, False, False]  # fmt: skip
    assert line.closed("c3", "r3", Modality.TTS, 0, is_cancelled=False) is None
    assert line.is_named
    assert not agent.mic.is_named


def test_events_of_exchanges_that_are_not_there_are_nothing() -> None:
    played = Played()
    line = played.stitcher.line("acme", None, Peer(), is_socket=False)
    said = (Said("Hello.", is_user=True),)
    for event in (TextOut("x"), TextIn("x"), Prompted(said), Interim("x"), Final("x"), TextOut("x", is_call=True)):
        line.apply(event, 0)
    line.over()
    assert line.conversation is None
    played.stitcher.forget("nobody", "nothing")
    for text in ("...", ""):
        agent = Agent(played)
        agent.hear(text)
        assert session_of(agent.ask(text).strand) is None
        assert session_of(agent.speak(text)) is None


def test_an_upload_of_another_process_or_of_long_ago_is_left_alone() -> None:
    played = Played()
    one, other = Agent(played, process=Process()), Agent(played, process=Process())
    for text in ("Sent as a file.", "..."):
        line = one.line()
        line.apply(Began(Modality.STT), played.now_ns)
        line.apply(Final(text), played.now_ns)
        upload = line.closed("", "upload", Modality.STT, played.now_ns, is_cancelled=False)
        assert upload is not None
        other.ask(text)
        played.after(40_000)
        played.sweep()
        one.ask(text)
        assert session_of(upload) is None


def test_a_named_upload_is_where_it_says() -> None:
    played = Played()
    agent = Agent(played)
    line = agent.line("call-1")
    line.apply(Began(Modality.STT), played.now_ns)
    line.apply(Final("Sent as a file."), played.now_ns)
    upload = line.closed("", "upload", Modality.STT, played.now_ns, is_cancelled=False)
    assert upload is not None
    assert session_of(upload) == "call-1"
    assert session_of(agent.ask("Sent as a file.").strand) == "call-1"


def test_speech_to_speech_is_its_own_conversation_and_its_text_may_be_spoken() -> None:
    played = Played()
    agent = Agent(played)
    line = agent.line(is_socket=True)
    line.apply(Began(Modality.S2S, "r"), played.now_ns)
    line.apply(TextOut("Good day to you.", "r"), played.now_ns)
    response = line.opened("r", "row", Modality.S2S, played.now_ns)
    assert response is not None
    assert session_of(response) not in (None, agent.session)
    speech = agent.speak("Good day to you.")
    assert session_of(speech) == session_of(response)
