"""What `inference` costs an agent that imports it, and what it says where a framework is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "asyncio", "aiohttp", "apsw", "msgspec", "http", "subprocess", "ssl", "pydantic", "voice_prices", "livekit",
    "pipecat", "openai", "anthropic",
)  # fmt: skip
OWN = {"voicegw_sidecar", "voicegw_sidecar.inference"}


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_imports_nothing_of_the_sidecar_and_nothing_heavy() -> None:
    loaded = set(_run("import sys; from voicegw_sidecar import inference; print(*sorted(sys.modules))").split())
    assert loaded & set(HEAVY) == set()
    ours = {name for name in loaded if name.startswith("voicegw_sidecar")}
    assert ours >= OWN
    assert {name for name in ours if not name.startswith("voicegw_sidecar.inference")} == {"voicegw_sidecar"}


@pytest.mark.parametrize(
    ("package", "code"),
    [
        ("livekit", "inference.STT('deepgram/nova-3')"),
        ("livekit", "inference.LLM('auto')"),
        ("livekit", "inference.TTS('cartesia/sonic-3')"),
        ("pipecat", "inference.pipecat.STT('deepgram/nova-3')"),
        ("pipecat", "inference.pipecat.LLM('anthropic/claude-haiku-4-5')"),
        ("pipecat", "inference.pipecat.TTS('auto')"),
    ],
)
def test_without_its_extra_the_error_is_the_command_that_installs_it(package: str, code: str) -> None:
    without = f"""
import importlib.abc, sys
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
import voicegw_sidecar.inference.pipecat
from voicegw_sidecar import inference
try:
    {code}
except inference.MissingExtraError as error:
    print(error)
"""
    said = _run(without)
    assert said.count("\n") == 1
    assert f"pip install 'voicegw-sidecar[{package}]'" in said


def test_addresses_need_no_framework() -> None:
    code = "from voicegw_sidecar import inference; inference.set_project('prod'); print(inference.base_url('openai'))"
    assert _run(code).strip().endswith("/p/prod/openai")
