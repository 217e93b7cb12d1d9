"""What LiveKit Inference's two sockets have in common: JSON text both ways, and how an error is worded.

Wire reference: livekit-agents 1.8.9, ``livekit/agents/inference`` (read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest
from voicegw_sidecar.wire.frames import Kind


class FallbackModel(Struct, frozen=True):
    """A model that is to serve where the first cannot."""

    model: str = ""
    voice: str | None = None
    extra: dict[str, object] | None = None


class Fallback(Struct, frozen=True):
    """Models that are to serve where the first cannot, in this order."""

    models: tuple[FallbackModel, ...] = ()


def read(decoder: msgspec.json.Decoder[Struct], kind: Kind, data: bytes) -> Struct:
    """Decode a message of the agent; raises `BadRequest` for anything but JSON text of a known shape."""
    if kind is not Kind.TEXT:
        raise BadRequest("found a binary message; expected JSON text, audio as base64 in it")
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"found a message that cannot be read: {error}") from None


def rate_hz(found: str | int | None, where: str, usual_hz: int) -> int:
    """Read a sample rate, which the clients send as text."""
    text = str(usual_hz if found is None else found)
    rate = int(text) if text.isascii() and text.isdigit() and len(text) < 7 else 0
    if not 8000 <= rate <= 48_000:
        raise BadRequest(f"{where}: found {text[:32]!r}, expected samples a second from 8000 to 48000")
    return rate


def encoding(found: str | None, where: str) -> None:
    """Accept the one encoding that is spoken: 16-bit little-endian samples."""
    if found not in (None, "", "pcm_s16le"):
        raise BadRequest(f"{where}: found {found[:32]!r}, expected pcm_s16le")


def options(found: Mapping[str, object] | None) -> dict[str, object]:
    """Return the provider options that say something: LiveKit sends empty lists for what nobody set."""
    return {name: value for name, value in (found or {}).items() if value not in (None, [], {}, "")}


def options_for(leg: Leg, own: Mapping[str, object], fallback: Fallback) -> dict[str, object]:
    """Return the options that were given for a leg; another vendor's would be refused, or mean something else."""
    if not leg.is_substitute:
        return dict(own)
    names = (leg.name, leg.model, leg.provider.id, f"{leg.name}:{leg.variant}")
    return options(next((one.extra for one in fallback.models if one.model in names), None))


def error(message: str, code: int) -> bytes:
    """An error; ``code`` is that of HTTP."""
    return msgspec.json.encode({"type": "error", "message": message, "code": code, "session_id": ""})
