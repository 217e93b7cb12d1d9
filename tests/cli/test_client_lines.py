"""The table of client lines: the same as in the documentation, and what it says of variables is true of the clients."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from voicegw_sidecar.cli.client_lines import ALL, lines_for
from voicegw_sidecar.cli.variables import BASE_URLS, KEYS
from voicegw_sidecar.providers import BY_ID

ROOT = Path(__file__).parents[2]
ADDRESS = "http://127.0.0.1:8080"
SECTION = "What each was given, for project acme:"


def test_the_table_is_that_of_the_documentation() -> None:
    page = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8").partition(SECTION)[2]
    documented = re.findall(r"^\| (\S.*?) \| `(.+)` \|$", page, re.MULTILINE)
    assert len(documented) > 50
    assert [(line.client, line.pasted(ADDRESS, "acme")) for line in ALL] == documented


def test_without_a_project_no_line_names_one() -> None:
    for line in ALL:
        text = line.pasted(ADDRESS, None)
        assert "127.0.0.1:8080" in text
        assert not re.search(r"/p/|[{]\w+[}]|X-VoiceGW", text)


def test_lines_are_those_of_the_providers_asked_for_that_no_variable_reaches() -> None:
    found = dict(lines_for(["groq", "cartesia"], ADDRESS, "acme", without=["GROQ_BASE_URL"]))
    assert "LiveKit groq.LLM" in found
    assert "groq SDK" not in found
    assert "Pipecat GroqTTSService" not in found
    assert "LiveKit cartesia.TTS" in found
    assert not [client for client in found if "openai" in client]


def test_every_provider_has_a_line_and_every_vendor_a_key() -> None:
    assert {line.provider for line in ALL} == set(BY_ID)
    assert set(KEYS) == {name for name, provider in BY_ID.items() if not provider.is_local}
    assert {line.variable for line in ALL if line.variable} == {base.name for base in BASE_URLS}


# Each client as its line has it, but without an address; and where it then goes.
CLIENTS = """
import asyncio, sys, warnings
warnings.simplefilter("ignore")
from urllib.parse import urlsplit
import msgspec
from anthropic import AsyncAnthropic
from groq import AsyncGroq
from livekit.plugins import anthropic, groq, openai
from openai import AsyncOpenAI
from pipecat.services.anthropic.llm import AnthropicLLMService
from pipecat.services.groq.llm import GroqLLMService
from pipecat.services.groq.stt import GroqSTTService
from pipecat.services.groq.tts import GroqTTSService
from pipecat.services.ollama.llm import OLLamaLLMService
from pipecat.services.openai.llm import OpenAILLMService
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService
from pipecat.services.openai.responses.llm import OpenAIResponsesHttpLLMService, OpenAIResponsesLLMService
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService

async def main():
    key = {"api_key": "k"}
    found = {
        "AsyncOpenAI": AsyncOpenAI().base_url,
        "AsyncAnthropic": AsyncAnthropic().base_url,
        "AsyncGroq": AsyncGroq().base_url,
        "openai.LLM": openai.LLM()._client.base_url,
        "openai.responses.LLM(use_websocket=False)": openai.responses.LLM(use_websocket=False)._client.base_url,
        "openai.responses.LLM": openai.responses.LLM()._ws._base_url,
        "groq.LLM": groq.LLM()._client.base_url,
        "openai.LLM.with_ollama": openai.LLM.with_ollama()._client.base_url,
        "anthropic.LLM": anthropic.LLM()._client.base_url,
        "openai.STT": openai.STT()._client.base_url,
        "openai.STT(use_realtime=True)": openai.STT(use_realtime=True)._client.base_url,
        "groq.STT": groq.STT()._client.base_url,
        "openai.TTS": openai.TTS()._client.base_url,
        "groq.TTS": groq.TTS()._opts.base_url,
        "openai.realtime.RealtimeModel": openai.realtime.RealtimeModel()._opts.base_url,
        "OpenAILLMService": OpenAILLMService(**key)._client.base_url,
        "GroqLLMService": GroqLLMService(**key)._client.base_url,
        "OLLamaLLMService": OLLamaLLMService()._client.base_url,
        "OpenAIResponsesHttpLLMService": OpenAIResponsesHttpLLMService(**key)._client.base_url,
        "AnthropicLLMService": AnthropicLLMService(**key)._client.base_url,
        "OpenAIResponsesLLMService": OpenAIResponsesLLMService(**key)._ws_url,
        "OpenAIRealtimeLLMService": OpenAIRealtimeLLMService(**key).base_url,
        "OpenAIRealtimeSTTService": OpenAIRealtimeSTTService(**key)._base_url,
        "OpenAISTTService": OpenAISTTService(**key)._client.base_url,
        "GroqSTTService": GroqSTTService(**key)._client.base_url,
        "OpenAITTSService": OpenAITTSService(**key)._client.base_url,
        "GroqTTSService": GroqTTSService(**key)._client.base_url,
    }
    hosts = {name: urlsplit(str(url)).netloc for name, url in found.items()}
    sys.stdout.write(msgspec.json.encode(hosts).decode())

asyncio.run(main())
"""


def test_the_clients_obey_the_variables_that_the_table_names_and_no_other() -> None:
    """Asked of every client of OpenAI, Anthropic, Groq and Ollama; for the others the table names no variable."""
    environ = {**os.environ, **{name: "k" for names in KEYS.values() for name in names}}
    environ |= {base.name: f"http://{base.name.lower()}.test/v1" for base in BASE_URLS}
    out = subprocess.run([sys.executable, "-c", CLIENTS], env=environ, check=True, stdout=subprocess.PIPE, timeout=50)
    hosts = msgspec.json.decode(out.stdout, type=dict[str, str])
    asked = set()
    for line in ALL:
        if line.provider not in ("openai", "anthropic", "groq", "ollama"):
            continue
        name = _client(line.template, line.client)
        asked.add(name)
        host = hosts[name]
        obeyed = host.removesuffix(".test").upper() if host.endswith("_base_url.test") else None
        assert obeyed == line.variable, (line.client, host)
    assert asked == set(hosts)


def _client(template: str, client: str) -> str:
    """Return the name by which the script above knows the client of a line."""
    name = client.rpartition(" ")[2] if "BASE_URL" in template else template.partition("(")[0]
    kept = re.search(r"use_\w+=\w+", template)
    return f"{name}({kept.group()})" if kept else name
