"""Runs a sidecar: binds, becomes ready, drains on a signal, and stops with every row written."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar import tasks
from voicegw_sidecar.api.answers import RELAY
from voicegw_sidecar.app import build_app, build_runtime
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.config import Loaded
from voicegw_sidecar.drain import drain
from voicegw_sidecar.listening import health_runner, listen, listen_for_probes
from voicegw_sidecar.relay.server import SERVER_SETTINGS, Relay
from voicegw_sidecar.reload import reload, watch
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.web.page_process import PageProcess
from voicegw_sidecar.web.render import PAGES

logger = logging.getLogger(__name__)

_ECHO_S = 0.5
"""The same signal, again so soon, is the same one: the executable's first process passes on what the terminal, or a
supervisor that signals every process of a service, has sent to both."""
_SWITCH_INTERVAL_S = 0.0005  # the writer thread gets its turn in half a millisecond, not the usual five


class Running(Struct):
    """A sidecar that listens; ``addresses`` are base URLs, ``health_port`` that of probes where there is one."""

    runtime: Runtime
    app: web.Application
    relay: Relay
    addresses: list[str]
    health_port: int | None


@asynccontextmanager
async def running(
    loaded: Loaded, clock: Clock | None = None, pages: PageProcess | None = None
) -> AsyncIterator[Running]:
    """Start a sidecar, and stop it in order: listeners, provider connections, the store, then what draws pages."""
    try:
        async with _running(loaded, clock, pages) as sidecar:
            yield sidecar
    finally:
        if pages is not None:
            await pages.close()


@asynccontextmanager
async def _running(loaded: Loaded, clock: Clock | None, pages: PageProcess | None) -> AsyncIterator[Running]:
    runtime = await asyncio.to_thread(build_runtime, loaded, clock)
    try:
        app = await asyncio.to_thread(build_app, runtime)
        if pages is not None:
            await pages.open()
            app[PAGES] = pages
        async with AsyncExitStack() as probes:
            health_port = await _answer_probes(runtime, probes)
            runner = web.AppRunner(app, shutdown_timeout=1.0, **SERVER_SETTINGS)  # type: ignore[arg-type]  # many types
            await runner.setup()
            try:
                addresses = await listen(runner, loaded.config.serve.host, loaded.config.serve.port)
                runtime.is_ready = True
                yield Running(runtime, app, app[RELAY], addresses, health_port)
            finally:
                runtime.is_ready = False
                await runner.cleanup()
    finally:
        lost = await runtime.store.close()
        if lost:
            logger.error("rows could not be written before the end", extra={"rows": lost})


async def _answer_probes(runtime: Runtime, probes: AsyncExitStack) -> int | None:
    """Answer orchestrators until the very end, from before the sidecar itself listens; returns the port."""
    port = runtime.catalog.config.serve.health_port
    if port is None:
        return None
    runner = health_runner(runtime)
    await runner.setup()
    probes.push_async_callback(runner.cleanup)
    await listen_for_probes(runner, port)
    return int(runner.addresses[0][1])


async def serve(
    loaded: Loaded, announce: Callable[[Running], None], read: Callable[[], Loaded], pages: PageProcess,
    *, is_watching: bool,
) -> None:  # fmt: skip
    """Serve until told to stop, then drain; a second signal ends it at once.

    ``read`` reads the configuration again: on a hang-up, and with ``is_watching`` when its file changes.
    """
    stop, stop_now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    told: tuple[signal.Signals, float] | None = None

    def on_signal(number: signal.Signals) -> None:
        nonlocal told
        if told is None:
            told = number, loop.time()
            stop.set()
        elif number is not told[0] or loop.time() - told[1] > _ECHO_S:
            stop_now.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    # without a handler a hang-up, which means "read your file again", would end the process while it starts
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    async with running(loaded, pages=pages) as sidecar:
        sidecar.runtime.stop_now = stop_now
        gc.collect()
        gc.freeze()  # what start-up made lives as long as the process: no collection walks it again
        reloading = asyncio.Lock()

        async def read_again() -> None:
            async with reloading:
                await reload(sidecar.runtime, read)

        loop.add_signal_handler(signal.SIGHUP, lambda: tasks.spawn(read_again(), name="reload"))
        watching = tasks.spawn(watch(sidecar.runtime, read), name="watch") if is_watching else None
        announce(sidecar)
        await stop.wait()
        if watching is not None:
            watching.cancel()
        await drain(sidecar.runtime, sidecar.relay, sidecar.runtime.catalog.config.serve.drain_seconds)


def run(
    loaded: Loaded, announce: Callable[[Running], None], read: Callable[[], Loaded], *, is_watching: bool = False
) -> None:
    """Serve on the fastest event loop that is installed."""
    # whoever started us may have had them blocked, and blocked they stay: nobody could end us
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    pages = PageProcess.forked()  # now: there is one thread, and nothing is open yet
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(loaded, announce, read, pages, is_watching=is_watching))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where it is installed; None is asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
