"""The checks of ``doctor`` that ask providers: can they be reached, with which certificate, and what time is it there.

Each address is asked once, for its head, without a credential and by the certificates that calls are checked by. Any
status is an answer. All are asked at once, and none is waited for longer than a call would wait to connect.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from msgspec import Struct

from voicegw_sidecar.cli.diagnosis import Check, fail, ok, warn
from voicegw_sidecar.cli.meant import meant
from voicegw_sidecar.config import Catalog
from voicegw_sidecar.providers import BY_ID
from voicegw_sidecar.terms import NS_PER_S

CONNECT_LIMIT_S = 5.0
_GRACE_S = 2.0
"""How much longer the slowest may take: its name was looked up, and it answers."""
_SKEW_LIMIT_S = 30.0
_EXPIRY_LIMIT_DAYS = 14.0
_DAY_S = 86_400


class Address(Struct, frozen=True):
    """Where a provider is asked."""

    provider: str
    base_url: str
    is_local: bool
    connect_s: float


class Answer(Struct, frozen=True):
    """What came of it: a status, or a trouble and its fix. ``ahead_s`` is this machine's clock against theirs."""

    address: Address
    took_ms: float = 0.0
    status: int | None = None
    trouble: str = ""
    fix: str = ""
    ahead_s: float | None = None
    expires_days: float | None = None


def addresses(catalog: Catalog, environ: Mapping[str, str]) -> list[Address]:
    """Return every address of a provider that is meant to be used, in any project."""
    found: dict[tuple[str, str], Address] = {}
    for provider in meant(catalog, environ, catalog.projects):
        for project in catalog.projects:
            if provider not in catalog.provider_ids(project):
                continue
            settings = catalog.provider_settings(project, provider)
            known = BY_ID.get(provider)
            urls = [settings.base_url]
            if known is not None and known.base_url == settings.base_url:
                urls += [url for _, url in known.other_hosts]
            for url in urls:
                limit_s = min(settings.timeouts.connect_s, CONNECT_LIMIT_S)
                found.setdefault((provider, url), Address(provider, url, settings.is_local, limit_s))
    return list(found.values())


def ask_all(asked: Sequence[Address], tls: ssl.SSLContext) -> list[Answer]:
    """Ask every address at once; one that has not answered in time did not answer."""
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    for address in asked:
        # a daemon: looking up a name has no time limit of its own, and the command must end all the same
        threading.Thread(target=lambda one=address: answers.put(_ask(one, tls)), daemon=True).start()
    found: dict[Address, Answer] = {}
    end_ns = time.monotonic_ns() + int((CONNECT_LIMIT_S + _GRACE_S) * NS_PER_S)
    while len(found) < len(asked):
        try:
            answer = answers.get(timeout=max(0.0, (end_ns - time.monotonic_ns()) / NS_PER_S))
        except queue.Empty:
            break
        found[answer.address] = answer
    late = "no answer in time"
    return [found.get(one) or Answer(one, trouble=late, fix=_network_fix(one)) for one in asked]


def _ask(address: Address, tls: ssl.SSLContext) -> Answer:
    started_ns, parts = time.monotonic_ns(), urlsplit(address.base_url)
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=address.connect_s, context=tls)
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc, timeout=address.connect_s)
    )
    try:
        connection.connect()
        expires_days = _expires_days(connection.sock)
        sent_ns = time.time_ns()
        connection.request("HEAD", f"{parts.path}/")
        response = connection.getresponse()
        between_ns = (sent_ns + time.time_ns()) // 2
        took_ms = (time.monotonic_ns() - started_ns) / 1_000_000
        ahead_s = _ahead_s(response.headers.get("Date"), between_ns)
        return Answer(address, took_ms, response.status, ahead_s=ahead_s, expires_days=expires_days)
    except (OSError, http.client.HTTPException) as error:
        trouble, fix = _worded(error, address)
        return Answer(address, trouble=trouble, fix=fix)
    finally:
        connection.close()


def _expires_days(connection: socket.socket | ssl.SSLSocket | None) -> float | None:
    certificate = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    until = certificate.get("notAfter") if certificate else None
    if not isinstance(until, str):
        return None
    return (ssl.cert_time_to_seconds(until) - time.time_ns() / NS_PER_S) / _DAY_S


def _ahead_s(date: str | None, here_ns: int) -> float | None:
    """Return how far this clock is ahead; a date is cut off to whole seconds, so half of one is added."""
    try:
        there = parsedate_to_datetime(date or "")
    except (ValueError, TypeError):
        return None
    return here_ns / NS_PER_S - (there.timestamp() + 0.5)


def _worded(error: Exception, address: Address) -> tuple[str, str]:
    """Return what happened, and what to do about it."""
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"its certificate is not accepted: {error.verify_message.rstrip('.').lower()}",
                "look at this machine's clock, and at the certificates that SSL_CERT_FILE or the system's store has",
            )
        case ssl.SSLError():
            return "TLS fails", "look for a proxy on the way, and whether base_url should begin with http://"
        case socket.gaierror():
            return "its name cannot be resolved", _network_fix(address)
        case ConnectionRefusedError():
            return "the connection is refused", _network_fix(address)
        case TimeoutError():
            return f"no answer within {address.connect_s:g} s", _network_fix(address)
        case http.client.HTTPException():
            return "what answers does not speak HTTP", f"look at providers.{address.provider}.base_url"
        case OSError(strerror=str(reason)):
            return f"cannot be reached: {reason.lower()}", _network_fix(address)
        case _:
            return f"cannot be reached: {type(error).__name__}", _network_fix(address)


def _network_fix(address: Address) -> str:
    if address.is_local:
        return f"start it, or name its address with providers.{address.provider}.base_url"
    return f"look at the network, its name servers and firewall, and at providers.{address.provider}.base_url"


def reached(answers: Iterable[Answer]) -> Iterator[Check]:
    """Yield a check for each address that was asked."""
    for answer in answers:
        name, where = answer.address.provider, answer.address.base_url
        if answer.status is None:
            # what runs on this machine may be a stand-in that is started when it is needed
            ended = warn if answer.address.is_local else fail
            yield ended(name, f"{where}: {answer.trouble}", answer.fix)
            continue
        detail = f"{where} answers in {answer.took_ms:.0f} ms with status {answer.status}"
        if answer.expires_days is not None and answer.expires_days < _EXPIRY_LIMIT_DAYS:
            left = f"{detail}; its certificate expires in {answer.expires_days:.0f} days"
            yield warn(name, left, "its owner has to renew it: after that day no call goes through")
            continue
        yield ok(name, detail)


def clock(answers: Iterable[Answer]) -> Check:
    """Compare this machine's clock with what vendors answered; one alone may be wrong, so the median counts."""
    told = [answer.ahead_s for answer in answers if answer.ahead_s is not None and not answer.address.is_local]
    if not told:
        return warn("clock", "nobody told the time", "see above; then compare this machine's clock by hand")
    ahead_s = statistics.median(told)
    many = "one provider" if len(told) == 1 else f"{len(told)} providers"
    if abs(ahead_s) <= _SKEW_LIMIT_S:
        return ok("clock", f"within {_SKEW_LIMIT_S:.0f} s of {many}")
    way = "ahead of" if ahead_s > 0 else "behind"
    return warn(
        "clock",
        f"{abs(ahead_s):.0f} s {way} {many}",
        "set it, by NTP: signed tokens, certificates and sign-ins expire by it, and budgets begin their day by it",
    )
