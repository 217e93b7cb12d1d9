"""Calls find their conversation by what is said in them."""

from __future__ import annotations

from tests.stitching.played import Agent, Played, session_of
from voicegw_sidecar.events import Began, Final, Prompted, Said
from voicegw_sidecar.stitching import Peer, Process
from voicegw_sidecar.stitching.conversation import KEPT_NS
from voicegw_sidecar.terms import NS_PER_MS, Basis, Modality


def test_a_transcript_is_found_in_the_request_and_the_answer_in_the_speech() -> None:
    played = Played()
    agent, other = Agent(played), Agent(played)
    other.hear("I want a taxi.")
    call, speech = agent.turn("I want a table for two.", "For when shall it be?")
    assert agent.session != other.session
    assert (session_of(call), call.basis, call.is_certain) == (agent.session, Basis.TRANSCRIPT, True)
    assert (session_of(speech), speech.basis, speech.source) == (agent.session, Basis.SPEECH, call)
    assert played.told.moves == []


def test_a_short_answer_is_placed_by_what_was_said_before() -> None:
    played = Played()
    agents = [Agent(played) for _ in range(3)]
    for number, agent in enumerate(agents):
        agent.turn(f"My number is {number}.", f"Is {number} right?")
    for agent in agents:
        agent.hear("Yes.")
    played.after(50)
    for agent in reversed(agents):
        agent.said.append(Said("Yes.", is_user=True))
        call = agent.ask()
        assert (session_of(call.strand), call.strand.is_certain) == (agent.session, True)


def test_a_guess_between_equals_is_set_right_by_the_next_request() -> None:
    played = Played()
    one, other = Agent(played), Agent(played)
    one.hear("Hello.")
    played.after(10)
    other.hear("Hello.")
    played.after(50)
    for agent in (one, other):
        agent.said.append(Said("Hello.", is_user=True))
    others = other.ask()  # the other agent asks first: taken for the one whose person has waited longer
    ones = one.ask()
    assert [session_of(call.strand) for call in (others, ones)] == [one.session, other.session]
    assert not others.strand.is_certain
    others.answer("Good morning, what is it?")
    ones.answer("Hi, how can I help?")
    spoken = [other.speak("Good morning, what is it?"), one.speak("Hi, how can I help?")]
    other.said.append(Said("Good morning, what is it?", is_user=False))
    played.after(2000)
    other.turn("I have lost my card.", "I am sorry.")
    assert [session_of(strand) for strand in (others.strand, *spoken)] == [other.session, other.session, one.session]
    assert session_of(ones.strand) == one.session
    assert {row for row, _ in played.told.moves} == {
        others.strand.row_id, ones.strand.row_id, *(strand.row_id for strand in spoken),
    }  # fmt: skip


def test_an_utterance_in_pieces_is_one_message() -> None:
    played = Played()
    agent, other = Agent(played), Agent(played)
    other.hear("for tomorrow")
    agent.hear("A table")
    early = agent.ask("A table")
    played.after(30)
    early.give_up()
    agent.hear("for two")
    agent.hear("for tomorrow")
    agent.said.append(Said("A table for two for tomorrow", is_user=True))
    call = agent.ask()
    assert [session_of(one) for one in (early.strand, call.strand)] == [agent.session] * 2


def test_a_request_made_ahead_of_the_final_transcript() -> None:
    played = Played()
    agent, other = Agent(played), Agent(played)
    agent.interim("I want a table")
    early = agent.ask("I want a table")
    assert (session_of(early.strand), early.strand.is_ahead) == (agent.session, True)
    played.after(100)
    agent.hear("I want a table.")
    played.after(100)
    other.hear("I want a table.")
    other.said.append(Said("I want a table.", is_user=True))
    assert session_of(other.ask().strand) == other.session, "the first one's transcript was taken by the early request"


def test_tool_rounds_belong_to_their_turn() -> None:
    played = Played()
    agent, other = Agent(played), Agent(played)
    agent.hear("Okay.")
    agent.said.append(Said("Okay.", is_user=True))
    first = agent.ask()
    played.after(300)
    first.call_tool()
    other.hear("Okay.")
    played.after(200)
    second = agent.ask(is_continued=True)
    assert session_of(first.strand) == session_of(second.strand) == agent.session


def test_a_request_of_one_project_is_never_put_into_another() -> None:
    played = Played()
    Agent(played, "globex").hear("A very particular sentence.")
    stranger = Agent(played, "acme")
    call = stranger.ask("A very particular sentence.")
    assert session_of(call.strand) is None
    speech = Agent(played, "initech").speak("An answer")
    assert session_of(speech) is None


def test_the_process_decides_between_equals() -> None:
    played = Played()
    one, other = Agent(played, process=Process()), Agent(played, process=Process())
    one.hear("Yes.")
    other.hear("Yes.")
    call = other.ask("Yes.")
    assert (session_of(call.strand), call.strand.is_certain) == (other.session, True)


