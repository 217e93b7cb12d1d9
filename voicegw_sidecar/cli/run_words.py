"""What ``run`` says before the agent starts and after it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from voicegw_sidecar import __version__
from voicegw_sidecar.cli.client_lines import lines_for
from voicegw_sidecar.cli.meant import meant
from voicegw_sidecar.cli.output import say
from voicegw_sidecar.cli.run_report import Asked, tell
from voicegw_sidecar.cli.run_variables import Here, Variable


class Words(Struct, frozen=True):
    """Where the agent's calls go, which variables there are, and which clients the agent can have."""

    here: Here
    environ: Mapping[str, str]
    has_client: Callable[[str], bool]

    def introduce(self, changes: Sequence[Variable], *, is_own: bool) -> None:
        """Say where the sidecar is, what was set for the agent, and what is left to do by hand."""
        whose = "started for this run" if is_own else "which runs already, and goes on afterwards"
        say(f"voicegw-sidecar {__version__} at {self.here.address}, {whose}.")
        say("In the agent's environment:")
        for change in changes:
            say(f"  {change.name}={change.value}" if change.value is not None else _left_alone(change))
        lines = self._lines(self._meant(), changes)
        if lines:
            say("To be changed by hand, in clients that read none of these:")
            _say_lines(lines)

    def conclude(self, asked: Asked, changes: Sequence[Variable], code: int, *, has_sidecar: bool) -> None:
        """Say how the agent ended, what came through, and who was never seen."""
        say(f"\nThe agent ended with code {code}.")
        if not has_sidecar:
            say("No figures: the sidecar ended before it. 'voicegw-sidecar logs' has what was stored.")
            return
        seen = tell(asked)
        unseen = () if seen is None else [provider for provider in self._meant() if provider not in seen]
        if unseen:
            say(f"Never seen: {', '.join(unseen)}. Where the agent uses them, a line is still to be changed:")
            _say_lines(self._lines(unseen, changes))

    def _meant(self) -> tuple[str, ...]:
        """Return the providers that have a key here, or are configured for the project that pays."""
        projects, paying = self.here.catalog.projects, self.here.paying().id
        return meant(self.here.catalog, self.environ, [paying] if paying in projects else [])

    def _lines(self, providers: Iterable[str], changes: Iterable[Variable]) -> list[tuple[str, str]]:
        is_set = [change.name for change in changes if change.value is not None]
        lines = lines_for(providers, self.here.address, self.here.project, without=is_set)
        return [(client, line) for client, line in lines if self.has_client(client)]


def _left_alone(change: Variable) -> str:
    return f"  {change.name} left alone: {change.why_not}"


def _say_lines(lines: Sequence[tuple[str, str]]) -> None:
    width = max((len(client) for client, _ in lines), default=0)
    for client, line in lines:
        say(f"  {client:<{width}}  {line}")
