#!/usr/bin/env python3
"""The table of results in broker/PERFORMANCE.md, from what `amphora perf compare --suite standard --limit --limit-log FILE --json=FILE` has written. Fails if
something that is wanted is not kept, or a message was lost, doubled or disordered.

A figure is the median over the rounds, and so is a ratio, which is taken in each round by itself.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.dont_write_bytecode = True

from support.plot import decimal  # noqa: E402

LIMIT, FILE = "limit", "limit+fsync"

Run = dict[str, Any]
Figure = Callable[[Run], float]


def rate(run: Run) -> float:
    """Messages, or connections, per second."""
    return (run["delivered"] or run["published"])["per_second"]


def per_cpu(run: Run) -> float:
    """Messages per CPU second of the broker."""
    return run["cost"]["messages_per_cpu_second"]


def confirm(run: Run) -> float:
    """What half of the confirms take at most, in microseconds."""
    return run["confirms"]["latency"]["p50_ns"] / 1e3


def late(run: Run) -> float:
    """What half of the messages take at most, in microseconds."""
    return run["latency"]["p50_ns"] / 1e3


def latest(run: Run) -> float:
    """What 99 of 100 messages take at most, in microseconds."""
    return run["latency"]["p99_ns"] / 1e3


def sync(run: Run) -> float:
    """What half of the file's syncs take at most, in microseconds."""
    return run["syncs"]["p50_ns"] / 1e3


@dataclass(frozen=True)
class Bound:
    """What is wanted of a figure, by itself or beside another one of the same round."""

    limit: float
    text: str
    beside: tuple[str, str, Figure] | None = None
    at_most: bool = False
    difference: bool = False

    def judge(self, value: float) -> bool:
        """Whether it is kept."""
        return value <= self.limit if self.at_most else value >= self.limit


@dataclass(frozen=True)
class Line:
    """A line of the table: a scenario's figure, and what is wanted of it."""

    about: str
    scenario: str
    unit: str
    figure: Figure
    bounds: tuple[Bound, ...] = ()


def least(limit: float, text: str) -> tuple[Bound, ...]:
    """So much at least."""
    return (Bound(limit, text),)


def share(percent: float, broker: str, scenario: str, what: str, figure: Figure = rate) -> tuple[Bound, ...]:
    """At least so many percent of another figure."""
    return (Bound(percent / 100, f"{percent:g} % of {what}", (scenario, broker, figure)),)


def lines(broker: str) -> list[Line]:
    """All of them; some figures are compared with others of the broker itself."""
    p1k, topic = "1 KiB, persistent, confirms (window 1,000), acks in hundreds", "10 % less than direct"
    latency = (
        Bound(15, "15 us more", ("lat5k", LIMIT, late), at_most=True, difference=True),
        Bound(2, "twice", ("lat5k", LIMIT, latest), at_most=True),
    )
    return [
        Line("16 B, transient, automatic acks", "t16", "msg/s", rate, share(50, LIMIT, "t16", "the limit")),
        Line("", "t16", "per CPU s", per_cpu, least(8e6, "8 M")),
        Line("1 KiB, same", "t1k", "msg/s", rate, share(70, LIMIT, "t1k", "the limit")),
        Line("publish only, 16 B, growing queue", "pub16", "per CPU s", per_cpu, least(5e6, "5 M")),
        Line("drain only, 16 B", "drain16", "per CPU s", per_cpu, least(5e6, "5 M")),
        Line(p1k, "p1k", "msg/s", rate, share(70, FILE, "p1k", "the file")),
        Line("", "p1k", "per CPU s", per_cpu, least(400e3, "400 k")),
        Line("", "p1k", "confirm p50, us", confirm, (Bound(5000, "5 ms", at_most=True),)),
        Line("the same over 100 queues", "p1kq100", "msg/s", rate, share(60, broker, "p1k", "one queue")),
        Line("", "p1kq100", "per CPU s", per_cpu),
        Line("", "p1kq100", "confirm p50, us", confirm),
        Line("1 KiB, persistent, one at a time", "p1", "confirm p50, us", confirm, (Bound(1.5, "1.5 of the file's syncs", ("p1", FILE, sync), at_most=True),)),
        Line("100 B, 5,000/s", "lat5k", "latency p50, us", late, latency[:1]),
        Line("", "lat5k", "latency p99, us", latest, latency[1:]),
        Line("64 B, fanout to 4 queues", "fan4", "per CPU s", per_cpu, least(8e6, "8 M")),
        Line("64 B, fanout to 100 queues", "fan100", "per CPU s", per_cpu, least(8e6, "8 M")),
        Line("16 B, topic, 100 other bindings", "topic100", "per CPU s", per_cpu, (Bound(0.9, topic, ("t16", broker, per_cpu)),)),
        Line("16 B, topic, 10,000 other bindings", "topic10k", "per CPU s", per_cpu, (Bound(0.9, topic, ("t16", broker, per_cpu)),)),
        Line("16 B, headers, 100 other bindings", "headers100", "per CPU s", per_cpu, least(3e6, "3 M")),
        Line("16 B, headers, 1,000 other bindings", "headers1k", "per CPU s", per_cpu, least(3e6, "3 M")),
        Line("64 B, 100 queues, 100 consumers, 4 producers", "q100", "per CPU s", per_cpu, least(2.5e6, "2.5 M")),
        Line("16 B, prefetch 100, acks in fifties", "ack50", "per CPU s", per_cpu, least(2e6, "2 M")),
        Line("connections opened and closed", "churn", "per s", rate, least(10e3, "10 k")),
    ]


