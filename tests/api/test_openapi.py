"""The OpenAPI document: it tells every route there is, and what it tells is so, on a real sidecar over a real socket.

schemathesis makes requests from the document, sound ones and unsound ones, and compares every answer with it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import aiohttp
import msgspec
import pytest
import schemathesis
from aiohttp.test_utils import make_mocked_request
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.generation.case import Case
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.api.test_sessions import ROUTED
from tests.branding.samples import GOOD_PNG
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar
from tests.web.filled import fill
from voicegw_sidecar import __version__
from voicegw_sidecar.access import Area
from voicegw_sidecar.api.described import description_of
from voicegw_sidecar.api.openapi import document
from voicegw_sidecar.api.parameters import LIMIT, PROJECT, Parameters
from voicegw_sidecar.api.routes import agent_routes, api_routes, open_routes
from voicegw_sidecar.operating.commit import WAITING_LIMIT

pytestmark = pytest.mark.timeout(120)

ROUTES = [*open_routes(), *api_routes(), *agent_routes()]
CONFORMS = [
    status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance,
]  # fmt: skip
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "positive_data_acceptance",
)  # fmt: skip
SAYS_MORE = (
    "POST /v1/projects",
    "PATCH /v1/projects/{id}",
    "POST /api/projects/{id}/branding/logo",
    "POST /api/shares",
)
"""What JSON schema has no words for: settings against each other, whether a file is an image, what can be printed."""
EXAMPLES, SEED = 15, 7
PNG = next(iter(GOOD_PNG.values()))


class Known(NamedTuple):
    """One request that is answered, and the part of the answer that is then not empty."""

    method: str
    path: str
    filled: str | None = None
    id: str | None = None
    query: Mapping[str, Any] = MappingProxyType({})
    body: Any = None


SETTINGS = {
    "project_id": "made", "name": "Made", "description": "Two\nlines", "daily_budget": 2.5, "budget_action": "throttle",
    "tags": ["demo"], "providers": {"openai": {"timeouts": {"connect_s": 3, "idle_s": None}}, "groq": None},
    "agent_key_envs": ["MADE_KEY"], "branding": {"accent_color": "#F63"},
    "routing": {"budget_ms": 900, "policy": "adaptive", "rosters": {"stt": ["deepgram/nova-3:en"], "llm": ["groq"]}},
    "throttle_to": {"llm": "ollama/qwen2.5:3b", "tts": ""},
}  # fmt: skip


def known(share_id: str) -> list[Known]:
    """Return at least one request of every route, in an order in which each has something to answer with."""
    return [
        Known("GET", "/health", "version"),
        Known("GET", "/ready", "status"),
        Known("GET", "/metrics"),
        Known("GET", "/v1/openapi.json", "paths"),
        Known("GET", "/v1/status", "providers"),
        Known("GET", "/v1/costs", "by_model", query={"period": "all", "project": "acme"}),
        Known("GET", "/v1/costs/daily", "0", query={"days": 7}),
        Known("GET", "/v1/logs", "logs", query={"project": "acme", "modality": "llm", "status": "upstream_error"}),
        Known("GET", "/v1/logs", "next", query={"from": "2026-01-01T00:00:00+02:00", "limit": 5}),
        Known("POST", "/v1/projects", "providers", body=SETTINGS),
        Known("PATCH", "/v1/projects/{id}", "tags", "made", body={"name": None, "routing": {"budget_ms": None}}),
        Known("GET", "/v1/projects/{id}", "routing", "made"),
        Known("GET", "/v1/projects", "stats"),
        Known("GET", "/api/routing", "projects"),
        Known("GET", "/api/routing/simulate", "route", query={"project": "acme", "llm": "openai/gpt-4.1-mini"}),
        Known("POST", "/api/projects/{id}/branding", "branding", "made", body={"product_name": "M", "logo_url": None}),
        Known("POST", "/api/projects/{id}/branding/logo", "branding", "made", body={"file": PNG}),
        Known("GET", "/api/projects/{id}/branding", "branding", "made"),
        Known("DELETE", "/api/projects/{id}/branding", "branding", "made"),
        Known("POST", "/api/shares", "url", body={"project": "acme", "days": 7.0, "label": "for a customer"}),
        Known("DELETE", "/api/shares/{id}", "revoked_at", share_id),
        Known("GET", "/api/shares", "shares", query={"project": "acme"}),
        Known("POST", "/v1/sessions", "route", body={"project": "acme", "session_id": "call-9", "stt": "deepgram"}),
        Known("GET", "/v1/sessions/{id}", "route", "call-9"),
        Known("GET", "/v1/sessions/{id}", "turns", "call-acme-0", query={"project": "acme"}),
        Known("POST", "/v1/sessions/{id}/close", "ended_at", "call-9", body={}),
        Known("GET", "/v1/sessions", "sessions", query={"outcome": "ok", "overrun": "true"}),
        Known("GET", "/v1/changes", "changes", query={"project": "made"}),
        Known("DELETE", "/v1/projects/{id}", "deleted", "made", query={"purge": "true"}),
    ]


async def served(sidecar: Sidecar, **settings: Any) -> BaseSchema:
    """Load the document that a sidecar serves."""
    found = await sidecar.get_json("/v1/openapi.json", Authorization="Bearer key-a")
    config = SchemathesisConfig.from_dict({"base-url": sidecar.url, **settings})
    return schemathesis.openapi.from_dict(found, config=config)


def case_of(schema: BaseSchema, one: Known | Refused) -> Case:
    """Return a request of ours as schemathesis has its own."""
    given: dict[str, Any] = {} if one.body is None else {"body": one.body}
    path_parameters = {} if one.id is None else {"id": one.id}
    return schema[one.path][one.method].Case(path_parameters=path_parameters, query=dict(one.query), **given)


async def filled(sidecar: Sidecar) -> str:
    """Write sessions, exchanges and a share link; returns the link's id."""
    await fill(sidecar.running.runtime, ("acme", "tight"))
    await sidecar.running.runtime.rollup.refresh()
    async with sidecar.http.post(f"{sidecar.url}/api/shares", json={"project": "acme"}) as response:
        share_id: str = (await response.json())["id"]
        return share_id


