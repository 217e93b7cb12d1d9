"""Somebody who reads a document from top to bottom and runs what stands there, in a workshop of their own.

Has what such a reader has: an agent, a logo, keys, a configuration, providers (simulated ones), and does between the
commands what the text says. What a command has to print stands in `SAYS`.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import yaml

from tests.branding.samples import GOOD_PNG
from tests.docs import elsewhere
from tests.docs.documents import ROOT, Command
from tests.docs.elsewhere import Fate
from tests.docs.machine import SYSTEM_FOLDERS
from tests.docs.workshop import KEY, PROGRAMS, Ended, Workshop

ADDRESS, PROVIDERS_AT = "http://127.0.0.1:8080", "http://127.0.0.1:9100"
VENDORS = ("openai", "anthropic", "groq", "deepgram", "assemblyai", "cartesia", "elevenlabs")
ROSTERS = {"stt": ["deepgram", "assemblyai"], "llm": ["groq", "openai"], "tts": ["cartesia", "elevenlabs"]}
SIMULATOR = "python -m voicegw_sidecar.simulator --port 9100"
LISTENS = r"listens on http://127\.0\.0\.1:\d+"
AGENT = '''\
"""A small agent: hears two recordings and asks about each. Deepgram's address is the line that was changed."""
import io, math, os, struct, urllib.request, wave
from openai import OpenAI

LISTEN = "http://127.0.0.1:8080/p/acme/deepgram/v1/listen?model=nova-3"
file = io.BytesIO()
with wave.open(file, "wb") as recording:
    recording.setnchannels(1), recording.setsampwidth(2), recording.setframerate(16000)
    tone = (int(9000 * math.sin(moment / 8)) for moment in range(16000))
    recording.writeframes(b"".join(struct.pack("<h", sample) for sample in tone))
headers = {"Authorization": f"Token {os.environ['DEEPGRAM_API_KEY']}", "Content-Type": "audio/wav"}
vendor = OpenAI()
for _ in range(2):
    with urllib.request.urlopen(urllib.request.Request(LISTEN, file.getvalue(), headers)) as heard:
        heard.read()
    asked = [{"role": "user", "content": "Where is my order?"}]
    print(vendor.chat.completions.create(model="gpt-4.1-mini", messages=asked).choices[0].message.content)
