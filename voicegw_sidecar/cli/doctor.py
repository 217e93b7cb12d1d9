"""``doctor``: numbered checks of the configuration and of what is around it, with the fix beside each.

Works beside a running sidecar and before the first start; changes nothing.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence

from voicegw_sidecar.cli.diagnosis import Check, Verdict
from voicegw_sidecar.cli.output import say, say_json
from voicegw_sidecar.settings import catalog_of, examine_settings

DONE, NO, WRONG = 0, 1, 2
_WORDS = {Verdict.OK: "ok", Verdict.WARN: "warn", Verdict.FAIL: "FAIL"}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``doctor``."""
    parser.add_argument("--offline", action="store_true", help="ask no provider")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def doctor(options: argparse.Namespace) -> int:
    """Print every check; 1 if one failed, 2 if there is no configuration to check anything by."""
    from voicegw_sidecar.cli.doctor_settings import configuration

    loaded, errors = examine_settings(getattr(options, "config", None), os.environ)
    checks = [configuration(loaded, errors)]
    if not errors:
        from voicegw_sidecar.cli.doctor_settings import keys

        catalog = catalog_of(loaded.config)
        checks.append(keys(catalog, os.environ))
        if not options.offline:
            from voicegw_sidecar.cli.doctor_providers import addresses, ask_all, clock, reached
            from voicegw_sidecar.relay.upstream import tls_context

            answers = ask_all(addresses(catalog, os.environ), tls_context())
            checks += reached(answers)
            if any(not answer.address.is_local for answer in answers):
                checks.append(clock(answers))
        from voicegw_sidecar.cli.doctor_machine import certificates, database, disk, ports

        path = loaded.config.cost_tracking.db_path
        checks += [certificates(), database(path), *ports(loaded.config), *disk(path)]
    if options.json:
        say_json(_answer(checks, errors=bool(errors)))
    else:
        for line in _lines(checks):
            say(line)
    if errors:
        return WRONG
    return NO if any(check.verdict is Verdict.FAIL for check in checks) else DONE


def _lines(checks: Sequence[Check]) -> Iterator[str]:
    width = max(len(check.name) for check in checks)
    for number, check in enumerate(checks, 1):
        yield f"{number:>2} {_WORDS[check.verdict]:<4}  {check.name:<{width}}  — {check.detail}"
        for line in (check.fix or "").splitlines():
            yield f"{'':8} {line}"


def _answer(checks: Sequence[Check], *, errors: bool) -> dict[str, object]:
    return {
        "ok": not errors and all(check.verdict is not Verdict.FAIL for check in checks),
        "checks": [
            {"number": number, "name": check.name, "status": check.verdict.value, "detail": check.detail,
             "fix": check.fix}
            for number, check in enumerate(checks, 1)
        ],
    }  # fmt: skip
