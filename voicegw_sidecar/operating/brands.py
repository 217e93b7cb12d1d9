"""Brands set and cleared: product name, accent colour and logo of one project."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from types import MappingProxyType

from msgspec.structs import replace

from voicegw_sidecar.branding import read_logo
from voicegw_sidecar.brands import CONTENT_TYPES, Brand
from voicegw_sidecar.config.kind import Kind, Mismatch
from voicegw_sidecar.config.schema import ACCENT_COLOR, PRODUCT_NAME
from voicegw_sidecar.errors import BadRequest, StoreFailed
from voicegw_sidecar.operating.commit import Change, carry_out, commit
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.operator_records import BrandRow, forget_brand, write_brand

logger = logging.getLogger(__name__)

FIELDS: Mapping[str, Kind | None] = MappingProxyType({
    "product_name": PRODUCT_NAME, "accent_color": ACCENT_COLOR, "logo_url": None,
})  # fmt: skip
"""What can be set, each to null too; of a logo nothing but null can be set here."""


async def merge(runtime: Runtime, actor: str, project_id: str, changes: Mapping[str, object]) -> Brand:
    """Set the fields that are named; None clears one, back to the configuration file's. Raises `BadRequest`."""
    checked = check(changes)

    async def work() -> Brand:
        project = runtime.catalog.project(project_id)
        before = runtime.brands.row(project_id)
        row = replace(before, **{name: value for name, value in checked.items() if name != "logo_url"})
        if "logo_url" in checked:
            row = replace(row, logo_extension=None, logo_digest=None)
        await _write(runtime, Change(actor, "brand.change", project_id), before, row)
        if "logo_url" in checked:
            await asyncio.to_thread(runtime.brands.remove, project_id)
        return runtime.brands.of(project)

    return await carry_out(runtime, "brand.change", work)


def check(changes: Mapping[str, object]) -> dict[str, str | None]:
    """Return the fields to set, each as it will be stored; raises `BadRequest`."""
    return {name: _checked(name, value) for name, value in changes.items()}


async def set_logo(runtime: Runtime, actor: str, project_id: str, content: bytes) -> Brand:
    """Set the logo from an uploaded file; raises `BadRequest`, or `TooLarge`, with what is wrong with it."""

    async def work() -> Brand:
        project = runtime.catalog.project(project_id)
        logo = await asyncio.to_thread(read_logo, content)  # one at a time, as all changes: it is work for a processor
        try:
            await asyncio.to_thread(runtime.brands.write, project_id, logo)
        except OSError as error:
            logger.error("logo cannot be stored", extra={"project": project_id, "error": type(error).__name__})
            raise StoreFailed(f"the logo cannot be stored: {error.strerror}") from None
        before = runtime.brands.row(project_id)
        row = replace(before, logo_extension=logo.extension, logo_digest=logo.digest)
        await _write(runtime, Change(actor, "brand.logo", project_id), before, row)
        await asyncio.to_thread(runtime.brands.remove, project_id, set(CONTENT_TYPES) - {logo.extension})
        return runtime.brands.of(project)

    return await carry_out(runtime, "brand.logo", work)


async def clear(runtime: Runtime, actor: str, project_id: str) -> Brand:
    """Go back to what the configuration file says."""

    async def work() -> Brand:
        project = runtime.catalog.project(project_id)
        change = Change(actor, "brand.clear", project_id, before=_shown(runtime.brands.row(project_id)))
        await commit(runtime, change, [forget_brand(project_id)])
        runtime.brands.forget(project_id)
        await asyncio.to_thread(runtime.brands.remove, project_id)
        return runtime.brands.of(project)

    return await carry_out(runtime, "brand.clear", work)


async def _write(runtime: Runtime, change: Change, before: BrandRow, row: BrandRow) -> None:
    change = replace(change, before=_shown(before), after=_shown(row))
    await commit(runtime, change, [write_brand(row, runtime.clock.wall_ns())])
    runtime.brands.put(row)


def _checked(name: str, value: object) -> str | None:
    if name not in FIELDS:
        raise BadRequest(f"{name[:40]}: unknown field, expected {' or '.join(FIELDS)}")
    if value is None:
        return None
    kind = FIELDS[name]
    if kind is None:
        raise BadRequest(f"{name}: expected null, which removes the logo; upload one to …/branding/logo")
    try:
        return str(kind.read(value))
    except Mismatch as mismatch:
        raise BadRequest(f"{name}: {mismatch}") from None


def _shown(row: BrandRow) -> dict[str, str | None]:
    logo = None if row.logo_extension is None else f"{row.logo_extension} {row.logo_digest}"
    return {"product_name": row.product_name, "accent_color": row.accent_color, "logo": logo}
