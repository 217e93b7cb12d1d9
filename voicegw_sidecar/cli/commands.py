"""The table of commands, and what every one of them shares: ``--config``, one-line errors, exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TextIO

import apsw
from msgspec import Struct

from voicegw_sidecar import __version__
from voicegw_sidecar.cli import (
    backup,
    brand,
    check,
    costs,
    doctor,
    logs,
    mcp,
    onboard,
    projects,
    route,
    server,
    sessions,
    share,
)
from voicegw_sidecar.cli import run as run_agent
from voicegw_sidecar.errors import BadRequest, ConfigError, NotFound, SidecarError

DONE, NO, WRONG = 0, 1, 2


class Command(Struct, frozen=True):
    """One subcommand: its words, its options, and what it does."""

    name: str
    help: str
    add_options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


COMMANDS = (
    Command("serve", "run the sidecar", server.add_serve_options, server.serve),
    Command("demo", "run the sidecar with simulated providers and agents", server.add_demo_options, server.demo),
    Command("run", "run the sidecar and an agent together", run_agent.add_options, run_agent.run),
    Command("onboard", "write a first configuration file", onboard.add_options, onboard.onboard),
    Command("doctor", "check the configuration and what is around it", doctor.add_options, doctor.doctor),
    Command("check", "validate the configuration", check.add_options, check.check),
    Command("route", "show or simulate a project's route", route.add_options, route.route),
    Command("sessions", "list conversations, newest first", sessions.add_options, sessions.sessions),
    Command("projects", "list projects and what they spent today", projects.add_options, projects.projects),
    Command("costs", "show what was spent", costs.add_options, costs.costs),
    Command("logs", "list exchanges, newest first", logs.add_options, logs.logs),
    Command("brand", "set, show or clear a project's look", brand.add_options, brand.brand),
    Command("share", "make, list or revoke links that show one project", share.add_options, share.share),
    Command("mcp", "serve tools for editors over stdio, by the Model Context Protocol", mcp.add_options, mcp.mcp),
    Command("backup", "copy the database, also while it is written", backup.add_options, backup.backup),
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is one ``--help`` away."""

    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (see {self.prog} --help)")


class _UsageError(Exception):
    """Wrong words on the command line."""


def run(words: Sequence[str]) -> int:
    """Run a command; every error is one line on stderr."""
    if sys.stdout is None or sys.stderr is None:  # closed by whoever started us
        sys.stdout, sys.stderr = sys.stdout or _nowhere(), sys.stderr or _nowhere()
    try:
        options = _parser().parse_args(words)
        command: Command = options.command
        return command.run(options)
    except _UsageError as error:
        return _complain(str(error), WRONG)
    except (ConfigError, NotFound, BadRequest) as error:
        return _complain(error.message, WRONG)
    except SidecarError as error:
        return _complain(error.message, NO)
    except apsw.Error as error:
        return _complain(f"the database cannot be read: {type(error).__name__}: {error}", NO)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output left: fine
        return DONE
    except OSError as error:
        return _complain(f"cannot go on: {error.strerror or error}", NO)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # the last resort: one line, and no text that might hold a key
        return _complain(f"failed, which should not happen: {type(error).__name__}", NO)


def _nowhere() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def _complain(message: str, code: int) -> int:
    sys.stderr.write(f"voicegw-sidecar: {' '.join(message.split())}\n")
    return code


def _parser() -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="configuration file")
    parser = _Parser(prog="voicegw-sidecar", parents=[shared], description="A sidecar for voice agents.")
    parser.add_argument("--version", action="version", version=f"voicegw-sidecar {__version__}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=_Parser)
    for command in COMMANDS:
        subparser = subparsers.add_parser(command.name, help=command.help, parents=[shared], description=command.help)
        command.add_options(subparser)
        subparser.set_defaults(command=command)
    return parser
