"""The table of docs/providers.md: which client's call is relayed, metered, priced and refused, as it was seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.clients.case import Case
from tests.clients.runs import Played
from voicegw_sidecar.store.records import ExchangeRow

BEGIN, END = "<!-- matrix: written by tests/clients/test_cases.py -->", "<!-- end of matrix -->"
_HEAD = """\
| client | call | to | metered | priced | at a spent budget |
|---|---|---|---|---|---|
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
    row = next(row for row in well.rows if row.modality is not None)
    attempts = len(spent.rows)
    refusal = f"`{spent.relayed.error}`" if spent.relayed.error else "served: it costs nothing"
    asked = "" if attempts == 1 or not spent.relayed.error else f", asks {attempts} times"
    cells = (case.client, case.call, f"`{case.provider}` {_what(case, row)}", _metered(row), _priced(case, row),
             refusal + asked)  # fmt: skip
    return f"| {' | '.join(cells)} |\n"


def _what(case: Case, row: ExchangeRow) -> str:
    return f"{row.modality}{' socket' if case.is_socket else ''}"


def _metered(row: ExchangeRow) -> str:
    units = dict.fromkeys(unit for name, unit in _UNITS if getattr(row.usage, name) is not None)
    return ", ".join(units) + (", estimated" if row.estimated else "")


def _priced(case: Case, row: ExchangeRow) -> str:
    return str(row.cost_source) if row.cost_nanousd is not None else f"no: {case.is_unpriced}"
