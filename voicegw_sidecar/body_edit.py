"""The few changes that a request's body may undergo: usage asked for, and the model of a local stand-in.

Works on whole bodies. What cannot be read as expected stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from voicegw_sidecar.dialects.base import decode_json
from voicegw_sidecar.dialects.openai_chat import is_usage_chunk, with_usage_asked
from voicegw_sidecar.wire import multipart


class _Named(Struct, frozen=True):
    model: str | None = None


_named = msgspec.json.Decoder(_Named)
_members = msgspec.json.Decoder(dict[str, Raw])


class BodyEdit:
    """What is to be done to one request's body.

    ``check`` may raise to refuse it; ``model`` takes the place of the one it names; ``asks_usage`` adds
    ``stream_options.include_usage`` to a streamed chat, whose extra chunk is then kept from the agent.
    """

    def __init__(
        self,
        *,
        asks_usage: bool = False,
        check: Callable[[bytes], None] | None = None,
        model: str | None = None,
        content_type: str = "",
    ) -> None:
        self.asks_usage = asks_usage
        self.check = check
        self._model = model
        self._content_type = content_type
        self._has_asked = False

    @property
    def has_work(self) -> bool:
        """True where a body has to be looked at."""
        return self.asks_usage or self.check is not None or self._model is not None

    def edit(self, body: bytes) -> bytes | None:
        """Return the new body, or None where nothing is to be changed; raises what refuses it."""
        if self.check is not None:
            self.check(body)
        edited = body if self._model is None else with_model(body, self._model, self._content_type)
        asked = with_usage_asked(edited) if self.asks_usage else None
        self._has_asked = asked is not None
        edited = edited if asked is None else asked
        return None if edited is body else edited

    def filter(self) -> Callable[[bytes | None], bool] | None:
        """Return what knows the chunk that only our asking brings; None where we did not ask."""
        return is_usage_chunk if self._has_asked else None


def with_model(body: bytes, model: str, content_type: str) -> bytes:
    """Return a JSON or form body that names ``model``; every other member keeps its value."""
    boundary = multipart.boundary(content_type)
    if boundary is not None:
        return multipart.with_field(body, boundary, "model", model.encode())
    try:
        members = _members.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return body
    return msgspec.json.encode({**members, "model": Raw(msgspec.json.encode(model))})


def model_of(body: bytes, content_type: str) -> str | None:
    """Return the ``model`` that a JSON or form body names, however long the body is."""
    boundary = multipart.boundary(content_type)
    if boundary is None:
        found = decode_json(_named, body)
        return None if found is None else found.model
    fields = (part for part in multipart.parts(body, boundary) if part.name == "model" and not part.is_file)
    part = next(fields, None)
    return None if part is None else part.data.decode("utf-8", "replace")
