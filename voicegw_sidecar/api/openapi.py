"""``GET /v1/openapi.json``: the API as an OpenAPI 3.1 document, made of what the handlers are described with."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from voicegw_sidecar import __version__
from voicegw_sidecar.access import Area
from voicegw_sidecar.api.answers import ErrorAnswer, encoded_answer
from voicegw_sidecar.api.described import Description, described, description_of
from voicegw_sidecar.api.parameters import Parameters, Query
from voicegw_sidecar.errors import (
    BadHost,
    BadRequest,
    CrossSite,
    Forbidden,
    SidecarError,
    TooManyGuesses,
    Unauthorized,
)

Schema = dict[str, Any]

_ABOUT = """\
The control plane of voicegw-sidecar: what was spent, observed and configured, and what operators change.

The addresses that agents use are not described here: the paths of providers (`/{provider}/…`, `/p/{project}/…`) and \
the unified endpoints (`/v1/chat/completions`, `/v1/audio/…`, …) take and answer what the providers document. \
docs/providers.md and docs/unified-endpoints.md have them, docs/api.md explains this API and the codes of its refusals.

Times are ISO 8601 in UTC, durations `*_ms`, money `*_usd`; null is "not known". Where no key is configured, calls \
from the sidecar's own machine need none."""
_SECURITY: Schema = {
    "key": {"type": "http", "scheme": "bearer", "description": "An admin key, or a viewer key, which changes nothing."},
    "agentKey": {
        "type": "http", "scheme": "bearer",
        "description": "An agent key of a project: it opens, sees and closes that project's sessions.",
    },
}  # fmt: skip
_SCHEMES = {Area.OPEN: (), Area.API: ("key",), Area.SESSION: ("key", "agentKey")}
_REF = "#/components/schemas/{name}"


@described("This document.", answers=dict[str, Any])
async def openapi(request: web.Request, asked: Parameters) -> web.Response:
    """``GET /v1/openapi.json``"""
    return encoded_answer(await asyncio.to_thread(_encoded))  # it takes its time, once


@lru_cache(maxsize=1)
def _encoded() -> bytes:
    from voicegw_sidecar.api.routes import agent_routes, api_routes, open_routes  # the routes have this one too

    areas = {Area.OPEN: open_routes(), Area.API: api_routes(), Area.SESSION: agent_routes()}
    return msgspec.json.encode(document(areas))


def document(areas: dict[Area, list[web.RouteDef]]) -> Schema:
    """Describe routes, each in the area that says who may call it; raises `LookupError` for one not described."""
    described_routes = [(area, one, description_of(one.handler)) for area, routes in areas.items() for one in routes]
    schemas = _Schemas(one for _, _, description in described_routes for one in _types(description))
    paths: dict[str, Schema] = {}
    for area, route, description in described_routes:
        operation = _operation(route, description, area, schemas)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "voicegw-sidecar", "version": __version__, "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {"schemas": schemas.components, "responses": schemas.refusals, "securitySchemes": _SECURITY},
    }  # fmt: skip


class _Schemas:
    """The schema of every type that is told, and every refusal, by name."""

    def __init__(self, types: Iterable[Any]) -> None:
        self._types = [ErrorAnswer, *types]
        self.refusals: Schema = {}
        self._schemas, self.components = msgspec.json.schema_components(self._types, ref_template=_REF)

    def of(self, wanted: Any) -> Schema:
        """Return a type's schema, or where it is; what is no type is a schema already."""
        if isinstance(wanted, dict):
            if (title := wanted.get("title")) is None:
                return wanted
            self.components[title] = wanted
            return {"$ref": _REF.format(name=title)}
        return self._schemas[self._types.index(wanted)]

    def refusal(self, codes: list[str]) -> Schema:
        """Return where the answer is described that refuses with one of these codes."""
        name = "Refused_" + "_or_".join(codes)
        self.refusals[name] = _refusal(codes, self.of(ErrorAnswer))
        return {"$ref": f"#/components/responses/{name}"}


def _types(description: Description) -> Iterator[Any]:
    yield description.answers
    yield from description.also.values()
    if description.body is not None and isinstance(shape := description.body.shape(), type):
        yield shape


def _operation(route: web.RouteDef, description: Description, area: Area, schemas: _Schemas) -> Schema:
    resource = route.handler.__module__.rpartition(".")[2]
    operation: Schema = {
        "operationId": f"{resource}_{route.handler.__name__}",
        "tags": [resource],
        "summary": description.about,
        "security": [{scheme: []} for scheme in _SCHEMES[area]],
        "parameters": [*_path_parameters(route, description), *map(_parameter, description.query or ())],
        "responses": _responses(route, description, area, schemas),
    }
    if description.body is not None:
        content = {description.body.media_type: {"schema": schemas.of(description.body.shape())}}
        operation["requestBody"] = {"required": description.body.is_required, "content": content}
    return operation


def _path_parameters(route: web.RouteDef, description: Description) -> Iterator[Schema]:
    for name in re.findall(r"{(\w+)}", route.path):
        schema = {"type": "string", "minLength": 1}
        about = f"The id of the {description.id_of}."
        yield {"name": name, "in": "path", "required": True, "description": about, "schema": schema}


def _parameter(query: Query[Any, Any]) -> Schema:
    schema = query.kind.schema()
    if query.default is not None:
        schema = {**schema, "default": query.default}
    return {"name": query.name, "in": "query", "required": False, "description": query.about, "schema": schema}


def _responses(route: web.RouteDef, description: Description, area: Area, schemas: _Schemas) -> Schema:
    found: Schema = {}
    for status, answers in {description.status: description.answers, **description.also}.items():
        about = (inspect.getdoc(answers) or "") if isinstance(answers, type) and issubclass(answers, Struct) else ""
        content = {description.media_type: {"schema": schemas.of(answers)}}
        found[str(status)] = {"description": about or HTTPStatus(status).phrase, "content": content}
    refused: dict[int, dict[str, None]] = {}
    for error in _refusals(route, description, area):
        refused.setdefault(error.status, {})[error.code] = None
    for status in sorted(refused.keys() - description.also.keys()):
        found[str(status)] = schemas.refusal([*refused[status]])
    return found


def _refusals(route: web.RouteDef, description: Description, area: Area) -> Iterator[type[SidecarError]]:
    """Yield what a route refuses with: the guard's, the reading's, and its own."""
    yield from (CrossSite, BadHost)
    if area is not Area.OPEN:
        yield from (Unauthorized, TooManyGuesses)
        if area is Area.SESSION or route.method != "GET":
            yield Forbidden
    if description.query is not None:
        yield BadRequest
    if description.body is not None:
        yield from description.body.refuses
    yield from description.refuses


def _refusal(codes: list[str], body: Schema) -> Schema:
    return {
        "description": "Refused: " + ", ".join(codes),
        "headers": {
            "X-VoiceGW-Error": {
                "description": "The code of the refusal.", "required": True,
                "schema": {"type": "string", "enum": codes},
            },
        },
        "content": {"application/json": {"schema": body}},
    }  # fmt: skip
