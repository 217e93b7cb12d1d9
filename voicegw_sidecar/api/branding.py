"""Brands: ``GET``, ``POST`` and ``DELETE /api/projects/{id}/branding``, and ``POST …/branding/logo``."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar.api.answers import RUNTIME, VISITOR
from voicegw_sidecar.api.body import FileBody, SettingsBody
from voicegw_sidecar.api.described import described
from voicegw_sidecar.api.parameters import Parameters
from voicegw_sidecar.api.shapes import brand_changes
from voicegw_sidecar.branding.logo import LIMIT_BYTES
from voicegw_sidecar.brands import Brand, logo_url
from voicegw_sidecar.errors import BadRequest, StoreFailed, TooLarge, UnknownProject
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


@described("The brand in force.", id_of="project", answers=BrandingAnswer, refuses=(UnknownProject,))
async def show(request: web.Request, asked: Parameters) -> BrandingAnswer:
    """``GET /api/projects/{id}/branding``"""
    runtime = request.app[RUNTIME]
    project = runtime.catalog.project(request.match_info["id"])
    return _answer(project.id, runtime.brands.of(project))


@described(
    "Set what is named of a brand; null clears one field.", id_of="project", body=SettingsBody(brand_changes),
    answers=BrandingAnswer, refuses=(UnknownProject, StoreFailed),
)  # fmt: skip
async def merge(request: web.Request, asked: Parameters, changes: dict[str, Any]) -> BrandingAnswer:
    """``POST /api/projects/{id}/branding``"""
    project_id = request.match_info["id"]
    return _answer(project_id, await brands.merge(request.app[RUNTIME], request[VISITOR].actor, project_id, changes))


@described(
    "Go back to the configuration file's brand, if any.", id_of="project", answers=BrandingAnswer,
    refuses=(UnknownProject, StoreFailed),
)  # fmt: skip
async def clear(request: web.Request, asked: Parameters) -> BrandingAnswer:
    """``DELETE /api/projects/{id}/branding``"""
    project_id = request.match_info["id"]
    return _answer(project_id, await brands.clear(request.app[RUNTIME], request[VISITOR].actor, project_id))


def _project(request: web.Request) -> object:
    return request.app[RUNTIME].catalog.project(request.match_info["id"])


@described(
    "Set the logo.", id_of="project", look_up=_project, body=FileBody("file", "a PNG or SVG image", LIMIT_BYTES),
    answers=BrandingAnswer, refuses=(UnknownProject, BadRequest, TooLarge, StoreFailed),
)  # fmt: skip
async def set_logo(request: web.Request, asked: Parameters, file: bytes) -> BrandingAnswer:
    """``POST /api/projects/{id}/branding/logo``"""
    runtime, project_id = request.app[RUNTIME], request.match_info["id"]
    return _answer(project_id, await brands.set_logo(runtime, request[VISITOR].actor, project_id, file))


def _answer(project_id: str, brand: Brand) -> BrandingAnswer:
    shown = BrandView(brand.product_name, brand.accent_color, logo_url(project_id, brand))
    return BrandingAnswer(project_id, shown)
