"""A changed configuration put in force while calls run: on SIGHUP, and with ``--watch`` when the file changes.

A bad file is refused and the running configuration stays. What runs, runs to its end with what it began with; the
next call and the next session have the new one.
"""

from __future__ import annotations

import asyncio
import logging
import stat
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from voicegw_sidecar.brands import FileLogos, read_file_logos
from voicegw_sidecar.config import Config, Loaded
from voicegw_sidecar.config.visible import differences
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.managed_projects import judge
from voicegw_sidecar.operating.commit import Change, audit_statement
from voicegw_sidecar.runtime import Runtime

logger = logging.getLogger(__name__)

WATCH_S = 1.0


async def reload(runtime: Runtime, read: Callable[[], Loaded]) -> None:
    """Read the configuration again and put it in force, or say why not."""
    async with runtime.changing:  # no project is made or changed meanwhile: it would be judged by the file before
        await _reload(runtime, read)


async def _reload(runtime: Runtime, read: Callable[[], Loaded]) -> None:
    old = runtime.loaded.config
    try:
        loaded, logos = await asyncio.to_thread(_read_regular, runtime.loaded.path, read)
    except ConfigError as error:
        runtime.config_error = error.message
        runtime.metrics.reloaded(runtime.clock.wall_ns(), is_in_force=False)
        logger.error("configuration refused, the running one stays", extra={"reason": error.message})
        return
    config, waiting = running_with(old, loaded.config)
    changes = await asyncio.to_thread(differences, old, config)
    rows = list(runtime.managed.values())
    runtime.judged = await asyncio.to_thread(judge, rows, config, loaded.environ)
    runtime.config_error = None
    runtime.waiting_for_restart = waiting
    runtime.loaded = replace(loaded, config=config)
    runtime.brands.file_logos = logos
    runtime.put_in_force()
    runtime.metrics.reloaded(runtime.clock.wall_ns(), is_in_force=True)
    _tell(runtime, *changes)
    logger.info("configuration reloaded", extra={"projects": len(config.projects)})
    if waiting:
        logger.warning("changed, but in force only after a restart", extra={"keys": ", ".join(waiting)})


def _tell(runtime: Runtime, before: object, after: object) -> None:
    """Write the line of a file that changed something."""
    if before != after:
        change = Change("the configuration file", "configuration.reload", None, before, after)
        runtime.store.execute(audit_statement(runtime, change))


def _read_regular(path: Path | None, read: Callable[[], Loaded]) -> tuple[Loaded, FileLogos]:
    """Read a file again, but no pipe: that would wait for a writer, and every later reload with it.

    Nor an empty file, which is what a write that has only begun looks like: it would take every project away.
    """
    if path is not None:
        try:
            found = path.stat()
        except OSError as error:  # gone, above all: the defaults, without projects and keys, are not what is meant
            reason = f"cannot be read: {error.strerror}; put it back, or restart the sidecar to run without it"
            raise ConfigError(str(path), reason) from None
        if not stat.S_ISREG(found.st_mode):
            raise ConfigError(str(path), "expected a file; only at the start may it be anything else")
        if found.st_size == 0:
            raise ConfigError(str(path), "the file is empty; write it whole, or restart the sidecar if that is meant")
    loaded = read()
    if path is not None and loaded.path != path:
        raise ConfigError(str(loaded.path), f"expected {path} again; restart the sidecar to read another file")
    return loaded, read_file_logos(loaded.config.projects.values())


def running_with(old: Config, new: Config) -> tuple[Config, tuple[str, ...]]:
    """Return the new configuration as far as a running sidecar can take it, and the keys that wait for a restart."""
    kept = replace(
        new,
        timezone=old.timezone,
        logging=old.logging,
        cost_tracking=replace(new.cost_tracking, enabled=old.cost_tracking.enabled, db_path=old.cost_tracking.db_path),
        serve=replace(new.serve, host=old.serve.host, port=old.serve.port, health_port=old.serve.health_port),
    )
    changed = {
        "timezone": old.timezone != new.timezone,
        "logging": old.logging != new.logging,
        "cost_tracking.enabled": old.cost_tracking.enabled != new.cost_tracking.enabled,
        "cost_tracking.db_path": old.cost_tracking.db_path != new.cost_tracking.db_path,
        "serve.host": old.serve.host != new.serve.host,
        "serve.port": old.serve.port != new.serve.port,
        "serve.health_port": old.serve.health_port != new.serve.health_port,
    }
    return kept, tuple(name for name, is_changed in changed.items() if is_changed)


async def watch(runtime: Runtime, read: Callable[[], Loaded]) -> None:
    """Reload whenever the file has changed and been left alone for a moment, until cancelled."""
    path = runtime.loaded.path
    if path is None:
        logger.warning("there is no configuration file to watch")
        return

    def stamp() -> tuple[int, int] | None:
        try:
            found = path.stat()
        except OSError:  # an editor is replacing it
            return None
        return found.st_mtime_ns, found.st_size

    known = before = await asyncio.to_thread(stamp)
    while True:
        await asyncio.sleep(WATCH_S)
        now = await asyncio.to_thread(stamp)
        # a file that still changes, or is empty, is being written: half of it would be another configuration
        is_whole = now is not None and now == before and now[1] > 0
        before = now
        if is_whole and now != known:
            known = now
            await reload(runtime, read)
