"""The shape of the project: sizes, documents that name what exists, and nothing that must not be here."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from voicegw_sidecar.api.routes import api_routes, open_routes
from voicegw_sidecar.cli.commands import COMMANDS
from voicegw_sidecar.providers import ALL

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "voicegw_sidecar").rglob("*.py"))
MODULES = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in SOURCES]
FILE_LINES, FUNCTION_LINES = 400, 60


@pytest.mark.parametrize("path", SOURCES, ids=[str(path.relative_to(ROOT)) for path in SOURCES])
def test_files_and_functions_stay_small_enough_to_know(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, f"{path.name}:{node.name}"


def test_documents_name_every_route_command_and_provider() -> None:
    documents = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
    documents += (ROOT / "README.md").read_text(encoding="utf-8")
    for route in (*open_routes(), *api_routes()):
        assert route.path in documents
    for command in COMMANDS:
        assert f"`{command.name}`" in documents
    for provider in ALL:
        assert f"`{provider.id}`" in documents


def test_the_map_has_every_module_and_folder_of_the_package() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`([\w.]+?)/?`", text[text.index("## The map") : text.index("## One relayed")]))
    there = {path.name for path in (ROOT / "voicegw_sidecar").iterdir() if not path.name.startswith("_")}
    assert there - told == set()


def test_links_between_documents_lead_somewhere() -> None:
    for path in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_the_command_line_starts_without_the_server() -> None:
    code = "import sys; from voicegw_sidecar.cli import main; main(['--version']); print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for heavy in ("aiohttp", "apsw", "voice_prices", "pydantic", "jinja2", "asyncio"):
        assert f"'{heavy}'" not in out


@pytest.mark.timeout(180)
def test_every_module_imports_alone() -> None:
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    for loaded in [m for m in sys.modules if m.startswith('voicegw_sidecar')]: del sys.modules[loaded]\n"
        "    importlib.import_module(name)\n"
    )
    names = [name for name in MODULES if not name.endswith("__main__")]
    subprocess.run([sys.executable, "-W", "error", "-c", code, *names], check=True)


def test_no_third_party_source_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert [name for name in listed.stdout.splitlines() if re.search(r"\.min\.(js|css)$|static/vendor/", name)] == []
