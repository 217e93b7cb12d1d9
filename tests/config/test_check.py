from __future__ import annotations

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicegw_sidecar.config import BuiltinProvider, check_all
from voicegw_sidecar.config.schema import Config
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.terms import Secret

PORT = "expected a port number"
HOST = "expected a host such as voice.example.com, without scheme, path or *"
URL = "expected a base URL such as https://api.example.com"
ENTRY = "expected provider, provider/model or provider/model:voice"
ID = "lower-case letters, digits, _ and -, at most 64, first a letter or digit"
KNOWN = "anthropic, assemblyai, cartesia, deepgram, elevenlabs, groq, kokoro, ollama, openai, piper, whisper"

WRONG = [
    # unknown keys
    ("sessionz: {}", "sessionz: unknown key; did you mean sessions?"),
    ("projects: {acme: {budgt_action: warn}}", "projects.acme.budgt_action: unknown key; did you mean budget_action?"),
    ("storage: {zzz: 1}", "storage.zzz: unknown key; expected one of retention_days"),
    ("projects: {acme: {id: other}}", "projects.acme.id: unknown key; expected one of name, description, "
     "daily_budget, budget_action, tags, providers, agent_keys, agent_key_envs, routing, throttle_to, branding"),
    ('"a.b": 1', '["a.b"]: unknown key; expected one of ' + ", ".join(Config.__struct_fields__)),
    # shapes
    ("- a", "expected a mapping of keys, got a list"),
    ("serve: 8080", "serve: expected a mapping of keys, got 8080"),
    ("projects: {acme: {tags: prod}}", 'projects.acme.tags: expected a list, got "prod"'),
    ("projects: [acme]", "projects: expected a mapping of keys, got a list"),
    # whole numbers
    ("projects: {acme: {routing: {budget_ms: fast}}}",
     'projects.acme.routing.budget_ms: expected a whole number of milliseconds, got "fast"'),
    ("projects: {acme: {routing: {budget_ms: 0}}}",
     "projects.acme.routing.budget_ms: expected a whole number of milliseconds from 1 to 3600000, got 0"),
    ("projects: {acme: {routing: {budget_ms: 1.5}}}",
     "projects.acme.routing.budget_ms: expected a whole number of milliseconds, got 1.5"),
    ("projects: {acme: {routing: {budget_ms: true}}}",
     "projects.acme.routing.budget_ms: expected a whole number of milliseconds, got true"),
    ("projects: {acme: {routing: {budget_ms: null}}}",
     "projects.acme.routing.budget_ms: expected a whole number of milliseconds, got nothing"),
    ('serve: {port: "8080"}', f'serve.port: {PORT}, got "8080"'),
    ("serve: {port: -1}", f"serve.port: {PORT} from 0 to 65535, got -1"),
    ("serve: {port: 65536}", f"serve.port: {PORT} from 0 to 65535, got 65536"),
    ("serve: {port: 99999999999999999999}", f"serve.port: {PORT} from 0 to 65535, got a very large number"),
    ("storage: {retention_days: 0}",
     "storage.retention_days: expected a whole number of days from 1 to 36500, got 0"),
    ("sessions: {idle_seconds: 0}",
     "sessions.idle_seconds: expected a whole number of seconds from 1 to 604800, got 0"),
    ("workers: {rollup_interval_seconds: 0}",
     "workers.rollup_interval_seconds: expected a whole number of seconds from 1 to 604800, got 0"),
    # numbers
    ("projects: {acme: {daily_budget: -1}}",
     "projects.acme.daily_budget: expected a number of US dollars from 0 to 1000000000, got -1"),
    ("projects: {acme: {daily_budget: .nan}}",
     "projects.acme.daily_budget: expected a number of US dollars from 0 to 1000000000, got nan"),
    ('projects: {acme: {daily_budget: "25"}}',
     'projects.acme.daily_budget: expected a number of US dollars, got "25"'),
    ('projects: {acme: {daily_budget: ""}}', 'projects.acme.daily_budget: expected a number of US dollars, got ""'),
    ("projects: {acme: {daily_budget: false}}",
     "projects.acme.daily_budget: expected a number of US dollars, got false"),
    ("projects: {acme: {daily_budget: 1.0e-10}}",
     "projects.acme.daily_budget: expected US dollars with at most 9 decimals, got 1e-10"),
    ("serve: {drain_seconds: -0.5}", "serve.drain_seconds: expected a number of seconds from 0 to 86400, got -0.5"),
    ("providers: {openai: {timeouts: {connect_s: 0}}}",
     "providers.openai.timeouts.connect_s: expected a number of seconds above 0, at most 86400, got 0"),
    ("providers: {openai: {timeouts: {idle_s: .inf}}}",
     "providers.openai.timeouts.idle_s: expected a number of seconds above 0, at most 86400, got inf"),
    ("prices: {openai/gpt-4o: {per_minute: -1}}",
     "prices.openai/gpt-4o.per_minute: expected a number of US dollars from 0 to 1000000, got -1"),
    # yes/no and closed sets
    ("cost_tracking: {enabled: 1}", "cost_tracking.enabled: expected true or false, got 1"),
    ('cost_tracking: {enabled: "true"}', 'cost_tracking.enabled: expected true or false, got "true"'),
    ("projects: {acme: {budget_action: blocks}}",
     'projects.acme.budget_action: expected warn, throttle or block, got "blocks"; did you mean block?'),
    ("cost_tracking: {unpriced: [warn]}",
     "cost_tracking.unpriced: expected warn, block or estimate, got a list"),
    ("logging: {format: jsn}", 'logging.format: expected text or json, got "jsn"; did you mean json?'),
    ("logging: {level: INFO}",
     'logging.level: expected debug, info, warning or error, got "INFO"; did you mean info?'),
    ("logging: {level: off}", "logging.level: expected debug, info, warning or error, got false"),
    ("providers: {ollama: {dialect: deepgram}}",
     'providers.ollama.dialect: expected openai, got "deepgram"'),
    # ids
    ("projects: {Acme: {}}", f'projects.Acme: expected a project id ({ID}), got "Acme"; did you mean acme?'),
    ("projects: {a.b: {}}", f'projects["a.b"]: expected a project id ({ID}), got "a.b"'),
    ("providers: {v1: {}}", "providers.v1: expected a provider id, got the reserved word v1; choose another name"),
    ("projects: {acme: {providers: {local: {}}}}",
     "projects.acme.providers.local: expected a provider id, got the reserved word local; choose another name"),
    # texts
    ("projects: {acme: {name: 7}}", "projects.acme.name: expected text, got 7 (put it in quotes)"),
    ("projects: {acme: {tags: [yes]}}", "projects.acme.tags[0]: expected text, got true (put it in quotes)"),
    ('projects: {acme: {name: "a\\nb"}}', "projects.acme.name: expected text on one line without control characters"),
    ('projects: {acme: {branding: {product_name: "  "}}}',
     "projects.acme.branding.product_name: expected 1 to 64 characters, got 2"),
    (f"projects: {{acme: {{branding: {{product_name: {'x' * 65}}}}}}}",
     "projects.acme.branding.product_name: expected 1 to 64 characters, got 65"),
    ('projects: {acme: {branding: {accent_color: "#FF66"}}}',
     'projects.acme.branding.accent_color: expected a colour such as #F63 or #FF6633, got "#FF66"'),
    ("projects: {acme: {branding: {logo: ~bob/logo.png}}}",
     'projects.acme.branding.logo: expected a file path (of ~ forms only ~/…), got "~bob/logo.png"'),
    ("timezone: Europe/Berln",
     'timezone: expected a time zone such as Europe/Berlin, got "Europe/Berln"; did you mean Europe/Berlin?'),
    ("timezone: America", 'timezone: expected a time zone such as Europe/Berlin, got "America"; did you mean '),
    ("timezone: ../../etc/passwd",
     'timezone: expected a time zone such as Europe/Berlin, got "../../etc/passwd"'),
    ('timezone: "\\ud800"',
     "timezone: expected a time zone such as Europe/Berlin, got text with half a surrogate pair"),
    # addresses
    ("providers: {ollama: {base_url: localhost:11434}}",
     f'providers.ollama.base_url: {URL}, got "localhost:11434" without http:// or https://'),
    ("providers: {ollama: {base_url: http://}}",
     f'providers.ollama.base_url: {URL}, got "http://" without a valid host'),
    ("providers: {ollama: {base_url: http://x:99999}}",
     f'providers.ollama.base_url: {URL}, got "http://x:99999" that is malformed'),
    ("providers: {ollama: {base_url: http://u:hunter2@x}}",
     f"providers.ollama.base_url: {URL}, got one with a user or password"),
    ("providers: {ollama: {base_url: 'http://x/?key=hunter2'}}",
     f"providers.ollama.base_url: {URL}, got one with a query or fragment"),
    ('providers: {ollama: {base_url: "http://x y"}}',
     f'providers.ollama.base_url: {URL}, got "http://x y" that is empty or has spaces or non-ASCII characters'),
    ("serve: {public_url: https://voice.example.com/app}",
     "serve.public_url: expected an address such as https://voice.example.com, "
     'got "https://voice.example.com/app" with a path'),
    ("serve: {host: a/b}", 'serve.host: expected a host name or an address such as 127.0.0.1, got "a/b"'),
    ("serve: {allowed_hosts: [https://x]}", f'serve.allowed_hosts[0]: {HOST}, got "https://x"'),
    ('serve: {allowed_hosts: ["*"]}', f'serve.allowed_hosts[0]: {HOST}, got "*"'),
    ('serve: {allowed_hosts: ["x:0"]}', f'serve.allowed_hosts[0]: {HOST}, got "x:0"'),
    ("serve: {trusted_proxies: [10.0.0.0/33]}",
     'serve.trusted_proxies[0]: expected an address or network such as 10.0.0.0/8, got "10.0.0.0/33"'),
    ("alerts: {webhook: hooks.example.com/hunter2}",
     "alerts.webhook: expected an http(s) address, got one without http:// or https://"),
    # keys are never shown
    ("providers: {openai: {api_key: 12345}}",
     "providers.openai.api_key: expected a key in quotes, got a number"),
    ('providers: {openai: {api_key: "hunter2 "}}',
     "providers.openai.api_key: expected a key without spaces, line breaks or non-ASCII characters"),
    ('projects: {acme: {agent_keys: [""]}}',
     "projects.acme.agent_keys[0]: expected a key, got an empty text; remove the entry or set its variable"),
    ("projects: {acme: {agent_key_envs: [sk-hunter2]}}",
     "projects.acme.agent_key_envs[0]: expected the name of an environment variable, got text that is none"),
    # rosters, stand-ins, prices
    ("projects: {acme: {routing: {rosters: {stt: [openai/]}}}}",
     f'projects.acme.routing.rosters.stt[0]: {ENTRY}, got "openai/"'),
    ('projects: {acme: {routing: {rosters: {tts: ["cartesia/sonic-3:"]}}}}',
     f'projects.acme.routing.rosters.tts[0]: {ENTRY}, got "cartesia/sonic-3:"'),
    ("projects: {acme: {routing: {rosters: {stt: [local/parakeet]}}}}",
     "projects.acme.routing.rosters.stt[0]: expected local/whisper-…, local/kokoro or local/piper, "
     'got "local/parakeet"'),
    ("projects: {acme: {routing: {rosters: {stt: [deepgram, deepgrm/nova-3]}}}}",
     "projects.acme.routing.rosters.stt[1]: unknown provider deepgrm; did you mean deepgram?"),
    ("projects: {acme: {routing: {rosters: {llm: [groq, openai, groq]}}}}",
     "projects.acme.routing.rosters.llm[2]: expected each entry once, got groq again"),
    ("projects: {acme: {throttle_to: {llm: foo/bar}}}",
     f"projects.acme.throttle_to.llm: unknown provider foo; known are {KNOWN}"),
    ("prices: {openai: {}}", 'prices.openai: expected provider/model, got "openai"'),
    ("prices: {opnai/gpt-4.1: {}}", 'prices["opnai/gpt-4.1"]: unknown provider opnai; did you mean openai?'),
    # one key against another
    ("default_project: acme\nprojects: {acm: {}}",
     "default_project: expected a configured project, got acme; did you mean acm?"),
    ("default_project: acme", "default_project: expected a configured project, got acme; add it under projects:"),
    ("providers: {openia: {api_key: k}}",
     "providers.openia: not a built-in provider, so it needs dialect: openai and base_url; did you mean openai?"),
    ("projects: {acme: {providers: {mine: {dialect: openai}}}}",
     "projects.acme.providers.mine: not a built-in provider, so it needs base_url"),
    ("cost_tracking: {enabled: false}\nprojects: {acme: {daily_budget: 1, budget_action: block}}",
     "projects.acme.budget_action: expected warn while cost_tracking.enabled is false, got block; "
     "a budget cannot be kept without tracking costs"),
    ("serve: {port: 9000, health_port: 9000}",
     "serve.health_port: expected another port than serve.port, got 9000 too"),
    ("auth: {api_keys: [hunter2], viewer_keys: [hunter2]}",
     "auth.viewer_keys: expected keys of its own, got one that auth.api_keys has too"),
    ("projects: {a: {agent_keys: [hunter2]}, b: {agent_keys: [hunter2]}}",
     "projects.b.agent_keys: expected keys of its own, got one that projects.a.agent_keys has too"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), WRONG)
