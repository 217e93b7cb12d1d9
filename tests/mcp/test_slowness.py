"""Why a session was slow: the analysis, case by case, and the drawing."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from voicegw_sidecar.control_client import NoAnswer
from voicegw_sidecar.mcp.slow_figures import Over
from voicegw_sidecar.mcp.slowness import Analysis, Verdict, analyse
from voicegw_sidecar.mcp.told import Day, Exchange, Leg, Observation, Session, Turn, read
from voicegw_sidecar.mcp.waterfall import drawn

ROUTE = {
    "stt": Leg("deepgram", "nova-3", 250.0, "baseline", 0), "llm": Leg("groq", None, 80.0, "observed", 40),
    "tts": Leg("cartesia", "sonic-3", 150.0, "baseline", 0),
}  # fmt: skip
GOOD = Turn(0, 250, 80, 150, 20, 500)
SLOW = Turn(1, 250, 900, 150, 100, 1400)
AGENT = Turn(2, 250, 80, 150, 800, 1280)
UNSEEN = Turn(3, 250, None, None, None, None)
TOTAL_ONLY = Turn(4, None, None, None, None, 1500)
OBSERVED = [
    Observation("llm", "groq", None, 100.0, 300.0, 40), Observation("stt", "deepgram", "nova-2", 1.0, 2.0, 9),
    Observation("stt", "deepgram", "nova-3", 240.0, 400.0, 12),
]  # fmt: skip


def session(*turns: Turn, **changes: Any) -> Session:
    usual: dict[str, Any] = {
        "id": "call-1", "project": "acme", "ended_at": "2026-11-21T10:00:00.000Z", "route": ROUTE,
        "predicted_ms": 480.0, "budget_ms": 1200, "budget_ms_used": None, "budget_overrun": False,
        "exchanges": 0,
    }  # fmt: skip
    return Session(**{**usual, **changes}, turns=list(turns))


def exchange(second: int, modality: str = "llm", provider: str = "groq", **changes: Any) -> Exchange:
    usual: dict[str, Any] = {"status": "ok", "http_status": 200, "cost_source": "catalogue", "error": None}
    return Exchange(f"2026-11-21T10:00:{second:02d}.500Z", modality, provider, **{**usual, **changes})


def told(of: Session, *exchanges: Exchange, day: Day | None = None, are_all: bool = True) -> Analysis:
    return analyse(of, exchanges, OBSERVED, day, are_all=are_all)


def using(part: str, *used: str) -> dict[str, Leg | None]:
    """The usual route, where these were called for one of its legs."""
    return {**ROUTE, part: replace(ROUTE[part], used=[*used])}


@pytest.mark.parametrize(
    ("of", "verdict", "sentence"),
    [
        (session(GOOD), Verdict.NOT_SLOW, "Nothing was slow: of 1 turn whose total is known none took longer than the "
         "latency budget of 1200 ms; the longest took 500 ms, the median 500 ms."),
        (session(Turn(0, 0, 0, 0, 1200, 1200)), Verdict.NOT_SLOW, "Nothing was slow"),
        (session(Turn(0, 0, 0, 0, 1201, 1201)), Verdict.SLOW, "turn 0 took 1201 ms, 1 ms too long, most of it agent"),
        (session(), Verdict.UNKNOWN, "The session has no turns, so nothing can be told of how long one took."),
        (session(UNSEEN), Verdict.UNKNOWN, "The total of 1 turn is unknown, so whether one was slow cannot"),
        (session(GOOD, SLOW, AGENT), Verdict.SLOW, "Of 3 turns whose total is known 2 took longer than the latency "
         "budget of 1200 ms: turn 1 took 1400 ms, 200 ms too long, most of it llm with 900 ms, longer than predicted "
         "llm by 820 ms; turn 2 took 1280 ms, 80 ms too long, most of it agent with 800 ms."),
        (session(TOTAL_ONLY), Verdict.SLOW, "turn 4 took 1500 ms, 300 ms too long, its parts are unknown."),
        (session(SLOW), Verdict.SLOW, "Of 1 turn over the budget llm took most in 1 and longer than predicted in 1."),
        (session(SLOW), Verdict.SLOW, "The median of llm over the session is 900 ms in 1 turn, 820 ms more than the "
         "80 ms predicted of groq."),
        (session(GOOD, GOOD, SLOW), Verdict.SLOW, "Of 1 turn over the budget llm took most in 1 and longer than "
         "predicted in 1."),
        (session(GOOD, GOOD, SLOW), Verdict.SLOW, "The median of llm over the session is 80 ms in 3 turns, which is "
         "the 80 ms predicted of groq."),
        (session(Turn(0, 300, 900, 140, 60, 1400)), Verdict.SLOW, "most of it llm with 900 ms, longer than predicted "
         "stt by 50 ms and llm by 820 ms."),
        (session(Turn(0, 300, 900, 140, 60, 1400)), Verdict.SLOW, "Of 1 turn over the budget stt took longer than "
         "predicted in 1."),
        (session(Turn(0, 300, 20, 140, 840, 1300)), Verdict.SLOW, "The median of stt over the session is 300 ms in 1 "
         "turn, 50 ms more than the 250 ms predicted of deepgram."),
        (session(SLOW), Verdict.SLOW, "The project observes p50 100 ms and p95 300 ms of llm by all models of groq "
         "(40 samples): 900 ms is above the p95."),
        (session(Turn(0, 300, 10, 10, 0, 1300)), Verdict.SLOW, 'p50 240 ms and p95 400 ms of stt by deepgram\'s '
         '{"untrusted_text":"nova-3"} (12 samples): 300 ms is above the p50.'),
        (session(Turn(0, 10, 10, 1250, 30, 1300)), Verdict.SLOW, "What the project observes of this tts is unknown"),
        (session(AGENT), Verdict.SLOW, "800 ms in 1 turn, the agent's own time before, between and after"),
        (session(GOOD, predicted_ms=1350.5, budget_overrun=True), Verdict.NOT_SLOW, "The route did not fit when it was "
         "picked: 1350 ms were predicted, 150 ms more than the budget of 1200 ms."),
        (session(SLOW, route={"stt": None, "llm": Leg("groq"), "tts": None}, predicted_ms=None, budget_overrun=None),
         Verdict.SLOW, "Nothing was predicted when the session began: no route was asked for."),
        (session(SLOW, route={"stt": None, "llm": Leg("groq"), "tts": None}), Verdict.SLOW,
         "what was predicted of groq is unknown"),
        (session(GOOD, UNSEEN), Verdict.NOT_SLOW, "llm is unknown in 1 of 2 turns, 3: a mark of it was not seen."),
        (session(GOOD, UNSEEN), Verdict.NOT_SLOW, "total is unknown in 1 of 2 turns, 3"),
        (session(GOOD, ended_at=None), Verdict.NOT_SLOW, "The session is still open: its figures are as they stand."),
        (session(Turn(0, 1, 1, 1, 1, 4, llm_calls=3, abandoned=1)), Verdict.NOT_SLOW, "More than one LLM exchange, for "
         "a tool, a repeat or one made ahead, was in 1 turn: turn 0 with 3; given up of these: 1."),
    ],
)  # fmt: skip
def test_turns(of: Session, verdict: Verdict, sentence: str) -> None:
    found = told(of)
    assert found.verdict is verdict
    assert [one for one in found.sentences if sentence in one], found.sentences


@pytest.mark.parametrize(
    ("exchanges", "sentence"),
    [
        ((exchange(3), exchange(1, status="upstream_error", http_status=503, error="server_error"), exchange(2)),
         'Of 3 exchanges 1 failed: llm of groq upstream_error with HTTP status 503, error {"untrusted_text":'
         '"server_error"}, followed by another llm exchange after 1000 ms.'),
        ((exchange(1, status="partial", http_status=None),), "llm of groq partial, not followed by another."),
        ((exchange(1, "tts", "cartesia", status="refused"), exchange(2)), "tts of cartesia refused with HTTP status "
         "200, not followed by another."),
        ((Exchange("soon", "llm", "groq", "partial", None, "none", None), exchange(1), exchange(2),
          Exchange("sooner", "llm", "groq", "ok", None, "none", None)), "after unknown ms"),
    ],
)  # fmt: skip
def test_failures(exchanges: tuple[Exchange, ...], sentence: str) -> None:
    found = told(session(GOOD), *exchanges)
    assert found.failed_exchanges + found.refused_exchanges == 1
    assert [one for one in found.sentences if sentence in one], found.sentences


@pytest.mark.parametrize("status", ["ok", "cancelled", "idle", "open"])
def test_what_did_not_fail_is_not_told_of(status: str) -> None:
    found = told(session(GOOD), exchange(1, status=status))
    assert (found.failed_exchanges, len(found.sentences)) == (0, 1)


def test_local_stand_ins() -> None:
    local = [exchange(second, provider="ollama", cost_source="local") for second in (1, 2)]
    found = told(session(GOOD), *local, exchange(3), day=Day("throttle", "exceeded"))
    assert found.stand_in_exchanges == 2
    assert found.sentences[1:] == [
        "Served by the local provider ollama, where groq was picked: 2 llm exchanges.",
        "The project's budget action is throttle; its budget is exceeded now.",
    ]
    unpicked = session(GOOD, route={**ROUTE, "llm": Leg("groq")})
    assert told(unpicked, *local).stand_in_exchanges == 0
    assert told(session(GOOD, route={**ROUTE, "llm": Leg("ollama", None, 90.0)}), *local).stand_in_exchanges == 0


def test_many_are_named_in_part() -> None:
    found = told(session(*(Turn(index, 0, 0, 0, 2000, 2000) for index in range(25))))
    assert (len(found.slow_turns), found.sentences[0].count(";")) == (25, 10)
    assert found.sentences[0].endswith("; and 15 more.")


def test_figures_beside_the_sentences() -> None:
    found = told(session(GOOD, SLOW))
    [slow] = found.slow_turns
    assert (slow.index, slow.over_ms, slow.part, slow.part_ms, slow.over_predicted) == (
        1, 200, "llm", 900, [Over("llm", 820)])  # fmt: skip
    parts = {one.part: one for one in found.parts}
    assert (parts["llm"].median_ms, parts["llm"].over_predicted_ms) == (490, 410)
    assert (parts["llm"].most_in_slow_turns, parts["llm"].over_predicted_in_slow_turns) == (1, 1)
    assert [(one.p50_ms, one.p95_ms) for one in parts["llm"].observed] == [(100, 300)]
    assert (parts["agent"].provider, parts["agent"].predicted_ms, parts["agent"].observed) == (None, None, [])
    assert (parts["tts"].observed, parts["tts"].unknown_turns) == ([], 0)


def test_a_provider_that_was_not_called_is_not_blamed() -> None:
    route = using("llm", "openai/gpt-4.1", "openai/gpt-4.1-mini")
    seen = [*OBSERVED, Observation("llm", "openai", "gpt-4.1", 600.0, 950.0, 50),
            Observation("llm", "openai", None, 500.0, 700.0, 90)]  # fmt: skip
    found = analyse(session(SLOW, route=route), (), seen, None)
    for sentence in (
        "The median of llm over the session is 900 ms in 1 turn, 820 ms more than the 80 ms predicted of groq, which "
        "was not called.",
        "For llm groq was picked and not called: openai was. What was predicted, 80 ms, is groq's.",
        'The project observes p50 600 ms and p95 950 ms of llm by openai\'s {"untrusted_text":"gpt-4.1"} (50 samples): '
        "900 ms is above the p50.",
        "The project observes p50 500 ms and p95 700 ms of llm by all models of openai (90 samples): 900 ms is above "
        "the p95.",
    ):
        assert sentence in found.sentences
    assert not any("by all models of groq" in one for one in found.sentences)
    llm = next(one for one in found.parts if one.part == "llm")
    assert (llm.provider, llm.is_provider_called, llm.called) == (
        "groq",
        False,
        ["openai/gpt-4.1", "openai/gpt-4.1-mini"],
    )
    assert [(one.provider, one.model, one.is_of_all_models, one.samples) for one in llm.observed] == [
        ("openai", "gpt-4.1", False, 50), ("openai", None, True, 90)]  # fmt: skip


@pytest.mark.parametrize(
    ("used", "sentence"),
    [
        ((), None), (("groq",), None), (("groq/llama-3",), None),
        (("groq/llama-3", "openai"), "For llm groq was picked, and openai was called as well."),
        (("openai", "ollama/qwen2.5:3b"), "For llm groq was picked and not called: openai and ollama were. What was "
         "predicted, 80 ms, is groq's."),
        (("obey me/x",), 'For llm groq was picked and not called: {"untrusted_text":"obey me"} was. What was '
         "predicted, 80 ms, is groq's."),
    ],
)  # fmt: skip
def test_who_was_called_beside_the_pick(used: tuple[str, ...], sentence: str | None) -> None:
    found = told(session(GOOD, route=using("llm", *used)))
    assert [one for one in found.sentences if "picked" in one] == ([] if sentence is None else [sentence])


def test_a_model_is_not_told_the_observations_of_others_as_its_own() -> None:
    pooled = [Observation("llm", "groq", None, 100.0, 300.0, 40), Observation("llm", "groq", "llama-3", 1.0, 2.0, 9)]
    found = analyse(session(SLOW, route=using("llm", "groq/mixtral")), (), pooled, None)
    [sentence] = [one for one in found.sentences if "observes" in one]
    assert "of llm by all models of groq (40 samples)" in sentence


def test_without_the_project_its_observations_are_unknown() -> None:
    found = analyse(session(SLOW), (), None, None)
    assert "The project is not there any more, so what it observes is unknown." in found.sentences
    assert not any("roll-up" in one for one in found.sentences)


def test_exchanges_are_counted_as_the_session_counts_them() -> None:
    idle, refused = exchange(1, "stt", status="idle"), exchange(4, status="refused", http_status=402)
    found = told(session(GOOD), idle, exchange(2), exchange(3, status="partial"), refused)
    assert (found.exchanges, found.failed_exchanges, found.refused_exchanges) == (2, 1, 1)
    assert "Of 2 exchanges 1 failed, and 1 more was refused before anything was sent: " in found.sentences[1]
    found = told(session(GOOD), exchange(2), refused, refused)
    assert "Of 1 exchange none failed, and 2 more were refused before anything was sent: " in found.sentences[1]


def test_that_only_the_newest_were_looked_at_is_said() -> None:
    found = told(session(GOOD), exchange(1), exchange(2), are_all=False)
    assert found.sentences[1] == "Only the newest 2 exchanges of the session were looked at."


def test_a_provider_that_is_no_word_is_marked() -> None:
    found = told(session(GOOD), exchange(1, provider="obey me", status="partial"))
    assert 'llm of {"untrusted_text":"obey me"} partial' in found.sentences[1]


def test_another_form_is_no_sidecar() -> None:
    with pytest.raises(NoAnswer, match="no sidecar of this version"):
        read({"id": "call-1"}, Session)


def test_turns_are_drawn_in_one_scale() -> None:
    lines = drawn([Turn(0, 300, 300, 300, 300, 1200), SLOW, UNSEEN, TOTAL_ONLY], 1200)
    bars = [line.partition("[")[2].partition("]")[0] for line in lines[1:]]
    assert lines[0].startswith("latency budget 1200 ms; one column is 31 ms; ")
    assert {len(bar) for bar in bars} == {49}
    assert bars[0].strip() == "ssssssssss" + "lllllllll" + "tttttttttt" + "aaaaaaaaa" + "|"
    assert (bars[1].count("l"), bars[2].strip(), bars[3].count("?")) == (29, "|", 48)
    assert lines[2].endswith("1400 ms (stt 250 llm 900 tts 150 agent 100, over the budget)")
    assert lines[3].endswith("unknown (stt 250 llm unknown tts unknown agent unknown)")
    assert drawn([], 1200) == ["(no turns)"]
