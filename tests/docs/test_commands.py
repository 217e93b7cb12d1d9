"""Every command of README and ``docs/`` is run as it is written, in its document's order, or a table says by whom."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping

import pytest

from tests.docs import elsewhere
from tests.docs.documents import (
    DOCUMENTS,
    ROOT,
    Command,
    blocks_of,
    commands_of,
    name_of,
)
from tests.docs.elsewhere import BY_HAND, BY_HAND_ALSO, ELSEWHERE, Fate
from tests.docs.reader import ADDRESS, SAYS, Reader, judge, masked
from tests.docs.wheels import wheels
from tests.docs.workshop import workshop

pytestmark = pytest.mark.timeout(300)

SOURCES = ("voicegw_sidecar", "templates", "static", "pyproject.toml", "README.md", "LICENSE")
SERVICE_DATABASE = "VOICEGW_DB_PATH=/var/lib/voicegw/voicegw.db "
PLAIN = {elsewhere.plain(command.text).removeprefix("sudo ") for path in DOCUMENTS for command in commands_of(path)}
Deeds = Mapping[str, Callable[[], object]]
"""What a reader does, by how the command begins before which, or after which, it is done."""


@pytest.fixture
def reader() -> Iterator[Reader]:
    """Somebody with a folder, a home and, where that is possible, a machine of their own."""
    if shutil.which("curl") is None:
        pytest.skip("no curl, which the documents use; install Debian's package curl")
    with workshop() as shop:
        yield Reader(shop)


def read(reader: Reader, document: str, before: Deeds | None = None, after: Deeds | None = None) -> None:
    """Follow a document from top to bottom; skips at the end if something could not be run on this machine."""
    deeds = {"before": dict(before or {}), "after": dict(after or {})}
    done: set[tuple[str, str]] = set()

    def do(when: str, command: Command) -> None:
        for begin, deed in deeds[when].items():
            if elsewhere.plain(command.text).startswith(begin):
                deed()
                done.add((when, begin))

    for command in commands_of(ROOT / document):
        do("before", command)
        reader.follows(command)
        do("after", command)
    assert done == {(when, begin) for when, found in deeds.items() for begin in found}, "a deed without its command"
    if reader.set_aside:
        pytest.skip(f"{reader.shop.machine.lacks}; therefore not run: {'; '.join(reader.set_aside)}")


def test_readme(reader: Reader) -> None:
    shop = reader.shop
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, shop.folder / name, ignore=shutil.ignore_patterns("__pycache__", "vendor"))
        else:
            shutil.copy(source, shop.folder / name)
    shop.variables["PIP_FIND_LINKS"] = str(wheels())
    reader.has_keys()

    def goes_on() -> None:
        reader.has_providers()
        reader.points_at_the_simulators()

    def asks_for_models() -> None:
        judge(Command("README.md", ""), shop.run('curl --fail "$LIVEKIT_INFERENCE_URL/models" | grep auto'))

    read(
        reader, "README.md",
        {"voicegw-sidecar doctor": goes_on},
        {"export LIVEKIT_INFERENCE_URL": asks_for_models},
    )  # fmt: skip
    (traces,) = [one for one in commands_of(ROOT / "docs" / "operating.md") if "[otlp]" in one.text]
    shop.variables["PATH"] = f"{shop.folder}/.venv/bin:/usr/bin:/bin"  # where pip is that of what was installed above
    installed = shop.run(traces.text)
    assert (installed.code, "does not provide" in installed.err) == (0, False), installed
    imported = shop.run("python -c 'from voicegw_sidecar.tracing import export; import opentelemetry.sdk.trace'")
    assert imported.code == 0, imported


FRESH = """\
projects: {acme: {routing: {rosters: {stt: [deepgram], llm: [openai], tts: [cartesia]}}}}
providers:
  openai: {api_key: "${OPENAI_API_KEY}", base_url: "http://127.0.0.1:9100/openai"}
  deepgram: {base_url: "http://127.0.0.1:9100/deepgram"}
  cartesia: {api_key: "${CARTESIA_API_KEY}", base_url: "http://127.0.0.1:9100/cartesia"}