def test_a_fault_is_one_line_with_path_found_and_expected(text, line, read):
    _, errors = read(text)

    assert len(errors) == 1
    assert errors[0].startswith(line) if line.endswith(" ") else errors[0] == line
    assert "hunter2" not in errors[0]
    assert "\n" not in errors[0]


@pytest.mark.parametrize(
    ("text", "environ", "line"),
    [
        (
            "providers: {openai: {api_key: '${KEY}'}}",
            {},
            "providers.openai.api_key: the environment variable KEY is not set; "
            "set it, or write ${KEY:-default} to do without",
        ),
        (
            "serve: {port: '${PORT}'}",
            {"PORT": "hunter2"},
            "serve.port: expected a port number, got the value of ${PORT}",
        ),
        (
            "serve: {port: '${PORT}'}",
            {"PORT": "80.0"},
            "serve.port: expected a port number, got the value of ${PORT}",
        ),
        (
            "serve: {port: '8${PORT}'}",
            {"PORT": "080"},
            "serve.port: expected a port number, got the value of ${PORT}",
        ),
        (
            "serve: {port: '${PORT}'}",
            {"PORT": "99999"},
            "serve.port: expected a port number from 0 to 65535, got the value of ${PORT}",
        ),
        (
            "timezone: '${A}${B}'",
            {"A": "hunter2", "B": ""},
            "timezone: expected a time zone such as Europe/Berlin, got the value of ${A} and ${B}",
        ),
        (
            "logging: {level: '${L}'}",
            {"L": "inf"},
            "logging.level: expected debug, info, warning or error, got the value of ${L}",
        ),
        (
            "providers: {openai: {base_url: '${U}'}}",
            {"U": "hunter2"},
            f"providers.openai.base_url: {URL}, got one without http:// or https://",
        ),
        (
            "timezone: '${1}'",
            {},
            "timezone: expected ${NAME} or ${NAME:-default}, got a ${ that begins neither; a literal one is $${",
        ),
    ],
)
def test_a_fault_of_a_substituted_text_names_the_variable_and_never_its_value(text, environ, line, read):
    assert read(text, environ)[1] == [line]


