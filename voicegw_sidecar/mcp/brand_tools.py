"""A project's look and links to it: ``set_brand`` and ``share``. A logo is not taken: no tool reads a file."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from voicegw_sidecar.control_client import ControlClient, path_of
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.mcp.change import Confirm, done, preview
from voicegw_sidecar.mcp.told import Branding, NewShare, Shares, fetch, send
from voicegw_sidecar.mcp.tool import Answer, Effect, ProjectId, Tool
from voicegw_sidecar.mcp.untrusted import safe, shown

ProductName = Annotated[str, Meta(min_length=1, max_length=64, description="null goes back to the file's, if any")]
Accent = Annotated[str, Meta(pattern=r"^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$", description="#RGB or #RRGGBB; null clears")]
LABEL_CHARS = 120
_MOST_SHARES = "1000"


class BrandAsked(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``set_brand`` may set; what is left out stays."""

    project: ProjectId
    product_name: ProductName | UnsetType | None = UNSET
    accent_color: Accent | UnsetType | None = UNSET
    confirm: Confirm = False


class ShareAsked(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For whom a link is, and for how long."""

    project: ProjectId
    days: Annotated[int, Meta(ge=1, le=3650, description="how long it is valid")] = 30
    label: Annotated[str, Meta(max_length=LABEL_CHARS, description="for whom; on one line")] = ""
    confirm: Confirm = False


def set_brand(client: ControlClient, asked: BrandAsked) -> Answer:
    """Set name and accent, or show the change."""
    named = {"product_name": asked.product_name, "accent_color": asked.accent_color}
    changes = {name: value for name, value in named.items() if not isinstance(value, UnsetType)}
    if not changes:
        raise BadRequest("nothing to set is named; name product_name or accent_color")
    path = path_of("api", "projects", asked.project, "branding")
    now = fetch(client, path, Branding)["branding"]
    if not asked.confirm:
        return preview(f"The look of project {asked.project}, at once, and", now, changes)
    after = send(client, "POST", path, Branding, changes)["branding"]
    return done(f"The look of project {asked.project}: what", now, after)


def share(client: ControlClient, asked: ShareAsked) -> Answer:
    """Make a link, or say what it would show."""
    if not asked.label.isprintable():
        raise BadRequest(f"label: expected at most {LABEL_CHARS} characters on one line")
    if not asked.confirm:
        query = {"project": asked.project, "limit": _MOST_SHARES}
        found = fetch(client, path_of("api", "shares", query=query), Shares)["shares"]
        valid = sum(one["state"] == "valid" for one in found)
        now: dict[str, Any] = {"valid_links": valid, "days": None, "label": None}
        wanted = {"valid_links": valid + 1, "days": asked.days, "label": asked.label}
        what = f"One more link would show the pages of project {asked.project}, read-only, to whoever has it; this"
        return preview(what, now, wanted)
    body = {"project": asked.project, "days": asked.days, "label": asked.label}
    content = safe(send(client, "POST", "/api/shares", NewShare, body))
    text = (
        f"A link to project {asked.project} was made: {shown(content['url'])}\nIt is valid until "
        f"{shown(content['expires_at'])}, for whoever has it. It is told this once and kept nowhere; its id, to "
        f"revoke it by, is {shown(content['id'])}."
    )
    return Answer(text, {"changed": True, "share": content})


_TWO_STEPS = " Without confirm: true nothing is changed and a preview is returned. Needs an admin key."
TOOLS = (
    Tool(
        "set_brand", "Set a project's look",
        "Sets product name and accent colour of a project's pages; what was set before is replaced." + _TWO_STEPS,
        BrandAsked, set_brand, Effect(is_destructive=True, is_idempotent=True),
    ),
    Tool(
        "share", "Make a share link",
        "Makes a link that shows one project's pages, read-only, to whoever has it, until it expires or is revoked. "
        "Each call makes another link." + _TWO_STEPS,
        ShareAsked, share, Effect(is_destructive=False, is_idempotent=False),
    ),
)  # fmt: skip