"""
"""What the example of ``doctor`` was run with, before the first start."""


def test_first_minutes(reader: Reader) -> None:
    document = "docs/first-minutes.md"
    shop, path = reader.shop, ROOT / document
    reader.has_providers()
    ends: dict[str, list[str]] = {}
    shown: dict[str, list[str]] = {}
    for command in commands_of(path):
        if command.shown:
            shop.folder = shop.home = shop.root / "fresh"
            shop.home.mkdir()
            (shop.folder / "voicegw.yaml").write_text(FRESH, encoding="utf-8")
        ended = reader.follows(command)
        if "onboard" in command.text:
            reader.points_at_the_simulators()
        if ended is not None:
            ends[command.text] = masked(ended.out + ended.err, shop.folder)
            shown[command.text] = masked(command.shown)
    assert ends["voicegw-sidecar doctor"] == shown["voicegw-sidecar doctor"]
    (report,) = [block.text for block in blocks_of(path) if block.text.startswith("The agent ended")]
    said = iter(ends["voicegw-sidecar run -- python agent.py"])
    missing = [line for line in masked(report) if line not in said]
    assert missing == [], "\n".join(ends["voicegw-sidecar run -- python agent.py"])


def test_deploying(reader: Reader) -> None:
    """What systemd would do is done by hand between the commands, so that the copy and the way back to it are real."""
    shop = reader.shop
    reader.has_configuration()

    def ask(words: str) -> str:
        ended = shop.run(f"curl --silent --show-error {words}")
        assert ended.code == 0, ended
        return ended.out

    def make(project: str) -> None:
        body = f'\'{{"project_id":"{project}"}}\''
        assert project in ask(f"-X POST {ADDRESS}/v1/projects -H 'Content-Type: application/json' -d {body}")

    def service_begins() -> None:
        shop.stop("sidecar")
        folder = shop.run("install -d -m 750 -o voicegw -g voicegw /var/lib/voicegw")
        assert folder.code == 0, folder
        starts()

    def starts() -> None:
        reader.serves(SERVICE_DATABASE)

    def restarts() -> None:
        shop.stop("sidecar")
        starts()

    def returned() -> None:
        starts()
        assert '"kept"' in ask(f"{ADDRESS}/v1/projects")
        assert '"later"' not in ask(f"{ADDRESS}/v1/projects")

    def installed() -> None:
        judge(
            Command("docs/deploying.md", "voicegw-sidecar --version"),
            shop.run("/usr/local/bin/voicegw-sidecar --version"),
        )

    backup = "sudo VOICEGW_DB_PATH=/var/lib/voicegw/voicegw.db voicegw-sidecar --config /dev/null backup /var"
    if not shop.machine.has_own_folders:
        read(reader, "docs/deploying.md")
        return
    read(
        reader, "docs/deploying.md",
        {backup: lambda: make("kept")},
        {
            "sudo install -m 755": installed, "sudo systemctl enable --now": service_begins,
            "sudo systemctl stop": lambda: shop.stop("sidecar"), "sudo systemctl start": returned,
            "sudo systemctl restart": restarts, backup: lambda: make("later"),
        },
    )  # fmt: skip


def test_simulator(reader: Reader) -> None:
    read(reader, "docs/simulator.md")


APART = ("README.md", "docs/first-minutes.md", "docs/deploying.md", "docs/simulator.md")
"""Documents that begin with nothing running."""


@pytest.mark.parametrize("document", sorted({name_of(path) for path in DOCUMENTS if commands_of(path)} - set(APART)))
def test_other_documents(reader: Reader, document: str) -> None:
    for block in blocks_of(ROOT / document):
        if block.language == "csv":
            (reader.shop.folder / "latencies.csv").write_text(block.text, encoding="utf-8")
    ran = [one for one in commands_of(ROOT / document) if elsewhere.fate(one.text) is Fate.RUN]
    if any(elsewhere.program(one.text) in ("voicegw-sidecar", "curl", "export") for one in ran):
        reader.has_configuration()
        reader.serves()
    read(reader, document)


WRONG = {
    "voicegw-sidecar costs --project nope": "exit code 2",
    "voicegw-sidecar costs --project acme | head -0": "exit code 0",
    f"curl {ADDRESS}/v1/sessions/nope": "unknown_session",
    "curl http://127.0.0.1:8081/ready": "exit code 7",
    "VOICEGW_PORT=8081 voicegw-sidecar serve": "ended before it said",
    "python tests/benchmarks/bench_relay.py --rqeuests 4000": "no option --rqeuests",
    "echo $OPENAI_API_KEY": "a key is shown",
}
"""What must not pass, and what is said of it. The fifth is a second sidecar on the database of the first."""


def test_a_command_that_does_not_do_what_it_should_is_a_failure(reader: Reader) -> None:
    reader.has_keys()
    reader.has_configuration()
    reader.serves()
    for text, said in WRONG.items():
        with pytest.raises(AssertionError, match=said):
            reader.follows(Command("one.md:1", text))
    if reader.shop.machine.has_own_folders:
        with pytest.raises(AssertionError, match="on this machine itself"):
            reader.follows(Command("one.md:1", "sudo touch /opt/nothing"))


def test_what_a_command_has_to_say_is_asked_of_one() -> None:
    for begin in SAYS:
        assert any(command.startswith(begin) for command in PLAIN), f"{begin!r} begins no command any more"


def test_whoever_runs_a_command_instead_has_it() -> None:
    for text, held in ELSEWHERE.items():
        assert text in PLAIN, f"{text!r} is in no document any more"
        source = (ROOT / held.file).read_text(encoding="utf-8")
        assert [words for words in held.words if words not in source] == [], f"{held.file} does not run {text!r}"


def test_what_is_run_by_hand_is_said_to_be() -> None:
    """By the first table of deploying.md, for the programs that are named in `BY_HAND` and no others."""
    lines = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8").splitlines()
    for subject in BY_HAND.values():
        (line,) = [line for line in lines if line.startswith(f"| [{subject}]")]
        assert re.search(r"\bby hand\b|\bnot run\b", line, re.IGNORECASE), line
    for text, document in BY_HAND_ALSO.items():
        assert "run by hand" in (ROOT / document).read_text(encoding="utf-8"), f"{document} does not say it of {text!r}"


def test_documents_with_benchmarks_say_that_they_are_run_by_hand() -> None:
    for path in DOCUMENTS:
        if any(elsewhere.fate(command.text) is Fate.TRIED for command in commands_of(path)):
            assert "run by hand" in path.read_text(encoding="utf-8"), name_of(path)