def test_every_fault_is_listed_in_the_order_of_the_file(read):
    _, errors = read("serve: {port: x}\nprojects: {acme: {tags: 1, daily_budget: -1}}\nlogging: {level: 3}")

    assert [line.partition(":")[0] for line in errors] == [
        "serve.port",
        "projects.acme.tags",
        "projects.acme.daily_budget",
        "logging.level",
    ]


def test_substitution_fills_texts_numbers_and_yes_no_values(read):
    text = """
    projects:
      acme: {name: "${WHO} Voice", description: "$${WHO} ${NONE:-a:b}", daily_budget: "${BUDGET}"}
    serve: {port: "${PORT:-9000}", health_port: "${HEALTH:-}"}
    cost_tracking: {enabled: "${ON}"}
    providers: {openai: {api_key: "${OPENAI_KEY:-}"}}
    auth: {api_keys: ["${ADMIN}", "${EMPTY:-}"]}
    """
    environ = {"WHO": "{a: 1}", "BUDGET": "0.1", "ON": "True", "ADMIN": "k1", "PORT": ""}

    config, errors = read(text, environ)

    assert errors == []
    acme = config.projects["acme"]
    assert (acme.name, acme.description) == ("{a: 1} Voice", "${WHO} a:b")
    assert type(acme.name) is str
    assert acme.daily_budget_nanousd == 100_000_000
    assert (config.serve.port, config.serve.health_port) == (9000, None)
    assert config.cost_tracking.enabled
    assert config.providers["openai"].api_key is None
    assert config.auth.api_keys == (Secret("k1"),)


