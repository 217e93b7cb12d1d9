"""Proves that an installed voicegw-sidecar works: ``python build/selftest.py COMMAND [ARGUMENT…]``.

COMMAND is whatever starts it: the executable, a console script, or ``python -m voicegw_sidecar``. It is run
from an empty folder, with its own temporary directory, no time zones and no certificates but its own. Standard
library only, so it runs wherever the command does. No network but loopback, no key, nothing left behind.
"""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from conversation import Unexpected, converse
from stand_ins import ANSWER, PEAK, PITCH_HZ, SPOKEN_S, TRANSCRIPT, StandIn, stand_ins

START_LIMIT_S = 20.0
STOP_LIMIT_S = 5.0
ROW_LIMIT_S = 5.0
HEARD_HZ = 16_000  # what a recording is unpacked to
QUESTION = {
    "model": "gpt-4o-mini",
    "messages": [{"role": "user", "content": "Say something."}],
    "stream": True,
    "stream_options": {"include_usage": True},
}
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_local = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Failed(Exception):
    """A check did not hold; the message says what was found."""


class Sidecar:
    """The command, and the folder in which it may leave things."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.command = command
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("VOICEGW")},
            "TMPDIR": str(self.temporary),
            "PYTHONTZPATH": "",
            "SSL_CERT_FILE": str(folder / "none.pem"),
            "SSL_CERT_DIR": str(folder / "none"),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*self.command, *words], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=START_LIMIT_S, check=False,
        )  # fmt: skip

    @contextmanager
    def running(self, number: signal.Signals, *words: str) -> Iterator[tuple[str, str]]:
        """Run a command until it has printed its address; at the end stop it by a signal, and look for remains.

        Yields the address and what was printed.
        """
        before = set(self.temporary.iterdir())
        said, complained = self.folder / "stdout", self.folder / "stderr"
        with said.open("wb") as out, complained.open("wb") as err:
            process = subprocess.Popen(
                [*self.command, *words],
                cwd=self.folder, env=self.environment, stdout=out, stderr=err, start_new_session=True,
            )  # fmt: skip
        try:
            address = wait_for(lambda: _address(process, said, complained), START_LIMIT_S, "no address was printed")
            yield address, said.read_text()
            process.send_signal(number)
            started = time.perf_counter()
            code = process.wait(STOP_LIMIT_S)
            expect(code == 0, f"exit code {code} after {number.name}, expected 0: {complained.read_text()}")
            passed(f"{words[0]} stops on {number.name} with exit code 0", started)
            expect(not _group_is_alive(process.pid), "a child process outlived the command")
            left = set(self.temporary.iterdir()) - before
            expect(not left, f"left in the temporary directory: {sorted(path.name for path in left)}")
            passed(f"{words[0]} leaves no process and no temporary file", started)
        except subprocess.TimeoutExpired:
            raise Failed(f"still running {STOP_LIMIT_S:.0f} s after {number.name}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


_checks = 0


def passed(name: str, started: float) -> None:
    """Count a check and print its duration."""
    global _checks
    _checks += 1
    print(f"{1000 * (time.perf_counter() - started):7.0f} ms  {name}", flush=True)


def expect(holds: bool, otherwise: str) -> None:
    """Fail with the message unless it holds."""
    if not holds:
        raise Failed(otherwise)


def wait_for(ask: Callable[[], Any], limit_s: float, otherwise: str) -> Any:
    """Ask until there is an answer."""
    end = time.perf_counter() + limit_s
    while (answer := ask()) is None:
        expect(time.perf_counter() < end, f"{otherwise} within {limit_s:.0f} s")
        time.sleep(0.005)
    return answer


def fetch(address: str, body: object = None, content_type: str = "application/json") -> tuple[int, str, bytes]:
    """Return the status, content type and body of an answer; a body that is not bytes is sent as JSON."""
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": content_type, "Authorization": "Bearer selftest"} if content else {}
    try:
        with _local.open(urllib.request.Request(address, content, headers), timeout=10) as answer:
            return answer.status, answer.headers["Content-Type"] or "", answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Content-Type"] or "", error.read()


def _address(process: subprocess.Popen[bytes], said: Path, complained: Path) -> str | None:
    found = ADDRESS.search(said.read_text())
    if found is None and process.poll() is not None:
        raise Failed(f"ended with exit code {process.returncode} before it listened: {complained.read_text()}")
    return found and found.group()


def _group_is_alive(group: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


def check_version(sidecar: Sidecar) -> None:
    """``--version`` prints a name and a number."""
    started = time.perf_counter()
    result = sidecar.run("--version")
    printed = result.stdout.strip()
    expect(
        result.returncode == 0 and re.fullmatch(r"voicegw-sidecar \d+\.\d+\.\d+\S*", printed) is not None,
        f"--version: exit code {result.returncode}, printed {printed!r} {result.stderr!r}",
    )
    passed(f"--version says {printed}", started)


def check_demo(sidecar: Sidecar) -> None:
    """The demonstration relays, meters and prices an exchange with a simulated provider, and shows it."""
    started = time.perf_counter()
    with sidecar.running(signal.SIGINT, "demo", "--port", "0", "--agents", "0") as (base, printed):
        for path in ("/health", "/ready", "/v1/status"):
            status, content_type, content = fetch(base + path)
            expect(status == 200 and "json" in content_type, f"{path}: {status} {content!r}")
            json.loads(content)
            passed(f"demo answers {path}", started)
            started = time.perf_counter()
        expect("/p/acme/openai/v1" in printed, f"demo names no address for OpenAI: {printed!r}")

        status, content_type, content = fetch(f"{base}/p/acme/openai/v1/chat/completions", QUESTION)
        expect(status == 200 and content_type.startswith("text/event-stream"), f"chat: {status} {content!r}")
        events = content.decode().strip().split("\n\n")
        expect(events[-1] == "data: [DONE]", f"the stream ends with {events[-1]!r}")
        chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
        text = "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
        usage = chunks[-1]["usage"]
        expect(bool(text.strip()), "the stream carries no text")
        passed(f"demo relays a streamed exchange of {len(content)} bytes", started)

        started = time.perf_counter()
        row = wait_for(lambda: _row(base, "acme"), ROW_LIMIT_S, "/v1/logs does not show the exchange")
        found = {"provider": row["provider"], "status": row["status"], "tokens": row["usage"].get("output_tokens")}
        wanted = {"provider": "openai", "status": "ok", "tokens": usage["completion_tokens"]}
        expect(found == wanted, f"/v1/logs says {found}, expected {wanted}")
        expect((row["cost_usd"] or 0) > 0, f"the exchange has no price: {row}")
        passed(f"/v1/logs has its usage and its cost, {row['cost_usd']:.8f} USD", started)
        check_pages(base)
        check_metrics(base)


PAGES = (
    "/", "/?project=acme", "/sessions", "/routing", "/projects", "/projects/new", "/projects/acme/brand",
    "/projects/acme/links", "/costs", "/logs", "/logs/changes",
)  # fmt: skip
LOGO_PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAQAAAAECAIAAAAmkwkpAAAAEElEQVR42mP4n2YMRwzEcQCkEhmBxAYToAAAAABJRU5ErkJggg=="
)
LOGO_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 4"><path d="M0 0h4v4z"/></svg>'


def check_pages(base: str) -> None:
    """Every page renders, static files are there, and logos are read."""
    for path in PAGES:
        started = time.perf_counter()
        status, content_type, content = fetch(base + path)
        expect(status == 200 and content_type.startswith("text/html"), f"{path}: {status} {content[:200]!r}")
        expect(b"/static/vendor/htmx.min.js" in content and b"</html>" in content, f"{path} does not name htmx")
        passed(f"{path} renders and names htmx", started)
    for path, kind, needed in (
        ("/static/app.css", "text/css", b"{"),
        ("/static/app.js", ("text/javascript", "application/javascript"), b"dialog"),
        ("/static/vendor/htmx.min.js", ("text/javascript", "application/javascript"), b"htmx"),
    ):
        started = time.perf_counter()
        status, content_type, content = fetch(base + path)
        expect(
            status == 200 and content_type.startswith(kind) and needed in content,
            f"{path}: {status} {content_type} {len(content)} bytes",
        )
        passed(f"{path} is served", started)
    for name, logo in (("png", LOGO_PNG), ("svg", LOGO_SVG)):
        started = time.perf_counter()
        part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="logo"\r\n\r\n' + logo + b"\r\n--x--\r\n"
        path = f"{base}/api/projects/globex/branding/logo"
        status, _, content = fetch(path, part, "multipart/form-data; boundary=x")
        expect(status == 200 and f"globex.{name}".encode() in content, f"logo: {status} {content!r}")
        status, content_type, _ = fetch(f"{base}/static/branding/globex.{name}")
        expect(status == 200 and content_type.startswith("image/"), f"logo: {status} {content_type}")
        passed(f"a logo in {name.upper()} is read, stored and served", started)


def check_metrics(base: str) -> None:
    """What was relayed is counted."""
    started = time.perf_counter()
    status, content_type, content = fetch(f"{base}/metrics")
    counted = b'voicegw_exchanges_total{modality="llm",project="acme",provider="openai",status="ok"} 1.0'
    expect(status == 200 and content_type.startswith("text/plain"), f"/metrics: {status} {content_type}")
    expect(counted in content, f"/metrics does not count the exchange: {content[:2000]!r}")
    passed("/metrics counts the exchange", started)


def _row(base: str, project: str) -> dict[str, Any] | None:
    rows = json.loads(fetch(f"{base}/v1/logs?project={project}")[2])["logs"]
    return rows[0] if rows else None


def check_serve(sidecar: Sidecar) -> None:
    """A configured sidecar relays bytes unchanged, keeps the row, and stops on SIGTERM."""
    with stand_ins() as provider, serving(sidecar, f"openai: {{base_url: '{provider}/v1'}}") as (base, config):
        started = time.perf_counter()
        status, _, content = fetch(f"{base}/openai/v1/chat/completions", QUESTION)
        expect((status, content) == (200, b"".join(ANSWER)), f"sent {b''.join(ANSWER)!r}, relayed {status} {content!r}")
        expect(StandIn.asked == [json.dumps(QUESTION).encode()], f"the provider was asked {StandIn.asked!r}")
        passed("serve relays a streamed exchange byte for byte", started)
    started = time.perf_counter()
    result = sidecar.run("logs", "--config", str(config), "--json")
    expect(result.returncode == 0, f"logs: exit code {result.returncode} {result.stderr!r}")
    expect(len(json.loads(result.stdout)["logs"]) == 1, f"logs: expected the one exchange, found {result.stdout}")
    passed("logs finds the exchange in the database afterwards", started)
    started = time.perf_counter()
    copy = config.parent / "copy.db"
    result = sidecar.run("backup", "--config", str(config), str(copy))
    expect(result.returncode == 0, f"backup: exit code {result.returncode} {result.stderr!r}")
    expect(copy.read_bytes().startswith(b"SQLite format 3"), "backup wrote no database")
    passed("backup copies the database", started)


def check_sound(sidecar: Sidecar) -> None:
    """What a provider says as WAV is resampled and packed as the caller asked, and unpacked for one that listens."""
    with stand_ins() as provider:
        lines = f"piper: {{base_url: '{provider}'}}, deepgram: {{base_url: '{provider}', api_key: selftest}}"
        with serving(sidecar, lines) as (base, _):
            for container, mark in (("mp3", b"\xff"), ("opus", b"OggS")):
                started = time.perf_counter()
                asked = {"model": "piper/any", "voice": "alloy", "input": "Hum.", "response_format": container}
                status, content_type, file = fetch(f"{base}/v1/audio/speech", asked)
                expect(status == 200 and file.startswith(mark), f"{container}: {status} {content_type} {file[:200]!r}")
                passed(f"serve packs a WAV file as {container}, {len(file)} bytes", started)
                started = time.perf_counter()
                check_transcript(base, container, file)
                passed(f"serve unpacks {container} for a provider that takes samples only", started)


def check_transcript(base: str, container: str, file: bytes) -> None:
    """The provider hears the tone that the file holds."""
    parts = (
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\ndeepgram/flux-general-en\r\n',
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="tone"\r\n\r\n' + file + b"\r\n--x--\r\n",
    )
    content_type = "multipart/form-data; boundary=x"
    status, _, content = fetch(f"{base}/v1/audio/transcriptions", b"".join(parts), content_type)
    expect(status == 200 and json.loads(content)["text"] == TRANSCRIPT, f"{container}: {status} {content!r}")
    heard = array("h", StandIn.heard[-1])
    long_s = len(heard) / HEARD_HZ
    expect(SPOKEN_S - 0.01 < long_s < SPOKEN_S + 0.2, f"{container}: {long_s} s, expected {SPOKEN_S} s")
    middle = heard[HEARD_HZ // 4 : HEARD_HZ * 3 // 4]
    pitch_hz = sum(one < 0 <= next_ for one, next_ in pairwise(middle)) / (len(middle) / HEARD_HZ)
    found = f"{container}: a tone of {pitch_hz:.0f} Hz and peak {max(middle)}, expected {PITCH_HZ} Hz and {PEAK}"
    expect(abs(pitch_hz - PITCH_HZ) < 5 and abs(max(middle) - PEAK) < PEAK / 5, found)


@contextmanager
def serving(sidecar: Sidecar, providers: str) -> Iterator[tuple[str, Path]]:
    """Run ``serve`` with these providers; yields its address and its configuration, which outlives it."""
    StandIn.asked.clear()
    folder = Path(tempfile.mkdtemp(dir=sidecar.folder))
    config = folder / "good.yaml"
    config.write_text(
        "timezone: Europe/Berlin\n"
        f"cost_tracking: {{db_path: '{folder / 'selftest.db'}'}}\n"
        f"providers: {{{providers}}}\n"
        "serve: {port: 0, drain_seconds: 1}\n"
    )
    started = time.perf_counter()
    with sidecar.running(signal.SIGTERM, "serve", "--config", str(config)) as (base, _):
        status = fetch(f"{base}/health")[0]
        expect(status == 200, f"/health: {status}")
        passed("serve, without the system's time zones and certificates, answers /health", started)
        yield base, config


def check_run(sidecar: Sidecar) -> None:
    """An agent is run beside a sidecar of its own, gets its addresses, and keeps its exit code."""
    config = sidecar.folder / "run.yaml"
    config.write_text(f"cost_tracking: {{db_path: '{sidecar.folder / 'run.db'}'}}\nserve: {{drain_seconds: 1}}\n")
    started = time.perf_counter()
    agent = 'echo "$OPENAI_BASE_URL ${LD_LIBRARY_PATH:-none} ${_PYI_ARCHIVE_FILE:-none}"; exit 7'
    result = sidecar.run("run", "--config", str(config), "--port", "0", "--", "sh", "-c", agent)
    printed = result.stdout.strip()
    expect(result.returncode == 7, f"run: exit code {result.returncode}, expected the agent's 7: {result.stderr!r}")
    expected = re.compile(r"http://127\.0\.0\.1:\d+/openai/v1 none none")
    expect(expected.fullmatch(printed) is not None, f"run: the agent found {printed!r} {result.stderr!r}")
    left = [path.name for path in sidecar.temporary.iterdir()]
    expect(not left, f"run: left in the temporary directory: {left}")
    passed("run starts a sidecar and an agent, and ends with the agent's code", started)


def check_bad_words(sidecar: Sidecar) -> None:
    """A fault in the configuration is one line and exit code 2."""
    config = sidecar.folder / "bad.yaml"
    config.write_text(f"serve: {{port: fast}}\ncost_tracking: {{db_path: '{sidecar.folder / 'none.db'}'}}\n")
    started = time.perf_counter()
    result = sidecar.run("check", "--config", str(config))
    lines = result.stderr.splitlines()
    expect(
        result.returncode == 2 and len(lines) == 1 and "serve.port" in lines[0] and "Traceback" not in result.stderr,
        f"check of a bad configuration: exit code {result.returncode}, stderr {result.stderr!r}",
    )
    passed("check words a fault in one line, exit code 2", started)


def check_mcp(sidecar: Sidecar) -> None:
    """The MCP server, where it is built in, speaks its protocol about a sidecar that runs, and ends with stdin."""
    started = time.perf_counter()
    ran = sidecar.run("mcp", "--url", "http://127.0.0.1:9")
    if ran.returncode == 2:
        expect(ran.stderr.count("\n") == 1 and "[mcp]'" in ran.stderr, f"mcp: exit code 2 and {ran.stderr!r}")
        return passed("mcp is not built in, and says in one line what installs it", started)
    with serving(sidecar, "") as (base, _):
        started = time.perf_counter()
        words = [*sidecar.command, "mcp", "--url", base]
        code, answers = converse(words, sidecar.folder, sidecar.environment, START_LIMIT_S)
        names = [tool["name"] for tool in answers["tools/list"].get("tools", [])]
        health = answers["tools/call"].get("structuredContent", {}).get("health", {})
        expect(code == 0, f"mcp: exit code {code} at the end of stdin, expected 0")
        expect({"session_waterfall", "share"} < set(names), f"mcp: tools/list names {names}")
        expect(health.get("status") == "ok", f"mcp: health answers {answers['tools/call']!r}")
        passed(f"mcp lists {len(names)} tools, answers one, and ends with stdin", started)


def main(command: list[str]) -> int:
    """Run every check; the first that fails ends the run."""
    if not command:
        print("usage: selftest.py COMMAND [ARGUMENT…]", file=sys.stderr)
        return 2
    if os.sep in command[0]:
        command[0] = os.path.abspath(command[0])
    with tempfile.TemporaryDirectory(prefix="selftest-") as folder:
        sidecar = Sidecar(command, Path(folder))
        try:
            for check in (check_version, check_demo, check_serve, check_sound, check_run, check_mcp, check_bad_words):
                check(sidecar)
        except (Failed, Unexpected) as error:
            print(f"selftest: failed: {error}", file=sys.stderr)
            return 1
    print(f"selftest: {_checks} checks passed")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
