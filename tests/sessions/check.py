"""What must be so of the session of a conversation, in the words of the API."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.sessions.conversation import PATIENCE_S
from tests.sessions.scene import SECRETS, TURNS
from tests.sessions.truth import PARTS, Held
from tests.sidecar import Sidecar
from voicegw_sidecar.terms import NANO_PER_USD

ACCURACY_MS = 15.0
"""Of the median turn; a single one may meet a busy machine."""
OTHERS_MS = 200.0
"""A part that is further off is that of other moments."""

_LOGGER = "voicegw_sidecar"

Json = dict[str, Any]


async def only_session(sidecar: Sidecar, *, is_closed: bool = False) -> Json:
    """Return the only session there is, its turns included; with ``is_closed`` once it has ended."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            [listed] = (await sidecar.get_json("/v1/sessions"))["sessions"]
            if not is_closed or listed["ended_at"] is not None:
                found: Json = await sidecar.get_json(f"/v1/sessions/{listed['id']}")
                return found
            await asyncio.sleep(0.05)


async def check_exchanges(sidecar: Sidecar, held: Held) -> list[Json]:
    """There are as many exchanges as there were, each ended as it did and all in one session; return them."""
    given_up = sum(call.hung_up_ns is not None for call in held.calls)
    expected = Counter({
        ("stt", "ok"): sum(len(truth.heard) for truth in held.turns),
        ("stt", "idle"): 1,
        ("llm", "ok"): len(held.calls) - given_up,
        ("llm", "cancelled"): given_up,
        ("tts", "ok"): len(held.voices) - 1,
        ("tts", "cancelled"): 1,
    })  # fmt: skip
    await sidecar.rows(expected.total())
    session = await only_session(sidecar)
    every: list[Json] = (await sidecar.get_json("/v1/logs?limit=1000"))["logs"]
    found = Counter((one["modality"], one["status"]) for one in every)
    assert found == expected, (found - expected, expected - found)
    assert {(one["project"], one["session_id"]) for one in every} == {("acme", session["id"])}
    assert (await sidecar.get_json(f"/v1/logs?session={session['id']}&limit=1000"))["logs"] == every
    return every


def check_session(session: Json, exchanges: Sequence[Json], held: Held) -> None:
    """Nobody named it, and its figures are those of its turns, of its exchanges and of how long was really spoken."""
    assert (session["origin"], session["project"]) == ("inferred", "acme")
    assert session["exchanges"] == len(exchanges) - 1  # the rest of the stream, after the last word, is none
    assert session["unpriced"] == 0
    assert _nanousd(session["cost_usd"]) == sum(_nanousd(one["cost_usd"]) for one in exchanges) > 0
    totals_ms = [turn["total_ms"] for turn in session["turns"] if not turn["interrupted"]]
    assert session["budget_ms_used"] == median(totals_ms)
    played_s = [truth.played_s(following) for truth, following in zip_longest(held.turns, held.turns[1:])]
    assert session["agent_talk_s"] == pytest.approx(sum(played_s, held.greeting.audio_out_s or 0.0), abs=0.1)
    assert session["user_talk_s"] == pytest.approx(sum(truth.spoken_s for truth in held.turns), rel=0.1)


def check_turns(session: Json) -> None:
    """There are ten, in order, each with its calls; the one that was cut off is interrupted and no other."""
    is_cut_off = [following is not None and following.cuts_in for _, following in zip_longest(TURNS, TURNS[1:])]
    names = ("index", "interrupted", "llm_calls", "abandoned", "has_filler")
    assert [tuple(turn[name] for name in names) for turn in session["turns"]] == [
        (index, is_cut_off[index], turn.call_count, len(turn.pieces) - 1, False) for index, turn in enumerate(TURNS)
    ]
    assert (session["turn_count"], session["interruptions"]) == (len(TURNS), 1)


def check_parts(session: Json, held: Held) -> None:
    """The parts are what the simulator knows and sum exactly."""
    offs_ms: dict[str, list[float]] = {name: [] for name in PARTS}
    for turn, truth in zip(session["turns"], held.turns, strict=True):
        assert sum(turn[name] for name in ("stt_ms", "llm_ms", "tts_ms", "agent_ms")) == turn["total_ms"]
        for name, part_ms in truth.parts_ms().items():
            offs_ms[name].append(abs(turn[name] - part_ms))
    medians_ms = {name: median(found) for name, found in offs_ms.items()}
    assert max(medians_ms.values()) < ACCURACY_MS, medians_ms
    assert max(map(max, offs_ms.values())) < OTHERS_MS, offs_ms


def check_nothing_was_kept(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No word of what was said is in the database's files or in the sidecar's log."""
    logging.getLogger(_LOGGER).debug("all is said")  # so that it is known that what is logged is seen here
    stored = b"".join(path.read_bytes() for path in folder.glob("voicegw.db*")).lower()
    logged = "\n".join(str(vars(one)) for one in caplog.records if one.name.startswith(_LOGGER)).lower()
    assert b"gpt-4.1-mini" in stored
    assert "all is said" in logged
    assert [word for word in SECRETS if word.encode() in stored or word in logged] == []


def _nanousd(usd: float) -> int:
    return round(usd * NANO_PER_USD)
