"""Where a sidecar listens: its own address, the IPv6 twin of the default one, and the port of orchestrators' probes."""

from __future__ import annotations

import errno
import logging
import socket

from aiohttp import web

from voicegw_sidecar.api import health
from voicegw_sidecar.api.answers import RUNTIME
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.runtime import Runtime

logger = logging.getLogger(__name__)


async def listen(runner: web.AppRunner, host: str, port: int) -> list[str]:
    """Bind; on the default address also its IPv6 twin, where the machine has one. Returns base URLs."""
    await _bind(runner, host, port, host_key="serve.host", port_key="serve.port")
    bound = runner.addresses[0][1]
    addresses = [f"http://{f'[{host}]' if ':' in host else host}:{bound}"]
    if host == "127.0.0.1" and socket.has_ipv6:
        try:
            await web.TCPSite(runner, "::1", bound).start()
            addresses.append(f"http://[::1]:{bound}")
        except OSError:
            logger.debug("no IPv6 loopback on this machine, or its port is taken")
    return addresses


def health_runner(runtime: Runtime) -> web.AppRunner:
    """Return what answers probes: two routes, no key, whatever name the caller uses for this machine."""
    app = web.Application()
    app[RUNTIME] = runtime
    app.add_routes([web.get("/health", health.health), web.get("/ready", health.ready)])
    return web.AppRunner(app, access_log=None, keepalive_timeout=5.0, shutdown_timeout=0.5)


async def listen_for_probes(runner: web.AppRunner, port: int) -> None:
    """Bind on all interfaces: an orchestrator asks from outside, where the sidecar itself does not listen."""
    await _bind(runner, "0.0.0.0", port, host_key="serve.health_port", port_key="serve.health_port")  # noqa: S104
    try:
        await web.TCPSite(runner, "::", runner.addresses[0][1]).start()
    except OSError:
        logger.debug("no IPv6 on this machine")


async def _bind(runner: web.AppRunner, host: str, port: int, *, host_key: str, port_key: str) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            reason = f"{host}:{port} is in use by another program; stop it, or choose another with {port_key}"
        else:
            reason = f"cannot listen on {host}:{port}: {error.strerror or error}; choose another with {host_key}"
        raise ConfigError("serve", reason) from None
