from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
from msgspec import Struct, structs

from voicegw_sidecar.config.schema import FROM_KEY, Config, Rosters
from voicegw_sidecar.terms import BudgetAction, RosterEntry, Secret, Unpriced

DOCS = Path(__file__).parents[2] / "docs" / "configuration.md"

EVERY_KEY = """
default_project: default
timezone: UTC                      # calendar of "today" and of daily budgets
projects:
  acme:
    name: Acme Voice
    description: ""
    daily_budget: 25.0
    budget_action: warn
    tags: [production]
    providers: {openai: {api_key: "${ACME_OPENAI_KEY}"}}
    agent_keys: []
    agent_key_envs: [ACME_AGENT_KEY]
    routing:
      budget_ms: 1200
      fallback_to_fastest: true
      failover: false
      rosters:
        stt: [deepgram, assemblyai]
        llm: [groq, openai]
        tts: [cartesia, elevenlabs]
    throttle_to: {stt: whisper, llm: ollama/qwen2.5:3b, tts: kokoro}
    branding: {product_name: AcmeVoice, accent_color: "#FF6633", logo: ./acme-logo.png}
providers:
  ollama: {base_url: http://localhost:11434}
  whisper: {}
  kokoro: {}
cost_tracking: {enabled: true, db_path: ~/.config/voicegateway/voicegw.db, unpriced: warn}
prices: {}
serve: {host: 127.0.0.1, port: 8080, health_port: null, allowed_hosts: [], trusted_proxies: [], public_url: "", drain_seconds: 30}
auth: {api_keys: ["${VOICEGW_API_KEY:-}"], viewer_keys: []}
storage: {retention_days: 90}
sessions: {idle_seconds: 120}
logging: {format: text, level: info}
alerts: {webhook: ""}
otlp: {endpoint: ""}
workers: {rollup_interval_seconds: 900}
"""  # noqa: E501

PROJECTS = """
projects:
  prod:
    name: Production
    description: Customer-facing voice agents
    daily_budget: 50.00
    budget_action: throttle
    tags: [production, customer-facing]
    providers:
      openai:
        api_key: ${PROD_OPENAI_KEY}
      deepgram:
        api_key: ${PROD_DEEPGRAM_KEY}

  dev:
    name: Development
    daily_budget: 5.00
    budget_action: block
    tags: [development]
    # no providers: these come from the top level

providers:
  ollama:
    base_url: http://localhost:11434
  whisper: {}

cost_tracking:
  enabled: true
"""


def test_every_key_with_its_default_gives_the_defaults(read):
    config, errors = read(EVERY_KEY, {"ACME_OPENAI_KEY": "k"})

    assert errors == []
    usual = Config()
    for section in ("default_project", "timezone", "cost_tracking", "serve", "auth", "storage", "sessions", "logging",
                    "alerts", "otlp", "workers", "prices"):  # fmt: skip
        assert getattr(config, section) == getattr(usual, section)
    acme = config.projects["acme"]
    assert acme.id == "acme"
    assert acme.daily_budget_nanousd == 25_000_000_000
    assert acme.providers["openai"].api_key == Secret("k")
    assert acme.throttle_to.llm == RosterEntry("ollama", "qwen2.5:3b")
    assert acme.routing.rosters.stt == (RosterEntry("deepgram"), RosterEntry("assemblyai"))
    assert acme.branding.logo == Path("acme-logo.png")


def test_projects_of_an_agency_load(read):
    config, errors = read(PROJECTS, {"PROD_OPENAI_KEY": "a", "PROD_DEEPGRAM_KEY": "b"})

    assert errors == []
    assert config.projects["prod"].budget_action is BudgetAction.THROTTLE
    assert config.projects["dev"].daily_budget_nanousd == 5_000_000_000
    assert config.projects["dev"].tags == ("development",)


@pytest.mark.parametrize(
    ("written", "nanousd"),
    [("0", None), ("0.0", None), ("null", None), ("0.1", 100_000_000), ("1.0e-9", 1), ("7", 7 * 10**9)],
)
def test_a_budget_is_exact_and_nothing_is_unlimited(written, nanousd, read):
    config, errors = read(f"projects: {{a: {{daily_budget: {written}}}}}")

    assert errors == []
    assert config.projects["a"].daily_budget_nanousd == nanousd


