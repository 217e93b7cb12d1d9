"""Whether what an SDK raised is the sidecar's own word about a budget: ``translate``, and a wrapper around calls.

The answer's headers say it exactly. Where an SDK keeps none of them, the words do: they begin with the code and, of a
throttled call, with the stand-in, in whatever shape of an error the provider has.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from voicegw_sidecar.inference.errors import BudgetExceededError, BudgetRefusal, BudgetThrottleSignal

if TYPE_CHECKING:
    from types import TracebackType

_F = TypeVar("_F", bound=Callable[..., Any])

EXCEEDED, THROTTLED = "budget_exceeded", "budget_throttled"
_REFUSED_STATUS = 402
_WORDS = re.compile(
    rf"(?P<code>{EXCEEDED}|{THROTTLED})(?: (?P<stand_in>[^\s\"'\\]{{1,200}}))?: "
    r"the daily budget of project (?P<project>[a-z0-9_-]{1,64})(?P<rest> [^\"\\\]}]*)?"
)
_LOOKED_AT_MOST = 64  # exceptions and the objects they hold
_TEXT_MOST = 64 * 1024
_NOTED = "voicegw_refusal"
_TEXTS = ("message", "body", "reason", "error")
_HOLDERS = ("error", "exception", "response", "rcvd", "body")


def translate(found: object) -> BudgetRefusal | None:
    """Return what a refusal by a budget means, or None for anything else.

    ``found`` is what a call raised: an SDK's exception, a LiveKit plugin's, one inside of another; or what a framework
    tells an error handler, such as LiveKit's ``ErrorEvent`` and Pipecat's ``ErrorFrame``. A provider's own 402 is
    none of ours.
    """
    if isinstance(found, BudgetRefusal):
        return found
    looked_at = list(_related(found))
    noted = next((refusal for one in looked_at if isinstance(refusal := _held(one, _NOTED), BudgetRefusal)), None)
    if noted is not None:
        return noted
    words = next((match for one in looked_at for text in _texts(one) if (match := _WORDS.search(text))), None)
    for one in looked_at:
        code = _header(one, "X-VoiceGW-Error")
        if code in (EXCEEDED, THROTTLED):
            return _refusal(code, _header(one, "X-VoiceGW-Throttle-To"), words)
    return None if words is None else _refusal(words["code"], words["stand_in"], words)


def note_refusal(event: object) -> None:
    """Keep with an exception what it means, as a listener to the ``error`` events of LiveKit's objects.

    Their streams raise it again when all that it came from is forgotten, and some of their plugins keep nothing of
    an answer but its status.
    """
    raised = _held(event, "error")
    if isinstance(raised, Exception) and (refusal := translate(raised)) is not None:
        setattr(raised, _NOTED, refusal)


class budget_errors:
    """Raise `BudgetExceededError` and `BudgetThrottleSignal` for what any SDK raises within.

    ``with inference.budget_errors():`` around awaited or plain calls, or as the decorator of a function, plain or
    ``async``. The SDK's exception is the cause; all others go through as they are.
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
        from inspect import iscoroutinefunction

        @wraps(function)
        def plain(*args: Any, **named: Any) -> Any:
            with budget_errors():
                return function(*args, **named)

        @wraps(function)
        async def awaited(*args: Any, **named: Any) -> Any:
            with budget_errors():
                result: Awaitable[Any] = function(*args, **named)
                return await result

        wrapped: Any = awaited if iscoroutinefunction(function) else plain
        return wrapped  # type: ignore[no-any-return] # it takes and returns what the function does


def _refusal(code: str, stand_in: str | None, words: re.Match[str] | None) -> BudgetRefusal:
    project = None
    message = "the project's daily budget is spent"
    if words is not None:
        is_whole = words["rest"] is not None  # the reason of a socket's close may be cut off anywhere
        project = words["project"] if is_whole else None
        message = f"the daily budget of project {words['project']}{words['rest'] or ''}".rstrip(" .")
    if code == EXCEEDED:
        return BudgetExceededError(message, project)
    return BudgetThrottleSignal(message, project, stand_in or (words["stand_in"] if words else None))


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
            waiting += [one.__cause__, _converted(one), *getattr(one, "exceptions", ())]
            waiting += [held for held in one.args if isinstance(held, BaseException)]
        waiting += [held for name in _HOLDERS if not isinstance(held := _held(one, name), str | bytes)]


def _converted(raised: BaseException) -> BaseException | None:
    """Return what an exception replaces without naming it as its cause.

    Python also notes here what was being handled when something quite different went wrong, such as the local model
    that was to step in; that is not what ``raised`` is about.
    """
    is_same = raised.__suppress_context__ or _held(raised, "status_code") == _REFUSED_STATUS
    return raised.__context__ if is_same and raised.__cause__ is None else None


def _texts(one: object) -> Iterator[str]:
    if isinstance(one, BaseException | dict | list):
        yield _bounded(str(one))
    for name in _TEXTS:
        held = _held(one, name)
        if isinstance(held, bytes):
            yield _bounded(held[:_TEXT_MOST].decode(errors="replace"))
        elif isinstance(held, str):
            yield _bounded(held)


def _bounded(text: str) -> str:
    return text[:_TEXT_MOST]


def _header(one: object, name: str) -> str | None:
    get = getattr(_held(one, "headers"), "get", None)
    if get is None:
        return None
    for spelling in (name, name.lower()):  # some keep headers in a plain dict
        value = get(spelling)
        if isinstance(value, str):
            return value
    return None


def _held(one: object, name: str) -> object:
    try:
        return getattr(one, name, None)
    except Exception:  # a property of somebody's exception that fails says nothing of ours
        return None
