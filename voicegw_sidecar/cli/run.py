"""``run -- COMMAND``: the sidecar and an agent together, the agent's calls moved here as far as variables can do it.

All it says goes to stderr: stdin and stdout are the agent's, and so is the exit code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout

from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar.cli.client import project_id
from voicegw_sidecar.cli.database import settings_of
from voicegw_sidecar.cli.installed import is_installed
from voicegw_sidecar.cli.listener import Refused, get
from voicegw_sidecar.cli.run_agent import BY_SIGNAL, NOT_EXECUTABLE, NOT_FOUND, Agent, Signals
from voicegw_sidecar.cli.run_report import Asked
from voicegw_sidecar.cli.run_sidecar import NotStarted, OwnSidecar, Stopped, listening, outer_environment
from voicegw_sidecar.cli.run_variables import Here, project_named, variables
from voicegw_sidecar.cli.run_words import Words
from voicegw_sidecar.cli.server import port, with_bind
from voicegw_sidecar.config import Loaded
from voicegw_sidecar.errors import BadRequest, UnknownProject
from voicegw_sidecar.settings import catalog_of
from voicegw_sidecar.terms import Secret


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run``; from the first word of the command on, everything is the agent's."""
    # argparse shows the rest of a line as three dots
    parser.usage = f"{parser.prog} [-h] [--config FILE] [--project ID] [--port PORT] [--quiet] -- COMMAND ..."
    parser.add_argument("--project", type=project_id, metavar="ID", help="whose calls these are")
    parser.add_argument("--port", type=port, help="the sidecar's port; 0 takes a free one")
    parser.add_argument("--quiet", action="store_true", help="say only what went wrong")
    parser.add_argument("agent", nargs=argparse.REMAINDER, metavar="-- COMMAND", help="the agent, and its arguments")


def run(options: argparse.Namespace) -> int:
    """Run an agent beside a sidecar and return the agent's exit code."""
    command = options.agent[1:] if options.agent[:1] == ["--"] else options.agent
    if not command:
        raise BadRequest("run: expected a command, such as: voicegw-sidecar run -- python agent.py")
    loaded = with_bind(settings_of(options), None, options.port)
    environ = outer_environment(os.environ)
    if shutil.which(command[0], path=environ.get("PATH")) is None:
        return _not_run(command[0], "no such command; name one after --", NOT_FOUND)
    signals = Signals()
    try:
        with (
            redirect_stdout(sys.stderr),
            signals.taken(),
            _sidecar(_serve_options(options), loaded, environ, signals) as (address, own),
        ):
            key = next(iter(loaded.config.auth.api_keys), None)
            catalog = catalog_of(loaded.config)
            here = Here(address, project_named(catalog, options.project), catalog)
            return _Run(own, _confirmed(here, key), key, environ, options.quiet).play(command, signals)
    except Stopped:
        return BY_SIGNAL + (signals.first or 0)
    except NotStarted as error:
        return error.exit_code


def _serve_options(options: argparse.Namespace) -> list[str]:
    config = getattr(options, "config", None)
    named = [] if config is None else ["--config", config]
    return named if options.port is None else [*named, "--port", str(options.port)]


@contextmanager
def _sidecar(
    serve_options: Sequence[str], loaded: Loaded, environ: Mapping[str, str], signals: Signals
) -> Iterator[tuple[str, OwnSidecar | None]]:
    """Find the sidecar that listens already, which is left as it is, or start one and stop it at the end."""
    address = listening(loaded.config)
    if address is not None:
        yield address, None
        return
    own = OwnSidecar(serve_options, loaded.config, environ)
    try:
        yield own.start(lambda: signals.first is not None), own
    finally:
        own.stop()


class _Project(Struct, frozen=True):
    agent_keys: int


def _confirmed(here: Here, key: Secret | None) -> Here:
    """Ask the sidecar for the project, which may have been made at run time: whether it is there and has agent keys."""
    name = here.paying().id
    try:
        found = get(here.address, f"/v1/projects/{name}", _Project, key=key)
    except Refused as error:
        if error.http_status == 404:
            raise UnknownProject(
                f"the sidecar at {here.address} has no project {name[:64]!r}; name one of its own with --project"
            ) from None
        _complain(error.message)
        return here
    return replace(here, is_guarded=found.agent_keys > 0)


class _Run(Struct, frozen=True):
    """A sidecar that takes calls, and what the agent beside it is to be given."""

    own: OwnSidecar | None
    here: Here
    key: Secret | None
    environ: Mapping[str, str]
    is_quiet: bool

    def play(self, command: Sequence[str], signals: Signals) -> int:
        """Start the agent, wait for its end, and tell of both; return its exit code."""
        words = Words(self.here, self.environ, is_installed(command[0], self.environ))
        changes = variables(self.here, self.environ)
        if not self.is_quiet:
            with _unread():
                words.introduce(changes, is_own=self.own is not None)
        changed = {change.name: change.value for change in changes if change.value is not None}
        since_ns = time.time_ns()
        try:
            agent = Agent(command, {**self.environ, **changed}, self._note_end)
        except FileNotFoundError:
            return _not_run(command[0], "no such command, or not what it names as its interpreter", NOT_FOUND)
        except OSError as error:
            return _not_run(command[0], (error.strerror or "cannot be run").lower(), NOT_EXECUTABLE)
        signals.give_to(agent.forward)
        code = agent.wait()
        if self.own is not None and self.own.is_gone():  # both at once
            self._note_end(self.own.pid)
        signals.give_to(self._hurry)
        if not self.is_quiet:
            # who shares a sidecar with others is told of the project's calls alone
            asked = Asked(self.here.address, self.key, since_ns, None if self.own else self.here.paying().id)
            with _unread():
                words.conclude(asked, changes, code, has_sidecar=self.own is None or not self.own.has_ended)
        return code

    def _note_end(self, pid: int) -> None:
        """Another child has ended: the sidecar, or an orphan, which is ours as the first process of a container."""
        if self.own is None or pid != self.own.pid:
            os.waitpid(pid, 0)
            return
        code = self.own.note_end()
        how = f"with code {code}" if code >= 0 else f"by signal {-code}"
        _complain(f"the sidecar ended before the agent, {how}; from now on the agent's calls to it fail")

    def _hurry(self, number: signal.Signals) -> None:
        """A signal after the agent's end is for the sidecar, which is on its way out."""
        if self.own is not None:
            self.own.hurry()


def _not_run(word: str, reason: str, code: int) -> int:
    _complain(f"{word[:80]}: {reason}")
    return code


@contextmanager
def _unread() -> Iterator[None]:
    """Say what nobody may be reading any more: no reason not to run the agent, nor to lose its exit code."""
    try:
        yield
        sys.stderr.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # what is left to say goes there


def _complain(message: str) -> None:
    with _unread():
        sys.stderr.write(f"voicegw-sidecar: {' '.join(message.split())}\n")
