"""What sidecars are deployed with: linted, agreeing with each other and the program, and tried as far as can be."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import kubernetes_validate
import msgspec
import pytest
import yaml

from tests.build.conftest import INGREDIENTS
from tests.build.support import ROOT
from tests.conftest import StartSidecar
from voicegw_sidecar.config import Config

PROGRAMS = Path(sys.executable).parent
BUILD = ROOT / "build"
DOCKERFILE = (BUILD / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((BUILD / "compose.yaml").read_text(encoding="utf-8"))
KUBERNETES = list(yaml.safe_load_all((BUILD / "kubernetes.yaml").read_text(encoding="utf-8")))
UNIT = (BUILD / "voicegw-sidecar.service").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
DRAIN_S = Config().serve.drain_seconds
STARTS_S = 20.0
EXPOSURE_LIMIT = 20
"""Tenths of systemd's points for what a service could do; 100 is everything."""


def lint(*words: object) -> tuple[int, str]:
    """Run a linter: its exit code and everything it said."""
    ran = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    return ran.returncode, ran.stdout + ran.stderr


def instruction(name: str) -> list[str]:
    """What stands behind every such instruction of the Dockerfile."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE, re.MULTILINE)


# --- the image


def test_the_dockerfile_is_linted(tmp_path: Path) -> None:
    assert lint(PROGRAMS / "hadolint", BUILD / "Dockerfile") == (0, "")
    (tmp_path / "Dockerfile").write_text(DOCKERFILE.replace("# hadolint ignore=DL3008\n", ""))
    code, said = lint(PROGRAMS / "hadolint", tmp_path / "Dockerfile")
    assert code == 1
    assert "DL3008" in said


def test_the_image_is_built_of_what_the_executable_is_made_of() -> None:
    copied = {word for line in instruction("COPY") if "--from" not in line for word in line.split()[:-1]}
    assert {name.partition("/")[0] for name in INGREDIENTS} <= copied
    assert all((ROOT / name).exists() for name in copied)
    sent = (BUILD / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    assert {line[1:] for line in sent if line.startswith("!")} == copied


def test_the_image_runs_as_a_numbered_user_that_owns_the_database_folder() -> None:
    (user,) = instruction("USER")
    number = user.partition(":")[0]
    assert int(number) > 0
    assert re.search(rf"install -d -m 750 -o {number} -g {number} /var/lib/voicegw$", DOCKERFILE, re.MULTILINE)
    assert "VOICEGW_DB_PATH=/var/lib/voicegw/" in instruction("ENV")[0]
    assert KUBERNETES[2]["spec"]["template"]["spec"]["securityContext"]["runAsUser"] == int(number)


async def test_the_image_s_health_check_asks_a_sidecar(start_sidecar: StartSidecar) -> None:
    (check,) = instruction("HEALTHCHECK")
    words = msgspec.json.decode(check.partition("CMD ")[2], type=list[str])

    async def ask(port: object) -> int | None:
        environ = {**os.environ, "VOICEGW_PORT": str(port)}
        process = await asyncio.create_subprocess_exec(*words, env=environ, stderr=asyncio.subprocess.DEVNULL)
        return await asyncio.wait_for(process.wait(), 20)

    async with start_sidecar() as sidecar:
        assert await ask(sidecar.port) == 0
        sidecar.running.runtime.is_draining = True
        assert await ask(sidecar.port) == 1
    assert await ask(sidecar.port) == 1


# --- Compose


def test_the_compose_file_follows_the_specification(tmp_path: Path) -> None:
    command = (PROGRAMS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec")
    assert lint(*command, BUILD / "compose.yaml")[0] == 0
    slip = {**COMPOSE, "services": {"voicegw": {**COMPOSE["services"]["voicegw"], "readonly": True}}}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(slip))
    code, said = lint(*command, tmp_path / "compose.yaml")
    assert code == 1
    assert "readonly" in said


def test_compose_keeps_the_sidecar_to_its_agent() -> None:
    sidecar, agent = COMPOSE["services"]["voicegw"], COMPOSE["services"]["agent"]
    assert agent["network_mode"] == "service:voicegw"
    assert sidecar["environment"]["VOICEGW_HOST"] == "${VOICEGW_HOST:-127.0.0.1}"
    assert all(port.startswith("127.0.0.1:") for port in sidecar["ports"])
    assert "ports" not in agent
    assert sidecar["read_only"]
    assert sidecar["tmpfs"][0].startswith("/tmp:exec,")
    assert seconds(sidecar["stop_grace_period"]) > DRAIN_S
    assert (BUILD / sidecar["build"]["context"] / sidecar["build"]["dockerfile"]).resolve() == BUILD / "Dockerfile"


def seconds(text: str) -> float:
    assert text.endswith("s")
    return float(text[:-1])


# --- Kubernetes


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
def test_the_manifest_follows_the_schemas(version: str) -> None:
    for document in KUBERNETES:
        kubernetes_validate.validate(document, version, strict=True)
    template = KUBERNETES[2]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "agent"}, "spec": template["spec"]}
    kubernetes_validate.validate(pod, version, strict=True)
    container = native_sidecar() | {"restartpolicy": "Always"}
    with pytest.raises(kubernetes_validate.ValidationError, match="restartpolicy"):
        kubernetes_validate.validate(
            pod | {"spec": template["spec"] | {"initContainers": [container]}}, version, strict=True
        )


def native_sidecar() -> dict[str, Any]:
    (container,) = KUBERNETES[2]["spec"]["template"]["spec"]["initContainers"]
    assert isinstance(container, dict)
    return container


def configured() -> str:
    """The configuration in the manifest."""
    text = KUBERNETES[0]["data"]["voicegw.yaml"]
    assert isinstance(text, str)
    return text


def test_the_pod_s_parts_agree_with_each_other() -> None:
    spec, sidecar = KUBERNETES[2]["spec"]["template"]["spec"], native_sidecar()
    serve = yaml.safe_load(configured())["serve"]
    (port,) = sidecar["ports"]
    assert port["containerPort"] == serve["health_port"]
    assert all(
        sidecar[f"{kind}Probe"]["httpGet"]["port"] == port["name"] for kind in ("startup", "readiness", "liveness")
    )
    assert sidecar["restartPolicy"] == "Always"
    assert "lifecycle" not in sidecar
    pause_s = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > pause_s + serve["drain_seconds"]
    mounts = {mount["mountPath"]: mount["name"] for mount in sidecar["volumeMounts"]}
    assert set(mounts) == {"/var/lib/voicegw", "/etc/voicegateway", "/tmp"}
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    assert set(mounts.values()) == set(volumes)
    claim, config = volumes[mounts["/var/lib/voicegw"]], volumes[mounts["/etc/voicegateway"]]
    assert claim["persistentVolumeClaim"]["claimName"] == KUBERNETES[1]["metadata"]["name"]
    assert config["configMap"]["name"] == KUBERNETES[0]["metadata"]["name"]
    assert KUBERNETES[2]["spec"]["strategy"]["type"] == "Recreate"


def test_the_pod_s_probes_are_answered_on_every_address(tmp_path: Path) -> None:
    """Under the manifest's own configuration, but for the ports' numbers: others may be taken here."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "voicegw.yaml").write_text(configured().replace("health_port: 8081", f"health_port: {port}"))
    sidecar = native_sidecar()
    keys = {entry["name"]: "sk-of-a-secret" for entry in sidecar["env"]}
    with serving(tmp_path, *sidecar["args"], **keys):
        for kind in ("startup", "readiness", "liveness"):
            path = sidecar[f"{kind}Probe"]["httpGet"]["path"]
            probe = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": f"10.0.0.7:{port}"})
            with urllib.request.urlopen(probe, timeout=10) as answer:
                assert answer.status == 200
    code, said = sidecar_command(tmp_path, "check")
    assert code == 2
    assert "OPENAI_API_KEY is not set" in said


