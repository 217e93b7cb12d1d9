"""Commands of the documents that are not run here: where they are run instead, or why no test can.

A command is looked up in one line, without its comment and without ``sudo``. Whatever is in none of these
tables is run.
"""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct


class Held(Struct, frozen=True):
    """A file of this checkout that runs a command, and words of it that stand there."""

    file: str
    words: tuple[str, ...]


ELSEWHERE = {
    "bash build/check.sh": Held("build/check.sh", ("-m pytest",)),  # what runs this very test
    "pip install -e .": Held("build/check.sh", ("--editable",)),
    "pip install 'voicegw-sidecar[otlp]'": Held("tests/docs/test_commands.py", ("def test_readme", "traces.text")),
    "pip install 'voicegw-sidecar[mcp]'": Held("build/bundle.sh", ("extras=(mcp)", 'pip" install', '".[$names]"')),
    "bash build/bundle.sh --without mcp": Held(
        "tests/build/conftest.py", ("def slim_executable", '"bash"', '"bundle.sh"', '"--without", "mcp"')
    ),
    "voicegw-sidecar serve --config examples/voicegw.yaml": Held(
        "tests/examples/test_examples.py", ('"serve"', '"--config"', '"examples/voicegw.yaml"')
    ),
    "bash build/bundle.sh": Held("tests/build/conftest.py", ("def executable", '"bash"', '"bundle.sh"')),
    "pip wheel . --no-deps --wheel-dir dist": Held(
        "tests/build/test_wheel.py", ('"wheel", ROOT, "--no-deps", "--wheel-dir"',)
    ),
    "python build/selftest.py dist/voicegw-sidecar": Held(
        "tests/build/test_executable.py", ("selftest(executable, environment={})",)
    ),
    "python build/selftest.py COMMAND": Held("tests/build/support.py", ('"selftest.py", *map(str, command)',)),
    "bash build/bare_root.sh dist/voicegw-sidecar": Held("tests/build/test_bare_root.py", ('"bare_root.sh"',)),
    "VOICEGW_KILL_ROUNDS=20 python -m pytest tests/faults/test_kill.py": Held(
        "tests/faults/test_kill.py", ('"VOICEGW_KILL_ROUNDS"', "def test_")
    ),
    "VOICEGW_WRITE_DOCS=1 python -m pytest tests/clients/test_cases.py": Held(
        "tests/clients/test_cases.py", ("VOICEGW_WRITE_DOCS", "def test_")
    ),
}
"""Commands that another test, or the check itself, runs; with other numbers or folders where it has to."""

BY_HAND = {
    "docker compose": "Compose", "docker": "a container", "kubectl": "Kubernetes",
    "systemctl": "a service", "journalctl": "a service", "systemd-run": "a service",
}  # fmt: skip
"""What needs another engine, cluster or init system than a test has, and the line of deploying.md that says so."""

BY_HAND_ALSO = {
    "bash build/bundle.sh --with otlp": "docs/packaging.md",
    "pip install 'voicegw-sidecar[livekit]'": "docs/inference.md",
    "pip install 'voicegw-sidecar[pipecat]'": "docs/inference.md",
    "claude mcp add voicegw --env VOICEGW_API_KEY=your-viewer-key -- voicegw-sidecar mcp": "docs/mcp.md",
}
"""One more build of a minute, two more environments, what only an editor can do; and the documents that say so."""

SMALLEST = {
    "tests/benchmarks/bench_metering.py": "",
    "tests/benchmarks/bench_routing.py": " --seeds 1 --sessions 50",
    "-m tests.benchmarks.bench_stitching": " --sessions 1",
}
"""Benchmarks that are run, with what makes them short. Of the others only the options are tried: run by hand."""

_MEASURES = re.compile(r"(?P<start>python (?P<name>tests/benchmarks/\w+\.py|-m tests\.[\w.]+))(?= |$)")
_SUDO = re.compile(r"(sudo )?([A-Z_]+=\S* )*")


class Fate(Enum):
    """What becomes of a command."""

    RUN = "run here"
    HELD = "run by another test"
    TRIED = "a benchmark that is run by hand: its options are tried"
    BY_HAND = "run by hand, as its document says"


def plain(text: str) -> str:
    """Return a command in one line and without its comment."""
    return re.sub(r"\s+#.*", "", re.sub(r"\s*\\\n\s*", " ", text)).strip()


def program(text: str) -> str:
    """Return the program that a command runs."""
    return _bare(text).partition(" ")[0]


def _bare(text: str) -> str:
    """Return a command without what stands before its program."""
    return _SUDO.sub("", text, count=1)


def fate(text: str) -> Fate:
    """Say what becomes of a command."""
    words = plain(text).removeprefix("sudo ")
    if words in ELSEWHERE:
        return Fate.HELD
    if words in BY_HAND_ALSO or _bare(words).startswith(tuple(f"{begin} " for begin in BY_HAND)):
        return Fate.BY_HAND
    if (found := _MEASURES.match(words)) is not None and found["name"] not in SMALLEST:
        return Fate.TRIED
    return Fate.RUN


def benchmark(text: str) -> tuple[str, str | None] | None:
    """Return how a benchmark is started, without its options, and what makes it short; None if it is none."""
    found = _MEASURES.match(plain(text))
    return None if found is None else (found["start"], SMALLEST.get(found["name"]))
