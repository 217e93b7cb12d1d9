"""A database as a month of traffic leaves it: conversations, their sessions and turns, daily totals.

Rows go in by the product's own statements, and figures come from its own code, so that a page shows what it would show
of real calls. Nothing is analysed: the product never does it, and its queries have to be quick without. From a seed.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from pathlib import Path

import apsw
from msgspec import Struct
from msgspec.structs import replace

from voicegw_sidecar.route import RouteLeg, written_route
from voicegw_sidecar.routing.latency import Source
from voicegw_sidecar.session_figures import closed_row
from voicegw_sidecar.store.migrate import migrate, transaction
from voicegw_sidecar.store.operator_records import AuditRow, BrandRow, ShareRow, write_audit, write_brand, write_share
from voicegw_sidecar.store.records import WRITE_EXCHANGE, ExchangeRow, bindings
from voicegw_sidecar.store.session_records import SessionRow, Statement, close_session, join_session, open_session
from voicegw_sidecar.store.writer import add_to_days
from voicegw_sidecar.terms import (
    NS_PER_MS,
    NS_PER_S,
    ROUTED,
    Basis,
    CostSource,
    FirstBasis,
    Modality,
    Moments,
    SessionOrigin,
    Status,
    Usage,
)

NODE = "018f0000-0000-7000-8000-000000000001"
"""Whose rows they are: a sidecar that opens the database goes on with the sessions that this one left open."""
PROJECTS = {"acme": 50, "globex": 25, "initech": 15, "hooli": 8, "umbrella": 2}
"""With how much of the traffic each has."""
DAYS = 30
LIVE = 20
BUDGET_MS = 1500
_DAY_NS, _QUARTER_NS = 86_400 * NS_PER_S, 900 * NS_PER_S
_PER_TURN = 3.05  # exchanges, with tool rounds, failures and the silent rest
_TOOL_SHARE, _CUT_SHARE, _GIVEN_UP_SHARE = 0.06, 0.08, 0.01
_FATES = ((0.002, Status.UPSTREAM_ERROR, "http_503"), (0.0035, Status.PARTIAL, "connection_lost"),
          (0.005, Status.REFUSED, "budget_spent"))  # fmt: skip
_CHANGES, _LINKS = 400, 12
_UNSEEN = Moments()


class Offer(Struct, frozen=True):
    """A model: its usual milliseconds to the first output, and nano-dollars a second of audio, token or character.

    Without ``nanousd`` nobody knows its price.
    """

    provider: str
    model: str
    first_ms: float
    nanousd: int | None


OFFERS = {
    Modality.STT: (
        Offer("deepgram", "nova-3", 260, 128_333), Offer("deepgram", "flux-general-en", 210, 128_333),
        Offer("assemblyai", "universal-streaming", 310, 41_667),
    ),
    Modality.LLM: (
        Offer("openai", "gpt-4.1-mini", 430, 550), Offer("openai", "gpt-4o", 520, 3_400),
        Offer("groq", "llama-3.3-70b-versatile", 190, 610), Offer("anthropic", "claude-haiku-4-5", 480, 1_400),
        Offer("openai", "ft:gpt-4.1-mini:acme::b7", 450, None),
    ),
    Modality.TTS: (
        Offer("cartesia", "sonic-3", 160, 35_000), Offer("elevenlabs", "eleven_flash_v2_5", 190, 50_000),
        Offer("elevenlabs", "eleven_turbo_v2_5", 280, 50_000),
    ),
}  # fmt: skip
_WEIGHTS = {Modality.STT: (6, 2, 3), Modality.LLM: (10, 3, 5, 4, 1), Modality.TTS: (7, 4, 1)}


def id_at(wall_ns: int, dice: random.Random) -> str:
    """Return a UUID of version 7 that sorts by its nanosecond, whatever order ids are made in (RFC 9562 §6.2)."""
    milliseconds, rest_ns = divmod(wall_ns, NS_PER_MS)
    fraction = rest_ns * 4096 // NS_PER_MS
    tail = dice.getrandbits(62)
    return str(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62 | tail))


class Conversation:
    """One session as it went: its exchanges, its row while it is open, and who joined it later."""

    def __init__(self, dice: random.Random, project: str, began_ns: int, turns: int) -> None:
        self._dice = dice
        self._project = project
        self._offers = {modality: dice.choices(OFFERS[modality], _WEIGHTS[modality])[0] for modality in ROUTED}
        self._origin = dice.choices(tuple(SessionOrigin), (5, 3, 2))[0]
        is_named = self._origin is SessionOrigin.NAMED
        self._id = f"call-{dice.getrandbits(48):012x}" if is_named else id_at(began_ns, dice)
        self.rows: list[ExchangeRow] = []
        self.joined: list[Statement] = []
        at_ns = began_ns
        for _ in range(turns):
            at_ns = self._turn(at_ns)
        idle = Usage(audio_s=round(dice.uniform(2, 20), 3))
        self._add(Modality.STT, at_ns, at_ns + self._ns(2000, 20_000), Status.IDLE, idle)
        self.ended_ns = self.rows[-1].ended_ns or at_ns
        self.row = self._row(began_ns)
        if self._origin is SessionOrigin.INFERRED:
            self._join(2)

    def cut_at(self, wall_ns: int) -> None:
        """Forget what ended after a moment: the conversation is under way."""
        self.rows = [row for row in self.rows if (row.ended_ns or 0) <= wall_ns]

    def _turn(self, began_ns: int) -> int:
        """Add one turn; returns when the person speaks again."""
        dice = self._dice
        spoken_ns = began_ns + self._ns(700, 4000)
        final_ns = spoken_ns + self._first_ns(Modality.STT)
        self._add(
            Modality.STT, began_ns, final_ns, Status.OK, Usage(audio_s=round((final_ns - began_ns) / NS_PER_S, 3)),
            Moments(first_ns=final_ns, speech_began_ns=began_ns, speech_ended_ns=spoken_ns),
        )  # fmt: skip
        asked_ns = final_ns + self._ns(5, 60)
        if dice.random() < _TOOL_SHARE:
            asked_ns = (self._ask(asked_ns, is_tool=True) or asked_ns) + self._ns(50, 400)
        content_ns = self._ask(asked_ns, is_tool=False)
        if content_ns is None:
            return asked_ns + self._ns(2000, 4000)
        return self._say(content_ns + self._ns(40, 150))

    def _ask(self, asked_ns: int, *, is_tool: bool) -> int | None:
        """Add an LLM call; returns when it had its first output, or None where there was no answer."""
        fate, error = self._fate()
        first_ns = asked_ns + self._first_ns(Modality.LLM)
        ended_ns = first_ns + self._ns(150, 1500)
        prompt = self._dice.randint(300, 6000)
        usage = Usage(
            input_tokens=prompt, cached_input_tokens=prompt // 2, output_tokens=self._dice.randint(8, 180)
        )  # fmt: skip
        if fate in (Status.UPSTREAM_ERROR, Status.REFUSED):
            self._add(Modality.LLM, asked_ns, asked_ns + self._ns(2, 300), fate, Usage(), Moments(asked_ns), error)
            return None
        content_ns = None if is_tool else first_ns
        if fate is Status.OK and not is_tool and self._dice.random() < _GIVEN_UP_SHARE:
            fate = Status.CANCELLED
        self._add(Modality.LLM, asked_ns, ended_ns, fate, usage, Moments(asked_ns, first_ns, content_ns), error)
        return ended_ns if is_tool else first_ns

    def _say(self, text_ns: int) -> int:
        """Add the speech of an answer; returns when the person speaks again, which may be too early."""
        fate, error = self._fate()
        audio_ns = text_ns + self._first_ns(Modality.TTS)
        plays_ns, letters = self._ns(1500, 7000), self._dice.randint(20, 160)
        if fate in (Status.UPSTREAM_ERROR, Status.REFUSED):
            self._add(Modality.TTS, text_ns, text_ns + self._ns(2, 300), fate, Usage(), Moments(text_ns), error)
            return text_ns + self._ns(2000, 4000)
        is_cut = self._dice.random() < _CUT_SHARE
        heard_ns = plays_ns // 2 if is_cut else plays_ns
        usage = Usage(characters=letters, audio_out_s=round(plays_ns / NS_PER_S, 3))
        ended_ns = audio_ns + heard_ns // 3
        status = Status.CANCELLED if is_cut and fate is Status.OK else fate
        self._add(Modality.TTS, text_ns, ended_ns, status, usage, Moments(text_ns, audio_ns), error)
        return audio_ns + heard_ns + (0 if is_cut else self._ns(300, 2500))

    def _add(
        self, modality: Modality, started_ns: int, ended_ns: int, status: Status, usage: Usage,
        moments: Moments = _UNSEEN, error: str | None = None,
    ) -> None:  # fmt: skip
        offer = self._offers[modality]
        cost, source = _cost(offer, usage)
        since_ns = moments.speech_ended_ns or moments.asked_ns
        first_ms = None
        if moments.first_ns is not None and since_ns is not None:
            first_ms = round((moments.first_ns - since_ns) / NS_PER_MS, 3)
        self.rows.append(ExchangeRow(
            id=id_at(started_ns, self._dice), project=self._project, provider=offer.provider, started_ns=started_ns,
            status=status, ended_ns=ended_ns, session_id=self._id, model=offer.model, modality=modality,
            http_status={Status.OK: 200, Status.UPSTREAM_ERROR: 503, Status.REFUSED: 402}.get(status),
            first_ms=first_ms, first_ms_basis=FirstBasis.PROVIDER if moments.speech_ended_ns is not None else None,
            total_ms=round((ended_ns - started_ns) / NS_PER_MS, 3), usage=usage, estimated=status is Status.CANCELLED,
            cost_nanousd=cost, cost_source=source, error=error, moments=moments,
        ))  # fmt: skip

    def _row(self, began_ns: int) -> SessionRow:
        dice, is_routed = self._dice, self._origin is SessionOrigin.API
        predicted_ms = sum(offer.first_ms for offer in self._offers.values()) * dice.uniform(0.9, 1.2)
        legs = {
            modality: RouteLeg(
                offer.provider, offer.model, offer.first_ms if is_routed else None,
                Source.OBSERVED if is_routed else None, 120 if is_routed else None,
                used=(f"{offer.provider}/{offer.model}",),
            )
            for modality, offer in self._offers.items()
        }  # fmt: skip
        return SessionRow(
            uid=id_at(began_ns, dice), project=self._project, id=self._id, origin=self._origin, started_ns=began_ns,
            budget_ms=BUDGET_MS, predicted_ms=predicted_ms if is_routed else None,
            budget_overrun=dice.random() < 0.04 if is_routed else None, route=written_route(legs),
        )  # fmt: skip

    def _join(self, count: int) -> None:
        """The first exchanges were found to belong to it only afterwards."""
        for index, row in enumerate(self.rows[:count]):
            at_ns = row.ended_ns or row.started_ns
            self.rows[index] = replace(row, session_id=None)
            basis = self._dice.choice((Basis.TRANSCRIPT, Basis.HISTORY, Basis.SPEECH))
            self.joined.append(
                join_session(id_at(at_ns, self._dice), NODE, row.id, row.project, self._id, basis, at_ns)
            )

    def _fate(self) -> tuple[Status, str | None]:
        place = self._dice.random()
        return next(((status, error) for until, status, error in _FATES if place < until), (Status.OK, None))

    def _first_ns(self, modality: Modality) -> int:
        return round(self._offers[modality].first_ms * self._dice.lognormvariate(0, 0.3) * NS_PER_MS)

    def _ns(self, least_ms: int, most_ms: int) -> int:
        return self._dice.randint(least_ms * NS_PER_MS, most_ms * NS_PER_MS)


def _cost(offer: Offer, usage: Usage) -> tuple[int | None, CostSource]:
    if usage == Usage():
        return 0, CostSource.NONE
    if offer.nanousd is None:
        return None, CostSource.NONE
    units = (usage.audio_s, usage.input_tokens, usage.output_tokens, usage.characters)
    return round(offer.nanousd * sum(unit or 0 for unit in units)), CostSource.CATALOGUE


def seed(path: Path, exchanges: int, sessions: int, now_ns: int) -> None:
    """Make a database of so many exchanges and closed sessions over the last `DAYS` days, none in the last minutes."""
    dice = random.Random(7)
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "off")
    connection.pragma("cache_size", -512_000)
    connection.pragma("wal_autocheckpoint", 50_000)
    migrate(connection)
    first_ns = now_ns - DAYS * _DAY_NS
    connection.execute("INSERT INTO node (id, created_ns) VALUES (?, ?)", (NODE, first_ns))
    turns = exchanges * 0.98 / sessions / _PER_TURN
    made = 0
    for day in range(DAYS):
        since_ns = first_ns + day * _DAY_NS
        until_ns = min(since_ns + _DAY_NS, now_ns - _QUARTER_NS)
        count = sessions * (day + 1) // DAYS - sessions * day // DAYS
        talks = [_conversation(dice, dice.randint(since_ns, until_ns), turns) for _ in range(count)]
        rows = [row for talk in talks for row in talk.rows]
        left = exchanges * (day + 1) // DAYS - made - len(rows)
        rows += [_alone(dice, dice.randint(since_ns, until_ns)) for _ in range(left)]
        made += len(rows)
        with transaction(connection):
            _write(connection, rows)
            _run(connection, (statement for talk in talks for statement in talk.joined))
            for talk in talks:
                _run(connection, (open_session(talk.row, NODE),))
                _run(connection, close_session(*closed_row(connection, talk.row, talk.ended_ns)))
    with transaction(connection):
        connection.execute(_COUNT_DAYS)
        _run(connection, _operated(dice, first_ns, now_ns))
    connection.pragma("wal_checkpoint", "truncate")
    connection.close()


# As the writer counts, but for speech-to-text streams over midnight, whose cost it shares between the two days.
_COUNT_DAYS = """
INSERT INTO daily_total (project, day, modality, provider, model, request_count, cost_nanousd, unpriced_count)
SELECT project, date(started_ns / 1000000000, 'unixepoch'), coalesce(modality, ''), provider, coalesce(model, ''),
       sum(status NOT IN ('open', 'refused', 'idle')), coalesce(sum(cost_nanousd), 0), sum(cost_nanousd IS NULL)
