"""Whether what an SDK raised is the sidecar's own word about a budget: ``translate``, and a wrapper around calls.

The answer's headers say it exactly. Where an SDK keeps none of them, the words do: they begin with the code and, of a
throttled call, with the stand-in, in whatever shape of an error the provider has. Looks at objects of others, any of
whose attributes may fail: then they say nothing, and what was raised stays what it is.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from voicegw_sidecar.inference.errors import BudgetExceededError, BudgetRefusal, BudgetThrottleSignal

if TYPE_CHECKING:
    from types import TracebackType

_F = TypeVar("_F", bound=Callable[..., Any])

EXCEEDED, THROTTLED = "budget_exceeded", "budget_throttled"
_REFUSED_STATUS = 402
_WORDS = re.compile(
    rf"(?P<code>{EXCEEDED}|{THROTTLED})(?: (?P<stand_in>[^\s\"'\\]{{1,200}}))?: "
    r"the daily budget of project (?P<project>[a-z0-9_-]{1,64})(?P<is_whole> \()?"
)
_NOTED = "voicegw_refusal"
_LOOKED_AT_MOST = 512  # exceptions and the objects they hold
_TEXT_MOST = 64 * 1024
_TEXTS = ("message", "body", "reason", "error")
_HOLDERS = ("error", "exception", "response", "rcvd", "body")
_STATUSES = ("status_code", "status", "code")


class _Told(NamedTuple):
    """What a refusal says; made into a new exception each time, so that none is raised twice."""

    code: str
    project: str | None
    stand_in: str | None

    def refusal(self) -> BudgetRefusal:
        whose = f"project {self.project}" if self.project else "the project"
        message = f"the daily budget of {whose} is spent"
        if self.code == EXCEEDED:
            return BudgetExceededError(message, self.project)
        how = f"; {self.stand_in} is its local stand-in" if self.stand_in else ""
        return BudgetThrottleSignal(f"{message}{how}", self.project, self.stand_in)


def translate(found: object) -> BudgetRefusal | None:
    """Return what a refusal by a budget means, or None for anything else.

    ``found`` is what a call raised: an SDK's exception, a LiveKit plugin's, one inside of another; or what a framework
    tells an error handler, such as LiveKit's ``ErrorEvent`` and Pipecat's ``ErrorFrame``. A provider's own 402 is
    none of ours. Never raises.
    """
    if isinstance(found, BudgetRefusal):
        return found
    told = _told(found)
    return None if told is None else told.refusal()


def note_refusal(event: object) -> None:
    """Keep with an exception what it means, as a listener to the ``error`` events of LiveKit's objects.

    Their streams raise it again when all that it came from is forgotten, and some of their plugins keep nothing of
    an answer but its status.
    """
    raised = _held(event, "error")
    if isinstance(raised, Exception) and (told := _told(raised)) is not None:
        setattr(raised, _NOTED, told)


class budget_errors:
    """Raise `BudgetExceededError` and `BudgetThrottleSignal` for what any SDK raises within.

    ``with inference.budget_errors():`` around awaited or plain calls, or as the decorator of a function, plain or
    ``async``, generators included. The SDK's exception is the cause; all others go through as they are.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not isinstance(raised, Exception) or isinstance(raised, BudgetRefusal):
            return
        refusal = translate(raised)
        if refusal is not None:
            raise refusal from raised

    def __call__(self, function: _F) -> _F:
        from functools import wraps
        from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction

        wrapped: Any = _called
        if isasyncgenfunction(function):
            wrapped = _each_awaited
        elif isgeneratorfunction(function):
            wrapped = _each
        elif iscoroutinefunction(function):
            wrapped = _awaited

        # of the function's own kind, which frameworks look at
        same: Any = wraps(function)(wrapped(function))
        return same  # type: ignore[no-any-return]


