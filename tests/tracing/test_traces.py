"""A closed session arrives at a collector as one trace; a collector that is slow, gone or refuses delays nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import apsw
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Received

from tests.api.test_api import one_call, upstream
from tests.api.test_metrics import figure, figures
from tests.api.test_sessions import post
from tests.conftest import StartSidecar
from tests.sidecar import Sidecar, raw_server
from tests.test_reload import rewrite


class Collector:
    """A collector that speaks OTLP over HTTP, and answers as it is told to."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.statuses: list[int] = []
        self.holds: asyncio.Event | None = None
        self.asked = 0
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        assert request.path == "/v1/traces"
        self.asked += 1
        body = await request.read()
        if self.holds is not None:
            await self.holds.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.requests.append(ExportTraceServiceRequest.FromString(body))
        return web.Response(status=status)

    async def after(self, count: int) -> list[list[Received]]:
        """The spans of each request, once there are so many requests."""
        async with asyncio.timeout(15):
            while len(self.requests) < count:
                await asyncio.sleep(0.02)
        return [list(one.resource_spans[0].scope_spans[0].spans) for one in self.requests]


@asynccontextmanager
async def collector(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    for name, value in (("RETRY_FIRST_S", 0.02), ("RETRY_LAST_S", 0.05), ("_LOOK_S", 0.02), ("LONE_AFTER_S", 0.3)):
        monkeypatch.setattr(f"voicegw_sidecar.tracing.traces.{name}", value)
    found, app = Collector(), web.Application()
    app.router.add_post("/{tail:.*}", found.take)
    async with TestServer(app) as server:
        found.url = str(server.make_url("")).rstrip("/")
        yield found


def traced(found: Collector) -> str:
    return f"projects: {{acme: {{}}}}\notlp: {{endpoint: '{found.url}'}}\n"


def attributes(span: Received) -> dict[str, object]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


async def close(sidecar: Sidecar, session_id: str = "call-1") -> None:
    assert (await post(sidecar, f"/v1/sessions/{session_id}/close?project=acme"))[0] == 200


async def test_a_session_is_a_trace_of_its_exchanges(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        async with start_sidecar(traced(found), openai=url) as sidecar:
            exchange = await one_call(sidecar)
            assert found.asked == 0, "not before it is closed"
            await close(sidecar)
            [[root, call]] = await found.after(1)
            resource = {
                one.key: one.value.string_value for one in found.requests[0].resource_spans[0].resource.attributes
            }
            assert figure(await figures(sidecar), "traces_total", result="exported") == 1
    assert resource["service.name"] == "voicegw-sidecar"
    assert (root.name, root.parent_span_id) == ("voice session", b"")
    assert (call.name, call.parent_span_id, call.trace_id) == ("chat gpt-4.1-mini", root.span_id, root.trace_id)
    assert call.kind == Received.SPAN_KIND_CLIENT
    assert root.start_time_unix_nano <= call.start_time_unix_nano <= call.end_time_unix_nano
    told = attributes(call)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.provider.name"] == "openai"
    assert (told["gen_ai.usage.input_tokens"], told["gen_ai.usage.output_tokens"]) == (3, 2)
    assert (told["voicegw.exchange.id"], told["voicegw.cost_usd"]) == (exchange, 0.0000044)
    assert "voicegw.usage.characters" not in told, "what is not known is not there"
    assert attributes(root)["gen_ai.conversation.id"] == "call-1"
    assert attributes(root)["voicegw.exchanges"] == 1


async def test_an_exchange_without_a_session_is_a_trace_of_its_own_after_a_while(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        async with start_sidecar(traced(found), openai=url) as sidecar:
            path = f"{sidecar.url}/p/acme/openai/v1/unknown"
            async with sidecar.http.post(path, data=b"{}") as response:
                exchange = response.headers["X-VoiceGW-Exchange"]
                await response.read()
            [[span]] = await found.after(1)
    assert (span.name, span.parent_span_id) == ("relay", b"")
    assert attributes(span)["voicegw.exchange.id"] == exchange


async def test_a_collector_that_refuses_is_asked_again_and_then_given_up(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        found.statuses = [400] * 6
        caplog.set_level(logging.INFO, "voicegw_sidecar")  # to the end: that they are taken is said after it was seen
        async with start_sidecar(traced(found), openai=url) as sidecar:
            for session_id in ("call-1", "call-2"):
                await one_call(sidecar, f"/p/acme/s/{session_id}/openai/v1/chat/completions")
                await close(sidecar, session_id)
            [spans] = await found.after(1)
            assert attributes(spans[0])["session.id"] == "call-2", "the first was given up after five attempts"
            assert figure(await figures(sidecar), "traces_total", result="failed") == 1
        assert caplog.messages.count("the collector does not take traces") == 1, "once per cause"
        assert "traces are taken again" in caplog.messages


async def test_a_collector_that_hangs_delays_no_call_and_no_end(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicegw_sidecar.tracing.traces._LAST_S", 0.3)
    monkeypatch.setattr("voicegw_sidecar.tracing.traces.LIMIT", 3)
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        found.holds = asyncio.Event()
        async with start_sidecar(traced(found), openai=url) as sidecar:
            await one_call(sidecar)
            await close(sidecar)
            async with asyncio.timeout(10):
                while not found.asked:
                    await asyncio.sleep(0.01)
            for number in range(10):
                session_id = f"next-{number}"
                await one_call(sidecar, f"/p/acme/s/{session_id}/openai/v1/chat/completions")
                await close(sidecar, session_id)
            dropped = figure(await figures(sidecar), "traces_total", result="dropped")
            assert dropped == 7, "three wait, the oldest of the others are gone and counted"
            metrics, begun_s = sidecar.running.runtime.metrics, asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - begun_s < 5, "nobody waits for the ten seconds of the exporter"
        lost = metrics.registry.get_sample_value("voicegw_traces_total", {"result": "dropped"})
        assert lost == 7 + 4, "the three, and the one under way"
        found.holds.set()


async def test_what_the_end_closes_is_still_sent(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        async with start_sidecar(traced(found), openai=url) as sidecar:
            await one_call(sidecar)
            async with asyncio.timeout(10):  # the exporter is there
                while sidecar.running.runtime.trace_error is not None or not found.url:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
        [[root, _]] = await found.after(1)
    assert attributes(root)["session.id"] == "call-1"


async def test_what_ends_after_its_session_was_closed_joins_its_trace(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        async with start_sidecar(traced(found), openai=url) as sidecar:
            await one_call(sidecar)
            await close(sidecar)
            late = await one_call(sidecar)
            first, second = await found.after(2)
    root = next(span for span in first if span.name == "voice session")
    # a trace that is read after the late one was written has it too: by its ids it is the same span
    [span] = second
    assert attributes(span)["voicegw.exchange.id"] == late
    assert (span.trace_id, span.parent_span_id) == (root.trace_id, root.span_id)


async def test_a_row_that_waits_for_the_disk_is_traced_once_it_is_written(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("voicegw_sidecar.tracing.traces.ATTEMPTS", 1000)
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        async with start_sidecar(traced(found), openai=url) as sidecar:
            holder = apsw.Connection(str(sidecar.running.runtime.store.path))
            holder.execute("BEGIN IMMEDIATE")
            async with sidecar.http.post(f"{sidecar.url}/p/acme/openai/v1/unknown", data=b"{}") as response:
                await response.read()
            await asyncio.sleep(0.6)  # twice as long as an exchange by itself waits here
            assert found.asked == 0
            assert "traces are taken again" not in caplog.messages
            holder.execute("ROLLBACK")
            holder.close()
            [[span]] = await found.after(1)
            assert span.name == "relay"


async def test_a_reload_begins_and_ends_it(start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch) -> None:
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        async with start_sidecar("projects: {acme: {}}\notlp: {}\n", openai=url) as sidecar:
            await one_call(sidecar, "/p/acme/s/before/openai/v1/chat/completions")
            await close(sidecar, "before")
            await rewrite(sidecar, "otlp: {}", f"otlp: {{endpoint: '{found.url}/v1/traces'}}")
            await one_call(sidecar)
            await close(sidecar)
            [[root, _]] = await found.after(1)
            assert attributes(root)["session.id"] == "call-1"
            await rewrite(sidecar, f"otlp: {{endpoint: '{found.url}/v1/traces'}}", "otlp: {}")
            await one_call(sidecar, "/p/acme/s/after/openai/v1/chat/completions")
            await close(sidecar, "after")
            await asyncio.sleep(0.2)
            assert found.asked == 1


async def test_without_the_extra_it_is_said_and_calls_go_on(
    start_sidecar: StartSidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voicegw_sidecar.tracing.traces.is_installed", lambda: False)
    async with raw_server(upstream) as url, collector(monkeypatch) as found:
        async with start_sidecar(traced(found), openai=url) as sidecar:
            async with asyncio.timeout(10):
                while sidecar.running.runtime.trace_error is None:
                    await asyncio.sleep(0.01)
            ready = await sidecar.get_json("/ready")
            assert ready["status"] == "degraded"
            assert "pip install 'voicegw-sidecar[otlp]'" in ready["reasons"][0]
            await one_call(sidecar)
            await close(sidecar)
    assert found.asked == 0
