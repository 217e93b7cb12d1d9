"""``serve`` and ``demo``: the commands that run until they are stopped."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from msgspec.structs import replace

from voicegw_sidecar.cli.database import settings_of
from voicegw_sidecar.cli.output import say

if TYPE_CHECKING:
    from voicegw_sidecar.config import Loaded
    from voicegw_sidecar.serve import Running


def add_serve_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``serve``."""
    parser.add_argument("--host", help="address to listen on; a loopback one")
    parser.add_argument("--port", type=port, help="port to listen on; 0 takes a free one")
    parser.add_argument("--watch", action="store_true", help="read the configuration again whenever its file changes")


def add_demo_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``demo``."""
    parser.add_argument("--port", type=port, default=8080, help="port of the sidecar; 0 takes a free one")
    parser.add_argument("--agents", type=_agents, default=4, metavar="N", help="scripted agents; 0 for none")


def port(text: str) -> int:
    """Read a port number."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a port number, 0 to 65535")
    return int(text)


def _agents(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 4 and int(text) <= 50):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number of agents, 0 to 50")
    return int(text)


def serve(options: argparse.Namespace) -> int:
    """Run the sidecar until a signal."""
    from voicegw_sidecar.log import set_up
    from voicegw_sidecar.serve import run

    def read() -> Loaded:
        return with_bind(settings_of(options), options.host, options.port)

    loaded = read()
    set_up(loaded.config.logging.level, loaded.config.logging.format)
    run(loaded, _announce, read, is_watching=options.watch)
    return 0


def demo(options: argparse.Namespace) -> int:
    """Run the sidecar with simulated providers and agents until a signal."""
    from voicegw_sidecar.demo import run_demo
    from voicegw_sidecar.log import set_up

    set_up("warning", "text")
    return run_demo(options.port, options.agents, sys.stdout)


def with_bind(loaded: Loaded, host: str | None, port: int | None) -> Loaded:
    """Return the configuration with another bind; beyond this machine only with an admin key."""
    from voicegw_sidecar.config import unexposed

    serve = loaded.config.serve
    serve = replace(serve, host=serve.host if host is None else host, port=serve.port if port is None else port)
    config = replace(loaded.config, serve=serve)
    error = unexposed(config)
    if error is not None:
        raise error
    return replace(loaded, config=config)


def _reached_here(address: str) -> str:
    """Return an address as programs of this machine call it: one that stands for all addresses is nobody's."""
    return address.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")


def _announce(sidecar: Running) -> None:
    for address in sidecar.addresses:
        say(f"voicegw-sidecar listens on {address}")
    base = _reached_here(sidecar.addresses[0])
    say(f"Open {base}/ to see what it sees; point an agent's OpenAI base URL at {base}/openai/v1")
    sys.stdout.flush()
