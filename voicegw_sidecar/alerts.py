"""Budget alerts to a webhook, at 80 and at 100 % of a project's day; in the way of no call.

Once a second the budgets in memory are looked at; no call knows of it. At most one request is under way. What waits is
at most one alert for each project, found anew at each look, so a receiver that is down costs no memory. An alert is
sent again, later and later, until it is delivered or its day is over; what was delivered is remembered across restarts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import aiohttp
import apsw
from msgspec import Struct

from voicegw_sidecar.config.schema import Config, Project
from voicegw_sidecar.errors import StoreFailed
from voicegw_sidecar.ledger.budget import WARNING_PERCENT
from voicegw_sidecar.ledger.calendar import day_of
from voicegw_sidecar.relay.upstream import tls_context
from voicegw_sidecar.runtime import Runtime
from voicegw_sidecar.store.queries.alerts import Told, delivered, forget_delivered, write_delivered
from voicegw_sidecar.terms import NANO_PER_USD, NS_PER_S, BudgetAction, Secret

logger = logging.getLogger(__name__)

PERCENTS = (100, WARNING_PERCENT)
"""At which shares of the budget somebody is told, the highest first: who is told that it is spent needs no warning."""
LOOK_S = 1.0
RETRY_FIRST_S, RETRY_LAST_S = 1.0, 300.0
_KEPT_NS = 7 * 86_400 * NS_PER_S
_TIMEOUT = aiohttp.ClientTimeout(total=10.0)
_COLOURS = {100: "#b91c1c", WARNING_PERCENT: "#d97706"}
_THEN = {
    BudgetAction.WARN: "Calls are served as before, with a warning in their headers.",
    BudgetAction.THROTTLE: "Calls are served by the local stand-ins, or refused where there is none.",
    BudgetAction.BLOCK: "Calls are refused until midnight.",
}


class Alert(Struct, frozen=True):
    """What somebody is to be told."""

    project: Project
    day: str
    percent: int
    spent_nanousd: int
    limit_nanousd: int

    @property
    def told(self) -> Told:
        """Return what is remembered of it."""
        return self.project.id, self.day, self.percent, self.limit_nanousd


class _Failed(Exception):
    """An alert was not delivered; the text says why and holds no part of the address."""


class _Refused(_Failed):
    """The receiver is there and says no."""


class Alerts:
    """Looks at the budgets and tells the webhook, until its task is cancelled."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._told: set[Told] = set()
        self._day = ""
        self._retry_s = RETRY_FIRST_S
        self._trouble: str | None = None

    async def run(self) -> None:
        """Tell what is to be told; whatever goes wrong is told to the log once, and tried again."""
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=await asyncio.to_thread(tls_context), limit=1), timeout=_TIMEOUT
        ) as http:
            while True:
                pause_s = LOOK_S
                try:
                    await self._look(http)
                except (_Failed, apsw.Error, StoreFailed) as error:
                    reason = str(error) if isinstance(error, _Failed) else type(error).__name__
                    if reason != self._trouble:
                        logger.warning("a budget alert could not be delivered", extra={"reason": reason})
                    self._trouble = reason
                    pause_s, self._retry_s = self._retry_s, min(self._retry_s * 2, RETRY_LAST_S)
                else:
                    self._retry_s = RETRY_FIRST_S
                await asyncio.sleep(pause_s)

    async def _look(self, http: aiohttp.ClientSession) -> None:
        runtime = self._runtime
        webhook, today = runtime.catalog.config.alerts.webhook, day_of(runtime.clock.wall_ns(), runtime.zone)
        if webhook is None:
            return
        if today != self._day:
            # not waited for, nor all of them: the disk may be locked, and the clock may have been ahead
            runtime.store.execute(forget_delivered(day_of(runtime.clock.wall_ns() - _KEPT_NS, runtime.zone)))
            self._told |= set(await runtime.store.read(delivered, today))
            self._told = {told for told in self._told if told[1] >= today}
            self._day = today
        failure: _Refused | None = None
        for alert in list(due(runtime, today, self._told)):
            try:
                await self._tell(http, webhook, alert)
            except _Refused as refused:  # what it does not take from one project it may take from the next
                failure = refused
        if failure is not None:
            raise failure

    async def _tell(self, http: aiohttp.ClientSession, webhook: Secret, alert: Alert) -> None:
        try:
            await _post(http, webhook, message(alert, self._runtime.catalog.config))
        except _Failed:
            self._runtime.metrics.alerted(is_delivered=False)
            raise
        self._runtime.metrics.alerted(is_delivered=True)
        if self._trouble is not None:
            logger.info("budget alerts are delivered again")
            self._trouble = None
        self._told.add(alert.told)
        self._runtime.store.execute(write_delivered(alert.told, self._runtime.clock.wall_ns()))


def due(runtime: Runtime, today: str, told: set[Told]) -> Iterator[Alert]:
    """Yield what is to be told: of each project the highest share that is reached, unless it was told."""
    for project in runtime.catalog.projects.values():
        limit_nanousd = project.daily_budget_nanousd
        if limit_nanousd is None:
            continue
        spent_nanousd = runtime.budgets.standing(project.id).spent_nanousd
        reached = [percent for percent in PERCENTS if spent_nanousd * 100 >= limit_nanousd * percent]
        known = (percent for percent in PERCENTS if (project.id, today, percent, limit_nanousd) in told)
        if reached and max(known, default=0) < reached[0]:
            yield Alert(project, today, reached[0], spent_nanousd, limit_nanousd)


def message(alert: Alert, config: Config) -> dict[str, object]:
    """Return what is sent: Slack's form, which Mattermost, Rocket.Chat and Discord's Slack addresses read too."""
    project, spent, limit = alert.project, _usd(alert.spent_nanousd), _usd(alert.limit_nanousd)
    if alert.percent == 100:
        text = f"{project.title}: the budget of {alert.day} is spent, {spent} of {limit} USD."
        text = f"{text} {_THEN[project.budget_action]}"
    else:
        text = f"{project.title}: {alert.percent} % of the budget of {alert.day} is spent, {spent} of {limit} USD."
    fields = (
        ("Project", project.id), ("Day", alert.day), ("Spent, USD", spent), ("Budget, USD", limit),
        ("Reached, %", str(alert.percent)), ("Action", project.budget_action.value),
    )  # fmt: skip
    attachment: dict[str, object] = {
        "color": _COLOURS[alert.percent],
        "fallback": _escaped(text),
        "fields": [{"title": title, "value": _escaped(value), "short": True} for title, value in fields],
    }
    if config.serve.public_url:
        attachment |= {"title": "Costs", "title_link": f"{config.serve.public_url}/costs?project={project.id}"}
    return {"text": _escaped(text), "attachments": [attachment]}


async def _post(http: aiohttp.ClientSession, webhook: Secret, body: dict[str, object]) -> None:
    try:
        # an address that sends elsewhere gets no body there: it may hold a credential of the one that was configured
        async with http.post(webhook.reveal(), json=body, allow_redirects=False) as response:
            status = response.status
    except TimeoutError:
        raise _Failed("no answer in time") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        raise _Failed(f"cannot be reached: {type(error).__name__}") from None
    if not 200 <= status < 300:
        raise _Refused(f"it answered with status {status}")


def _usd(nanousd: int) -> str:
    usd = nanousd / NANO_PER_USD
    return f"{usd:,.2f}" if usd >= 0.1 or not nanousd else f"{usd:.6f}"


def _escaped(text: str) -> str:
    """Slack reads three characters as markup: a project's name shall mention nobody and link nowhere."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
