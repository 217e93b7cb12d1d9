"""Liveness and readiness: for orchestrators, open to anyone, without detail of what is stored."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar import __version__
from voicegw_sidecar.api.answers import RUNTIME, answer
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.terms import NS_PER_S


class Health(Struct, frozen=True):
    """The process is alive."""

    status: str
    version: str
    uptime_s: float


class Readiness(Struct, frozen=True):
    """Whether new work should be sent here; ``reasons`` says why not, or what is degraded."""

    status: str
    reasons: list[str]
    waiting_rows: int


@described("Whether the process is alive.", answers=Health, query=None)
async def health(request: web.Request, asked: Parameters) -> Health:
    """``GET /health``"""
    runtime = request.app[RUNTIME]
    uptime_s = (runtime.clock.monotonic_ns() - runtime.started_ns) / NS_PER_S
    return Health("ok", __version__, round(uptime_s, 3))


@described(
    "Whether new work should be sent here; 503 only while starting, draining, or when rows can no longer wait.",
    answers=Readiness, also={503: Readiness}, query=None,
)  # fmt: skip
async def ready(request: web.Request, asked: Parameters) -> web.Response:
    """``GET /ready``: 503 only while starting, draining, or when rows can no longer wait."""
    readiness = readiness_of(request.app[RUNTIME])
    return answer(readiness, 503 if readiness.status == "unready" else 200)


def readiness_of(runtime: Runtime) -> Readiness:
    """Return how ready the sidecar is."""
    state = runtime.store.state()
    stopping = []
    if not runtime.is_ready:
        stopping.append("starting")
    if runtime.is_draining:
        stopping.append("draining")
    if state.waiting_rows >= state.limit_rows:
        stopping.append(f"{state.waiting_rows} rows wait to be stored, which is the limit")
    degraded = []
    if state.trouble is not None:
        degraded.append(f"the database cannot be written ({state.trouble}); rows wait in memory")
    if state.dropped_rows:
        degraded.append(f"{state.dropped_rows} rows were dropped while the database could not be written")
    if state.rejected_rows:
        degraded.append(f"{state.rejected_rows} rows were refused by the database")
    if runtime.config_error is not None:
        degraded.append("the configuration file was refused and the one before it is in force; see /v1/status")
    if runtime.judged.faults:
        degraded.append(f"{len(runtime.judged.faults)} projects made at run time are not in force; see /v1/status")
    if runtime.brands.file_logos.faults:
        degraded.append("a logo of the configuration file cannot be used; see /v1/status")
    if runtime.trace_error is not None:
        degraded.append(runtime.trace_error)
    status = "unready" if stopping else "degraded" if degraded else "ready"
    return Readiness(status, stopping + degraded, state.waiting_rows)
