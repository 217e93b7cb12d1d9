"""The table of docs/providers.md: which client's call is relayed, metered, priced and refused, as it was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from tests.clients.case import Case, faults_of
from tests.clients.runs import SOCKET, Played
from voicegw_sidecar.simulator.routes import pattern_of
from voicegw_sidecar.store.records import ExchangeRow

BEGIN, END = "<!-- matrix: written by tests/clients/test_cases.py -->", "<!-- end of matrix -->"
_HEAD = """\
| client | call | provider | endpoint | relayed | metered | priced | refused |
|---|---|---|---|---|---|---|---|
"""
_PASTE_HEAD = """
What each was given, for project acme:

| client | line to paste |
|---|---|
"""
_UNITS = (
    ("input_tokens", "tokens"), ("output_tokens", "tokens"), ("output_audio_tokens", "tokens"),
    ("characters", "characters"), ("audio_s", "seconds"),
)  # fmt: skip


def table(cases: Sequence[Case], seen: Mapping[str, tuple[Played, Played]]) -> str:
    """Return the table, a line a case, and the lines to paste; every case was relayed with its direct payload."""
    pasted = dict.fromkeys((case.client, _pasted(case)) for case in cases)
    lines = "".join(f"| {client} | `{line}` |\n" for client, line in pasted)
    return _HEAD + "".join(_line(case, *seen[case.name]) for case in cases) + _PASTE_HEAD + lines


def _pasted(case: Case) -> str:
    return case.paste.replace("{base}", f"http://127.0.0.1:8080/p/acme/{case.provider}").replace(
        "{ws}", f"ws://127.0.0.1:8080/p/acme/{case.provider}"
    )


def with_table(page: str, text: str) -> str:
    """Return the page with the table in its place."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n{END}{after}"


def _line(case: Case, well: Played, spent: Played) -> str:
    rows = [row for row in well.rows if row.modality is not None]
    modalities = ", ".join(dict.fromkeys(row.modality for row in rows if row.modality))
    cells = (case.client, case.call, f"`{case.provider}` {modalities}", f"`{_endpoint(well.relayed.address)}`",
             _relayed(case), _metered(rows), _priced(case, rows), _refused(spent))  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _endpoint(address: str) -> str:
    """Return an address with the simulator's pattern for its path, which leaves out a voice's id."""
    method, _, path = address.partition(" ")
    pattern = pattern_of("GET" if method == SOCKET else method, path) or path
    return f"{method} {pattern.replace('{}', '…')}"


def _relayed(case: Case) -> str:
    played = [fault.name for fault in faults_of(case)]
    left_out = [fault.name for fault in faults_of(replace(case, faults=None)) if fault.name not in played]
    return f"same under {len(played)} faults" + (f", not tried: {', '.join(left_out)}" if left_out else "")


def _metered(rows: Sequence[ExchangeRow]) -> str:
    units = dict.fromkeys(unit for name, unit in _UNITS if any(getattr(row.usage, name) is not None for row in rows))
    return ", ".join(units) + (", estimated" if rows[0].estimated else "")


def _priced(case: Case, rows: Sequence[ExchangeRow]) -> str:
    sources = dict.fromkeys(row.cost_source for row in rows if row.cost_nanousd)
    return ", ".join(sources) or (f"no: {case.is_unpriced}" if case.is_unpriced else rows[0].cost_source)


def _refused(spent: Played) -> str:
    if not spent.relayed.error:
        return "served: it costs nothing"
    attempts = len(spent.rows)
    return f"`{spent.relayed.error}`" + ("" if attempts == 1 else f", asks {attempts} times")
