"""Spans handed to a collector by OpenTelemetry's SDK: OTLP over HTTP. The only module that imports it.

The SDK comes with the extra ``otlp`` and takes a while to import: only where an endpoint is configured, and on the
exporting thread.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from voicegw_sidecar import __version__
from voicegw_sidecar.tracing.spans import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

TIMEOUT_S = 10.0
"""How long one export may take, its repetitions included."""
_PATH = "/v1/traces"


def is_installed() -> bool:
    """Say whether the extra is there, without importing it."""
    try:
        return importlib.util.find_spec("opentelemetry.exporter.otlp.proto.http.trace_exporter") is not None
    except ModuleNotFoundError:
        return False


def address_of(endpoint: str) -> str:
    """Return where traces go: the endpoint is a collector's base address, or already the full one."""
    base = endpoint.rstrip("/")
    return base if base.endswith(_PATH) else base + _PATH


class Exporter:
    """Exports to one endpoint; used on one thread. ``OTEL_EXPORTER_OTLP_HEADERS`` is honoured, proxies are not."""

    def __init__(self, endpoint: str, node_id: str) -> None:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        # what goes wrong is counted and told by the queue; the SDK would log it with addresses and answers
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        session = requests.Session()
        session.trust_env = False
        session.max_redirects = 0
        self._exporter = OTLPSpanExporter(endpoint=address_of(endpoint), timeout=TIMEOUT_S, session=session)
        self._scope = InstrumentationScope("voicegw-sidecar", __version__)
        self._resource = Resource.create({
            "service.name": "voicegw-sidecar", "service.version": __version__, "service.instance.id": node_id,
        })  # fmt: skip

    def export(self, spans: Iterable[Span]) -> bool:
        """Send spans; False where the collector did not take them."""
        from opentelemetry.sdk.trace.export import SpanExportResult

        return self._exporter.export([self._readable(span) for span in spans]) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Give up what is under way; safe from any thread."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(span_id: int) -> SpanContext:
            return SpanContext(span.trace_id, span_id, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

        return ReadableSpan(
            name=span.name,
            context=context(span.span_id),
            parent=None if span.parent_id is None else context(span.parent_id),
            resource=self._resource,
            attributes=span.attributes,
            kind=SpanKind.CLIENT if span.is_call else SpanKind.INTERNAL,
            status=Status(StatusCode.UNSET) if span.error is None else Status(StatusCode.ERROR, span.error),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )
