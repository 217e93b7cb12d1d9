"""The gate of an open socket that carries many exchanges: a spent budget refuses the next one.

The agent gets the provider's own error frame at once; what runs on the socket runs to its end, then both
sides are closed with 1008 (contract §2).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from voicegw_sidecar.errors import Refused
from voicegw_sidecar.observation import Observation
from voicegw_sidecar.providers.base import Endpoint
from voicegw_sidecar.relay import Stop
from voicegw_sidecar.wire.frames import Frame, Side

POLICY_VIOLATION = 1008
_REFUSED_LIMIT = 1024  # exchanges refused while others still run; more go unanswered


class SocketGate:
    """A gate (see ``relay.plan``) of one socket; ``judge(model)`` says whether its next exchange may begin."""

    close_code = POLICY_VIOLATION

    def __init__(self, observation: Observation, endpoint: Endpoint, judge: Callable[[str | None], Refused | None]):
        self._observation = observation
        self._endpoint = endpoint
        self._judge = judge
        self._refused: set[str] = set()
        self._error: Refused | None = None
        self._is_begun_by_provider = False

    @property
    def close_reason(self) -> str:
        """The code and words of the refusal."""
        if self._error is None:
            return ""
        code, message = self._error.code, self._error.message
        return message if message.startswith(code) else f"{code}: {message}"

    def stops(self, frame: Frame) -> Stop | None:
        """Stop a frame that begins an exchange the budget has nothing left for, and whatever else is for that one."""
        ask = self._observation.asks(frame)
        if ask is None:
            return None
        if ask.key in self._refused:
            return Stop()
        if not ask.begins:
            return None
        error = self._judge(ask.model)
        if error is None:
            if frame.side is Side.AGENT:
                self._observation.expect(self._endpoint.modality, ask.model)
            return None
        self._error = error
        self._is_begun_by_provider = frame.side is Side.PROVIDER
        if len(self._refused) >= _REFUSED_LIMIT:
            return Stop()
        self._refused.add(ask.key)
        self._observation.refused(ask, error)
        if self._endpoint.refusal_frame is None:
            return Stop()
        return Stop((msgspec.json.encode(self._endpoint.refusal_frame(ask.key, error.code, error.message)),))

    def is_over(self) -> bool:
        """Say whether something was refused and nothing runs any more.

        What the provider begins by itself can only be refused by closing at once.
        """
        return self._error is not None and (self._is_begun_by_provider or not self._observation.is_running)