def test_without_an_environment_substitutions_stay_as_they_are(builtin):
    document = {"projects": {"acme": {"name": "${WHO}"}}}

    assert check_all(document, builtin) == []


@pytest.mark.parametrize(
    "text", ["", "projects:", "projects: {acme: }", "serve:\nauth: {api_keys: }", "providers: {openai: }"]
)
def test_an_empty_section_is_all_defaults(text, read):
    assert read(text)[1] == []


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["${X}", "${X:-1}", "${", "openai/x:y", "http://[", "~", "10.0.0.0/8", "local/kokoro:a"]),
    st.just(10**40),
    st.just(datetime.date(2024, 1, 1)),
    st.binary(max_size=4),
)
KEYS = (
    "default_project timezone projects providers cost_tracking prices serve auth storage sessions logging alerts otlp "
    "workers acme openai mine default routing rosters stt llm tts throttle_to branding product_name logo agent_keys "
    "timeouts connect_s idle_s base_url dialect include_usage daily_budget budget_action tags api_key host port "
    "allowed_hosts trusted_proxies public_url webhook endpoint per_minute openai/gpt level format db_path"
)
words = st.sampled_from(KEYS.split())
trees = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.one_of(words, words, scalars), inner)),
    max_leaves=30,
)


BUILTIN = {"openai": BuiltinProvider("https://api.openai.example", is_local=False)}


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(words, trees, max_size=6) | trees)
def test_any_tree_is_either_fine_or_refused_in_one_line(tree):
    for error in check_all(tree, BUILTIN, {"X": "\ud800 1e9"}):
        assert isinstance(error, ConfigError)
        assert "\n" not in str(error)
        assert str(error).encode()


