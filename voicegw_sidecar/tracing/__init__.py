"""Traces for an OpenTelemetry collector: a session is a trace, its turns and exchanges are spans.

Told from the rows of what has ended, so no call carries a span. `spans` puts rows into spans, `export` hands them to
the official SDK, which is an optional extra; `traces` is the queue between the two.
"""

from voicegw_sidecar.tracing.export import is_installed
from voicegw_sidecar.tracing.traces import Traces

__all__ = ["Traces", "is_installed"]