'''
CONSOLE_SCRIPT = PROGRAMS / "voicegw-sidecar"
UNTOUCHED = ("/dev/null", "/usr/sbin/nologin")
"""What is named outside of the folders that a private machine has for itself, and not written to."""
RUNS_ON = re.compile(r"voicegw-sidecar (serve|demo)\b|voicegw_sidecar\.simulator\b")

SAYS = {
    "voicegw-sidecar --version": r"^voicegw-sidecar \d+\.\d+\.\d+$",
    "voicegw-sidecar backup": r" is a copy of /.*voicegw\.db, [\d.,]+ MB\.$",
    "voicegw-sidecar brand clear": r"^  Product name: -$",
    "voicegw-sidecar brand set": (
        r"^Project acme branding updated:\n  Logo: /static/branding/acme\.png\n"
        r"  Accent color: #FF6633\n  Product name: AcmeVoice$"
    ),
    "voicegw-sidecar brand show": r"^  Product name: AcmeVoice$",
    "voicegw-sidecar check": r"^\S+voicegw\.yaml is valid\.$",
    "voicegw-sidecar costs": r"\d USD, \d+ requests",
    "voicegw-sidecar doctor": r"^ 1 ok    configuration  — \S+/voicegw\.yaml$",
    "voicegw-sidecar onboard": r"^Wrote voicegw\.yaml: project \w+, openai, deepgram, cartesia\.$",
    "voicegw-sidecar route simulate acme": r"^  Predicted total: \d+ ms\n  Under budget \(\d+ ms\): yes$",
    "voicegw-sidecar run -- python agent.py": r"^The agent ended with code 0\.$",
    "voicegw-sidecar share create acme": rf"^{ADDRESS}/share/\S+$",
    f"curl '{ADDRESS}/v1/logs": r'^\{"logs":\[\{.*"project":"acme"',
    f"curl -X POST {ADDRESS}/v1/sessions": rf'"base_url":"{ADDRESS}/p/acme/s/[\w-]+/',
    f"curl {ADDRESS}/ready": r'"status":"ready"',
    "curl -X POST http://localhost:8080/v1/projects": r'"id":"demo"',
    "curl -X PATCH http://localhost:8080/v1/projects/demo": r'"budget_ms":900',
    "python tests/benchmarks/bench_metering.py": r"^OpenAI chat, one SSE chunk +[\d.]+ +[\d.]+$",
    "python tests/benchmarks/bench_routing.py": r"\badaptive\b.*\n.*\boracle\b",
    "python -m tests.benchmarks.bench_stitching": r"^\| each agent its own connections \| \d+ \|",
}
"""What a command prints, by how it begins. Whatever is not here ends with exit code 0."""


class Reader:
    """Reads one document; ``set_aside`` is what could not be run on this machine, and why."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop
        self.set_aside: list[str] = []
        (shop.folder / "agent.py").write_text(AGENT, encoding="utf-8")
        (shop.folder / "acme-logo.png").write_bytes(next(iter(GOOD_PNG.values())))
        for name in ("build", "docs", "tests"):
            (shop.folder / name).symlink_to(ROOT / name)
        (shop.folder / "dist").mkdir()
        shutil.copy(CONSOLE_SCRIPT, shop.folder / "dist")  # as the executable is tried in tests/build
        shop.variables["PIP_NO_INDEX"] = "1"  # nothing comes from outside

    def has_keys(self) -> None:
        """Keys of three vendors are in the environment."""
        self.shop.variables |= {f"{name}_API_KEY": KEY for name in ("OPENAI", "DEEPGRAM", "CARTESIA")}

    def has_providers(self) -> None:
        """Simulated providers answer on port 9100."""
        self.shop.start(SIMULATOR, "providers", r'^\{"port":9100\}$')

    def has_configuration(self, **changes: Any) -> None:
        """A ``voicegw.yaml`` with the project acme is there, its providers on port 9100."""
        acme = {"name": "Acme Voice", "routing": {"budget_ms": 1200, "rosters": ROSTERS}}
        providers = {name: {"base_url": f"{PROVIDERS_AT}/{name}"} for name in VENDORS}
        self.write({"projects": {"acme": acme}, "providers": providers, **changes})

    def points_at_the_simulators(self) -> None:
        """The file that ``onboard`` wrote gets their addresses, and the project acme where it has another."""
        config = yaml.safe_load((self.shop.folder / "voicegw.yaml").read_text(encoding="utf-8"))
        for name, settings in config["providers"].items():
            settings["base_url"] = f"{PROVIDERS_AT}/{name}"
        config["projects"].setdefault("acme", config["projects"][config["default_project"]])
        self.write(config)

    def write(self, config: dict[str, Any]) -> None:
        """Write ``voicegw.yaml``."""
        (self.shop.folder / "voicegw.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")

    def serves(self, prefix: str = "") -> None:
        """A sidecar runs."""
        self.shop.start(f"{prefix}voicegw-sidecar serve", "sidecar", LISTENS)

    def follows(self, command: Command) -> Ended | None:
        """Do what becomes of a command; returns how it ended if it was run to its end."""
        fate = elsewhere.fate(command.text)
        if fate is Fate.TRIED:
            self._tries_options(command)
        if fate is not Fate.RUN or self._sets_aside(command.text):
            return None
        if command.text.startswith("export "):
            self.shop.export(command.text.replace("=…", f"={KEY}"))
        elif RUNS_ON.search(command.text):
            self._starts(command)
        else:
            short = elsewhere.benchmark(command.text)
            text = command.text if short is None else f"{elsewhere.plain(command.text)}{short[1]}"
            ended = self.shop.run(text)
            judge(command, ended)
            return ended
        return None

    def _sets_aside(self, text: str) -> bool:
        """Leave out what would change this machine, where it has no folders of its own."""
        places = re.findall(r"(?<![\w/.])/[\w./-]+", text)
        is_private = self.shop.machine.has_own_folders
        if "sudo " not in text and not any(place.startswith(SYSTEM_FOLDERS) for place in places):
            return False
        if is_private:
            left = [place for place in places if not place.startswith((*SYSTEM_FOLDERS, *UNTOUCHED))]
            assert left == [], f"{text}: as root, and on this machine itself: {left}"
            return False
        self.set_aside.append(elsewhere.plain(text))
        return True

    def _starts(self, command: Command) -> None:
        """Start what runs until it is stopped, and see that it answers; a demonstration is looked at and stopped."""
        text, shop = command.text, self.shop
        if "simulator" in text:
            running = shop.start(text, "providers", r'^\{"port":\d+\}\n')
            assert running.said == command.shown or not command.shown, f"{command.place}: {running.said}"
            return
        kind = "second" if "VOICEGW_PORT=" in text else "sidecar"
        is_demo = " demo" in text
        running = shop.start(text, kind, r"^\d+\.\d{4} USD  \d+ exchanges" if is_demo else LISTENS)
        found = re.search(r"http://127\.0\.0\.1:\d+", running.said)
        assert found is not None, running.said
        for path in ("/ready", "/"):
            asked = shop.run(f"curl --silent --show-error --fail {found[0]}{path}")
            assert asked.code == 0, asked
        if is_demo:
            shop.stop(kind)
            assert "The demonstration is over; its database is gone.\n" in running.said

    def _tries_options(self, command: Command) -> None:
        """Ask a benchmark for its options: each that the document gives is one of them."""
        found = elsewhere.benchmark(command.text)
        assert found is not None
        told = self.shop.run(f"{found[0]} --help")
        assert told.code == 0, told
        for option in re.findall(r"(?<= )--[\w-]+", elsewhere.plain(command.text)):
            assert re.search(rf"^ +{option}\b", told.out, re.MULTILINE), f"{command.place}: no option {option}"


def judge(command: Command, ended: Ended) -> None:
    """Fail if a command did not do what its document promises."""
    said = f"{command.place}\n{ended}"
    assert ended.code == 0, said
    assert "Traceback" not in ended.err, said
    if elsewhere.program(ended.text) == "curl" and ended.out.startswith("{"):
        assert "error" not in msgspec.json.decode(ended.out), said
    begins = [begin for begin in SAYS if elsewhere.plain(command.text).removeprefix("sudo ").startswith(begin)]
    if begins:
        assert re.search(SAYS[max(begins, key=len)], ended.out + ended.err, re.MULTILINE), said


def masked(text: str, folder: Path | None = None) -> list[str]:
    """Return what is the same in every run of a command: figures, times and the folder are masked."""
    if folder is not None:
        text = text.replace(str(folder), "/home/me/agent")
    text = re.sub(r"[\d,]+(?= (ms|MiB)\b)|\d\d:\d\d:\d\d(?= UTC)|\d+\.\d{6}\b", "…", text)
    text = re.sub(r"(?<=certificates   — ).*", "…", text)
    return [" ".join(line.split()) for line in text.splitlines()]
