"""The data plane: sockets and frames, nothing else. What is outside sees only the names exported here.

A request arrives, ``decide`` answers with a `Plan` (where to, which headers, who observes) or a `Refusal`,
and the relay does the rest: forward first, then tell the observer.
"""

from voicegw_sidecar.relay.plan import Arrival, Decide, Gate, Observer, Plan, Refusal, Served, Stop, Timeouts, Watch
from voicegw_sidecar.relay.server import Relay

__all__ = ["Arrival", "Decide", "Gate", "Observer", "Plan", "Refusal", "Relay", "Served", "Stop", "Timeouts", "Watch"]
