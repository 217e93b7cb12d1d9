"""Every latency, status and figure of use that the meter defines, from bare events."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest

from voicegw_sidecar.events import (
    Answered,
    AudioIn,
    AudioOut,
    Began,
    Event,
    Failed,
    Final,
    Finished,
    Interim,
    Named,
    Reasoned,
    RequestComplete,
    SpeechEnded,
    Stopped,
    StreamDuration,
    TextIn,
    TextOut,
    Used,
    UtteranceEnded,
)
from voicegw_sidecar.meter import Closed, Meter, Opened
from voicegw_sidecar.terms import NS_PER_MS, Exchange, FirstBasis, Mark, Modality, Status, Usage
from voicegw_sidecar.wire.pcm import PcmFormat

PCM = PcmFormat("linear16", 16_000)
LLM, TTS, STT = (
    Began(Modality.LLM, model="m", input_chars=9),
    Began(Modality.TTS, model="m"),
    Began(Modality.STT, model="m"),
)
SILENCE = AudioIn(bytes(3200), PCM)  # 100 ms
LOUD = AudioIn(b"\x00\x40\x00\xc0" * 800, PCM)
Timed = tuple[int, Event]
OK, CANCELLED, UPSTREAM_ERROR = Status.OK, Status.CANCELLED, Status.UPSTREAM_ERROR


def tokens(sent: int, answered: int) -> Usage:
    return Usage(input_tokens=sent, output_tokens=answered)


def run(events: Iterable[Timed], ended: tuple[int, Status] | None = None, meter: Meter | None = None) -> list[Exchange]:
    """Apply events at their milliseconds; return what closed."""
    meter = meter or Meter()
    closed: list[Exchange] = []
    for at_ms, event in events:
        meter.apply(event, at_ms * NS_PER_MS)
        closed += [change.exchange for change in meter.changes() if isinstance(change, Closed)]
    if ended is not None:
        meter.close(ended[1], ended[0] * NS_PER_MS)
        closed += [change.exchange for change in meter.changes() if isinstance(change, Closed)]
    return closed


def audio(*frames: AudioIn, start_ms: int = 100) -> list[Timed]:
    """Frames of 100 ms, each relayed when it was spoken."""
    return [(start_ms + 100 * number, frame) for number, frame in enumerate(frames)]


def test_llm_latency_is_request_complete_to_first_token() -> None:
    [exchange] = run(
        [
            (10, LLM),
            (20, RequestComplete()),
            (50, Answered()),
            (60, Reasoned("hm")),
            (90, TextOut("a")),
            (95, TextOut("b")),
            (100, Finished()),
        ]
    )
    assert exchange.first_ms == 70.0
    assert exchange.total_ms == 90.0
    assert {mark: at_ns // NS_PER_MS for mark, at_ns in exchange.marks_ns.items()} == {
        Mark.STARTED: 10, Mark.REQUEST_COMPLETE: 20, Mark.FIRST_BYTE: 50, Mark.FIRST_TOKEN: 90, Mark.FIRST_CONTENT: 90,
        Mark.ENDED: 100,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fragments", "token_ms", "content_ms"),
    [
        ([TextOut("f", is_call=True), TextOut("{}", is_call=True), TextOut("a"), TextOut("b")], 1, 3),
        ([TextOut("a"), TextOut("f", is_call=True)], 1, 1),
        ([TextOut("f", is_call=True), Reasoned("hm")], 1, None),
        ([Reasoned("hm")], None, None),
    ],
)
def test_first_token_may_be_of_a_call_and_first_content_may_not(
    fragments: list[Event], token_ms: int | None, content_ms: int | None
) -> None:
    [exchange] = run(list(enumerate([LLM, *fragments, Finished()])))
    assert exchange.marks_ns.get(Mark.FIRST_TOKEN) == (token_ms and token_ms * NS_PER_MS)
    assert exchange.marks_ns.get(Mark.FIRST_CONTENT) == (content_ms and content_ms * NS_PER_MS)


def test_tts_latency_over_http_is_request_complete_to_first_audio() -> None:
    [exchange] = run(
        [
            (0, TTS),
            (0, TextIn("Hi")),
            (5, RequestComplete()),
            (50, AudioOut(0.1)),
            (60, AudioOut(0.1)),
            (70, Finished()),
        ]
    )
    assert exchange.first_ms == 45.0
    assert exchange.usage == Usage(characters=2, audio_out_s=0.2)


def test_tts_latency_over_a_socket_is_first_text_to_first_audio() -> None:
    [exchange] = run(
        [(0, TTS), (3, TextIn("  ")), (7, TextIn(" Hi ")), (8, TextIn(" you ")), (50, AudioOut(0.1)), (70, Finished())]
    )
    assert exchange.first_ms == 43.0
    assert exchange.usage.characters == len("Hi  you")


def test_stt_latency_is_end_of_speech_by_position_to_final() -> None:
    [exchange] = run([*audio(*[SILENCE] * 6), (700, Final("hi", 0.35)), (750, UtteranceEnded())])
    assert exchange.first_ms == 300.0  # the frame with second 0.35 was relayed at 400
    assert exchange.first_ms_basis is FirstBasis.PROVIDER
    assert exchange.marks_ns[Mark.SPEECH_ENDED] == 400 * NS_PER_MS


def test_stt_latency_without_positions_uses_the_sound_level() -> None:
    [exchange] = run([*audio(SILENCE, LOUD, LOUD, SILENCE, SILENCE), (600, Final("hi")), (601, UtteranceEnded())])
    assert exchange.first_ms == 300.0
    assert exchange.first_ms_basis is FirstBasis.SOUND_LEVEL


def began_ms(exchange: Exchange) -> int | None:
    at_ns = exchange.marks_ns.get(Mark.SPEECH_BEGAN)
    return None if at_ns is None else at_ns // NS_PER_MS


def test_speech_begins_where_the_first_final_piece_says() -> None:
    pieces: list[Timed] = [(650, Final("a", 0.2, 0.1)), (700, Final("b", 0.5, 0.35)), (900, UtteranceEnded())]
    [exchange] = run([*audio(*[SILENCE] * 6), *pieces])
    assert began_ms(exchange) == 200  # second 0.1 is the first of the frame that was relayed at 200
    assert exchange.marks_ns[Mark.SPEECH_ENDED] == 500 * NS_PER_MS


def test_speech_begins_with_the_first_loud_audio_where_no_position_is_told() -> None:
    first = [*audio(SILENCE, LOUD, LOUD, LOUD, SILENCE), (600, Final("one")), (600, UtteranceEnded())]
    second = [*audio(SILENCE, SILENCE, LOUD, LOUD, start_ms=700), (1200, Final("two")), (1210, UtteranceEnded())]
    assert [began_ms(exchange) for exchange in run([*first, *second])] == [200, 900]


def test_speech_that_began_before_the_final_of_the_one_before_is_not_lost() -> None:
    frames = [LOUD, LOUD, SILENCE, SILENCE, SILENCE, LOUD, LOUD, LOUD, LOUD]  # the second speech begins at 600
    first: list[Timed] = [(710, Final("one", 0.2)), (710, UtteranceEnded())]
    events = sorted([*audio(*frames), *first], key=lambda timed: timed[0])
    both = run([*events, (1200, Final("two", 0.9)), (1200, UtteranceEnded())])
    assert [began_ms(exchange) for exchange in both] == [100, 600]
    assert both[1].marks_ns[Mark.STARTED] == 800 * NS_PER_MS


@pytest.mark.parametrize(
    "events",
    [
        audio(*[SILENCE] * 6),
        [(100 * number, AudioIn(b"opus", None)) for number in range(6)],
        [(100 * number, AudioIn(b"\x00" * 80, PcmFormat("alaw", 8000))) for number in range(6)],
    ],
    ids=["quiet", "compressed", "levels not read"],
)
def test_speech_that_was_not_heard_has_no_beginning(events: list[Timed]) -> None:
    for position_s in (None, 0.01):
        [exchange] = run([*events, (700, Final("hi", position_s)), (700, UtteranceEnded())])
        assert began_ms(exchange) is None


def test_beginning_after_the_end_is_none() -> None:
    said: list[Timed] = [(700, Final("hi", 0.2, 0.4)), (700, UtteranceEnded())]
    [exchange] = run([*audio(*[SILENCE] * 6), *said])
    assert began_ms(exchange) is None
    [exchange] = run([*audio(SILENCE, SILENCE, SILENCE, LOUD), (500, Final("hi")), (510, SpeechEnded(0.2))], (600, OK))
    assert began_ms(exchange) is None
    assert exchange.marks_ns[Mark.SPEECH_ENDED] == 200 * NS_PER_MS


def test_an_utterance_too_quiet_to_hear_has_no_latency() -> None:
    first = [*audio(LOUD, SILENCE), (300, Final("one")), (300, UtteranceEnded())]
    second = [*audio(SILENCE, SILENCE, start_ms=400), (600, Final("two")), (600, UtteranceEnded())]
    exchanges = run([*first, *second])
    assert [exchange.first_ms for exchange in exchanges] == [200.0, None]
    assert exchanges[1].first_ms_basis is None


def test_of_several_final_pieces_the_last_one_counts() -> None:
    [exchange] = run([*audio(*[SILENCE] * 6), (650, Final("a", 0.2)), (700, Final("b", 0.5)), (900, UtteranceEnded())])
    assert exchange.first_ms == 200.0
    assert exchange.total_ms == 800.0


def test_batch_transcription_latency_is_upload_to_answer() -> None:
    [exchange] = run([(0, STT), (10, RequestComplete()), (310, Final("hi")), (310, Finished())])
    assert exchange.first_ms == 300.0
    assert exchange.first_ms_basis is None


def test_unseen_marks_make_no_latency() -> None:
    [exchange] = run([(0, LLM), (1, RequestComplete()), (9, Finished())])
    assert exchange.first_ms is None
    assert Mark.FIRST_TOKEN not in exchange.marks_ns


@pytest.mark.parametrize("frames", [[1600], [1], [333, 7, 12345, 2], [44_101] * 7])
@pytest.mark.parametrize("every", [1, 3, 5])
def test_stretches_sum_exactly_to_the_stream(frames: list[int], every: int) -> None:
    meter, sent = Meter(), 0
    closed: list[Exchange] = []
    for number in range(200):
        size = frames[number % len(frames)]
        sent += size
        events: list[Timed] = [(number, AudioIn(bytes(size), PCM))]
        if number % every == 0:
            events += [(number, Final("x")), (number, UtteranceEnded())]
        closed += run(events, meter=meter)
    closed += run([], (1000, Status.OK), meter)
    total = sum(Decimal(str(exchange.usage.audio_s)) for exchange in closed)
    assert total == Decimal(str(round(sent / 32_000, 6)))
    assert {exchange.status for exchange in closed} <= {Status.OK, Status.IDLE}


def test_remainder_of_a_stream_is_one_idle_row() -> None:
    closed = run(
        [*audio(LOUD, SILENCE), (350, Final("x")), (350, UtteranceEnded()), *audio(SILENCE, start_ms=400)],
        (500, Status.OK),
    )
    assert [(exchange.status, exchange.usage.audio_s) for exchange in closed] == [(Status.OK, 0.2), (Status.IDLE, 0.1)]


def test_stream_that_ends_with_its_utterance_has_no_idle_row() -> None:
    assert len(run([*audio(LOUD), (350, Final("x")), (350, UtteranceEnded())], (500, Status.OK))) == 1


def test_providers_duration_is_what_the_stream_sums_to() -> None:
    utterance = [*audio(LOUD, SILENCE), (350, Final("x")), (350, UtteranceEnded())]
    closed = run([*utterance, *audio(SILENCE, start_ms=400), (450, StreamDuration(0.35))], (500, Status.OK))
    assert [exchange.usage.audio_s for exchange in closed] == [0.2, 0.15]
    more = run([*utterance, (450, StreamDuration(1.0))], (500, Status.OK))
    assert [(exchange.status, exchange.usage.audio_s) for exchange in more] == [(Status.OK, 0.2), (Status.IDLE, 0.8)]


def test_an_exchange_once_opened_is_always_closed() -> None:
    events = [
        *audio(LOUD, SILENCE),
        (350, Final("x")),
        (350, UtteranceEnded()),
        *audio(SILENCE, start_ms=400),
        (450, StreamDuration(0.2)),
    ]
    closed = run(events, (500, Status.OK))
    assert [(exchange.ref, exchange.status, exchange.usage.audio_s) for exchange in closed] == [
        (0, Status.OK, 0.2),
        (1, Status.IDLE, 0.0),
    ]


def test_compressed_audio_is_known_only_from_the_provider() -> None:
    opus = AudioIn(b"123", None)
    events: list[Timed] = [(0, STT), (0, opus), (50, Final("x", 0.1)), (50, UtteranceEnded()), (60, opus)]
    closed = run(events, (90, Status.OK))
    assert [(exchange.status, exchange.usage.audio_s, exchange.first_ms) for exchange in closed] == [
        (Status.OK, None, None), (Status.IDLE, None, None),
    ]  # fmt: skip
    closed = run([*events, (70, StreamDuration(2.5))], (90, Status.OK))
    assert [exchange.usage.audio_s for exchange in closed] == [None, 2.5]


@pytest.mark.parametrize(
    ("before", "ended", "expected"),
    [
        ([], Status.OK, Status.IDLE),
        ([], Status.CANCELLED, Status.IDLE),
        ([], Status.UPSTREAM_ERROR, Status.UPSTREAM_ERROR),
        ([(150, Interim("x"))], Status.OK, Status.CANCELLED),
        ([(150, Interim("x"))], Status.CANCELLED, Status.CANCELLED),
        ([(150, Interim("x"))], Status.UPSTREAM_ERROR, Status.PARTIAL),
        ([(150, Final("x"))], Status.CANCELLED, Status.OK),
        ([(150, Final("x"))], Status.UPSTREAM_ERROR, Status.OK),
    ],
)
def test_utterance_open_at_the_end_of_its_stream(before: list[Timed], ended: Status, expected: Status) -> None:
    [exchange] = run([*audio(LOUD), *before], (500, ended))
    assert exchange.status is expected
    assert exchange.usage.audio_s == 0.1
    assert not exchange.estimated


@pytest.mark.parametrize(
    ("events", "ended", "expected"),
    [
        ([LLM, RequestComplete()], Status.CANCELLED, Status.CANCELLED),
        ([LLM, RequestComplete()], Status.UPSTREAM_ERROR, Status.UPSTREAM_ERROR),
        ([LLM, RequestComplete(), TextOut("x")], Status.UPSTREAM_ERROR, Status.PARTIAL),
        ([LLM, RequestComplete(), TextOut("x")], Status.CANCELLED, Status.CANCELLED),
        ([TTS, TextIn("x"), AudioOut(None)], Status.OK, Status.CANCELLED),
        ([TTS, TextIn("x"), AudioOut(None), Finished()], Status.UPSTREAM_ERROR, Status.OK),
        ([TTS, TextIn("x"), AudioOut(None), Stopped()], Status.OK, Status.CANCELLED),
        ([TTS, TextIn("x"), AudioOut(None), Failed("e")], Status.OK, Status.PARTIAL),
        ([TTS, TextIn("x"), Failed("e", "*")], Status.OK, Status.UPSTREAM_ERROR),
        ([STT, SILENCE, Interim("x"), Failed("e", "*")], Status.OK, Status.PARTIAL),
        ([STT, SILENCE, Failed("e", "*")], Status.OK, Status.UPSTREAM_ERROR),
        ([STT, RequestComplete(), Interim("x")], Status.UPSTREAM_ERROR, Status.PARTIAL),
        ([Began(None), RequestComplete(), Finished()], Status.OK, Status.OK),
    ],
)
def test_status_says_who_ended_it_and_when(events: list[Event], ended: Status, expected: Status) -> None:
    [exchange] = run(list(enumerate(events)), (100, ended))
    assert exchange.status is expected


@pytest.mark.parametrize(
    ("events", "status", "usage", "estimated"),
    [
        ([LLM, TextOut("12345"), Used(tokens(7, 2)), Finished()], OK, tokens(7, 2), False),
        ([LLM, Used(tokens(1, 1)), Used(tokens(7, 2)), Finished()], OK, tokens(7, 2), False),
        ([LLM, TextOut("12345"), Finished()], OK, tokens(3, 2), True),
        ([LLM, Reasoned("1234"), TextOut("12345")], CANCELLED, tokens(3, 3), True),
        ([LLM, Used(tokens(7, 0)), TextOut("12345")], CANCELLED, tokens(7, 2), True),
        ([LLM, Used(tokens(7, 1)), TextOut("12345")], CANCELLED, tokens(7, 1), False),
        ([LLM, Used(Usage(output_tokens=4)), Finished()], OK, tokens(3, 4), True),
        ([LLM, Used(tokens(-7, 10**30)), TextOut("1"), Finished()], OK, tokens(3, 1), True),
        ([LLM], UPSTREAM_ERROR, Usage(), False),
        ([Began(Modality.LLM), TextOut("1")], CANCELLED, Usage(output_tokens=1), True),
        ([TTS, TextIn("Hello"), AudioOut(0.5)], CANCELLED, Usage(characters=5, audio_out_s=0.5), True),
        ([TTS, TextIn("Hello"), AudioOut(0.5), AudioOut(None), Finished()], OK, Usage(characters=5), False),
        (
            [TTS, TextIn("Hello"), Used(Usage(input_tokens=3, output_audio_tokens=9)), Finished()],
            OK,
            Usage(input_tokens=3, output_audio_tokens=9, characters=5),
            False,
        ),
        ([TTS, TextIn("Hello")], UPSTREAM_ERROR, Usage(), False),
        ([Began(Modality.STT, audio_s=1.5), Final("x"), Finished()], OK, Usage(audio_s=1.5), False),
        (
            [Began(Modality.STT, audio_s=1.5), Final("x"), Used(Usage(audio_s=2.0)), Finished()],
            OK,
            Usage(audio_s=2.0),
            False,
        ),
        ([Began(Modality.STT, audio_s=1.5), RequestComplete()], CANCELLED, Usage(audio_s=1.5), True),
        ([Began(Modality.STT, audio_s=1.5), RequestComplete()], UPSTREAM_ERROR, Usage(), False),
        ([Began(None)], CANCELLED, Usage(), False),
    ],
)
def test_usage_is_reported_counted_or_estimated(
    events: list[Event], status: Status, usage: Usage, estimated: bool
) -> None:
    [exchange] = run(list(enumerate(events)), (100, status))
    assert (exchange.usage, exchange.estimated) == (usage, estimated)


def test_exchanges_of_one_connection_do_not_mix() -> None:
    closed = run(
        [
            (0, Began(Modality.TTS, "a", "m")),
            (1, Began(Modality.TTS, "b", "m")),
            (2, TextIn("aa", "a")),
            (3, TextIn("b", "b")),
            (50, AudioOut(1.0, "b")),
            (60, AudioOut(2.0, "a")),
            (70, Finished("b")),
            (80, Finished("a")),
            (81, AudioOut(9.0, "a")),
        ]
    )
    assert [(exchange.ref, exchange.first_ms, exchange.usage.audio_out_s) for exchange in closed] == [
        (1, 47.0, 1.0),
        (0, 58.0, 2.0),
    ]


def test_failure_of_all_ends_all_and_one_named_star_only_itself() -> None:
    begun: list[Timed] = [(0, Began(Modality.TTS, key)) for key in ("a", "b")]
    assert [exchange.error for exchange in run([*begun, (1, Failed("e", "*"))])] == ["e", "e"]
    star: list[Timed] = [(0, Began(Modality.TTS, "*")), (0, Began(Modality.TTS, "a"))]
    assert len(run([*star, (1, Failed("e", "*"))])) == 1


def test_key_begun_again_ends_the_exchange_before() -> None:
    closed = run([(0, TTS), (5, TTS), (9, Finished())])
    assert [exchange.status for exchange in closed] == [Status.CANCELLED, Status.OK]


def test_opened_comes_once_and_not_for_what_has_closed() -> None:
    meter = Meter()
    meter.apply(LLM, 0)
    [opened] = meter.changes()
    assert isinstance(opened, Opened)
    assert opened.exchange.status is Status.OPEN
    assert meter.changes() == []
    assert [exchange.ref for exchange in meter.running()] == [0]
    meter.apply(Finished(), 1)
    [closed] = meter.changes()
    assert isinstance(closed, Closed)
    meter.apply(Began(Modality.LLM), 2)
    meter.apply(Finished(), 3)
    [both] = meter.changes()
    assert isinstance(both, Closed)


def test_model_of_the_answer_names_what_the_request_did_not() -> None:
    [exchange] = run([(0, Began(Modality.LLM)), (1, Named("x" * 500)), (2, Finished())])
    assert exchange.model == "x" * 128
    [exchange] = run([(0, Began(Modality.LLM, model="a\udc80")), (2, Finished())])
    assert exchange.model == "a?"


def test_events_nobody_waits_for_change_nothing() -> None:
    strays: list[Event] = [
        TextOut("x"),
        TextIn("x"),
        AudioOut(1.0),
        Final("x"),
        Used(Usage()),
        Finished(),
        Stopped(),
        Failed("x"),
        Failed("x", "*"),
        StreamDuration(-1.0),
        StreamDuration(1e300),
    ]
    assert run([(0, event) for event in strays], (1, Status.OK)) == []
