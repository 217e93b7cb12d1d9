"""Every error the sidecar raises on purpose: one base, leaves that say whose fault it is.

A leaf knows its code and HTTP status (contract §2), so no table maps one to the other. A message says
what was found, what is expected and what to do; it never holds a key, a prompt, a transcript or audio.
"""

from __future__ import annotations


class SidecarError(Exception):
    """Base of all deliberate errors; ``code`` is what ``X-VoiceGW-Error`` carries."""

    code = "internal"
    status = 500
    retry_helps = False
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of the answer that carries it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ConfigError(SidecarError):
    """The configuration is wrong: the operator's to mend. ``path`` is the dotted path in the file."""

    code = "bad_config"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


class BadRequest(SidecarError):
    """A request that cannot be understood: names the field, what was found and what is expected."""

    code = "bad_request"
    status = 400


class Unauthorized(SidecarError):
    """No key, or one that is not known."""

    code = "unauthorized"
    status = 401


class Forbidden(SidecarError):
    """A known key that may not do this."""

    code = "forbidden"
    status = 403


class CrossSite(SidecarError):
    """A browser page of another site tried to use the sidecar."""

    code = "cross_site"
    status = 403


class BadHost(SidecarError):
    """A Host header that is not this sidecar's: DNS rebinding, or ``serve.allowed_hosts`` is missing it."""

    code = "bad_host"
    status = 421


class NotFound(SidecarError):
    """Nothing is at this address."""

    code = "not_found"
    status = 404


class UnknownProject(NotFound):
    """The project named is neither configured nor the default one."""

    code = "unknown_project"


class UnknownProvider(NotFound):
    """The provider named is neither built in nor configured."""

    code = "unknown_provider"


class NoRoute(SidecarError):
    """No triple may be taken: none fits the latency budget, a roster is empty, or an override is outside its roster."""

    code = "no_route"
    status = 409


class TooManyGuesses(SidecarError):
    """Wrong keys came from this address too often; ``wait_s`` is when the next may be tried."""

    code = "too_many_guesses"
    status = 429

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.headers = (("Retry-After", str(max(1, round(wait_s)))),)


class Conflict(SidecarError):
    """What is to be made exists already, or a name means more than one thing."""

    code = "conflict"
    status = 409


class UnknownSession(NotFound):
    """No session of this id is in the project."""

    code = "unknown_session"


class UnsupportedType(SidecarError):
    """A body of another type than the route takes."""

    code = "unsupported_type"
    status = 415


class Refused(SidecarError):
    """Base of what the sidecar refuses although it understands it: nothing went upstream, and the row says so."""

    status = 402


class BudgetExceeded(Refused):
    """The project's daily budget is spent, and its action is ``block``.

    Its message begins with the code: some SDKs keep nothing of a refusal but its words, and ``inference.translate``
    knows it by them.
    """

    code = "budget_exceeded"

    def __init__(self, message: str) -> None:
        super().__init__(f"{self.code}: {message}")


class BudgetThrottled(Refused):
    """The project's daily budget is spent, and no local stand-in can serve this call.

    ``stand_in`` is the ``provider/model`` that is configured for the modality, where one is. The message begins with
    the code and with it.
    """

    code = "budget_throttled"

    def __init__(self, message: str, stand_in: str | None = None) -> None:
        super().__init__(f"{self.code}{f' {stand_in}' if stand_in else ''}: {message}")
        if stand_in is not None:
            self.headers = (("X-VoiceGW-Throttle-To", stand_in),)


class TooLarge(Refused):
    """A body too long to be held, where the project's rules need it whole."""

    code = "too_large"
    status = 413


class UnpricedModel(Refused):
    """The model has no price, and ``cost_tracking.unpriced`` is ``block``."""

    code = "unpriced_model"


class MissingKey(Refused):
    """The call is authenticated by an agent key, and its provider has no key of its own."""

    code = "missing_key"
    status = 401


class UpstreamUnreachable(SidecarError):
    """The provider could not be dialled: name, network, refusal or certificate."""

    code = "upstream_unreachable"
    status = 502
    retry_helps = True


class UpstreamSilent(UpstreamUnreachable):
    """The provider was reached and closed the connection without a byte: what it did with the request is not known."""


class UpstreamTimeout(SidecarError):
    """The provider took the request and sent no first byte in time."""

    code = "upstream_timeout"
    status = 504
    retry_helps = True


class Draining(SidecarError):
    """The sidecar is shutting down and takes no new work."""

    code = "draining"
    status = 503
    retry_helps = True


class StoreFailed(SidecarError):
    """The database cannot be opened, read or migrated."""

    code = "store_failed"
    status = 503
    retry_helps = True
