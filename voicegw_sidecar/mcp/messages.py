"""What is no message on stdin is told of: the SDK drops it, and who sent it would wait for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from anyio import EndOfStream

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Incoming(Protocol[T_co]):
    """What the SDK reads of stdin: messages, and an exception for each line that is none."""

    @property
    def last_context(self) -> Any:
        """The context that the last one was sent in."""

    async def receive(self) -> T_co | Exception:
        """Return the next one."""

    async def aclose(self) -> None:
        """Read no more."""


class Messages(Generic[T]):
    """The messages alone, in the form in which the SDK's server reads them."""

    def __init__(self, incoming: Incoming[T], on_fault: Callable[[Exception], Awaitable[None]]) -> None:
        self._incoming = incoming
        self._on_fault = on_fault

    @property
    def last_context(self) -> Any:
        """The context that the last message was sent in."""
        return self._incoming.last_context

    async def receive(self) -> T | Exception:
        """Return the next message."""
        while isinstance(item := await self._incoming.receive(), Exception):
            await self._on_fault(item)
        return item

    async def aclose(self) -> None:
        """Read no more."""
        await self._incoming.aclose()

    def __aiter__(self) -> Messages[T]:
        return self

    async def __anext__(self) -> T | Exception:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Messages[T]:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