def test_a_call_without_words_is_its_processes_or_nobodys() -> None:
    played = Played()
    process = Process()
    agent = Agent(played, process=process)
    Agent(played, process=Process())
    call = agent.ask()
    assert (session_of(call.strand), call.strand.basis, call.strand.is_certain) == (agent.session, Basis.PROCESS, False)
    Agent(played, process=process)
    assert session_of(agent.ask().strand) is None, "the process has two sessions now"


def test_what_the_agent_says_of_itself_is_found_in_the_history() -> None:
    played = Played()
    agent, other = Agent(played), Agent(played)
    greeting = agent.speak("Welcome to Acme, how can I help?")
    assert session_of(greeting) is None
    agent.said.append(Said("Welcome to Acme, how can I help?", is_user=False))
    other.turn("Hi.", "Hello there.")
    agent.turn("I want a table.", "For when?")
    agent.turn("For today.", "Done.")
    assert (session_of(greeting), greeting.basis) == (agent.session, Basis.HISTORY)
    assert played.told.moves == [(greeting.row_id, agent.session)]


def test_a_greeting_that_an_llm_wrote_joins_the_conversation_it_opened() -> None:
    played = Played()
    agent = Agent(played)
    Agent(played)
    call = agent.ask()
    assert session_of(call.strand) is None
    call.answer("Welcome to Acme.")
    agent.speak("Welcome to Acme.")
    opened = session_of(call.strand)
    assert opened not in (None, agent.session), "spoken answers are a conversation, whoever is listening"
    agent.said.append(Said("Welcome to Acme.", is_user=False))
    agent.turn("I want a table.", "For when?")
    agent.turn("For today.", "Done.")
    assert session_of(call.strand) == agent.session
    assert played.told.merges == [(opened, agent.session, Basis.HISTORY)]


def test_a_microphone_that_reconnects_stays_in_its_session() -> None:
    played = Played()
    agent, other = Agent(played), Agent(played)
    agent.turn("I want a table.", "For when?")
    other.turn("I want a taxi.", "Where to?")
    before = agent.session
    agent.reconnect()
    anew = agent.session
    assert anew != before
    agent.turn("For today.", "Done.")
    assert agent.session == before
    assert played.told.merges == [(anew, before, Basis.TRANSCRIPT)]


def test_a_named_request_names_what_was_heard() -> None:
    played = Played()
    agent, other = Agent(played), Agent(played)
    inferred = agent.session
    other.hear("I want a taxi.")
    agent.hear("I want a table.")
    call = agent.ask("I want a table.", name="AJ_1")
    assert agent.session == session_of(call.strand) == "AJ_1"
    assert played.told.merges == [(inferred, "AJ_1", Basis.TRANSCRIPT)]
    call.answer("For when?")
    assert session_of(agent.speak("For when?")) == "AJ_1"
    assert other.session not in ("AJ_1", inferred)


def test_a_named_request_takes_nothing_where_two_said_the_same() -> None:
    played = Played()
    one, other = Agent(played), Agent(played)
    one.hear("Hello.")
    other.hear("Hello.")
    two = one.ask("Hello.", name="AJ_1")
    assert played.told.merges == []
    assert session_of(two.strand) == "AJ_1"
    assert one.session not in ("AJ_1", other.session)


def test_named_speech_names_the_answer_that_it_speaks() -> None:
    played = Played()
    agent = Agent(played)
    call = agent.ask()
    call.answer("A text of some length.")
    agent.speak("A text of some length.", name="call-1")
    assert session_of(call.strand) == "call-1"


def test_the_same_words_are_spoken_once_for_each_answer() -> None:
    played = Played()
    one, other = Agent(played), Agent(played)
    asked = []
    for number, agent in enumerate((one, other)):
        agent.hear(f"My number is {number}.")
        call = agent.ask(f"My number is {number}.")
        call.answer("Okay. One moment. Okay.")
        asked.append(call.strand)
        played.after(20)
    spoken = [one.speak("Okay."), other.speak("Okay."), one.speak("One moment."), other.speak("One moment.")]
    spoken += [one.speak("Okay."), other.speak("Okay.")]
    assert sorted(id(strand.source) for strand in spoken) == sorted(id(call) for call in asked for _ in range(3))
    assert all(len(call.speakers) == 3 for call in asked)
    assert session_of(one.speak("Okay.")) is None, "everything is spoken already"


def test_speech_that_broke_off_may_be_spoken_again() -> None:
    played = Played()
    agent = Agent(played)
    agent.hear("Hi.")
    call = agent.ask("Hi.")
    call.answer("Good day to you.")
    agent.speak("Good day to you.", is_cut=True)
    again = agent.speak("Good day to you.")
    assert (again.source, session_of(again)) == (call.strand, agent.session)


