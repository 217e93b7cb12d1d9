"""Calls of some days in a sidecar's database, written the way the sidecar writes them: for tests that look at pages."""

from __future__ import annotations

from voicegw_sidecar.ids import IdSource
from voicegw_sidecar.meter.timed import Turn
from voicegw_sidecar.route import RouteLeg, written_route
from voicegw_sidecar.routing.latency import Source
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.records import ExchangeRow
from voicegw_sidecar.store.session_records import ObservationRow, SessionRow, close_session, observe, open_session
from voicegw_sidecar.terms import (
    NS_PER_MS,
    NS_PER_S,
    CostSource,
    Modality,
    Moments,
    SessionOrigin,
    Status,
    Usage,
)

TURNS = 4
_LEGS = {
    Modality.STT: ("deepgram", "nova-3", 310.0),
    Modality.LLM: ("openai", "gpt-4.1-mini", 240.0),
    Modality.TTS: ("cartesia", "sonic-3", 120.0),
}


async def fill(runtime: Runtime, projects: tuple[str, ...], sessions: int = 3) -> dict[str, list[str]]:
    """Write closed sessions with turns and exchanges, newest today; returns their ids by project, newest first."""
    ids, now_ns, made = IdSource(), runtime.clock.wall_ns(), {project: list[str]() for project in projects}
    for age in range(sessions - 1, -1, -1):
        for project in projects:
            started_ns = now_ns - (age * 86_400 + 60) * NS_PER_S
            session_id = f"call-{project}-{age}"
            await _session(runtime, ids, project, session_id, started_ns, has_error=age == 1)
            made[project].insert(0, session_id)
    start, end = "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"
    await runtime.store.committed(*(
        observe(ObservationRow(project, provider, "", modality, ms, ms * 1.6, 40), start, end, end)
        for project in projects
        for modality, (provider, _, ms) in _LEGS.items()
    ))  # fmt: skip
    return made


async def _session(
    runtime: Runtime, ids: IdSource, project: str, session_id: str, started_ns: int, *, has_error: bool
) -> None:
    turns = []
    for index in range(TURNS):
        spoken_ns = started_ns + index * 8 * NS_PER_S
        turns.append(_turn(index, spoken_ns, is_partly_unknown=index == 2))
        for modality, (provider, model, ms) in _LEGS.items():
            failed = has_error and index == 3 and modality is Modality.LLM
            row = ExchangeRow(
                id=ids.next(spoken_ns), project=project, provider=provider, started_ns=spoken_ns,
                status=Status.UPSTREAM_ERROR if failed else Status.OK, ended_ns=spoken_ns + NS_PER_S,
                session_id=session_id, model=model, modality=modality, http_status=503 if failed else 200,
                first_ms=None if failed else ms + index, total_ms=ms * 3,
                usage=Usage(input_tokens=120, output_tokens=30) if modality is Modality.LLM else Usage(audio_s=2.0),
                cost_nanousd=None if failed else 1_250_000 * (index + 1), cost_source=CostSource.CATALOGUE,
                error="server_error" if failed else None, moments=Moments(first_ns=spoken_ns + int(ms) * NS_PER_MS),
            )  # fmt: skip
            await runtime.store.append_awaited(row)
    route = {
        modality: RouteLeg(provider, model, ms, Source.OBSERVED, 40, (f"{provider}/{model}",))
        for modality, (provider, model, ms) in _LEGS.items()
    }
    row = SessionRow(
        uid=ids.next(started_ns), project=project, id=session_id, origin=SessionOrigin.API, started_ns=started_ns,
        budget_ms=600, predicted_ms=670.0, budget_overrun=True, route=written_route(route),
        ended_ns=started_ns + 40 * NS_PER_S, budget_ms_used=705.0, cost_nanousd=37_500_000, unpriced=int(has_error),
        exchanges=TURNS * 3, turns=TURNS, interruptions=1, user_talk_s=9.5, agent_talk_s=14.25, failures=int(has_error),
    )  # fmt: skip
    await runtime.store.committed(open_session(row, runtime.store.node_id), *close_session(row, turns))


def _turn(index: int, spoken_ns: int, *, is_partly_unknown: bool) -> Turn:
    if is_partly_unknown:
        return Turn(index, stt_ms=310, interrupted=True, llm_calls=1, speech_ended_ns=spoken_ns)
    moments = [spoken_ns + ms * NS_PER_MS for ms in (0, 310, 325, 565, 585, 705)]
    return Turn(
        index, stt_ms=310, llm_ms=240, tts_ms=120, agent_ms=35, total_ms=705, llm_calls=1, speech_ended_ns=moments[0],
        final_ns=moments[1], asked_ns=moments[2], token_ns=moments[3], text_ns=moments[4], audio_ns=moments[5],
    )  # fmt: skip
