"""What the unified endpoints are given: who may serve a call, and connections ready to be dialled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from voicegw_sidecar.dialects.base import Dialect
from voicegw_sidecar.drivers.base import ProviderRequest, SocketAddress
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.relay.plan import Headers, Observer, Refusal, Timeouts
from voicegw_sidecar.terms import Modality


class ProviderRefused(SidecarError):
    """The provider said no, in its own words, which are the caller's; ``status`` is the provider's."""

    code = "upstream_refused"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Connection(Struct, frozen=True):
    """A provider's connection, ready to be dialled.

    ``dialect`` decodes it for whoever translates; the ``observer`` is told the same frames right after and gets the
    same events. ``exchange_id`` is the row of its first exchange, None where nothing is recorded.
    """

    leg: Leg
    url: str
    headers: Headers
    observer: Observer
    dialect: Dialect
    timeouts: Timeouts
    exchange_id: str | None = None
    abandon: Callable[[str], None] = lambda code: None
    """Is told, before the observer is told of the end, why the sidecar itself ended an exchange."""
    expect: Callable[[], None] = lambda: None
    """Reserves in the project's budget for an exchange that is about to begin on an open socket."""


class Desk(Protocol):
    """Decides about one request of a unified endpoint."""

    @property
    def exchange_prefix(self) -> str:
        """A text that no other request has, for ids of answers."""
        ...

    @property
    def configuration(self) -> object:
        """The configuration in force; another one once it was read again: what was made of it holds no longer."""
        ...

    async def legs(self, modality: Modality, wanted: Sequence[str | None], *, is_stream: bool = False) -> list[Leg]:
        """Return who may serve a call that names these models, in this order; raises `SidecarError`."""
        ...

    def listens(self, change: int) -> None:
        """Take note that the agent's speech-to-text socket is in use (1) or closed (-1): its session lasts so long."""
        ...

    def admit(self, leg: Leg) -> Leg:
        """Return the leg that serves: the one that was chosen, or the local stand-in of a spent budget.

        Raises `Refused`, of which a row is left.
        """
        ...

    def require_key(self, leg: Leg) -> None:
        """Raise `MissingKey` where a vendor's key is not configured; a row is left of it."""
        ...

    def request(self, leg: Leg, request: ProviderRequest) -> Connection:
        """Return the connection of one HTTP request."""
        ...

    def socket(self, leg: Leg, address: SocketAddress) -> Connection:
        """Return the connection of a socket."""
        ...

    def includes_usage(self, leg: Leg) -> bool:
        """Say whether the provider may be asked for the usage of a streamed answer."""
        ...

    def answer_headers(self, connection: Connection | None) -> Headers:
        """Return the headers that an answer has besides its own."""
        ...

    def blamed(self, error: SidecarError, leg: Leg) -> SidecarError:
        """Return the error of a leg: that of a spent budget where its local stand-in is not there."""
        ...

    def refusal(self, error: SidecarError, connection: Connection | None = None) -> Refusal:
        """Word an error as OpenAI would; ``connection`` is the one that failed, if it came to that."""
        ...
