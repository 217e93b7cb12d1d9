"""Blocks that are no commands: configurations are valid, code compiles and finds its imports, SQL can be asked."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import apsw
import msgspec
import pytest
import yaml

from tests.docs.documents import (
    CONSOLE,
    DOCUMENTS,
    OTHERS,
    SHELL,
    Block,
    Command,
    blocks,
    blocks_of,
    commands,
    is_command,
)
from voicegw_sidecar.store.migrate import migrate

BLOCKS = [block for path in DOCUMENTS for block in blocks_of(path)]
OTHER_PROGRAMS_YAML = {"scrape_configs": "Prometheus"}
VARIABLE = re.compile(r"\$\{(\w+)\}")


def written_in(*languages: str) -> pytest.MarkDecorator:
    """Give a test each block of a language; fails where the documents have none any more."""
    found = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", found, ids=[block.place for block in found])


def sidecar(*words: str, folder: Path, **environ: str) -> tuple[int, str]:
    """Run a command of the sidecar; its exit code and all it said."""
    ran = subprocess.run(
        [sys.executable, "-m", "voicegw_sidecar", *words],
        cwd=folder, env={"PATH": os.environ["PATH"], "HOME": str(folder), **environ},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout + ran.stderr


@written_in("yaml")
def test_a_configuration_is_valid(block: Block, tmp_path: Path) -> None:
    """As it stands there; the variables that it names are set, and the admin key that some settings ask for."""
    if set(yaml.safe_load(block.text)) & set(OTHER_PROGRAMS_YAML):
        return
    (tmp_path / "voicegw.yaml").write_text(block.text, encoding="utf-8")
    named = {name: f"value-of-{name}" for name in VARIABLE.findall(block.text)}
    code, said = sidecar("check", folder=tmp_path, VOICEGW_API_KEY="a-long-random-word", **named)
    assert code == 0, f"{block.place}\n{said}"


@written_in("python")
def test_code_compiles_and_finds_what_it_imports(block: Block) -> None:
    tree = compile(block.text, block.place, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(tree, ast.Module)
    imports: list[ast.stmt] = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    exec(compile(ast.Module(imports, []), block.place, "exec"), {})
    compile(block.text, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


async def test_the_example_of_a_test_with_the_simulator_passes() -> None:
    """With an agent that asks again after a failure, as the example supposes."""
    (block,) = [block for block in BLOCKS if "async def test_my_agent" in block.text]

    async def my_agent(openai_base_url: str) -> None:
        body = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Is it open?"}]}
        headers = {"Authorization": "Bearer any"}
        async with aiohttp.ClientSession(headers=headers) as http:
            seen = []
            for _ in range(2):
                async with http.post(f"{openai_base_url}/chat/completions", json=body) as response:
                    seen.append(response.status)
        assert seen == [503, 200]

    names: dict[str, Callable[..., Awaitable[None]]] = {"my_agent": my_agent}
    exec(compile(block.text, block.place, "exec"), names)
    await names["test_my_agent"]()


@written_in("sql")
def test_sql_can_be_asked(block: Block) -> None:
    connection = apsw.Connection(":memory:")
    migrate(connection)
    assert list(connection.execute(block.text)) == []
    connection.close()


def test_json_can_be_read() -> None:
    for block in BLOCKS:
        if block.language == "json":
            msgspec.json.decode(block.text)


def test_a_synopsis_names_the_options_that_there_are(tmp_path: Path) -> None:
    synopses = [
        line for block in BLOCKS if block.language == "text" for line in block.text.splitlines() if "[--" in line
    ]
    assert synopses
    for line in synopses:
        code, said = sidecar(line.split()[1], "--help", folder=tmp_path)
        assert code == 0
        for option in re.findall(r"\[(--\w+)", line):
            assert re.search(rf"^ +{option}\b", said, re.MULTILINE), f"{line}: no {option}"


def test_every_block_has_a_language_that_is_known_and_none_hides_a_command() -> None:
    for path in DOCUMENTS:
        fences = re.findall(r"^ *(?:```|~~~)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(fences) == 2 * len(blocks_of(path)), f"{path.name}: a fence is indented, or not closed"
    for block in BLOCKS:
        assert block.language in (*SHELL, CONSOLE, *OTHERS), f"{block.place}: {block.language}"
        if block.language not in (*SHELL, CONSOLE):
            hidden = [line for line in block.text.splitlines() if is_command(line) and "[--" not in line]
            assert hidden == [], f"{block.place}: commands are in a block of sh or console"


READ = """\
Say `voicegw-sidecar check`, not `check`, and never ``python x.py``.

```sh
export A=1   # kept
curl -d 'a
b' \\
  http://localhost
```

~~~console
$ one \\
  --more
$ two
said
by two
~~~

```
$ voicegw-sidecar serve
```
"""


def test_commands_are_found_where_a_reader_finds_them() -> None:
    assert commands("one.md", READ) == [
        Command("one.md:1", "voicegw-sidecar check"),
        Command("one.md:3", "export A=1   # kept"),
        Command("one.md:3", "curl -d 'a\nb' \\\n  http://localhost"),
        Command("one.md:10", "one \\\n  --more"),
        Command("one.md:10", "two", "said\nby two\n"),
    ]
    assert [block.language for block in blocks("one.md", READ)] == ["sh", "console", ""]
    assert is_command(blocks("one.md", READ)[2].text)
