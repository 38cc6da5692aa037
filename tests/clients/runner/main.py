"""The command: which suites, against which broker."""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from support.broker import Address, Broker
from support.cache import cache_dir

from . import suite as suites
from .relay import slowed
from .sources import unpack
from .suite import Expectations, Suite
from .tools import FAILED, Run
from .verdict import FLAKY_ATTEMPTS, Verdict, table


def main() -> int:
    """Run the suites; 0 if all went as expected, 1 if not."""
    options = _options()
    verdicts = []
    for name in options.suites:
        print(f"{name} ...", file=sys.stderr, flush=True)
        suite = suites.load(name)
        has_tls = options.start or options.tls_port
        verdict = run_suite(suite.with_tls() if has_tls else suite, options)
        verdicts.append(verdict)
        for complaint in verdict.complaints:
            print(f"  {complaint}", file=sys.stderr, flush=True)
    print(table(verdicts))
    if options.json:
        report = [verdict.to_json() for verdict in verdicts]
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if all(verdict.good for verdict in verdicts) else 1


def run_suite(suite: Suite, options: argparse.Namespace) -> Verdict:
    """Fetch and run one suite; every surprise becomes a complaint of the verdict."""
    verdict = Verdict(suite.name, suite.version)
    known = Expectations() if options.no_expectations else suites.load_expectations(suite)
    started = time.monotonic()
    try:
        _run_into(verdict, suite, known, options)
    except (OSError, RuntimeError, ValueError, subprocess.CalledProcessError) as error:
        verdict.complaints.append(f"could not be run: {error}")
    verdict.seconds = time.monotonic() - started
    if not options.no_expectations:
        verdict.judge(known, suite.tests)
    return verdict


def _run_into(
    verdict: Verdict, suite: Suite, known: Expectations, options: argparse.Namespace
) -> None:
    log = cache_dir() / "results" / f"{suite.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    sources = unpack(suite)
    with _broker(options, suite) as (address, broker):
        run = Run(suite, sources, address, log)
        verdict.results, complaint = run.tests()
        if complaint:
            verdict.complaints.append(f"{complaint} (see {log})")
        _retry_flaky(verdict, known, run)
        if broker is not None and (complaint := broker.complaint() or _stop(broker)):
            verdict.complaints.append(f"{complaint} (see {broker.log})")


def _retry_flaky(verdict: Verdict, known: Expectations, run: Run) -> None:
    """Run failed flaky tests again, by themselves and against a slower broker: one pass is a pass.

    What makes a client's own race come out wrong is as a rule that the broker answers at once.
    """
    for _ in range(FLAKY_ATTEMPTS - 1):
        failed = [test for test in known.flaky if verdict.results.get(test) == FAILED]
        if not failed:
            return
        with slowed(run.address) as address:
            results, _ = replace(run, only=tuple(failed), address=address).tests()
        verdict.results.update(results)
        verdict.flaked += [test for test in failed if test not in verdict.flaked]


@contextmanager
def _broker(options: argparse.Namespace, suite: Suite) -> Iterator[tuple[Address, Broker | None]]:
    """The running broker that was named, or a fresh one for the suite."""
    if options.broker:
        yield replace(options.broker, tls_port=options.tls_port, http_port=options.http_port), None
        return
    log = cache_dir() / "results" / f"{suite.name}.broker.log"
    with Broker(options.start, log, _configuration(suite), tls=suite.tls is not None) as broker:
        yield broker.address, broker


def _configuration(suite: Suite) -> Path | None:
    """The suite's `broker.toml`, in which `{certificates}` stands for their folder."""
    template = suite.folder / "broker.toml"
    if not template.exists():
        return None
    text = template.read_text()
    if suite.tls:
        certificates = unpack(suites.load(suite.tls.certificates)) / "tests" / "certs"
        text = text.replace("{certificates}", str(certificates))
    configuration = cache_dir() / "results" / f"{suite.name}.broker.toml"
    configuration.write_text(text)
    return configuration


def _stop(broker: Broker) -> str | None:
    code = broker.stop()
    return f"the broker ended with {code} when asked to stop" if code else None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/clients/run", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--broker", type=Address.parse, metavar="URI", help="a running broker")
    where.add_argument(
        "--start", type=Path, metavar="BINARY", help="start this amphora, anew for each suite"
    )
    parser.add_argument(
        "--tls-port",
        type=int,
        metavar="PORT",
        help="where the running broker listens for TLS, with the certificates of aiormq's tests",
    )
    parser.add_argument(
        "--http-port",
        type=int,
        metavar="PORT",
        help="where the running broker has its management API",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--suites", type=lambda text: text.split(","), metavar="NAME,NAME")
    which.add_argument("--quick", action="store_true", help="the suites cheap enough for every run")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument(
        "--no-expectations",
        action="store_true",
        help="only count: to measure another broker, which the expected failures are not about",
    )
    options = parser.parse_args()
    known = suites.names()
    if options.quick:
        options.suites = [name for name in known if suites.load(name).quick]
    options.suites = options.suites or known
    if unknown := set(options.suites) - set(known):
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return options
