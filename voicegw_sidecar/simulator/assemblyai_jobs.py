"""AssemblyAI: recordings that are uploaded, handed in and polled until they are transcribed.

Wire reference: https://www.assemblyai.com/docs/api-reference/transcripts (read 2026-11-21) and the assemblyai SDK
1.8. A job is half its latency in the queue and half being processed. Jobs and uploads live in the ledger: their
ids follow from the numbers of their entries.
"""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.simulator.answer import answer
from voicegw_sidecar.simulator.ledger import Entry
from voicegw_sidecar.simulator.openai_audio import spread_words, upload_s
from voicegw_sidecar.simulator.refusal import provider_headers, refuse_request
from voicegw_sidecar.simulator.visit import Visit, uuid_like
from voicegw_sidecar.terms import NS_PER_MS

_UPLOADS, _JOBS = "assemblyai.upload", "assemblyai.transcript"
_MS_PER_S = 1000
_DEFAULT_MODEL = "universal-2"
_ELSEWHERE_S = 10.0  # how long a recording lasts that was not uploaded here


class JobRequest(Struct):
    """What is read of a request to transcribe."""

    audio_url: str
    speech_models: list[str] | None = None
    speech_model: str | None = None


async def upload(visit: Visit) -> web.StreamResponse:
    """``POST /v2/upload``: the bytes of a recording."""
    if not visit.body:
        return await refuse_request(visit, 422, "The upload is empty.")
    visit.entry.audio_in_s = upload_s(visit.body)
    body = {"upload_url": f"https://cdn.assemblyai.com/upload/{visit.request_id}"}
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit))


async def hand_in(visit: Visit) -> web.StreamResponse:
    """``POST /v2/transcript``."""
    try:
        request = msgspec.json.decode(visit.body, type=JobRequest)
    except msgspec.MsgspecError as error:
        return await refuse_request(visit, 400, f"The body is not valid: {error}")
    uploaded = _entry_of(visit, _UPLOADS, request.audio_url.rpartition("/")[2])
    visit.entry.model = (request.speech_models or [request.speech_model or _DEFAULT_MODEL])[0]
    visit.entry.audio_in_s = uploaded.audio_in_s if uploaded is not None else _ELSEWHERE_S
    body = _job(visit, visit.entry, visit.request_id, request.audio_url)
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit))


async def poll(visit: Visit) -> web.StreamResponse:
    """``GET /v2/transcript/{}``."""
    job_id = visit.request.path.rpartition("/")[2]
    job = _entry_of(visit, _JOBS, job_id)
    if job is None:
        return await refuse_request(visit, 404, "Transcript lookup error, transcript id not found")
    body = _job(visit, job, job_id, "https://cdn.assemblyai.com/upload/x")
    return await answer(visit, msgspec.json.encode(body), headers=provider_headers(visit))


def _entry_of(visit: Visit, endpoint: str, job_id: str) -> Entry | None:
    return next((entry for entry in visit.ledger.entries(endpoint) if uuid_like(entry.number) == job_id), None)


def _job(visit: Visit, job: Entry, job_id: str, audio_url: str) -> dict[str, Any]:
    """Return how a job stands now."""
    listening = visit.script.transcription
    passed_ms = (visit.clock.monotonic_ns() - job.started_ns) / NS_PER_MS
    status = "completed" if passed_ms >= listening.final_ms else "processing"
    if job is visit.entry or passed_ms < listening.final_ms / 2:
        status = "queued"
    body: dict[str, Any] = {
        "id": job_id,
        "status": status,
        "audio_url": audio_url,
        "language_code": "en_us",
        "speech_model": None,
        "speech_models": [job.model],
        "speech_model_used": None,
        "text": None,
        "words": None,
        "confidence": None,
        "audio_duration": None,
        "error": None,
    }
    if status != "completed":
        return body
    visit.mark("final_ns", job)
    jobs = visit.ledger.entries(_JOBS)
    text = listening.utterances[jobs.index(job) % len(listening.utterances)] if listening.utterances else ""
    return body | {
        "text": text,
        "words": _words(text, job.audio_in_s or 0.0),
        "confidence": 0.95,
        "audio_duration": round(job.audio_in_s or 0.0),
        "speech_model_used": job.model,
    }


def _words(text: str, audio_s: float) -> list[dict[str, Any]]:
    return [
        {
            "text": word["word"],
            "start": round(word["start"] * _MS_PER_S),
            "end": round(word["end"] * _MS_PER_S),
            "confidence": 0.95,
            "speaker": None,
        }
        for word in spread_words(text, audio_s)
    ]
