"""Every STT with every LLM and every TTS: conversations of unmodified LiveKit Agents, and their table.

    python -m tests.unified.matrix [--jobs 4] [--only deepgram]

Each is a call of two turns through one sidecar, whose providers are simulated; what is checked is that both answers
were played to their end and that the exchanges of the call were served by the models it names.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import sys
import tempfile
from collections import Counter
from pathlib import Path

import aiohttp

from tests.sidecar import Sidecar
from tests.unified.livekit_call import answered, hold, inference_at, script
from voicegw_sidecar.serve import running
from voicegw_sidecar.settings import load_settings
from voicegw_sidecar.simulator import Simulator
from voicegw_sidecar.simulator.routes import PROVIDERS

STT = (
    "deepgram/nova-3", "deepgram/flux-general-en", "assemblyai/universal-streaming", "openai/gpt-4o-mini-transcribe",
    "openai/whisper-1", "groq/whisper-large-v3-turbo", "elevenlabs/scribe_v2_realtime", "cartesia/ink-2",
    "cartesia/ink-whisper", "whisper/large-v3",
)  # fmt: skip
LLM = ("openai/gpt-4.1-mini", "anthropic/claude-haiku-4-5", "groq/llama-3.3-70b-versatile", "ollama/qwen2.5:3b")
TTS = (
    "cartesia/sonic-3", "elevenlabs/eleven_flash_v2_5", "deepgram/aura-2-thalia-en", "openai/gpt-4o-mini-tts",
    "groq/canopylabs/orpheus-v1-english", "kokoro/kokoro", "piper/en_US-lessac-medium",
)  # fmt: skip
LOCAL = ("ollama", "whisper", "kokoro", "piper")
CALL_S = 60.0
Triple = tuple[str, str, str]


async def call(sidecar: Sidecar, number: int, triple: Triple) -> str | None:
    """Hold one call; return what was wrong with it, or None."""
    session = f"call-{number}"
    try:
        async with asyncio.timeout(CALL_S):
            with inference_at(f"{sidecar.url}/p/acme/s/{session}/v1"):
                answering = answered(*triple)
                phone = await answering.__aenter__()
            try:
                await hold(phone)
            finally:
                await answering.__aexit__(None, None, None)
    except Exception as error:
        return f"{type(error).__name__} {error}"
    await asyncio.sleep(0.2)
    logs = (await sidecar.get_json(f"/v1/logs?project=acme&session={session}&limit=1000"))["logs"]
    for modality, model in zip(("stt", "llm", "tts"), triple, strict=True):
        served = Counter(one["provider"] for one in logs if one["modality"] == modality and one["status"] == "ok")
        if set(served) != {model.partition("/")[0]}:
            return f"{modality} was served by {dict(served)}"
    return None


async def run(triples: list[Triple], jobs: int) -> dict[Triple, str | None]:
    """Hold all calls, so many at once."""
    found: dict[Triple, str | None] = {}
    with tempfile.TemporaryDirectory() as folder:
        async with Simulator(script()) as simulator:
            config = Path(folder) / "voicegw.yaml"
            lines = [f"cost_tracking: {{db_path: {folder}/voicegw.db}}", "serve: {port: 0}", "projects: {acme: {}}",
                     "providers:"]  # fmt: skip
            for name in PROVIDERS:
                key = "" if name in LOCAL else ", api_key: key"
                lines.append(f"  {name}: {{base_url: '{simulator.base_url(name)}'{key}}}")
            config.write_text("\n".join(lines) + "\n")
            async with running(load_settings(str(config), {})) as started, aiohttp.ClientSession() as http:
                sidecar, waiting = Sidecar(started, http, config), list(enumerate(triples))[::-1]

                async def work() -> None:
                    while waiting:
                        number, triple = waiting.pop()
                        found[triple] = await call(sidecar, number, triple)
                        words = found[triple] or "ok"
                        print(f"{number + 1:>4}/{len(triples)}  {' + '.join(triple)}: {words}", file=sys.stderr)

                await asyncio.gather(*(work() for _ in range(jobs)))
    return found


def table(found: dict[Triple, str | None]) -> str:
    """The calls that went well of those that were held, STT by TTS, over all LLMs."""
    lines = ["| STT \\ TTS | " + " | ".join(f"`{tts}`" for tts in TTS) + " |", "| --- |" + " --- |" * len(TTS)]
    for stt in STT:
        cells = []
        for tts in TTS:
            mine = [words for (heard, _, spoken), words in found.items() if (heard, spoken) == (stt, tts)]
            cells.append(f"{sum(words is None for words in mine)} of {len(mine)}" if mine else "")
        lines.append(f"| `{stt}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> int:
    """Hold them and print the table; 1 where one went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=4, help="calls at once")
    parser.add_argument("--only", default="", help="only triples with this text in a name")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    triples = [triple for triple in itertools.product(STT, LLM, TTS) if any(options.only in name for name in triple)]
    found = asyncio.run(run(triples, options.jobs))
    print(table(found))
    failed = {triple: words for triple, words in found.items() if words is not None}
    for triple, words in failed.items():
        print(f"failed: {' + '.join(triple)}: {words}")
    print(f"{len(found) - len(failed)} of {len(found)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
