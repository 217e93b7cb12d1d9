"""The agents' side of the sidecar: ``from voicegw_sidecar import inference``.

Imports nothing of the sidecar and nothing heavy. Frameworks are imported when an object of theirs is asked for, and
the sidecar is spoken to only by ``open_session`` and, where ``VOICEGW_AUTOSTART`` is 1, to see whether it runs.
"""

from voicegw_sidecar.inference.errors import (
    BudgetExceededError,
    BudgetRefusal,
    BudgetThrottleSignal,
    InferenceError,
    MissingExtraError,
    SessionRefusedError,
    SidecarNotRunningError,
)
from voicegw_sidecar.inference.livekit import LLM, STT, TTS
from voicegw_sidecar.inference.refusals import budget_errors, translate
from voicegw_sidecar.inference.scope import (
    base_url,
    current_project,
    current_session,
    set_project,
    set_session,
    unified_url,
    ws_url,
)
from voicegw_sidecar.inference.session import Leg, Route, Session, open_session

__all__ = [
    "LLM", "STT", "TTS", "BudgetExceededError", "BudgetRefusal", "BudgetThrottleSignal", "InferenceError", "Leg",
    "MissingExtraError", "Route", "Session", "SessionRefusedError", "SidecarNotRunningError", "base_url",
    "budget_errors", "current_project", "current_session", "open_session", "set_project", "set_session", "translate",
    "unified_url", "ws_url",
]  # fmt: skip
