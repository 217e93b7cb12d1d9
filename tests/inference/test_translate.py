"""What a refusal by a budget becomes, and what does not become one; every SDK's own exception: tests/clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from inspect import isasyncgenfunction
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError
from livekit.agents import APIError
from openai import APIConnectionError, APIStatusError, AsyncOpenAI

from tests.clients.cases.livekit import answering, listening, speaking, speaking_whole
from tests.inference.conftest import OpenPlace, Place
from voicegw_sidecar import inference
from voicegw_sidecar.inference import BudgetExceededError, BudgetThrottleSignal
from voicegw_sidecar.inference.refusals import note_refusal
from voicegw_sidecar.simulator import Failure, FailureKind

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SPENT = """
projects:
  prod:
    daily_budget: 0.000001
    budget_action: throttle
    throttle_to: {stt: whisper/large-v3, llm: ollama/qwen2.5:3b, tts: piper}
  dev: {daily_budget: 0.000001, budget_action: block}
  staging: {}
"""
ASKED: Any = [{"role": "user", "content": "Where is my order?"}]
EXCEEDED = "budget_exceeded: the daily budget of project dev (5.00 USD) is spent; raise it"
THROTTLED = "budget_throttled ollama/qwen2.5:3b: the daily budget of project prod (50.00 USD) is spent, and so on"


@pytest.fixture
async def spent(open_place: OpenPlace) -> AsyncIterator[Place]:
    """Two projects that have spent their budgets."""
    async with open_place(SPENT) as place:
        for project in ("prod", "dev"):
            base = inference.base_url("openai", project=project)
            async with AsyncOpenAI(api_key="k", base_url=f"{base}/v1") as client:
                await client.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)
        await place.sidecar.rows(2)
        yield place


Run = Callable[[str], Awaitable[object]]
SPEAKING: tuple[tuple[str, Run, str], ...] = (
    ("deepgram.STT", listening(lambda _: inference.STT("deepgram/nova-3")), "whisper/large-v3"),
    ("deepgram.STTv2", listening(lambda _: inference.STT("deepgram/flux-general-en")), "whisper/large-v3"),
    ("cartesia.STT", listening(lambda _: inference.STT("cartesia/ink-2")), "whisper/large-v3"),
    ("assemblyai.STT", listening(lambda _: inference.STT("assemblyai/universal-3-5-pro")), "whisper/large-v3"),
    ("elevenlabs.STT", listening(lambda _: inference.STT("elevenlabs/scribe_v2_realtime")), "whisper/large-v3"),
    ("anthropic.LLM", answering(lambda _: inference.LLM("anthropic/claude-haiku-4-5")), "ollama/qwen2.5:3b"),
    ("cartesia.TTS", speaking(lambda _: inference.TTS("cartesia/sonic-3:v")), "piper"),
    ("cartesia.TTS, sentence", speaking_whole(lambda _: inference.TTS("cartesia/sonic-3:v")), "piper"),
    ("deepgram.TTS", speaking(lambda _: inference.TTS("deepgram/aura-2-thalia-en")), "piper"),
    ("deepgram.TTSv2", speaking(lambda _: inference.TTS("deepgram/flux-alexis-en")), "piper"),
    ("deepgram.TTS, sentence", speaking_whole(lambda _: inference.TTS("deepgram/aura-2-thalia-en")), "piper"),
    ("groq.TTS", speaking_whole(lambda _: inference.TTS("groq/canopylabs/orpheus-v1-english")), "piper"),
    ("elevenlabs.TTS", speaking(lambda _: inference.TTS("elevenlabs/eleven_flash_v2_5:v")), "piper"),
)


@pytest.mark.usefixtures("spent")
@pytest.mark.parametrize(("run", "stand_in"), [one[1:] for one in SPEAKING], ids=[one[0] for one in SPEAKING])
async def test_livekits_objects_tell_the_stand_in(run: Run, stand_in: str) -> None:
    """Also those whose plugin keeps nothing of the answer but its status."""
    inference.set_project("prod")
    with pytest.raises((APIError, WSServerHandshakeError)) as caught:
        await run("")
    signal = inference.translate(caught.value)
    assert isinstance(signal, BudgetThrottleSignal)
    assert signal.stand_in == stand_in


@pytest.mark.usefixtures("spent")
async def test_the_wrapper_raises_for_plain_and_async_functions_and_blocks() -> None:
    inference.set_project("dev")
    async with AsyncOpenAI(api_key="k", base_url=f"{inference.base_url('openai')}/v1") as client:

        @inference.budget_errors()
        async def ask(question: str) -> str:
            """Ask."""
            asked: Any = [{"role": "user", "content": question}]
            answer = await client.chat.completions.create(model="gpt-4.1-mini", messages=asked)
            return str(answer.choices[0].message.content)

        assert (ask.__name__, ask.__doc__) == ("ask", "Ask.")
        with pytest.raises(BudgetExceededError, match="the daily budget of project dev") as caught:
            await ask("Where is my order?")
        assert caught.value.project == "dev"
        assert isinstance(caught.value.__cause__, APIStatusError)
        with pytest.raises(BudgetExceededError), inference.budget_errors():
            await client.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)

    @inference.budget_errors()
    def plain(number: int) -> int:
        return 1 // number

    assert plain(1) == 1
    with pytest.raises(ZeroDivisionError):
        plain(0)
    with pytest.raises(asyncio.CancelledError), inference.budget_errors():
        raise asyncio.CancelledError


async def test_a_local_model_that_fails_in_its_turn_is_no_refusal(spent: Place, unused_tcp_port: int) -> None:
    """Python notes the refusal that was being handled; the new exception is not about it."""
    inference.set_project("dev")
    refused = AsyncOpenAI(api_key="k", base_url=f"{inference.base_url('openai')}/v1")
    down = AsyncOpenAI(api_key="k", base_url=f"http://127.0.0.1:{unused_tcp_port}", max_retries=0)
    async with refused, down:
        with pytest.raises(APIConnectionError) as caught:
            try:
                await refused.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)
            except APIStatusError:
                await down.chat.completions.create(model="local", messages=ASKED)
    assert isinstance(caught.value.__context__.__context__ or caught.value.__context__, Exception)
    assert inference.translate(caught.value) is None


async def test_a_providers_own_402_while_a_refusal_is_handled_is_its_own(spent: Place) -> None:
    """As of an SDK that names no cause: what is being handled is none of its business."""
    from anthropic import APIStatusError as AnthropicError
    from anthropic import AsyncAnthropic

    inference.set_project("dev")
    refused = AsyncOpenAI(api_key="k", base_url=f"{inference.base_url('openai')}/v1")
    spent.simulator.fail_next("anthropic.messages", Failure(FailureKind.STATUS, status=402))
    other = AsyncAnthropic(api_key="k", base_url=inference.base_url("anthropic", project="staging"), max_retries=0)
    async with refused, other:
        with pytest.raises(AnthropicError) as caught:
            try:
                await refused.chat.completions.create(model="gpt-4.1-mini", messages=ASKED)
            except APIStatusError:
                await other.messages.create(model="claude-haiku-4-5", max_tokens=9, messages=ASKED)
    assert caught.value.status_code == 402
    assert inference.translate(caught.value) is None


def test_what_an_agent_raises_in_place_of_a_refusal_is_its_own() -> None:
    class LocalModelFailed(Exception):
        pass

    with pytest.raises(LocalModelFailed) as caught:
        try:
            raise WithBody(THROTTLED)
        except WithBody:
            raise LocalModelFailed from None
    assert inference.translate(caught.value) is None


async def test_the_wrapper_takes_generators_and_what_returns_something_to_await() -> None:
    """LiveKit's nodes are async generators."""

    @inference.budget_errors()
    async def node(number: int) -> AsyncIterator[int]:
        yield number
        raise WithBody(THROTTLED)

    @inference.budget_errors()
    def plain(number: int) -> Iterator[int]:
        yield number
        raise WithBody(EXCEEDED)

    class Model:
        async def __call__(self) -> None:
            raise WithBody(EXCEEDED)

    found = []
    with pytest.raises(BudgetThrottleSignal):
        async for one in node(1):
            found.append(one)
    with pytest.raises(BudgetExceededError):
        found += plain(2)
    assert found[0] == 1
    assert isasyncgenfunction(node)
    with pytest.raises(BudgetExceededError):
        await inference.budget_errors()(Model())()
    with pytest.raises(BudgetExceededError):
        await inference.budget_errors()(lambda: Model()())()


