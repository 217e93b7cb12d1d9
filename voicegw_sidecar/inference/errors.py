"""What goes wrong for an agent, as exceptions of one base; ``refusals`` finds the two about budgets in an SDK's own."""

from __future__ import annotations


class InferenceError(Exception):
    """Base of what this package raises about the sidecar."""


class MissingExtraError(InferenceError, ImportError):
    """A framework's packages are not installed; the message is the command that installs them."""


class SidecarNotRunningError(InferenceError):
    """Nobody answers at the sidecar's address, or what answers there is none."""


class SessionRefusedError(InferenceError):
    """The sidecar does not open this session; ``code`` is its word for why, such as ``no_route`` or ``draining``."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class BudgetRefusal(InferenceError):
    """A call that the project's daily budget refused: nothing of it was sent to the provider.

    ``project`` is None where the SDK's exception has no word of it. The SDK's own is the ``__cause__``.
    """

    def __init__(self, message: str, project: str | None = None) -> None:
        super().__init__(message)
        self.project = project


class BudgetExceededError(BudgetRefusal):
    """The budget is spent and its action is ``block``: no call is served until the next day or a larger budget."""


class BudgetThrottleSignal(BudgetRefusal):
    """The budget is spent and its action is ``throttle``: go on with the local model.

    ``stand_in`` is its name as ``STT``, ``LLM`` and ``TTS`` take it, ``provider/model`` or a provider alone; None
    where none is configured, or where the SDK kept nothing but the status of the answer.
    """

    def __init__(self, message: str, project: str | None = None, stand_in: str | None = None) -> None:
        super().__init__(message, project)
        self.stand_in = stand_in