def test_own_connections_are_known_again_and_shared_ones_are_not() -> None:
    played = Played()
    agent, other = Agent(played), Agent(played)
    own = Peer()
    agent.turn("I want a table.", "For when?", peer=own)
    assert own.conversation is not None
    assert session_of(agent.ask(peer=own).strand) == agent.session
    summary = agent.speak("A jingle that no model wrote.", peer=own)
    assert (session_of(summary), summary.basis, summary.is_certain) == (agent.session, Basis.CONNECTION, False)
    other.turn("I want a taxi.", "Where to?", peer=own)
    assert own.is_shared
    assert session_of(agent.speak("Another jingle.", peer=own)) is None


def test_an_upload_is_found_by_its_transcript() -> None:
    played = Played()
    agent = Agent(played)
    line = agent.line()
    line.apply(Began(Modality.STT), played.now_ns)
    line.opened("", "upload", Modality.STT, played.now_ns)
    line.apply(Final("I sent this as a file."), played.now_ns)
    upload = line.closed("", "upload", Modality.STT, played.now_ns, is_cancelled=False)
    assert upload is not None
    assert session_of(upload) is None
    call = agent.ask("I sent this as a file.")
    assert session_of(upload) == session_of(call.strand) is not None
    assert played.told.moves == [("upload", session_of(call.strand))]


def test_texts_are_let_go_and_old_ones_match_no_more() -> None:
    played = Played()
    agent = Agent(played)
    agent.hear("I want a table.")
    call = agent.ask("I want a table.")
    call.answer("For when shall it be?")
    jingle = agent.speak("A jingle.")
    agent.interim("I want")
    played.after(KEPT_NS // NS_PER_MS + 1)
    played.sweep()
    assert call.strand.text.folded() == call.strand.asked == jingle.text.folded() == ""
    assert session_of(agent.speak("For when shall it be?")) is None
    conversation = agent.mic.conversation
    assert conversation is not None
    assert not conversation.finals
    assert not conversation.interim


def test_a_closed_session_is_for_those_who_name_it_alone() -> None:
    played = Played()
    agent = Agent(played)
    played.told.closed.add(("acme", "bot"))
    agent.hear("I want a table.")
    call = agent.ask("I want a table.", name="bot")
    call.answer("For when shall it be?")
    assert session_of(call.strand) == "bot"
    assert session_of(agent.speak("For when shall it be?")) is None
    assert agent.session == "inferred-1"
    assert played.told.merges == []


def test_a_process_that_is_seen_late_takes_a_short_guess_back() -> None:
    played = Played()
    listener = Agent(played, process=Process())
    listener.hear("Hello.")
    peer = Peer()
    call = listener.line(peer=peer)
    peer.process = None
    call.apply(Began(Modality.LLM), played.now_ns)
    call.apply(Prompted((Said("Hello.", is_user=True),)), played.now_ns)
    strand = call.opened("", "row", Modality.LLM, played.now_ns)
    assert strand is not None
    assert session_of(strand) == listener.session
    peer.process = Process()
    call.closed("", "row", Modality.LLM, played.now_ns, is_cancelled=False)
    assert session_of(strand) is None
    assert session_of(listener.ask("Hello.", peer=peer).strand) is None
    assert session_of(listener.ask("Hello.").strand) == listener.session, "it still waits to be answered"


def test_another_process_needs_more_than_a_word() -> None:
    played = Played()
    listener = Agent(played, process=Process())
    listener.hear("Hello.")
    stranger = Process()
    peer = Peer()
    peer.process = stranger
    assert session_of(listener.ask("Hello.", peer=peer).strand) is None
    listener.hear("I want a table for two.")
    gateway = listener.ask("I want a table for two.", peer=peer)
    assert session_of(gateway.strand) == listener.session, "a gateway for LLMs is a process of its own"
    other = Agent(played, process=stranger)
    listener.hear("I want a table for three.")
    assert session_of(other.ask("I want a table for three.").strand) == other.session, "it has one of its own now"
    call = listener.ask("Tell me all.")
    call.answer("This is the whole of it.")
    assert session_of(other.speak("This is the whole of it.")) == other.session


def test_a_closed_session_takes_no_more_calls_that_do_not_name_it() -> None:
    played = Played()
    agent = Agent(played)
    agent.hear("I want a table.")
    assert agent.session is not None
    played.stitcher.forget("acme", agent.session)
    assert session_of(agent.ask("I want a table.").strand) is None
    agent.hear("Are you there?")
    agent.interim("Are you")
    assert agent.session == "inferred-1", "its own microphone still is of it"
    conversation = agent.mic.conversation
    assert conversation is not None
    assert not conversation.finals
    assert not conversation.interim
