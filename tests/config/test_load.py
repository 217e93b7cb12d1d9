from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

from voicegw_sidecar.config import examine, load
from voicegw_sidecar.errors import ConfigError
from voicegw_sidecar.terms import Secret

# The package's attribute of this name is the function.
load_module = importlib.import_module("voicegw_sidecar.config.load")


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(load_module, "SYSTEM_FILE", tmp_path / "etc" / "voicegw.yaml")
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def cwd(tmp_path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_without_a_file_everything_is_default(home, cwd, builtin):
    loaded = load(None, {"HOME": str(home)}, cwd, builtin)

    assert loaded.path is None
    assert loaded.config.serve.port == 8080
    assert loaded.config.cost_tracking.db_path == home / ".config/voicegateway/voicegw.db"


def test_files_are_searched_in_order(tmp_path, home, cwd, builtin):
    places = [
        (tmp_path / "etc/voicegw.yaml", None, {}),
        (home / ".config/voicegateway/voicegw.yaml", None, {}),
        (cwd / "voicegw.yaml", None, {}),
        (cwd / "named.yaml", None, {"VOICEGW_CONFIG": "named.yaml"}),
        (home / "explicit.yaml", "~/explicit.yaml", {"VOICEGW_CONFIG": "named.yaml"}),
    ]
    for port, (path, explicit, environ) in enumerate(places, start=5000):
        write(path, f"serve: {{port: {port}}}")

        loaded = load(explicit, {"HOME": str(home), **environ}, cwd, builtin)

        assert (loaded.path, loaded.config.serve.port) == (path, port)


def test_a_folder_that_may_not_be_looked_into_is_passed_over(home, cwd, builtin, monkeypatch):
    def closed(path):
        raise PermissionError

    monkeypatch.setattr(Path, "stat", closed)

    assert load(None, {"HOME": str(home)}, cwd, builtin).path is None


def test_no_home_is_no_fault_until_a_path_needs_it(home, cwd, builtin):
    assert load(None, {"VOICEGW_DB_PATH": "a.db"}, cwd, builtin).config.cost_tracking.db_path == cwd / "a.db"
    with pytest.raises(ConfigError, match="HOME to be set"):
        load(None, {}, cwd, builtin)


@pytest.mark.parametrize(
    ("explicit", "environ", "reason"),
    [
        ("none.yaml", {}, "none.yaml: no such file; --config names it, so create it or name another"),
        (None, {"VOICEGW_CONFIG": "none.yaml"}, "no such file; VOICEGW_CONFIG names it, so create it or name another"),
        (".", {}, ": expected a file, got a folder"),
        ("bad\0name", {}, ": cannot be read: not a usable path"),
        ("x" * 300, {}, ": cannot be read: file name too long"),
        ("bad.yaml", {}, "bad.yaml: line 1, column 6: expected ',' or ']', but got '<stream end>'"),
    ],
)
def test_a_named_file_that_cannot_be_used_is_refused(explicit, environ, reason, home, cwd, builtin):
    write(cwd / "bad.yaml", "a: [1")

    with pytest.raises(ConfigError) as refused:
        load(explicit, {"HOME": str(home), **environ}, cwd, builtin)

    assert str(refused.value).endswith(reason)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(home, cwd, builtin):
    write(cwd / "voicegw.yaml", "").chmod(0)

    with pytest.raises(ConfigError, match="cannot be read: permission denied"):
        load(None, {"HOME": str(home)}, cwd, builtin)


def test_the_environment_stands_above_the_file(home, cwd, builtin):
    write(
        cwd / "voicegw.yaml",
        "default_project: a\nprojects: {a: , b: }\nauth: {api_keys: ['${VOICEGW_API_KEY:-}', k2]}\n"
        "serve: {host: 127.0.0.1, port: 1}\ncost_tracking: {db_path: x.db}",
    )
    environ = {
        "HOME": str(home),
        "VOICEGW_PROJECT": "b",
        "VOICEGW_HOST": "0.0.0.0",
        "VOICEGW_PORT": "0",
        "VOICEGW_DB_PATH": "~/y.db",
        "VOICEGW_API_KEY": "k1",
    }

    config = load(None, environ, cwd, builtin).config

    assert config.default_project == "b"
    assert (config.serve.host, config.serve.port) == ("0.0.0.0", 0)
    assert config.cost_tracking.db_path == home / "y.db"
    assert config.auth.api_keys == (Secret("k1"), Secret("k2"))


def test_an_empty_variable_counts_as_not_set(home, cwd, builtin):
    names = ("CONFIG", "PROJECT", "HOST", "PORT", "DB_PATH", "API_KEY")
    environ = {f"VOICEGW_{name}": "" for name in names}

    config = load(None, {"HOME": str(home), **environ}, cwd, builtin).config

    assert (config.serve.port, config.auth.api_keys) == (8080, ())


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        ({"VOICEGW_PORT": "http"}, "VOICEGW_PORT: expected a port number, got the value of ${VOICEGW_PORT}"),
        (
            {"VOICEGW_PROJECT": "acme"},
            "VOICEGW_PROJECT: expected a configured project, got acme; add it under projects:",
        ),
        (
            {"VOICEGW_API_KEY": "hunter2 "},
            "VOICEGW_API_KEY: expected a key without spaces, line breaks or non-ASCII characters",
        ),
        (
            {"VOICEGW_HOST": "0.0.0.0"},
            "serve.host: expected a loopback address, got 0.0.0.0 "
            "without an admin key; set VOICEGW_API_KEY or auth.api_keys",
        ),
    ],
)
def test_a_wrong_variable_is_named(environ, line, home, cwd, builtin):
    with pytest.raises(ConfigError) as refused:
        load(None, {"HOME": str(home), **environ}, cwd, builtin)

    assert str(refused.value) == line


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("serve: {host: voice.internal}", "serve.host"),
        ('serve: {host: "::"}', "serve.host"),
        ("serve: {public_url: https://voice.example.com}", "serve.public_url"),
        ("serve: {allowed_hosts: [voice.example.com]}", "serve.allowed_hosts"),
        ("serve: {host: 0.0.0.0}\nauth: {viewer_keys: [v]}", "serve.host"),
    ],
)
def test_a_sidecar_that_others_reach_needs_an_admin_key(text, path, home, cwd, builtin):
    write(cwd / "voicegw.yaml", text)

    with pytest.raises(ConfigError) as refused:
        load(None, {"HOME": str(home)}, cwd, builtin)
    assert refused.value.path == path
    assert load(None, {"HOME": str(home), "VOICEGW_API_KEY": "k"}, cwd, builtin)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.2", '"::1"'])