def operations(found: dict[str, Any]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, known_there in found["paths"].items() for method in known_there}


async def test_every_route_is_described_and_nothing_else(start_sidecar: StartSidecar) -> None:
    async with start_sidecar() as sidecar:
        found = await sidecar.get_json("/v1/openapi.json")
    assert operations(found) == {(route.method, route.path) for route in ROUTES}
    for route in ROUTES:
        assert ("{id}" in route.path) == (description_of(route.handler).id_of is not None), route.path
        described = found["paths"][route.path][route.method.lower()]
        assert described["summary"].endswith(".")
    names = [one["operationId"] for there in found["paths"].values() for one in there.values()]
    assert len(set(names)) == len(names)
    assert (found["openapi"], found["info"]["version"]) == ("3.1.0", __version__)
    security = {path: there["get"]["security"] for path, there in found["paths"].items() if "get" in there}
    assert security["/health"] == []
    assert security["/v1/costs"] == [{"key": []}]
    assert security["/v1/sessions/{id}"] == [{"key": []}, {"agentKey": []}]


def test_a_route_without_a_description_is_not_passed_over() -> None:
    from aiohttp import web

    async def plain(request: web.Request) -> web.Response:
        return web.Response()

    with pytest.raises(LookupError):
        document({Area.API: [web.get("/v1/plain", plain)]})


async def test_the_document_is_valid_openapi(start_sidecar: StartSidecar) -> None:
    async with start_sidecar() as sidecar:
        schema = await served(sidecar)
    schema.validate()
    schema.raw_schema["paths"]["/health"]["get"]["parameters"].append({"name": "x", "in": "nowhere"})
    with pytest.raises(ValueError, match="nowhere"):
        schemathesis.openapi.from_dict(schema.raw_schema).validate()


def test_the_executable_describes_the_same() -> None:
    """It is built without docstrings and asserts, so only texts may be missing there."""
    code = "from voicegw_sidecar.api.openapi import _encoded; print(_encoded().decode())"
    found = [
        subprocess.run([sys.executable, *options, "-c", code], check=True, capture_output=True, text=True).stdout
        for options in ((), ("-OO",))
    ]
    plain, stripped = (without_descriptions(msgspec.json.decode(text)) for text in found)
    assert plain == stripped
    assert len(plain["paths"]) > 10