def environment(folder: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("VOICEGW", "OPENAI"))}
    return kept | {"HOME": str(folder), "VOICEGW_DB_PATH": str(folder / "voicegw.db"), "VOICEGW_PORT": "0"} | more


def sidecar_command(folder: Path, *words: str, **more: str) -> tuple[int, str]:
    """Run a command of the sidecar in a folder to its end."""
    ran = subprocess.run(
        [sys.executable, "-m", "voicegw_sidecar", *words],
        cwd=folder, env=environment(folder, **more), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout + ran.stderr


@contextmanager
def serving(folder: Path, *words: str, **more: str) -> Iterator[None]:
    """Run a sidecar in a folder from when it listens until it has ended in order."""
    process = subprocess.Popen(
        [sys.executable, "-m", "voicegw_sidecar", *words],
        cwd=folder, env=environment(folder, **more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert "listens on" in first, first + process.stdout.read()
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=STARTS_S)
    assert process.returncode == 0


# --- systemd


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, of an executable that is there: systemd looks for it."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze; install Debian's package systemd")
    file = tmp_path / "voicegw-sidecar.service"
    file.write_text(UNIT.replace("/usr/local/bin/voicegw-sidecar", "/bin/true"))
    return file


def test_systemd_understands_every_line_of_the_unit(unit: Path) -> None:
    assert lint("systemd-analyze", "verify", unit) == (0, "")
    unit.write_text(unit.read_text().replace("ProtectHome=", "ProtectHomes="))
    assert "ProtectHomes" in lint("systemd-analyze", "verify", unit)[1]


def test_the_service_may_do_little(unit: Path) -> None:
    command = ("systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_LIMIT}", "--no-pager")
    code, said = lint(*command, unit)
    assert code == 0, said
    unit.write_text(unit.read_text().replace("CapabilityBoundingSet=\n", "").replace("NoNewPrivileges=yes\n", ""))
    assert lint(*command, unit)[0] == 1


def test_the_unit_leaves_the_sidecar_its_time_and_signals_it_once() -> None:
    settings = dict(line.split("=", 1) for line in UNIT.splitlines() if re.match(r"[A-Z]\w+=", line))
    assert float(settings["TimeoutStopSec"]) > DRAIN_S
    assert settings["KillMode"] == "mixed"
    assert "kill -HUP $MAINPID" in settings["ExecReload"]
    assert settings["RestartPreventExitStatus"] == "2"


# --- the guide


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """The words behind each ``voicegw-sidecar`` of the guide, whatever runs it."""
    lines = "".join(blocks("sh")).replace("\\\n", " ")
    return [shlex.split(words) for words in re.findall(r"(?<!\S)voicegw-sidecar +([a-z-][^#\n]*)", lines)]


def test_every_command_of_the_guide_runs(tmp_path: Path) -> None:
    found = commands()
    verbs = {next(word for word in words if word not in ("--config", "/dev/null")) for words in found}
    assert verbs == {"--version", "check", "serve", "costs", "backup"}
    (tmp_path / "backups").mkdir()
    with serving(tmp_path, "serve"):
        for words in found:
            if words != ["serve"]:
                placed = [word.replace("/var/backups", str(tmp_path / "backups")) for word in words]
                code, said = sidecar_command(tmp_path, *placed)
                assert code == 0, said
    assert (tmp_path / "backups" / "voicegw.db").is_file()


def test_the_guide_s_configuration_is_valid_with_a_key_and_refused_without(tmp_path: Path) -> None:
    (text,) = blocks("yaml")
    (tmp_path / "voicegw.yaml").write_text(text)
    assert sidecar_command(tmp_path, "check", VOICEGW_API_KEY="a-long-random-word")[0] == 0
    code, said = sidecar_command(tmp_path, "check")
    assert code == 2
    assert "VOICEGW_API_KEY" in said


def test_the_files_that_the_guide_names_are_there() -> None:
    names = set(re.findall(r"\bbuild/[\w.-]+\w", GUIDE))
    assert {"build/Dockerfile", "build/compose.yaml", "build/kubernetes.yaml", "build/voicegw-sidecar.service"} < names
    assert [name for name in names if not (ROOT / name).is_file()] == []
