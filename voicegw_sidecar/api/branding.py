"""Brands: ``GET``, ``POST`` and ``DELETE /api/projects/{id}/branding``, and ``POST …/branding/logo``."""

from __future__ import annotations

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, VISITOR, answer
from voicegw_sidecar.api.body import json_object
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.api.upload import read_form
from voicegw_sidecar.branding.logo import LIMIT_BYTES
from voicegw_sidecar.brands import Brand, logo_url
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.operating import brands


class BrandView(Struct, frozen=True):
    """A project's look in force; null is the default one's."""

    product_name: str | None
    accent_color: str | None
    logo_url: str | None


class BrandingAnswer(Struct, frozen=True):
    """The answer of every route here."""

    project_id: str
    branding: BrandView


async def show(request: web.Request) -> web.Response:
    """``GET /api/projects/{id}/branding``"""
    Parameters(request)
    runtime = request.app[RUNTIME]
    project = runtime.catalog.project(request.match_info["id"])
    return _answer(project.id, runtime.brands.of(project))


async def merge(request: web.Request) -> web.Response:
    """``POST /api/projects/{id}/branding``: set what is named; null clears one field"""
    Parameters(request)
    project_id, changes = request.match_info["id"], await json_object(request)
    return _answer(project_id, await brands.merge(request.app[RUNTIME], request[VISITOR].actor, project_id, changes))


async def clear(request: web.Request) -> web.Response:
    """``DELETE /api/projects/{id}/branding``: back to the configuration file's, if any"""
    Parameters(request)
    project_id = request.match_info["id"]
    return _answer(project_id, await brands.clear(request.app[RUNTIME], request[VISITOR].actor, project_id))


async def set_logo(request: web.Request) -> web.Response:
    """``POST /api/projects/{id}/branding/logo``: multipart, the image in the field ``file``"""
    Parameters(request)
    runtime, project_id = request.app[RUNTIME], request.match_info["id"]
    runtime.catalog.project(project_id)
    file = (await read_form(request, LIMIT_BYTES)).files.get("file")
    if file is None:
        raise BadRequest("file: found nothing, expected a PNG or SVG image in the form field file")
    return _answer(project_id, await brands.set_logo(runtime, request[VISITOR].actor, project_id, file))


def _answer(project_id: str, brand: Brand) -> web.Response:
    shown = BrandView(brand.product_name, brand.accent_color, logo_url(project_id, brand))
    return answer(BrandingAnswer(project_id, shown))