def without_descriptions(found: Any) -> Any:
    if isinstance(found, list):
        return [without_descriptions(one) for one in found]
    if not isinstance(found, dict):
        return found
    kept = {name: value for name, value in found.items() if name != "description" or not isinstance(value, str)}
    return {name: without_descriptions(value) for name, value in kept.items()}


async def test_no_route_takes_a_parameter_that_is_not_described(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED) as sidecar:
        for route in (*api_routes(), *agent_routes()):
            url = f"{sidecar.url}{route.path.replace('{id}', 'acme')}?nonsense=1"
            async with sidecar.http.request(route.method, url, json={}) as response:
                message = (await response.json())["error"]["message"]
                assert (response.status, message.partition(":")[0]) == (400, "nonsense"), route.path


@pytest.mark.parametrize("path", ["/health", "/ready"])
@pytest.mark.parametrize("query", ["x=1", "x=1&x=2", "status=nonsense&project=nope", "%00=%ff", "=&&"])
async def test_what_is_for_orchestrators_ignores_the_query(start_sidecar: StartSidecar, path: str, query: str) -> None:
    async with start_sidecar() as sidecar, sidecar.http.get(f"{sidecar.url}{path}?{query}") as response:
        assert (response.status, (await response.json())["status"]) == (200, "ok" if path == "/health" else "ready")


async def test_overrun_is_said_of_the_pick(start_sidecar: StartSidecar) -> None:
    async with start_sidecar() as sidecar:
        found = await sidecar.get_json("/v1/openapi.json")
    [told] = [one for one in found["paths"]["/v1/sessions"]["get"]["parameters"] if one["name"] == "overrun"]
    assert told["description"].startswith("Only sessions whose pick did not fit their latency budget, or did")


def test_a_handler_cannot_read_a_parameter_that_is_not_described() -> None:
    asked = Parameters(make_mocked_request("GET", "/v1/costs?limit=3"), "limit")
    assert asked.read(LIMIT) == 3
    with pytest.raises(LookupError, match="project"):
        asked.read(PROJECT)


