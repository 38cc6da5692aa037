#!/usr/bin/env python3
"""What a second processor costs: messages per CPU second of a broker that has one processor, and of one that has two, in turn.

Threads that wait for each other, or pass memory to and fro, need more of both processors for a message than one alone; those that share nothing need the same.
The load generator has all processors in both cases. Fails if a message costs half as much again with two as with one.
"""

import argparse
import os
import sys
from pathlib import Path
from statistics import median

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support import perf  # noqa: E402
from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.machine import heading  # noqa: E402
from support.plot import decimal  # noqa: E402

PERSISTENT = ["--size", "1024", "--persistent", "--confirm", "1000", "--ack-every", "100", "--prefetch", "1000"]
LOADS = {
    "16 bytes, one pair": [],
    "four pairs": ["-x", "4", "-y", "4", "--queues", "4"],
    "100 queues, 4 publishers, 100 consumers": ["-x", "4", "-y", "100", "--queues", "100"],
    "fanout to 100 queues": ["--size", "64", "--fanout", "100"],
    "1 KiB, persistent, with confirms, 100 queues, 4 pairs": ["-x", "4", "-y", "4", "--queues", "100", *PERSISTENT],
}
LEAST = 1 / 1.5


def figures(options: argparse.Namespace, processors: set[int], load: list[str]) -> tuple[float, float]:
    """Messages per CPU second and per second, of a broker that has these processors."""
    all_processors = os.sched_getaffinity(0)
    with Broker(options.binary, cache_dir() / "scaling.log") as broker:
        # A process has those of whoever starts it.
        broker.kill()
        os.sched_setaffinity(0, processors)
        try:
            broker.start()
        finally:
            os.sched_setaffinity(0, all_processors)
        outcome = perf.measure(broker, "throughput", "--duration", str(options.seconds), *load)
    return outcome["cost"]["messages_per_cpu_second"], outcome["delivered"]["per_second"]


def main() -> int:
    """Measure, print a table, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, help="the amphora to measure (default: cargo's newest)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are shown (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2, help="how long each load takes (default: %(default)s)")
    options = parser.parse_args()
    options.binary = options.binary or default_binary(TESTS.parent)
    first, *others = sorted(os.sched_getaffinity(0))
    if not others:
        parser.error("there is one processor only")
    one, two = {first}, {first, others[0]}
    print(f"{heading(options.binary)}\n")
    print("| | one processor: per CPU s, msg/s | two: per CPU s, msg/s | two to one, per CPU s |\n| --- | ---: | ---: | ---: |")
    missed = []
    for name, load in LOADS.items():
        rounds = [(figures(options, one, load), figures(options, two, load)) for _ in range(options.rounds)]
        share = median(with_two[0] / with_one[0] for with_one, with_two in rounds)
        cells = [", ".join(decimal(median(found)) for found in zip(*of, strict=True)) for of in zip(*rounds, strict=True)]
        print(f"| {name} | {' | '.join(cells)} | {share:.0%} |", flush=True)
        if share < LEAST:
            missed.append(name)
    if missed:
        print(f"\nToo much with two processors: {', '.join(missed)}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
