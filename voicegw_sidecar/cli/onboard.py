"""``onboard``: a short wizard that writes a commented ``voicegw.yaml`` and prints the lines to paste.

Every question is an option too. Keys are looked for in the environment by their names; none is written or shown.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from voicegw_sidecar.cli.client_lines import LIVEKIT, PIPECAT, SDKS
from voicegw_sidecar.cli.first_file import Answers, is_usable, refuse_to_overwrite, rosters_of, text_of, write
from voicegw_sidecar.cli.listener import address_of
from voicegw_sidecar.cli.local_servers import answering
from voicegw_sidecar.cli.output import say
from voicegw_sidecar.cli.variables import KEYS, key_variable, project_path
from voicegw_sidecar.config.entry import ProjectId
from voicegw_sidecar.config.kind import Mismatch, did_you_mean
from voicegw_sidecar.config.load import FILE_NAME
from voicegw_sidecar.config.schema import BUILTIN_PROJECT
from voicegw_sidecar.errors import SidecarError
from voicegw_sidecar.providers import BY_ID

DEFAULT_PORT = 8080
INTERRUPTED = 130

T = TypeVar("T")


class _NothingWritten(SidecarError):
    """The answers ended before the questions: exit code 1."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``onboard``."""
    parser.add_argument("--project", type=_project, metavar="ID", help=f"the project; {BUILTIN_PROJECT} by default")
    parser.add_argument("--providers", type=_providers, metavar="LIST", help="separated by commas; '' for none")
    parser.add_argument("--port", type=_port, help=f"the sidecar's port; {DEFAULT_PORT} by default")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, default=Path(FILE_NAME), help=f"what to write; {FILE_NAME} by default"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file if there is one")
    parser.add_argument("--yes", action="store_true", help="ask nothing; take what was found")


def onboard(options: argparse.Namespace) -> int:
    """Ask, write the file, and say how to go on."""
    path: Path = options.output
    if not options.force:
        refuse_to_overwrite(path)
    found = {name: key_variable(name, os.environ) for name in KEYS}
    keyed = tuple(name for name, variable in found.items() if variable)
    local = answering() if options.providers is None else ()
    try:
        answers = _answers(options, (*keyed, *local), os.environ)
    except KeyboardInterrupt:
        sys.stderr.write("\nvoicegw-sidecar: interrupted; nothing was written\n")
        return INTERRUPTED
    except EOFError:
        raise _NothingWritten("the answers ended; nothing was written") from None
    write(path, text_of(answers, os.environ), can_overwrite=options.force)
    _tell(path, answers, os.environ)
    return 0


def _answers(options: argparse.Namespace, proposed: tuple[str, ...], environ: Mapping[str, str]) -> Answers:
    """Take what the options say, and ask for the rest where somebody can answer."""
    can_ask = not options.yes and sys.stdin is not None and sys.stdin.isatty()
    if can_ask and options.providers is None:
        for provider in proposed:
            say(f"{provider}: {f'{key_variable(provider, environ)} is set' if provider in KEYS else 'answers here'}")
    ask = _asked if can_ask else _not_asked
    return Answers(
        project=options.project or ask("Project", BUILTIN_PROJECT, _project),
        providers=(
            ask("Providers, separated by commas", ",".join(proposed), _providers)
            if options.providers is None
            else options.providers
        ),
        port=options.port or ask("Port", str(DEFAULT_PORT), _port),
    )


def _not_asked(question: str, usual: str, read: Callable[[str], T]) -> T:
    return read(usual)


def _asked(question: str, usual: str, read: Callable[[str], T]) -> T:
    """Ask until the answer can be read; an empty one is the usual one."""
    while True:
        answer = input(f"{question} [{usual or 'none'}]: ").strip()
        try:
            return read(answer or usual)
        except argparse.ArgumentTypeError as error:
            say(f"  {error}")


def _project(text: str) -> str:
    try:
        return ProjectId().read(text)
    except Mismatch as mismatch:
        raise argparse.ArgumentTypeError(str(mismatch)) from None


def _providers(text: str) -> tuple[str, ...]:
    names = dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name)
    for name in names:
        if name not in BY_ID:
            hint = did_you_mean(name, BY_ID)
            raise argparse.ArgumentTypeError(f"found {name[:40]!r}, expected some of {', '.join(BY_ID)}{hint}")
    return tuple(provider for provider in BY_ID if provider in names)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"found {text[:40]!r}, expected a port number, 1 to 65535")
    return int(text)


def _tell(path: Path, answers: Answers, environ: Mapping[str, str]) -> None:
    """Say what was written, the lines to paste, and what comes next."""
    address = address_of("127.0.0.1", answers.port)
    project = None if answers.project == BUILTIN_PROJECT else answers.project
    say(f"Wrote {path}: project {answers.project}, {', '.join(answers.providers) or 'no providers'}.")
    for provider in answers.providers:
        if not is_usable(provider, environ):
            say(f"{KEYS[provider][0]} is not set here; until it is, agents bring their own key.")
    say(f"\nAddresses are {address}{project_path(project)}/<provider>/<its documented path>.")
    if answers.providers:
        say("Lines to paste, each for the client it begins with:")
    for title, lines in (("LiveKit", LIVEKIT), ("Pipecat", PIPECAT), ("SDKs", SDKS)):
        pasted = [line.pasted(address, project) for line in lines if line.provider in answers.providers]
        if pasted:
            say(f"\n{title}")
        for line in dict.fromkeys(pasted):
            say(f"  {line}")
    if all(rosters_of(answers.providers, environ).values()):
        say('\nLiveKit, models by their names or "auto", and no other line changed')
        secret = f"LIVEKIT_API_KEY={answers.project} LIVEKIT_API_SECRET=anything"
        say(f"  export LIVEKIT_INFERENCE_URL={address}{project_path(project)}/v1 {secret}")
    config = "" if str(path) == FILE_NAME else f" --config {path}"
    say(f"\nNext:\n  voicegw-sidecar doctor{config}\n  voicegw-sidecar run{config} -- python agent.py")