def test_a_loopback_bind_needs_no_key(host, home, cwd, builtin):
    write(cwd / "voicegw.yaml", f"serve: {{host: {host}}}")

    assert load(None, {"HOME": str(home)}, cwd, builtin)


def test_load_raises_the_first_of_the_faults_that_examine_lists(home, cwd, builtin):
    write(cwd / "voicegw.yaml", "serve: {port: x}\nstorage: {retention_days: 0}")
    environ = {"HOME": str(home), "VOICEGW_PORT": "y"}

    _, errors = examine(None, environ, cwd, builtin)

    assert [error.path for error in errors] == ["serve.port", "storage.retention_days", "VOICEGW_PORT"]
    with pytest.raises(ConfigError) as refused:
        load(None, environ, cwd, builtin)
    assert str(refused.value) == str(errors[0])


def test_a_logo_is_found_beside_the_file_and_a_database_from_the_working_folder(tmp_path, home, cwd, builtin):
    logos = "projects: {a: {branding: {logo: ./a.png}}, b: {branding: {logo: ~/b.png}}, c: {branding: {logo: /c.png}}}"
    file = write(tmp_path / "conf" / "x.yaml", f"{logos}\ncost_tracking: {{db_path: data/x.db}}")

    config = load(str(file), {"HOME": str(home)}, cwd, builtin).config

    assert [project.branding.logo for project in config.projects.values()] == [
        tmp_path / "conf" / "a.png",
        home / "b.png",
        Path("/c.png"),
    ]
    assert config.cost_tracking.db_path == cwd / "data/x.db"
