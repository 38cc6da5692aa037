#!/usr/bin/env python3
"""What the broker reaches with persistent messages of 1 KiB, and what a plain file does that takes the same bytes in groups of the same size and syncs each.

In each round, a load runs twice on a broker of its own, and the second time counts; the broker's metrics say how many commits were synced. Then the bodies of
as many messages as came to each sync are written to a file and synced, again and again for as long, with nothing else to do. What the broker itself writes may
be less, as a message that is acknowledged before its turn is not written at all, and is shown beside. Fails if the broker passes less than 70 % of the messages
with one queue. With a hundred it is not judged: the bound there is beside one queue, and `results.py` has it.
"""

import argparse
import base64
import os
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
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

SIZE = 1024
PERSISTENT = ["--size", str(SIZE), "--persistent", "--confirm", "1000", "--ack-every", "100", "--prefetch", "1000"]
# The options of each load, and the share of the file that it has to reach.
LOADS = {"one queue": ([], 0.7), "100 queues": (["--queues", "100"], None)}


@dataclass(frozen=True)
class Commits:
    """What a broker has committed since it was started."""

    synced: float
    bytes: float

    @classmethod
    def of(cls, broker: Broker) -> "Commits":
        """From the metrics."""
        url = f"http://127.0.0.1:{broker.address.http_port}/metrics"
        login = base64.b64encode(b"guest:guest").decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
        text = urllib.request.urlopen(request, timeout=10).read().decode()

        def value(name: str) -> float:
            found = re.search(rf"^\w*{re.escape(name)} (\S+)$", text, re.MULTILINE)
            if not found:
                raise RuntimeError(f"the metrics lack {name}")
            return float(found[1])

        return cls(value('store_commit_seconds_count{durability="fsync"}'), value("store_commit_bytes_sum"))


@dataclass(frozen=True)
class Turn:
    """What one round has found."""

    rate: float
    messages: float
    written: float
    file_rate: float

    @property
    def share(self) -> float:
        """The broker's messages for each of the file's."""
        return self.rate / self.file_rate


def synced_groups(size: int, seconds: float) -> float:
    """Groups of so many bytes that a file takes each second, if each is synced."""
    with tempfile.NamedTemporaryFile(prefix="amphora-file-") as file:
        group, count, begin = os.urandom(size), 0, time.monotonic()
        while (passed := time.monotonic() - begin) < seconds:
            os.write(file.fileno(), group)
            os.fdatasync(file.fileno())
            count += 1
    return count / passed


def turns(options: argparse.Namespace, load: list[str]) -> Iterator[Turn]:
    """Rounds of a load."""
    for _ in range(options.rounds):
        with Broker(options.binary, cache_dir() / "groups.log") as broker:
            # The first time, the journal's blocks are new.
            for _ in range(2):
                before = Commits.of(broker)
                outcome = perf.measure(broker, "throughput", *PERSISTENT, "--duration", str(options.seconds), *load)
            after = Commits.of(broker)
        groups = after.synced - before.synced
        messages = outcome["published"]["count"] / groups
        written = (after.bytes - before.bytes) / groups
        file_rate = messages * synced_groups(round(messages * SIZE), options.seconds)
        yield Turn(outcome["delivered"]["per_second"], messages, written, file_rate)


def main() -> int:
    """Measure, print a table, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, help="the amphora to measure (default: cargo's newest)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the medians are shown (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=3, help="how long each load, and the file, takes (default: %(default)s)")
    options = parser.parse_args()
    options.binary = options.binary or default_binary(TESTS.parent)
    print(f"{heading(options.binary)}\n")
    print("| | messages for each sync | bytes written for each | msg/s | a file with the same groups, msg/s | share | wanted |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    missed = []
    for name, (load, least) in LOADS.items():
        found = list(turns(options, load))
        of = {field: median(getattr(turn, field) for turn in found) for field in ("messages", "written", "rate", "file_rate", "share")}
        cells = [name, *(decimal(of[field]) for field in ("messages", "written", "rate", "file_rate")), f"{of['share']:.0%}"]
        print(f"| {' | '.join(cells)} | {f'{least:.0%}' if least else ''} |", flush=True)
        if least and of["share"] < least:
            missed.append(name)
    if missed:
        print(f"\nNot kept: {', '.join(missed)}.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