def _awaited(function: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def awaited(*args: Any, **named: Any) -> Any:
        with budget_errors():
            return await function(*args, **named)

    return awaited


def _each_awaited(function: Callable[..., AsyncIterator[Any]]) -> Callable[..., AsyncIterator[Any]]:
    async def each(*args: Any, **named: Any) -> AsyncIterator[Any]:
        from contextlib import aclosing

        with budget_errors():
            async with aclosing(function(*args, **named)) as found:  # type: ignore[type-var] # a generator has it
                async for one in found:
                    yield one

    return each


def _each(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    def each(*args: Any, **named: Any) -> Iterator[Any]:
        with budget_errors():
            return (yield from function(*args, **named))

    return each


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a plain function; one that returns something to be awaited is as good as an ``async`` one."""

    def called(*args: Any, **named: Any) -> Any:
        with budget_errors():
            found = function(*args, **named)
        return _later(found) if isinstance(found, Awaitable) else found

    async def _later(found: Awaitable[Any]) -> Any:
        with budget_errors():
            return await found

    return called


def _told(found: object) -> _Told | None:
    looked_at = list(_related(found))
    noted = next((told for one in looked_at if isinstance(told := _held(one, _NOTED), _Told)), None)
    if noted is not None:
        return noted
    words = next((match for one in looked_at for text in _texts(one) if (match := _WORDS.search(text))), None)
    for one in looked_at:
        code = _header(one, "X-VoiceGW-Error")
        if code in (EXCEEDED, THROTTLED):
            stand_in = _header(one, "X-VoiceGW-Throttle-To") or (words and words["stand_in"])
            return _Told(code, _header(one, "X-VoiceGW-Project") or _project(words), stand_in)
    return None if words is None else _Told(words["code"], _project(words), words["stand_in"])


def _project(words: re.Match[str] | None) -> str | None:
    """Return the project that the words name; the reason of a socket's close may be cut off anywhere."""
    return words["project"] if words is not None and words["is_whole"] else None


def _related(found: object) -> Iterator[object]:
    """Yield an object, what it was raised from, and what it holds, nearest first."""
    waiting, seen = [found], set[int]()
    while waiting and len(seen) < _LOOKED_AT_MOST:
        one = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, BaseException):
            waiting += [one.__cause__, _converted(one)]
            parts = _held(one, "exceptions")
            waiting += [*parts] if isinstance(parts, list | tuple) else []
            waiting += [held for held in one.args if isinstance(held, BaseException)]
        waiting += [held for name in _HOLDERS if not isinstance(held := _held(one, name), str | bytes)]


def _converted(raised: BaseException) -> BaseException | None:
    """Return what an SDK's exception stands for without naming it as its cause.

    Python also notes as context what was being handled when something quite different went wrong, such as the local
    model that was to step in. So: an exception of a call to a provider, raised where the other was caught.
    """
    context = raised.__context__
    is_of_a_call = _status(raised) == _REFUSED_STATUS or _held(raised, "retryable") is not None
    if context is None or raised.__cause__ is not None or not is_of_a_call:
        return None
    frames = _frames(raised)
    return context if frames and frames[-1] in _frames(context) else None


def _frames(raised: BaseException) -> list[FrameType]:
    found = list[FrameType]()
    trace = raised.__traceback__
    while trace is not None and len(found) < _LOOKED_AT_MOST:
        found.append(trace.tb_frame)
        trace = trace.tb_next
    return found


def _texts(one: object) -> Iterator[str]:
    """Yield what an object says; not of an answer of another status, nor what Python's own exceptions quote."""
    status = _status(one)
    if status not in (None, _REFUSED_STATUS) or type(one).__module__ == builtins.__name__ == _module_of_error(one):
        return
    if isinstance(one, BaseException):
        yield _text(one)
    for name in _TEXTS:
        held = _held(one, name)
        if isinstance(held, bytes):
            yield held[:_TEXT_MOST].decode(errors="replace")
        elif isinstance(held, str | dict | list):
            yield _text(held)


def _module_of_error(one: object) -> str:
    """Return the module of an exception's class, empty for what is no exception."""
    return type(one).__module__ if isinstance(one, BaseException) else ""


def _status(one: object) -> int | None:
    """Return the HTTP status that an object tells; a close code of a socket is none."""
    for name in _STATUSES:
        status = _held(one, name)
        if isinstance(status, int) and 100 <= status <= 599:
            return status
    return None


def _text(one: object) -> str:
    try:
        return str(one)[:_TEXT_MOST]
    except Exception:
        return ""


def _header(one: object, name: str) -> str | None:
    headers = _held(one, "headers")
    if not isinstance(headers, Mapping):
        return None
    for spelling in (name, name.lower()):  # some keep headers in a plain dict
        if isinstance(value := _found(headers, spelling), str):
            return value
    return None


def _found(headers: Mapping[str, object], name: str) -> object:
    try:
        return headers.get(name)
    except Exception:
        return None


def _held(one: object, name: str) -> object:
    try:
        return getattr(one, name, None)
    except Exception:  # a property of somebody's exception that fails says nothing of ours
        return None
