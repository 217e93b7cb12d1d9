"""What each project has spent on each day, and what it has in flight. In memory, so that asking costs nothing.

Pure: the time is given. The rows in the database are the truth; this is seeded from them at start and gets
the same amounts in the same shares. Days are kept for as long as a clock that is set back may ask for them.
"""

from __future__ import annotations

from datetime import date, timedelta, tzinfo

from voicegw_sidecar.ledger.calendar import day_of, midnight_ns

KEPT_DAYS = 40


class Hold:
    """One open exchange's part of what is in flight: its reservation, or what it has cost so far if that is more."""

    __slots__ = ("amount_nanousd", "before_nanousd", "day", "project", "reserved_nanousd", "running_nanousd")

    def __init__(self, project: str, reserved_nanousd: int, day: str) -> None:
        self.project = project
        self.reserved_nanousd = reserved_nanousd
        self.running_nanousd = 0
        self.day = day
        self.before_nanousd = 0
        """What it had cost when its day began: that part counts on the days before."""
        self.amount_nanousd = 0


class Spend:
    """Spent and in flight, in whole nano-dollars."""

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._spent: dict[str, dict[str, int]] = {}
        self._in_flight: dict[str, int] = {}
        self._holds: set[Hold] = set()
        self._today, self._today_from_ns, self._today_until_ns = "", 0, 0

    def today(self, wall_ns: int) -> str:
        """Return the ISO date of a moment in the configured zone; quick within one day."""
        if not self._today_from_ns <= wall_ns < self._today_until_ns:
            self._today = day_of(wall_ns, self._zone)
            day = date.fromisoformat(self._today)
            self._today_from_ns = midnight_ns(day, self._zone)
            self._today_until_ns = midnight_ns(day + timedelta(days=1), self._zone)
        return self._today

    def spent(self, project: str, wall_ns: int) -> int:
        """Return what a project has spent on the day of ``wall_ns``."""
        return self._spent.get(self.today(wall_ns), {}).get(project, 0)

    def in_flight(self, project: str) -> int:
        """Return what a project's open exchanges hold."""
        return self._in_flight.get(project, 0)

    @property
    def open_holds(self) -> int:
        """How many exchanges hold something."""
        return len(self._holds)

    def add(self, project: str, day: str, nanousd: int) -> None:
        """Count money on a day."""
        projects = self._spent.pop(day, {})
        projects[project] = projects.get(project, 0) + nanousd
        self._spent[day] = projects  # the day last counted on comes last, whatever its date
        if len(self._spent) > KEPT_DAYS:
            del self._spent[next(iter(self._spent))]

    def hold(self, project: str, reserved_nanousd: int, wall_ns: int) -> Hold:
        """Open a hold; whoever opens it settles it."""
        hold = Hold(project, reserved_nanousd, self.today(wall_ns))
        self._holds.add(hold)
        self._weigh(hold)
        return hold

    def reserve(self, hold: Hold, reserved_nanousd: int) -> None:
        """Change a hold's reservation, once its model is known."""
        hold.reserved_nanousd = reserved_nanousd
        self._weigh(hold)

    def grow(self, hold: Hold, running_nanousd: int, wall_ns: int) -> None:
        """Tell what an exchange has cost so far; over midnight only what came since counts on the new day."""
        today = self.today(wall_ns)
        if today != hold.day:
            hold.day, hold.before_nanousd = today, hold.running_nanousd
        hold.running_nanousd = running_nanousd
        self._weigh(hold)

    def settle(self, hold: Hold) -> None:
        """Close a hold; a second time changes nothing."""
        if hold in self._holds:
            self._holds.remove(hold)
            self._change(hold.project, -hold.amount_nanousd)

    def _weigh(self, hold: Hold) -> None:
        if hold not in self._holds:
            return
        amount = max(0, max(hold.reserved_nanousd, hold.running_nanousd) - hold.before_nanousd)
        self._change(hold.project, amount - hold.amount_nanousd)
        hold.amount_nanousd = amount

    def _change(self, project: str, nanousd: int) -> None:
        left = self._in_flight.get(project, 0) + nanousd
        if left:
            self._in_flight[project] = left
        else:
            self._in_flight.pop(project, None)