class WithBody(Exception):
    def __init__(self, body: object, status_code: int = 402) -> None:
        super().__init__("refused")
        self.body, self.status_code = body, status_code


class FromSdk(Exception):
    """An SDK's own exception, of which nothing but its text is left."""


class WithHeaders(Exception):
    def __init__(self, headers: object) -> None:
        super().__init__("refused")
        self.headers = headers


def raised_from(cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except Exception as error:
            raise RuntimeError("something else") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("found", "kind", "project", "stand_in"),
    [
        (FromSdk(EXCEEDED), BudgetExceededError, "dev", None),
        (WithBody({"error": {"message": EXCEEDED}}), BudgetExceededError, "dev", None),
        (WithBody({"detail": {"message": THROTTLED}}), BudgetThrottleSignal, "prod", "ollama/qwen2.5:3b"),
        (WithBody(f'{{"error": "{THROTTLED}"}}'.encode()), BudgetThrottleSignal, "prod", "ollama/qwen2.5:3b"),
        (FromSdk(THROTTLED[: THROTTLED.index("prod") + 2]), BudgetThrottleSignal, None, "ollama/qwen2.5:3b"),
        (raised_from(WithBody(THROTTLED)), BudgetThrottleSignal, "prod", "ollama/qwen2.5:3b"),
        (ExceptionGroup("two", [ValueError("x"), FromSdk(EXCEEDED)]), BudgetExceededError, "dev", None),
        (ExceptionGroup("many", [*(ValueError(n) for n in range(200)), FromSdk(EXCEEDED)]), BudgetExceededError, "dev",
         None),
        (WithHeaders({"x-voicegw-error": "budget_exceeded"}), BudgetExceededError, None, None),
        (WithHeaders({"x-voicegw-error": "budget_exceeded", "x-voicegw-project": "dev"}), BudgetExceededError, "dev",
         None),
        (WithHeaders({"X-VoiceGW-Error": "budget_throttled", "X-VoiceGW-Throttle-To": "kokoro"}),
         BudgetThrottleSignal, None, "kokoro"),
        (WithHeaders({"x-voicegw-error": "budget_throttled"}), BudgetThrottleSignal, None, None),
    ],
)  # fmt: skip
def test_refusals_in_every_shape(found: Exception, kind: type, project: str | None, stand_in: str | None) -> None:
    refusal = inference.translate(found)
    assert type(refusal) is kind
    assert refusal is not None
    assert refusal.project == project
    assert getattr(refusal, "stand_in", None) == stand_in
    assert inference.translate(refusal) is refusal
    assert "budget" in str(refusal)


