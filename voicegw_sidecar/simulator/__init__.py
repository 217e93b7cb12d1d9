"""Simulated providers that speak the real wire protocols, and scripted voice agents to talk through them.

For offline trials, the demonstration and the tests. Knows nothing of the sidecar: neither its addresses,
nor its configuration, nor its prices.
"""

from __future__ import annotations

from voicegw_sidecar.simulator.ledger import Entry, Ledger, frames_sha256
from voicegw_sidecar.simulator.script import Failure, FailureKind, Listening, Rule, Script, Speaking, Thinking
from voicegw_sidecar.simulator.server import Simulator

__all__ = [
    "Entry",
    "Failure",
    "FailureKind",
    "Ledger",
    "Listening",
    "Rule",
    "Script",
    "Simulator",
    "Speaking",
    "Thinking",
    "frames_sha256",
]
