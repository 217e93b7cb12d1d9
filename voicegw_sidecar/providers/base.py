"""What a provider is: frozen data. Addresses, how it wants its key, its endpoints and its error shapes."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from voicegw_sidecar.dialects.base import DialectFactory
from voicegw_sidecar.terms import NOTHING_USED, Modality, Usage
from voicegw_sidecar.wire.frames import RequestHead

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class AuthStyle(enum.Enum):
    """Where a provider looks for its key."""

    BEARER = "bearer"
    """``Authorization: Bearer KEY``"""
    TOKEN = "token"
    """``Authorization: Token KEY``"""
    RAW = "raw"
    """``Authorization: KEY``"""
    X_API_KEY = "x-api-key"
    XI_API_KEY = "xi-api-key"
    NONE = "none"


class ErrorShape(Struct, frozen=True):
    """How a provider words an HTTP error: ``body(status, code, message)`` is JSON its SDK understands.

    ``plain`` words it as text for the clients that expect that, told by their lower-case request headers.
    """

    body: Callable[[int, str, str], dict[str, object]]
    plain: Callable[[str, str, Mapping[str, str]], str | None] | None = None

    def encode(self, status: int, code: str, message: str, headers: Mapping[str, str] = NO_HEADERS) -> Wording:
        """Return the body to answer a request with these headers with, and its type."""
        text = self.plain(code, message, headers) if self.plain is not None else None
        if text is not None:
            return Wording(text.encode(), "text/plain; charset=utf-8")
        return Wording(msgspec.json.encode(self.body(status, code, message)), "application/json")


class Wording(Struct, frozen=True):
    """An error in a provider's own words."""

    body: bytes
    content_type: str


class Baseline(Struct, frozen=True):
    """A curated latency to first useful output, for routing before anything was observed.

    ``source`` says where the figure comes from, ``read`` when it was read (ISO date).
    """

    modality: Modality
    ms: int
    source: str
    read: str


class JobState(Struct, frozen=True):
    """How a piece of work stands that was asked for earlier, as the answer to a question about it says.

    ``usage`` is what the provider bills for it; ``error`` a short code. Neither done nor failed is still running.
    """

    job_id: str
    is_done: bool = False
    model: str | None = None
    usage: Usage = NOTHING_USED
    error: str | None = None


class Endpoint(Struct, frozen=True):
    """One metered address of a provider.

    ``catalogue_model`` gives the price catalogue's name of a wire model id on this endpoint, where they differ.
    ``asks_usage`` marks the streamed chats to which ``include_usage`` is added. ``refusal_frame(key, code,
    message)`` words a refusal inside an open socket that carries many exchanges (see ``SocketDialect.asks``).
    """

    method: str
    path: str
    modality: Modality
    dialect: DialectFactory
    asks_usage: bool = False
    is_socket: bool = False
    catalogue_model: Callable[[str, RequestHead], str] | None = None
    refusal_frame: Callable[[str, str, str], dict[str, object]] | None = None
    modality_by: Callable[[RequestHead], Modality] | None = None
    """What kind of work it is, where the address tells."""
    reads_job: Callable[[bytes], JobState | None] | None = None
    """Reads the answer of a GET that asks how a job stands; such an endpoint has no exchange of its own."""

    def modality_of(self, head: RequestHead) -> Modality:
        """Return what kind of work a request asks for."""
        return self.modality if self.modality_by is None else self.modality_by(head)

    def matches(self, method: str, path: str, is_socket: bool) -> bool:
        """Say whether a request is for this endpoint; ``{}`` in the path stands for one segment."""
        if self.is_socket is not is_socket or (not is_socket and method != self.method):
            return False
        return path == self.path or ("{}" in self.path and _pattern(self.path).fullmatch(path) is not None)


class Provider(Struct, frozen=True):
    """A vendor or a local server. ``base_url`` is what its documented absolute paths are appended to."""

    id: str
    base_url: str
    auth: AuthStyle
    errors: ErrorShape
    endpoints: tuple[Endpoint, ...] = ()
    catalogue_id: str | None = None
    """The provider's name in the price catalogue; None for local servers and YAML-only ones."""
    is_local: bool = False
    root_paths: tuple[str, ...] = ()
    """Paths that only this provider has: recognised at the root, for clients that drop a base URL's path."""
    api_root: str = "/v1"
    """What its documented paths begin with; mended where a base URL has it twice, in part or not at all."""
    missing_v1: tuple[str, ...] = ()
    """First path segments that mean ``<api_root>/…`` where the base URL left it out."""
    bare_root: str = ""
    """Where a WebSocket or POST to the bare base URL belongs, for clients whose base URL is a full endpoint."""
    bare_realtime_root: str = ""
    """Where it belongs instead if it is for a realtime model."""
    mend_query: Callable[[str, str], str] | None = None
    """Takes path and raw query, and returns the query without what clients add and the provider refuses."""
    other_hosts: tuple[tuple[str, str], ...] = ()
    """Path prefixes that the vendor serves at another address; a configured ``base_url`` replaces these too."""
    baselines: tuple[Baseline, ...] = ()
    default_models: tuple[tuple[Modality, str], ...] = ()
    """The model that an entry without one means, by modality."""

    def default_model(self, modality: Modality) -> str | None:
        """Return the model that a bare name of this provider means, or None where it has none."""
        return dict(self.default_models).get(modality)

    def address_of(self, path: str, configured: str) -> str:
        """Return where a path is served: the configured address if it is another than the vendor's own."""
        if configured == self.base_url:
            for prefix, address in self.other_hosts:
                if path.startswith(prefix):
                    return address
        return configured.rstrip("/")

    def endpoint(self, method: str, path: str, is_socket: bool) -> Endpoint | None:
        """Return the metered endpoint at ``path``, or None: relayed, timed, unpriced.

        A path is also read decoded, as the provider reads it: written with escapes it costs the same.
        """
        for spelling in dict.fromkeys((path, unquote(path))):
            for endpoint in self.endpoints:
                if endpoint.matches(method, spelling, is_socket):
                    return endpoint
        return None


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("[^/]+".join(re.escape(piece) for piece in path.split("{}")))