async def test_every_route_answers_as_described(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(ROUTED, {"MADE_KEY": "agent-made"}) as sidecar:
        share_id = await filled(sidecar)
        schema = await served(sidecar)

        def ask(one: Known) -> None:
            case = case_of(schema, one)
            answer = case.call_and_validate(checks=CONFORMS)
            assert answer.status_code in (200, 201), (one, answer.text)
            if one.filled is not None:
                found = answer.json()
                assert found[0] if one.filled == "0" else found[one.filled], one

        requests = known(share_id)
        assert {(one.method, one.path) for one in requests} == operations(schema.raw_schema)
        for one in requests:
            await asyncio.to_thread(ask, one)


KEYED = f"""
auth: {{api_keys: [key-a], viewer_keys: [key-v]}}
{ROUTED.replace("  acme:", "  acme:" + chr(10) + "    agent_keys: [agent-acme]")}
"""


class Refused(NamedTuple):
    """One request that is refused, and the code it is refused with."""

    code: str
    method: str
    path: str
    id: str | None = None
    query: Mapping[str, Any] = MappingProxyType({})
    body: Any = None
    headers: Mapping[str, str] = MappingProxyType({})


AGENT = {"Authorization": "Bearer agent-acme"}
REFUSED = [
    Refused("bad_host", "GET", "/health", headers={"Host": "elsewhere.example"}),
    Refused("cross_site", "GET", "/ready", headers={"Origin": "https://elsewhere.example"}),
    Refused("unauthorized", "GET", "/v1/openapi.json", headers={"Authorization": ""}),
    Refused("unauthorized", "GET", "/metrics", headers=AGENT),
    Refused("forbidden", "POST", "/api/shares", body={"project": "acme"}, headers={"Authorization": "Bearer key-v"}),
    Refused("forbidden", "POST", "/v1/sessions", body={"project": "tight"}, headers=AGENT),
    Refused("forbidden", "PATCH", "/v1/projects/{id}", "acme", body={"name": "Other"}),
    Refused("bad_request", "GET", "/v1/costs", query={"period": "year"}),
    Refused("bad_request", "POST", "/api/shares", body={"project": "acme", "days": 0}),
    Refused("unknown_project", "GET", "/v1/projects/{id}", "nope"),
    Refused("unknown_session", "GET", "/v1/sessions/{id}", "nope"),
    Refused("not_found", "DELETE", "/api/shares/{id}", "nope"),
    Refused("no_route", "GET", "/api/routing/simulate", query={"project": "bare"}),
    Refused("conflict", "POST", "/v1/projects", body={"project_id": "acme"}),
    Refused("too_large", "POST", "/v1/sessions", body={"project": "a" * 70_000}),
    Refused("too_large", "POST", "/api/projects/{id}/branding/logo", "acme", body={"file": b"\0" * 300_000}),
    Refused("unsupported_type", "POST", "/v1/sessions", body={}, headers={"Content-Type": "text/plain"}),
]  # fmt: skip


def refuse(schema: BaseSchema, one: Refused) -> None:
    """Send a request, and compare its refusal with the document."""
    case = case_of(schema, one)
    answer = case.call(headers={"Authorization": "Bearer key-a", **one.headers})
    assert answer.headers["x-voicegw-error"] == [one.code], (one, answer.text)
    case.validate_response(answer, checks=CONFORMS)


async def test_refusals_are_as_described(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(KEYED) as sidecar:
        runtime, schema = sidecar.running.runtime, await served(sidecar)
        for one in REFUSED:
            await asyncio.to_thread(refuse, schema, one)
        runtime.is_draining = True
        await asyncio.to_thread(refuse, schema, Refused("draining", "POST", "/v1/sessions", body={"project": "acme"}))
        case = schema["/ready"]["GET"].Case()
        assert (await asyncio.to_thread(case.call_and_validate, checks=CONFORMS)).status_code == 503
        runtime.is_draining, runtime.waiting_changes = False, WAITING_LIMIT
        await asyncio.to_thread(
            refuse, schema, Refused("store_failed", "POST", "/api/shares", body={"project": "acme"})
        )
        runtime.waiting_changes = 0
        for _ in range(12):
            async with sidecar.http.get(f"{sidecar.url}/v1/costs", headers={"Authorization": "Bearer x"}) as response:
                await response.read()
        guess = Refused("too_many_guesses", "GET", "/v1/costs", headers={"Authorization": "Bearer x"})
        await asyncio.to_thread(refuse, schema, guess)


class Tried(NamedTuple):
    """What came of the generated requests: statuses by operation, and every answer that is not as described."""

    statuses: dict[str, Counter[int]]
    faults: list[str]


def drive(schema: BaseSchema) -> Tried:
    """Send generated requests, and keep what the answers were and what was wrong with them."""
    statuses: dict[str, Counter[int]] = defaultdict(Counter)
    faults: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            faults.append(f"schemathesis failed: {event}")
        if not isinstance(event, events.ScenarioFinished):
            continue
        answered = [one.response for one in event.recorder.interactions.values() if one.response is not None]
        statuses[str(event.label)].update(response.status_code for response in answered)
        for checks in event.recorder.checks.values():
            for one in checks:
                if one.failure_info is not None:
                    failure, request = one.failure_info.failure, one.failure_info.code_sample
                    faults.append(f"{event.label}: {one.name}: {failure}\n{request}")
    return Tried(statuses, faults)


async def test_generated_requests_are_answered_as_described(start_sidecar: StartSidecar) -> None:
    async with start_sidecar(f"default_project: acme\n{ROUTED}") as sidecar:
        await filled(sidecar)
        schema = await served(sidecar, **{
            "seed": SEED,
            "continue-on-failure": True,
            "generation": {
                "max-examples": EXAMPLES, "deterministic": True, "database": "none", "with-security-parameters": False,
            },
            "phases": {
                "examples": {"enabled": False}, "stateful": {"enabled": False}, "coverage": {"unexpected-methods": []},
            },
            "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
            "operations": [
                {"include-name": name, "checks": {"positive_data_acceptance": {"enabled": False}}}
                for name in SAYS_MORE
            ],
        })  # fmt: skip
        tried = await asyncio.to_thread(drive, schema)
        assert tried.faults == [], "\n\n".join(tried.faults[:5])
        assert set(tried.statuses) == {f"{route.method} {route.path}" for route in ROUTES}
        for name, statuses in tried.statuses.items():
            assert statuses.total() >= 3, name
        async with aiohttp.ClientSession() as http, http.get(f"{sidecar.url}/ready") as response:
            assert (await response.json())["status"] == "ready"
