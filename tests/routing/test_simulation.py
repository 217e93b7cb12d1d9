"""The routing benchmark itself, small: the same seed gives the same figures, and the oracle regrets nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.benchmarks.bench_routing import HEADS, Job, play, rows, table
from tests.benchmarks.routing_run import CONTENDERS, Median, run, world
from tests.benchmarks.routing_trace import PROVIDERS, SCENARIOS, Key, generated, read_trace, sessions
from voicegw_sidecar.terms import ROUTED

JOB = Job("mixed", seed=1, sessions=300, budget_ms=1200, policies=tuple(CONTENDERS))
HEAD = "minute,modality,provider,level_ms,sigma\n"
TWO_HOURS = (
    "0,stt,deepgram,250,0.3\n0,stt,own,900,0.3\n60,stt,deepgram,950,0.3\n60,stt,own,200,0.3\n"
    "0,llm,groq,80,0.3\n0,tts,cartesia,150,0.3\n119,tts,cartesia,160,0.3\n"
)


def test_a_seed_gives_its_figures_again_and_another_seed_others() -> None:
    first = play(JOB)
    assert first == play(JOB)
    assert first != play(replace(JOB, seed=2))


@pytest.mark.parametrize("scenario", [one.name for one in SCENARIOS])
def test_the_oracle_regrets_nothing(scenario: str) -> None:
    figures = play(replace(JOB, name=scenario, policies=("oracle",)))["oracle"]
    assert figures.regret_ms == figures.regret_share == figures.explored_share == 0.0
    assert figures.error_ms > 0  # it knows levels, not luck


def test_where_nothing_drifts_only_exploring_has_a_price() -> None:
    figures = play(replace(JOB, name="calm"))
    assert figures["median"].regret_ms == 0.0
    assert figures["recent, fading"].explored_share == 0.0
    assert figures["adaptive"].explored_share < 0.05


def test_what_is_not_chosen_is_not_observed() -> None:
    trace = generated(SCENARIOS[0], 1, 1)
    meets = world(trace, sessions(20, trace.minutes, 1), 1200)
    noted = set()

    class Watched(Median):
        def note(self, key: Key, first_ms: float, at_min: float) -> None:
            noted.add(key)
            super().note(key, first_ms, at_min)

    run(meets, Watched(meets))
    assert noted == {(modality, PROVIDERS[modality][0]) for modality in ROUTED}


def test_a_trace_from_a_file_is_replayed(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(HEAD + TWO_HOURS)
    trace = read_trace(path)
    assert trace.minutes == 120
    levels_ms = trace.series[ROUTED[0], "own"].level_ms
    assert (levels_ms[0], levels_ms[59], levels_ms[60], levels_ms[119]) == (900, 900, 200, 200)
    assert trace.baselines[ROUTED[0], "own"] == 900  # nothing curated: its first level
    assert trace.baselines[ROUTED[1], "groq"] == 80
    figures = play(replace(JOB, name="trace", trace=path))
    assert figures["oracle"].switches == 1
    assert figures["median"].regret_ms > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows of stt"),
        (HEAD + "0,stt,deepgram,250\n", "line 2: expected minute,modality,provider,level_ms,sigma"),
        (HEAD + "0,video,deepgram,250,0.3\n", "line 2: expected minute"),
        (HEAD + "0,s2s,openai,250,0.3\n", "line 2: expected stt, llm or tts"),
        (HEAD + "0,stt,deepgram,nan,0.3\n", "line 2: .* a level above 0"),
        (HEAD + "-1,stt,deepgram,250,0.3\n", "line 2: .* a minute from 0"),
        (HEAD + TWO_HOURS + "5,llm,openai,300,0.3\n", "no row of minute 0 for llm openai"),
    ],
)
def test_a_file_that_is_no_trace_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        read_trace(path)


def test_the_table_has_a_line_for_each_policy() -> None:
    played = [play(replace(JOB, seed=seed, sessions=50)) for seed in (1, 2)]
    lines = list(rows("mixed", played))
    assert [line[1] for line in lines] == list(CONTENDERS)
    assert lines[-1][3:7] == ("0.0 ± 0.0", "0.0", "0.0", "2 of 2")
    assert len(table(lines, is_markdown=False).splitlines()) == len(lines) + 1
    assert table(lines, is_markdown=True).splitlines()[0] == f"| {' | '.join(HEADS)} |"
