"""Named, referenced, supervised tasks: the only place that starts one.

asyncio keeps only weak references to tasks and swallows their failures; `spawn` does neither.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

logger = logging.getLogger(__name__)

T = TypeVar("T")

_alive: set[asyncio.Task[Any]] = set()


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start ``work`` as a task that stays referenced until done and whose failure is logged by name."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _alive.add(task)
    task.add_done_callback(_finished)
    return task


def alive() -> list[str]:
    """Names of the tasks still running; empty after an orderly shutdown."""
    return sorted(task.get_name() for task in _alive if not task.done())


def _finished(task: asyncio.Task[Any]) -> None:
    _alive.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("task failed", extra={"task": task.get_name(), "error": type(error).__name__})
