"""Neutral voice events and their times to exchanges: the only place that knows what TTFT, TTFA and lag mean."""

from voicegw_sidecar.meter.meter import Change, Closed, Meter, Opened

__all__ = ["Change", "Closed", "Meter", "Opened"]