class Failing(Exception):
    """Every attribute of it fails."""

    exceptions = None

    def __str__(self) -> str:
        raise OSError("no text")

    @property
    def body(self) -> object:
        raise OSError("no body")

    @property
    def headers(self) -> object:
        raise OSError("no headers")


class Odd(dict[str, str]):
    def get(self, *_: object) -> Any:
        raise OSError("no header")


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def looping() -> Exception:
    first, second = Exception("one"), Exception("two")
    first.__cause__, second.__cause__ = second, first
    return first


@pytest.mark.parametrize(
    "found",
    [None, "text", ValueError("x"), WithBody({"error": {"code": "insufficient_quota"}}), WithBody("Payment required"),
     Exception("402 budget_exceeded"), WithHeaders({"x-voicegw-error": "unpriced_model"}), WithHeaders(None), looping(),
     WithHeaders({"x-voicegw-error": ["budget_exceeded"]}), KeyError(THROTTLED.partition(":")[0]), Failing(),
     WithHeaders(Odd()), WithHeaders(object()), WithBody(nested(100_000)), WithBody(EXCEEDED, status_code=400),
     ValueError(f"cannot parse {EXCEEDED}"), WithBody(f"your prompt: {EXCEEDED}", status_code=429)],
)  # fmt: skip
def test_what_is_none(found: object) -> None:
    """A provider's own 402 above all: its user has another bill to pay."""
    assert inference.translate(found) is None


class Event:
    def __init__(self, error: object) -> None:
        self.error = error


def test_what_handlers_of_frameworks_are_given() -> None:
    """LiveKit's event holds an error that holds the exception; Pipecat's frame has text, or both."""
    assert isinstance(inference.translate(Event(Event(WithBody(THROTTLED)))), BudgetThrottleSignal)
    assert isinstance(inference.translate(Event(f"Error during completion: {EXCEEDED}")), BudgetExceededError)
    raised = FromSdk("only 402")
    raised.__cause__ = WithBody(THROTTLED)
    note_refusal(Event(raised))
    raised.__cause__ = None
    assert isinstance(inference.translate(raised), BudgetThrottleSignal)
    note_refusal(Event("not an exception"))