PATHS = (
    "timezone|serve.port|serve.host|serve.allowed_hosts|serve.public_url|serve.drain_seconds|alerts.webhook|"
    "cost_tracking.db_path|prices.openai/x.per_minute|projects.a.daily_budget|projects.a.routing.rosters.stt|"
    "projects.a.routing.budget_ms|projects.a.throttle_to.tts|projects.a.branding.accent_color|"
    "projects.a.agent_keys|providers.openai.timeouts.idle_s|providers.openai.base_url|auth.api_keys"
)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_value_in_any_field_is_either_fine_or_refused(data):
    path = data.draw(st.sampled_from(PATHS.split("|")))
    document: object = data.draw(scalars | st.lists(scalars, max_size=3))
    for key in reversed(path.split(".")):
        document = {key: document}

    for error in check_all(document, BUILTIN, {"X": "1"}):
        assert str(error).startswith(path)


def test_a_number_too_long_to_print_is_described(builtin):
    [error] = check_all({"serve": {"port": 10**5000}}, builtin)

    assert str(error) == "serve.port: expected a port number from 0 to 65535, got a very large number"


def test_a_value_that_yaml_cannot_give_is_described(builtin):
    [error] = check_all({"timezone": b"UTC"}, builtin)

    assert str(error) == "timezone: expected a time zone such as Europe/Berlin, got a value of another kind"


def test_an_escaped_substitution_is_plain_text(read):
    assert read("projects: {a: {name: '$${WHO}'}}")[0].projects["a"].name == "${WHO}"