class Results:
    """What was measured."""

    def __init__(self, comparison: dict[str, Any]) -> None:
        self.comparison = comparison
        self.runs = {(row["scenario"], row["broker"]): row["outcomes"] for row in comparison["rows"]}
        self.faults = [f"{row['scenario']} on {row['broker']}" for row in comparison["rows"] if row["median"]["faults"] or row["errors"]]

    def cell(self, line: Line, broker: str) -> str:
        """A broker's figure."""
        runs = self.runs.get((line.scenario, broker), [])
        try:
            return decimal(median(map(line.figure, runs))) if runs else ""
        except (KeyError, TypeError):
            return ""

    def lacking(self, line: Line, broker: str) -> list[str]:
        """What would have to be measured beside what was, in as many rounds."""
        needed = [(line.scenario, broker), *(bound.beside[:2] for bound in line.bounds if bound.beside)]
        rounds = max(map(len, self.runs.values()), default=1)
        return [f"{scenario} on {of}, which was not measured" for scenario, of in needed if len(self.runs.get((scenario, of), [])) < rounds]

    def judged(self, line: Line, broker: str) -> Iterator[tuple[str, bool]]:
        """What each bound comes to, and whether it is kept."""
        runs = self.runs[line.scenario, broker]
        for bound in line.bounds:
            values = [line.figure(run) for run in runs]
            said = ""
            if bound.beside:
                scenario, other, figure = bound.beside
                pairs = list(zip(values, map(figure, self.runs[scenario, other]), strict=True))
                values = [value - of if bound.difference else value / of for value, of in pairs]
                value = median(values)
                said = f"{value:+.0f}" if bound.difference else f"{value:.2f}" if bound.at_most else f"{value:.0%}"
            yield said, bound.judge(median(values))

    def row(self, line: Line, broker: str, others: list[str]) -> tuple[str, bool]:
        """A line of the table, and whether all that is wanted is kept."""
        judged = list(self.judged(line, broker))
        kept = all(is_kept for _, is_kept in judged)
        own = ": ".join(filter(None, [self.cell(line, broker), *(said for said, _ in judged)]))
        if not kept:
            rounds = ", ".join(decimal(line.figure(run)) for run in self.runs[line.scenario, broker])
            own = f"**{own}** ({rounds})"
        cells = [line.about, line.unit, self.cell(line, LIMIT), self.cell(line, FILE), own, *(self.cell(line, other) for other in others)]
        return f"| {' | '.join(cells)} | {' / '.join(bound.text for bound in line.bounds)} |", kept


def main() -> int:
    """Print the table, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", type=Path, help="what `amphora perf compare` has written")
    parser.add_argument("--broker", default="amphora", help="the name that the measured broker was given (default: %(default)s)")
    options = parser.parse_args()
    results = Results(json.loads(options.json.read_text()))
    measured = dict.fromkeys(broker for _, broker in results.runs)
    others = [broker for broker in measured if broker not in (LIMIT, FILE, options.broker)]
    machine = results.comparison["machine"]
    print(f"{results.comparison['date']}, {machine['processor']}, {machine['cores']} cores, Linux {machine['kernel']}; {results.comparison['build']}")
    if fsync := results.comparison["fsync"]:
        print(f"A sync of an appended KiB took {fsync['p50_ns'] / 1e3:.0f} us in a loop.")
    head = ["scenario", "", "frame limit", "a file with fsync", options.broker, *others, "wanted"]
    print(f"\n| {' | '.join(head)} |\n| --- | --- |{' ---: |' * (len(head) - 3)} --- |")
    missed = []
    for line in lines(options.broker):
        if lacking := results.lacking(line, options.broker):
            missed.extend(lacking)
            continue
        row, kept = results.row(line, options.broker, others)
        print(row)
        if not kept:
            missed.append(f"{line.scenario}, {line.unit}")
    for text, names in (("Not kept", missed), ("Faults", results.faults)):
        if names:
            print(f"\n{text}: {'; '.join(dict.fromkeys(names))}.")
    return 1 if missed or results.faults or results.comparison["interrupted"] else 0


if __name__ == "__main__":
    sys.exit(main())
