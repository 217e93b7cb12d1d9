"""Recordings that are transcribed later: counted once, by their id, whoever asks and however often."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.simulator.conftest import eventually, quick
from voicegw_sidecar.jobs import DEFERRED_LIMIT
from voicegw_sidecar.simulator import Failure, FailureKind, Listening, Simulator

PROJECT = "projects: {acme: {daily_budget: 10, budget_action: block}, globex: {}}\n"
RECORDING = {"audio_url": "https://example.com/call.wav", "speech_models": ["universal-2"]}  # ten seconds long
COST_NANOUSD = 416_670


def script(final_ms: float = 30.0) -> Any:
    return quick(transcription=Listening(final_ms=final_ms))


async def hand_in(sidecar: Sidecar, project: str = "acme") -> str:
    url = f"{sidecar.url}/p/{project}/assemblyai/v2/transcript"
    async with sidecar.http.post(url, json=RECORDING) as answer:
        assert answer.status == 200
        assert answer.headers["X-VoiceGW-Exchange"]
        return str((await answer.json())["id"])


async def ask(sidecar: Sidecar, job_id: str, project: str = "acme") -> str:
    async with sidecar.http.get(f"{sidecar.url}/p/{project}/assemblyai/v2/transcript/{job_id}") as answer:
        return str((await answer.json()).get("status"))


async def ask_until_done(sidecar: Sidecar, job_id: str, project: str = "acme") -> None:
    while await ask(sidecar, job_id, project) != "completed":
        pass


async def test_one_row_however_often_it_is_asked_for(start_sidecar: StartSidecar) -> None:
    async with Simulator(script()) as simulator:
        async with start_sidecar(PROJECT, assemblyai=simulator.base_url("assemblyai")) as sidecar:
            budgets = sidecar.running.runtime.budgets
            job_id = await hand_in(sidecar)
            [open_row] = await sidecar.rows(1, status="open")
            assert budgets.standing("acme").in_flight_nanousd > 0
            await ask_until_done(sidecar, job_id)
            for project in ("acme", "acme", "globex"):
                assert await ask(sidecar, job_id, project) == "completed"
            [row] = await sidecar.rows(1)
            assert (row.id, row.project, row.status, row.model) == (open_row.id, "acme", "ok", "universal-2")
            assert (row.usage.audio_s, row.cost_nanousd) == (10.0, COST_NANOUSD)
            assert row.first_ms is not None
            assert row.first_ms >= 25
            standing = budgets.standing("acme")
            assert (standing.spent_nanousd, standing.in_flight_nanousd) == (COST_NANOUSD, 0)


async def test_asking_again_after_a_restart_counts_nothing(start_sidecar: StartSidecar) -> None:
    async with Simulator(script()) as simulator:
        for number in range(3):
            async with start_sidecar(PROJECT, assemblyai=simulator.base_url("assemblyai")) as sidecar:
                if number == 0:
                    job_id = await hand_in(sidecar)
                await ask_until_done(sidecar, job_id)
                await sidecar.rows(1)


async def test_one_that_was_handed_in_elsewhere_is_counted_where_it_is_asked_for(start_sidecar: StartSidecar) -> None:
    async with Simulator(script()) as simulator:
        async with start_sidecar(PROJECT, assemblyai=simulator.base_url("assemblyai")) as sidecar:
            url = f"{simulator.base_url('assemblyai')}/v2/transcript"
            async with sidecar.http.post(url, json=RECORDING) as answer:
                job_id = (await answer.json())["id"]
            await ask_until_done(sidecar, job_id)
            await ask(sidecar, job_id)
            [row] = await sidecar.rows(1)
            assert (row.project, row.cost_nanousd, row.first_ms) == ("acme", COST_NANOUSD, None)
            assert sidecar.running.runtime.budgets.open_holds == 0


async def test_one_left_behind_by_a_restart_is_unknown_until_it_is_asked_for(start_sidecar: StartSidecar) -> None:
    async with Simulator(script(final_ms=300.0)) as simulator:
        async with start_sidecar(PROJECT, assemblyai=simulator.base_url("assemblyai")) as sidecar:
            job_id = await hand_in(sidecar)
        async with start_sidecar(PROJECT, assemblyai=simulator.base_url("assemblyai")) as sidecar:
            [left] = await sidecar.rows(1)
            assert (left.status, left.cost_nanousd) == ("interrupted", None)
            await ask_until_done(sidecar, job_id)
            rows = await sidecar.rows(2)
            assert [row.cost_nanousd for row in rows] == [None, COST_NANOUSD]


@pytest.mark.parametrize("status", [400, 500])
async def test_one_that_is_refused_has_its_row_at_once(start_sidecar: StartSidecar, status: int) -> None:
    async with Simulator(script()) as simulator:
        simulator.fail_next("assemblyai.transcript", Failure(FailureKind.STATUS, status=status))
        async with start_sidecar(PROJECT, assemblyai=simulator.base_url("assemblyai")) as sidecar:
            url = f"{sidecar.url}/p/acme/assemblyai/v2/transcript"
            async with sidecar.http.post(url, json=RECORDING) as answer:
                assert answer.status == status
            [row] = await sidecar.rows(1)
            assert (row.status, row.cost_nanousd) == ("upstream_error", 0)
            assert sidecar.running.runtime.budgets.open_holds == 0


async def test_jobs_that_nobody_asks_for_are_bounded(start_sidecar: StartSidecar) -> None:
    async with Simulator(script(final_ms=1e9)) as simulator:
        async with start_sidecar(PROJECT, assemblyai=simulator.base_url("assemblyai")) as sidecar:
            for _ in range(DEFERRED_LIMIT + 3):
                await hand_in(sidecar)
            rows = await sidecar.rows(3)
            assert {(row.status, row.error, row.cost_nanousd) for row in rows} == {
                ("partial", "job_not_asked_for", None)}  # fmt: skip
            await eventually(lambda: sidecar.running.runtime.budgets.open_holds == DEFERRED_LIMIT)
