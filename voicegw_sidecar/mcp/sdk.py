"""The MCP SDK, made importable where one of its libraries is left out.

The SDK seals the state of its HTTP servers with ``cryptography``, and imports it for a server on stdio too, which has
no such state. The executable does without those 14 MB: there the one module that needs them is stood in for. Where the
library is installed nothing is changed.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

_SEALING = "mcp.server.request_state"


class _StandIn(ModuleType):
    """Has every name that is imported from it, each a class of which nothing can be made."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": _refuse})


def _refuse(*_: object, **__: object) -> None:
    raise NotImplementedError("this build of the sidecar serves MCP on stdio alone")


def is_installed() -> bool:
    """Say whether the SDK is there, without importing it."""
    return find_spec("mcp") is not None


def prepare() -> None:
    """Make the SDK importable; called before it is imported."""
    if find_spec("cryptography") is None and _SEALING not in sys.modules:
        sys.modules[_SEALING] = _StandIn(_SEALING)