FROM exchange WHERE status <> 'open' GROUP BY 1, 2, 3, 4, 5
"""


def add_live(path: Path, now_ns: int) -> list[tuple[str, str]]:
    """Add conversations that are under way; returns project and id of their sessions."""
    dice = random.Random(now_ns)
    connection = apsw.Connection(str(path))
    talks = [_conversation(dice, now_ns - dice.randint(60, 200) * NS_PER_S, 40.0) for _ in range(LIVE)]
    with transaction(connection):
        for talk in talks:
            talk.cut_at(now_ns)
            _write(connection, talk.rows)
            _run(connection, (*talk.joined, open_session(talk.row, NODE)))
            for row in talk.rows:
                add_to_days(connection, row, UTC)
    connection.close()
    return [(talk.row.project, talk.row.id) for talk in talks]


def _conversation(dice: random.Random, began_ns: int, turns: float) -> Conversation:
    project = dice.choices(tuple(PROJECTS), tuple(PROJECTS.values()))[0]
    return Conversation(dice, project, began_ns, max(1, round(turns * dice.uniform(0.4, 1.6))))


def _alone(dice: random.Random, at_ns: int) -> ExchangeRow:
    """A call that is in no session."""
    row = next(row for row in _conversation(dice, at_ns, 1).rows if row.modality is Modality.LLM)
    return replace(row, session_id=None)


def _write(connection: apsw.Connection, rows: Iterable[ExchangeRow]) -> None:
    connection.executemany(WRITE_EXCHANGE, (bindings(row, NODE) for row in sorted(rows, key=lambda row: row.id)))


def _run(connection: apsw.Connection, statements: Iterable[Statement]) -> None:
    for text, values in statements:
        connection.execute(text, values)


def _operated(dice: random.Random, first_ns: int, now_ns: int) -> Iterator[Statement]:
    """What operators left: a brand, share links, and the log of changes."""
    projects: Sequence[str] = tuple(PROJECTS)
    yield write_brand(BrandRow("acme", "Acme Voice", "#0a7d4f"), now_ns)
    for _ in range(_LINKS):
        at_ns = dice.randint(first_ns, now_ns)
        expires_ns = at_ns + 60 * _DAY_NS
        yield write_share(ShareRow(id_at(at_ns, dice), dice.choice(projects), "weekly", at_ns, expires_ns, "loopback"))
    for _ in range(_CHANGES):
        at_ns = dice.randint(first_ns, now_ns)
        before, after = f'{{"daily_budget":{dice.randint(1, 500)}}}', f'{{"daily_budget":{dice.randint(1, 500)}}}'
        change = AuditRow(
            id_at(at_ns, dice), at_ns, "this machine", "project.update", dice.choice(projects), before, after
        )
        yield write_audit(change, NODE)
