"""The same question over real sockets: scripted agents talk through a running sidecar to the simulated providers.

The truth is a header that the sidecar knows nothing of: each agent sends its number, and each exchange's number is
noted beside its row id. Where the exchanges were put is then read from the database.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from pathlib import Path

import aiohttp

from tests.benchmarks.stitching_trace import CANNED, DAYS, SHORT, THINGS, Score
from voicegw_sidecar.attribution import LineAttribution
from voicegw_sidecar.intercept import Intercept
from voicegw_sidecar.serve import running
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.simulator import Listening, Script, Simulator, Speaking, Thinking
from voicegw_sidecar.simulator.conversation import BargeIn, Conversation
from voicegw_sidecar.store.queries.exchanges import Filter, exchanges

TRUTH = "x-truth"
PROJECTS = ("acme", "globex")


async def live(sessions: int, turns: int, seed: int) -> Score:
    """Run the agents, in real time; return what was put where."""
    truth_of_line: dict[int, int] = {}
    truth_of_row: dict[str, int] = {}
    _note_truth(truth_of_line, truth_of_row)
    dice = random.Random(seed)
    script = Script(
        listen=Listening(final_ms=60.0, hangover_ms=250.0, utterances=tuple(_utterance(dice) for _ in range(997))),
        chat=Thinking(first_token_ms=150.0, token_interval_ms=5.0, answers=tuple(_answer(dice) for _ in range(991))),
        tts=Speaking(first_audio_ms=80.0, s_per_char=0.01, pace=20.0),
    )
    with tempfile.TemporaryDirectory() as folder:
        async with Simulator(script) as simulator:
            config = Path(folder) / "voicegw.yaml"
            config.write_text(_config(folder, simulator))
            async with running(load_settings(str(config), {})) as sidecar:
                agents = [_agent(sidecar.addresses[0], number, turns, seed) for number in range(sessions)]
                await asyncio.gather(*agents)
                await sidecar.runtime.store.committed()
                await asyncio.sleep(1.0)
                rows, before = [], None
                while True:
                    page = await sidecar.runtime.store.read(exchanges, Filter(before_id=before, limit=1000))
                    rows += page.rows
                    if page.next is None:
                        break
                    before = page.next
    placed = {row.id: (row.project, row.session_id) for row in rows}
    heard = {row.id for row in rows if row.modality == "stt"}
    own = {
        number: Counter(
            placed[id_] for id_, truth in truth_of_row.items() if truth == number and id_ in heard
        ).most_common(1)
        for number in range(sessions)
    }
    score = Score(conversations=sessions, sessions=len({places[0][0] for places in own.values() if places}))
    for id_, truth in truth_of_row.items():
        if id_ not in placed or not own[truth]:
            continue
        project, session = placed[id_]
        score.exchanges += 1
        score.nowhere += session is None
        score.wrong_project += project != PROJECTS[truth % len(PROJECTS)]
        score.wrong += session is not None and (project, session) != own[truth][0][0]
    return score


def _note_truth(truth_of_line: dict[int, int], truth_of_row: dict[str, int]) -> None:
    observe, closed = Intercept._observation, LineAttribution.closed

    def observed(self, call, *rest):  # type: ignore[no-untyped-def]
        observation = observe(self, call, *rest)
        truth_of_line[id(observation._line)] = int(call.headers[TRUTH])
        observation._line.kept = observation  # so that no other line gets its address
        return observation

    def ended(self, exchange, row_id, at_ns):  # type: ignore[no-untyped-def]
        truth_of_row[row_id] = truth_of_line[id(self)]
        return closed(self, exchange, row_id, at_ns)

    Intercept._observation, LineAttribution.closed = observed, ended  # type: ignore[method-assign]


def _config(folder: str, simulator: Simulator) -> str:
    providers = ", ".join(
        f"{name}: {{base_url: '{simulator.base_url(name)}'}}" for name in ("openai", "deepgram", "cartesia")
    )
    projects = ", ".join(f"{name}: {{}}" for name in PROJECTS)
    return (
        f"cost_tracking: {{db_path: {folder}/voicegw.db}}\nserve: {{port: 0}}\n"
        f"providers: {{{providers}}}\nprojects: {{{projects}}}\n"
    )


async def _agent(origin: str, number: int, turns: int, seed: int) -> None:
    dice = random.Random(f"{seed}/{number}")
    await asyncio.sleep(dice.uniform(0, 5))
    project = PROJECTS[number % len(PROJECTS)]
    async with aiohttp.ClientSession(headers={TRUTH: str(number)}) as http:
        async with Conversation(http, f"{origin}/p/{project}", project, str(number), deepgram_voice=False) as talk:
            for _ in range(turns):
                await asyncio.sleep(dice.uniform(0.1, 0.8))
                text = await talk.hear(dice.uniform(0.4, 1.2))
                barge_in = BargeIn(while_thinking=dice.random() < 0.5) if dice.random() < 0.2 else None
                audio_s = await talk.answer(text, barge_in)
                if barge_in is None:
                    await asyncio.sleep(min(audio_s, 1.0))
            await talk.hang_up()


def _utterance(dice: random.Random) -> str:
    if dice.random() < 0.5:
        return dice.choice(SHORT)
    return f"I would like to move the {dice.choice(THINGS)} to {dice.choice(DAYS)}."


def _answer(dice: random.Random) -> str:
    if dice.random() < 0.3:
        return dice.choice(CANNED)
    return f"The {dice.choice(THINGS)} is set for {dice.choice(DAYS)}. Anything else?"
