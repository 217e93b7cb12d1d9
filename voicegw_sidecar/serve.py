"""Runs a sidecar: binds, becomes ready, drains on a signal, and stops with every row written."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from msgspec import Struct

from voicegw_sidecar import tasks
from voicegw_sidecar.app import RELAY, build_app, build_runtime
from voicegw_sidecar.clock import Clock
from voicegw_sidecar.config import Loaded
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.relay.server import SERVER_SETTINGS, Relay
from voicegw_sidecar.reload import reload, watch
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.web.page_process import PageProcess
from voicegw_sidecar.web.render import PAGES

logger = logging.getLogger(__name__)

_SWITCH_INTERVAL_S = 0.0005  # the writer thread gets its turn in half a millisecond, not the usual five


class Running(Struct):
    """A sidecar that listens; ``addresses`` are base URLs."""

    runtime: Runtime
    app: web.Application
    relay: Relay
    addresses: list[str]


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
        runner = web.AppRunner(app, shutdown_timeout=1.0, **SERVER_SETTINGS)  # type: ignore[arg-type]  # of many types
        await runner.setup()
        try:
            addresses = await _listen(runner, loaded.config.serve.host, loaded.config.serve.port)
            runtime.is_ready = True
            yield Running(runtime, app, app[RELAY], addresses)
        finally:
            runtime.is_ready = False
            await runner.cleanup()
    finally:
        lost = await runtime.store.close()
        if lost:
            logger.error("rows could not be written before the end", extra={"rows": lost})


async def serve(
    loaded: Loaded, announce: Callable[[Running], None], read: Callable[[], Loaded], pages: PageProcess,
    *, is_watching: bool,
) -> None:  # fmt: skip
    """Serve until told to stop, then drain; a second signal ends it at once.

    ``read`` reads the configuration again: on a hang-up, and with ``is_watching`` when its file changes.
    """
    stop, stop_now = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        (stop_now if stop.is_set() else stop).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    # without a handler a hang-up, which means "read your file again", would end the process while it starts
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    async with running(loaded, pages=pages) as sidecar:
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
        await drain(sidecar, sidecar.runtime.catalog.config.serve.drain_seconds, stop_now)


async def drain(sidecar: Running, limit_s: float, stop_now: asyncio.Event) -> None:
    """Take no new calls and wait for the running ones, up to the limit or a second signal."""
    sidecar.runtime.is_draining = True
    logger.info("draining", extra={"running": sidecar.relay.running, "limit_s": limit_s})
    waits = [tasks.spawn(sidecar.relay.until_idle(), name="drain"), tasks.spawn(stop_now.wait(), name="second signal")]
    await asyncio.wait(waits, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


async def _listen(runner: web.AppRunner, host: str, port: int) -> list[str]:
    """Bind; on the default address also its IPv6 twin, where the machine has one."""
    addresses = []
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"{host}:{port} is in use by another program; stop it, or choose another with serve.port"
        else:
            reason = f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with serve.host"
        raise ConfigError("serve", reason) from None
    bound = runner.addresses[0][1]
    addresses.append(f"http://{f'[{host}]' if ':' in host else host}:{bound}")
    if host == "127.0.0.1" and socket.has_ipv6:
        try:
            await web.TCPSite(runner, "::1", bound).start()
            addresses.append(f"http://[::1]:{bound}")
        except OSError:
            logger.debug("no IPv6 loopback on this machine, or its port is taken")
    return addresses


def run(
    loaded: Loaded, announce: Callable[[Running], None], read: Callable[[], Loaded], *, is_watching: bool = False
) -> None:
    """Serve on the fastest event loop that is installed."""
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
