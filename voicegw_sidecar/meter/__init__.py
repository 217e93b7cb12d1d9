"""Neutral voice events and their times to exchanges, and a session's exchanges to turns.

The only place that knows what TTFT, TTFA, lag and the parts of a turn mean.
"""

from voicegw_sidecar.meter.meter import Change, Closed, Meter, Opened
from voicegw_sidecar.meter.timed import Figures, Timed, Turn

__all__ = ["Change", "Closed", "Figures", "Meter", "Opened", "Timed", "Turn"]
