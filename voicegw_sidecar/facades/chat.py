"""``POST /v1/chat/completions``: one request, put to whichever provider serves it.

Providers that speak OpenAI's protocol get the caller's own request with their model in it, and their answer is passed
on; Claude is asked in Anthropic's words and its answer written in OpenAI's. What is written anew has to be an answer,
and all of one: nobody could tell afterwards that it was a sign-in page or the half of a sentence.
"""

from __future__ import annotations

from collections.abc import Iterable

from voicegw_sidecar.body_edit import BodyEdit
from voicegw_sidecar.chat_ask import ChatAsk, read_chat
from voicegw_sidecar.drivers.anthropic_chat import anthropic_chat
from voicegw_sidecar.drivers.base import ProviderRequest
from voicegw_sidecar.drivers.leg import Leg
from voicegw_sidecar.errors import BadRequest, UpstreamSilent
from voicegw_sidecar.events import Event, Failed
from voicegw_sidecar.facades.openai_chat import ChatAnswer
from voicegw_sidecar.facades.translation import Attempt, Headers, PassThrough
from voicegw_sidecar.terms import Modality
from voicegw_sidecar.wire.frames import ResponseHead

_JSON = "application/json"
_EVENTS = "text/event-stream"
_TYPE_LIMIT_CHARS = 60
_ANTHROPIC = "anthropic"


class Chat:
    """One chat request of a caller."""

    modality = Modality.LLM

    def __init__(self, body: bytes, content_type: str) -> None:
        self._body = body
        self._ask = read_chat(body)
        if not self._ask.messages:
            raise BadRequest("messages: found none; expected at least one message")

    @property
    def wanted(self) -> str | None:
        """The model that it names."""
        return self._ask.model

    @property
    def is_streamed(self) -> bool:
        """True where the answer is wanted as it is written."""
        return bool(self._ask.stream)

    def attempt(self, leg: Leg, id_: str, now_s: int, *, includes_usage: bool) -> Attempt:
        """Put the request to a provider; raises `BadRequest` for what that one cannot be asked.

        ``includes_usage``: a streamed answer may be asked for its usage, which the caller is not shown unasked.
        """
        provider, model = leg.provider, leg.model
        if provider.id == _ANTHROPIC:
            answer = ChatAnswer(f"chatcmpl-{id_}", now_s, model, wants_usage=self._ask.wants_usage)
            translation = ChatTranslation(provider.id, self._ask, answer)
            return Attempt(anthropic_chat(self._ask, model), translation, is_openai_shaped=False)
        endpoint = next((one for one in provider.endpoints if one.modality is Modality.LLM and one.asks_usage), None)
        if endpoint is None:
            raise BadRequest(f"model: {provider.id} is no LLM provider; expected one that is, such as openai")
        edit = BodyEdit(asks_usage=includes_usage, model=model, content_type=_JSON)
        body = edit.edit(self._body) or self._body
        request = ProviderRequest("POST", endpoint.path, (), (("Content-Type", _JSON),), body)
        return Attempt(request, PassThrough(edit.filter() if edit.asks_usage else None))


class ChatTranslation:
    """An answer of another protocol, written as OpenAI's; see `Translation`.

    Raises `UpstreamSilent` for what is no answer, and where a whole answer turns out to be none.
    """

    is_heavy = False

    def __init__(self, provider_id: str, ask: ChatAsk, answer: ChatAnswer) -> None:
        self._provider_id = provider_id
        self._is_streamed = bool(ask.stream)
        self._answer = answer

    @property
    def has_output(self) -> bool:
        """See `Translation.has_output`."""
        return self._answer.has_output

    @property
    def failure(self) -> Failed | None:
        """See `Translation.failure`."""
        return self._answer.failure

    def head(self, head: ResponseHead, headers: Headers) -> Headers:
        """See `Translation.head`."""
        self._require_chat(head)
        kept = tuple(pair for pair in headers if pair[0].lower() in ("request-id", "x-request-id"))
        return (*kept, ("Content-Type", _EVENTS if self._is_streamed else _JSON))

    def take(self, data: bytes, events: Iterable[Event]) -> bytes:
        """See `Translation.take`."""
        out = self._answer.take(events)
        return out if self._is_streamed else b""

    def end(self, events: Iterable[Event]) -> bytes:
        """See `Translation.end`."""
        out = self._answer.take(events)
        failure = self._answer.failure
        if failure is None and self._answer.says_nothing:
            raise self._no_answer("with no message")
        if self._is_streamed:
            return out if failure is not None else out + self._answer.end()
        if failure is not None:  # there is no way to add it to an answer in one piece
            raise UpstreamSilent(f"{self._provider_id}: {failure.message or failure.code}")
        return self._answer.whole()

    def broken(self, message: str, code: str) -> bytes | None:
        """A stream says what went wrong in an event of its own."""
        return self._answer.failed(message, code) if self._is_streamed else None

    def _require_chat(self, head: ResponseHead) -> None:
        """Raise for what says that it is neither JSON nor events, or events that came packed without being asked to."""
        kind = head.content_type.partition(";")[0].strip().lower()
        is_events = kind == _EVENTS
        if kind and not is_events and not kind.endswith("json"):
            raise self._no_answer(f"with {kind[:_TYPE_LIMIT_CHARS]}, not with JSON or events")
        encoding = head.content_encoding.strip().lower()
        if is_events and encoding not in ("", "identity"):
            raise self._no_answer(f"with events in the content encoding {encoding[:_TYPE_LIMIT_CHARS]}")

    def _no_answer(self, found: str) -> UpstreamSilent:
        return UpstreamSilent(f"{self._provider_id} answered {found}; check its address, or call again")
