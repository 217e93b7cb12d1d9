"""``route show`` and ``route simulate``: a project's rosters, what was observed, and what the next session would get.

Reads the configuration and the last roll-up of the database; both work without either a server or a database.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from voicegw_sidecar.cli.database import joined_catalog, settings_of
from voicegw_sidecar.cli.output import UNKNOWN, say, say_json, say_table
from voicegw_sidecar.config import Catalog
from voicegw_sidecar.settings import catalog_of
from voicegw_sidecar.terms import ROUTED, Modality, RosterEntry

if TYPE_CHECKING:
    from voicegw_sidecar.picks import Seen
    from voicegw_sidecar.store.queries.latencies import StoredObservation


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the two subcommands of ``route`` and their options."""
    commands = parser.add_subparsers(metavar="show|simulate", required=True, parser_class=type(parser))
    shown = commands.add_parser("show", help="rosters, and what was observed", parents=[])
    shown.add_argument("project", metavar="PROJECT")
    shown.add_argument("--json", action="store_true", help="print as JSON")
    shown.set_defaults(route=show)
    simulated = commands.add_parser("simulate", help="what the next session would get")
    simulated.add_argument("project", metavar="PROJECT")
    for modality in ROUTED:
        simulated.add_argument(f"--{modality.value}", metavar="ENTRY", help=f"choose the {modality.upper()} yourself")
    simulated.add_argument("--json", action="store_true", help="print as JSON")
    simulated.set_defaults(route=simulate)
    for command in (shown, simulated):
        command.add_argument("--config", metavar="FILE", default=argparse.SUPPRESS, help="configuration file")


def route(options: argparse.Namespace) -> int:
    """Run the subcommand."""
    code: int = options.route(options)
    return code


def show(options: argparse.Namespace) -> int:
    """Print rosters and observations."""
    from voicegw_sidecar.api.routing import routing_answer
    from voicegw_sidecar.picks import latencies_of

    known = _opened(options)
    whole = routing_answer(known.catalog, known.observations, options.project)
    if options.json:
        say_json(whole)
        return 0
    routing = whole.projects[options.project]
    say(f"Project {options.project} budget_ms={routing.budget_ms}")
    say("")
    say("Rosters")
    for modality, entries in routing.rosters.items():
        say(f"  {modality} {', '.join(entries) or '(empty)'}")
    latencies = latencies_of(known.catalog, options.project, known.seen)
    rosters = known.catalog.project(options.project).routing.rosters
    for modality in ROUTED:
        for entry in getattr(rosters, modality.value):
            if latencies.expected(modality, entry) is None:
                say(f"  {modality} {entry} is no candidate: it has no baseline and fewer than five observations")
    say("")
    if not routing.observations:
        say("(no observations yet; router will fall back to the curated baselines)")
        return 0
    rows = [
        (
            row.modality.value, row.provider, row.model or "(all)", f"{row.p50_ms:.0f}", f"{row.p95_ms:.0f}",
            str(row.sample_count), UNKNOWN if row.baseline_ms is None else f"{row.baseline_ms:.0f}",
        )
        for row in routing.observations
    ]  # fmt: skip
    say_table(("MODALITY", "PROVIDER", "MODEL", "P50 MS", "P95 MS", "SAMPLES", "BASELINE MS"), rows, right=(3, 4, 5, 6))
    return 0


def simulate(options: argparse.Namespace) -> int:
    """Print the triple that a session beginning now would get."""
    from voicegw_sidecar.api.routing import simulated_answer
    from voicegw_sidecar.picks import pick, read_override

    known = _opened(options)
    overrides: Mapping[Modality, RosterEntry] = {
        modality: read_override(f"--{modality.value}", modality, chosen)
        for modality in ROUTED
        if (chosen := getattr(options, modality.value)) is not None
    }
    decision = pick(known.catalog, options.project, known.seen, overrides)
    if options.json:
        say_json(simulated_answer(known.catalog, options.project, decision))
        return 0
    say(f"Project {options.project} simulated route:")
    for modality, leg in decision.legs.items():
        expected = leg.expected
        samples = f", {expected.samples} samples" if expected.source == "observed" else ""
        say(f"  {modality.upper()}: {leg.entry} ({expected.ms:.0f} ms {expected.source}{samples})")
    say(f"  Predicted total: {decision.predicted_ms:.0f} ms")
    say(f"  Under budget ({decision.budget_ms} ms): {'no' if decision.is_overrun else 'yes'}")
    return 0


class _Known(NamedTuple):
    catalog: Catalog
    observations: list[StoredObservation]
    seen: Seen


def _opened(options: argparse.Namespace) -> _Known:
    """Load the configuration and what is in the database; without one nothing was observed yet."""
    from voicegw_sidecar.ids import first_id_at
    from voicegw_sidecar.picks import Seen, adaptive_projects
    from voicegw_sidecar.routing.latency import WINDOW_NS
    from voicegw_sidecar.routing.window import Window
    from voicegw_sidecar.store.database import read_once
    from voicegw_sidecar.store.queries.latencies import newest_samples, observations, observed_of, windows_of

    loaded, project = settings_of(options), options.project
    path, now_ns = loaded.config.cost_tracking.db_path, time.time_ns()
    if not path.exists():
        catalog = catalog_of(loaded.config)
        catalog.project(project)
        return _Known(catalog, [], Seen({}, Window(), now_ns))
    catalog = read_once(path, lambda connection: joined_catalog(loaded, connection))
    catalog.project(project)
    found = read_once(path, observations)
    newest = read_once(path, newest_samples, first_id_at(now_ns - WINDOW_NS), adaptive_projects(catalog))
    windows = windows_of(newest)
    return _Known(catalog, found, Seen(observed_of(found, project), windows.get(project) or Window(), now_ns))