def test_prices_are_exact_decimals(read):
    config, errors = read(
        "prices: {openai/gpt-4.1: {input_per_mtok: 0.1, per_minute: 0}, local/kokoro: {per_1k_chars: 1}}"
    )

    assert errors == []
    assert config.prices["openai/gpt-4.1"].input_per_mtok == Decimal("0.1")
    assert config.prices["openai/gpt-4.1"].per_minute == 0
    assert config.prices["openai/gpt-4.1"].output_per_mtok is None
    assert config.prices["kokoro/kokoro"].per_1k_chars == 1


def test_roster_entries_of_every_form(read):
    rosters = """
    stt: [deepgram/nova-3:de, local/whisper-large-v3, local/whisper, "whisper/Systran/faster:small:en"]
    llm: [groq/openai/gpt-oss-20b, "ollama/qwen2.5:3b"]
    tts: [cartesia/sonic-3:voice-1, local/kokoro, "local/kokoro:af_heart"]
    """
    config, errors = read("projects:\n  a:\n   routing:\n    rosters:" + rosters.replace("\n    ", "\n      "))

    assert errors == []
    assert config.projects["a"].routing.rosters == Rosters(
        stt=(
            RosterEntry("deepgram", "nova-3", "de"),
            RosterEntry("whisper", "whisper-large-v3"),
            RosterEntry("whisper"),
            RosterEntry("whisper", "Systran/faster:small", "en"),
        ),
        llm=(RosterEntry("groq", "openai/gpt-oss-20b"), RosterEntry("ollama", "qwen2.5:3b")),
        tts=(
            RosterEntry("cartesia", "sonic-3", "voice-1"),
            RosterEntry("kokoro"),
            RosterEntry("kokoro", "kokoro", "af_heart"),
        ),
    )
    assert str(config.projects["a"].routing.rosters.tts[0]) == "cartesia/sonic-3:voice-1"


def test_addresses_are_brought_to_one_form(read):
    config, errors = read(
        "serve: {allowed_hosts: [Voice.Example.com, 'x:8443', '::1', '[FE80::1]:80', 10.0.0.1],"
        " trusted_proxies: [10.1.2.3/8, '::1'], public_url: 'https://Voice.example.com/'}\n"
        "providers: {openai: {base_url: 'https://proxy.internal:8443/openai/'}}\n"
        "alerts: {webhook: 'https://hooks.example.com/x?token=y'}\ncost_tracking: {unpriced: estimate}"
    )

    assert errors == []
    assert config.serve.allowed_hosts == ("voice.example.com", "x:8443", "[::1]", "[fe80::1]:80", "10.0.0.1")
    assert [str(network) for network in config.serve.trusted_proxies] == ["10.0.0.0/8", "::1/128"]
    assert config.serve.public_url == "https://Voice.example.com"
    assert config.providers["openai"].base_url == "https://proxy.internal:8443/openai"
    assert config.alerts.webhook == Secret("https://hooks.example.com/x?token=y")
    assert config.cost_tracking.unpriced is Unpriced.ESTIMATE


def keys(cls: type[Struct]) -> set[str]:
    found: set[str] = set()
    for field in structs.fields(cls):
        if FROM_KEY in get_args(field.type):
            continue
        found.add(field.encode_name)
        parts = [field.type] if get_origin(field.type) is not Annotated else []
        parts += [] if not parts else list(get_args(field.type))
        for part in parts:
            if isinstance(part, type) and issubclass(part, Struct) and part is not RosterEntry:
                found |= keys(part)
    return found


def test_the_documentation_names_every_key():
    text = DOCS.read_text(encoding="utf-8")

    named = set(re.findall(r"[a-z0-9_]+", " ".join(re.findall(r"`[^`\n]+`", text))))

    assert keys(Config) - named == set()
    assert "rosters" in keys(Config)
    assert "idle_s" in keys(Config)
