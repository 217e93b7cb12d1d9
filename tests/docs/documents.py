"""What the documents hold: their fenced blocks, and the commands in these and in the text, from top to bottom.

Reads and judges nothing; what is run, and how, is said elsewhere.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
SHELL = ("sh", "bash")
CONSOLE = "console"
"""Commands after ``$ ``, each with what it prints below."""
OTHERS = ("", "text", "yaml", "python", "json", "sql", "csv", "nginx")
PROGRAMS = ("voicegw-sidecar", "python", "python3", "pip", "bash", "sudo", "curl", "docker", "kubectl", "systemctl")
"""What a line of the text begins with if it is a command."""
_FENCE = re.compile(r"^(?P<fence>`{3,}|~{3,}) *(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=fence) *$", re.M | re.S)
_INLINE = re.compile(r"(?<!`)`(?P<text>[^`\n]+)`(?!`)")
_COMMAND_LINE = re.compile(rf"(\$ )?([A-Z_]+=\S* )*({'|'.join(map(re.escape, PROGRAMS))}) [\w./'-]")


class Block(Struct, frozen=True):
    """A fenced block; ``line`` is that of its fence, counted from 1."""

    document: str
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Say where it stands."""
        return f"{self.document}:{self.line}"


class Command(Struct, frozen=True):
    """A command as it is written, over several lines where the document has it so."""

    place: str
    text: str
    shown: str = ""
    """What the document shows below it."""


def name_of(path: Path) -> str:
    """Return a document's name as the others write it."""
    return path.relative_to(ROOT).as_posix()


def blocks(name: str, text: str) -> list[Block]:
    """Return the fenced blocks of a document's text."""
    return [
        Block(name, text.count("\n", 0, found.start()) + 1, found["language"].strip(), found["text"])
        for found in _FENCE.finditer(text)
    ]


def blocks_of(path: Path) -> list[Block]:
    """Return the fenced blocks of a document."""
    return blocks(name_of(path), path.read_text(encoding="utf-8"))


def commands(name: str, text: str) -> list[Command]:
    """Return the commands of a document in the order in which they are read."""
    found: list[tuple[int, Command]] = []
    for block in blocks(name, text):
        if block.language in SHELL:
            found += [(block.line, Command(block.place, words)) for words in _lines(block.text)]
        elif block.language == CONSOLE:
            found += [(block.line, one) for one in _session(block)]
    prose = _FENCE.sub(lambda fenced: "\n" * fenced[0].count("\n"), text)
    for span in _INLINE.finditer(prose):
        if is_command(span["text"]):
            line = prose.count("\n", 0, span.start()) + 1
            found.append((line, Command(f"{name}:{line}", span["text"])))
    found.sort(key=lambda one: one[0])
    return [command for _, command in found]


def commands_of(path: Path) -> list[Command]:
    """Return the commands of a document."""
    return commands(name_of(path), path.read_text(encoding="utf-8"))


def is_command(line: str) -> bool:
    """Say whether a line is one that a reader would paste into a shell."""
    return _COMMAND_LINE.match(line) is not None


def _lines(text: str) -> list[str]:
    """Split a block into commands: one whose line ends with a backslash or inside quotes goes on in the next."""
    found: list[str] = []
    begun = ""
    for line in text.splitlines():
        begun = f"{begun}\n{line}" if begun else line
        if _is_whole(begun):
            found.append(begun)
            begun = ""
    assert not begun, f"a command without its end: {begun}"
    return [one for one in found if one.strip() and not one.lstrip().startswith("#")]


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:  # no closing quotation, or nothing behind the last backslash
        return False
    return not text.endswith("\\")


def _session(block: Block) -> list[Command]:
    """Split a console block into commands and what they print."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)
    assert not parts[0].strip(), f"{block.place}: output before the first command"
    split = [re.match(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", part, re.DOTALL) for part in parts[1:]]
    return [Command(block.place, found[1], found[2]) for found in split if found]
