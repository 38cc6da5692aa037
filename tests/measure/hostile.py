#!/usr/bin/env python3
"""What clients that behave badly do to others: the latency of an innocent pair beside them, and the broker's memory.

All clients are to be as if on other machines: what they and the system's scheduler do to each other is not the broker's. So the server has half of the
processors for itself, and the clients have the others, where the hostile ones run when nothing else does, and the innocent pair before all others if the
system allows that, which is for root. (Niceness would not do: a thread that begins to run keeps its processor for some milliseconds, whatever wakes up
meanwhile. Nor would the same processors for all: one where only such clients run is not idle, so that nobody calls a thread of the server to it that
waits for another one's processor. The halves are by number; on two processors, the server has one thread for its connections.)

Fails if a bound is not kept, with a line for each case that says so:

* The innocent pair's p99 beside hostile clients is at most 3 times what it is alone. What becomes of it on the frame limit is shown beside.
* The broker's memory is at most 384 MiB: messages may take 192 MiB before all who publish much are slowed, and what is on its way to the disk then is there twice
  or three times (32 MiB in a group, 72 in the store), beside a cache of 32 MiB and 24 MiB for the program.
* The hostile clients do at least what makes them hostile, or else nothing was looked at: each case has its least rate of messages, and those
  that could fill the memory publish more than it may have.
"""

import argparse
import functools
import itertools
import multiprocessing
import os
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support import perf, usage  # noqa: E402
from support.broker import Address, Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.client import Client, publish  # noqa: E402
from support.machine import heading  # noqa: E402
from support.plot import decimal  # noqa: E402

MIB = 1 << 20
WHEN_IDLE = ("chrt", "--idle", "0")
BEFORE_OTHERS = ("chrt", "--rr", "1")
BATCH, BODY_BYTES = 100, 1000
END_TIMEOUT_S = 120
TIMES_ALONE_MAX = 3
MEMORY_MAX = 384 * MIB
# What a hostile client of a few lines publishes at least: a broker that kept it all in memory would be found out.
BYTES_MIN = 5 * MEMORY_MAX // 4
NO_PROPERTIES = struct.pack(">H", 0)
PROCESSORS = sorted(os.sched_getaffinity(0))
HALF = len(PROCESSORS) // 2
FOR_CLIENTS, FOR_SERVER = PROCESSORS[:HALF] or PROCESSORS, PROCESSORS[HALF:]


@functools.cache
def before_others() -> Sequence[str]:
    """The command that starts another one so that it runs before all others, if the system allows that."""
    tried = subprocess.run([*BEFORE_OTHERS, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        print(f"  the innocent pair waits for its turn like all others, which is a part of its latency: {tried.stderr.strip()}", file=sys.stderr)
        return ()
    return BEFORE_OTHERS


def listed(processors: Sequence[int]) -> str:
    """Their numbers."""
    return "processors " + ", ".join(map(str, processors)) if len(processors) > 1 else f"processor {processors[0]}"


@contextmanager
def apart(server: perf.Server) -> Iterator[None]:
    """Run a server on its own processors; what is started meanwhile runs on the others."""
    with ExitStack() as stack:
        os.sched_setaffinity(0, FOR_SERVER)
        try:
            stack.enter_context(server)
        finally:
            os.sched_setaffinity(0, FOR_CLIENTS)
        yield


def batch(queue: str, first: int) -> bytes:
    """Publishes with numbers in their bodies."""
    bodies = (struct.pack(">Q", number).ljust(BODY_BYTES, b".") for number in range(first, first + BATCH))
    return b"".join(publish("", queue, NO_PROPERTIES, body) for body in bodies)


def one_thread(address: Address, seconds: float) -> int:
    """Consumes what it publishes itself, and does not read while it publishes."""
    with Client(address) as client:
        client.socket.settimeout(END_TIMEOUT_S)
        client.declare("own")
        client.consume("own")
        published = publish_for(client, "own", seconds)
        received = client.bodies(time.time() + END_TIMEOUT_S)
        for number, (_, body) in enumerate(itertools.islice(received, published)):
            assert struct.unpack_from(">Q", body)[0] == number, f"message {number} is missing"
    return published


def never_reads(address: Address, seconds: float) -> int:
    """Consumes without a limit, and never reads what it is sent, while others publish."""
    with Client(address) as publisher, Client(address) as deaf:
        publisher.declare("unread")
        deaf.consume("unread", no_ack=False)
        publisher.socket.settimeout(END_TIMEOUT_S)
        published = publish_for(publisher, "unread", seconds)
        deaf.socket.close()
        deaf.stream.close()
        until = time.time() + END_TIMEOUT_S
        while (ready := publisher.ready("unread")) != published and time.time() < until:
            time.sleep(0.1)
        assert ready == published, f"{ready} messages are there, and {published} were published"
    return published


def publish_for(client: Client, queue: str, seconds: float) -> int:
    """Publish for a while, and as much as tells of memory, without reading; returns how many it were."""
    until, published = time.time() + seconds, 0
    while time.time() < until or published * BODY_BYTES < BYTES_MIN:
        client.socket.sendall(batch(queue, published))
        published += BATCH
    return published


@dataclass(frozen=True)
class Own:
    """A hostile client of a few lines, in a process of its own."""

    work: Callable[[Address, float], int]
    """Returns how many messages it has published."""
    least: float

    def start(self, server: perf.Server, seconds: float) -> Callable[[], float]:
        """Let it begin; what is returned waits for its good end, and says how many messages it has published for each second of it."""
        published = multiprocessing.Value("d", 0)
        process = multiprocessing.Process(target=self._run, args=(server.address, seconds, published))
        process.start()

        def end() -> float:
            process.join(END_TIMEOUT_S)
            if process.is_alive():
                process.kill()
                raise perf.Refused(f"it does not end: {self.work.__doc__}")
            if process.exitcode != 0:
                raise perf.Refused(f"it failed: {self.work.__doc__}")
            return published.value

        return end

    def _run(self, address: Address, seconds: float, published: Synchronized) -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        begin = time.monotonic()
        published.value = self.work(address, seconds) / (time.monotonic() - begin)


@dataclass(frozen=True)
class Load:
    """A load of `amphora perf throughput`, which counts every message."""

    options: tuple[str, ...]
    least: float

    def start(self, server: perf.Server, seconds: float) -> Callable[[], float]:
        """Let it begin; what is returned waits for its good end, and says how many messages a second it has published."""
        load = perf.start(server, "throughput", "-z", str(seconds), "--settle", str(END_TIMEOUT_S), *self.options, below=WHEN_IDLE)

        return lambda: perf.report(load)["published"]["per_second"]


FARM = ("-y", "200", "-q", "1", "-A", "1")
CASES = {
    "a client that publishes and consumes on one thread": Own(one_thread, least=1_000),
    "a consumer that never reads": Own(never_reads, least=1_000),
    "100 publishers on one queue": Load(("-x", "100"), least=100_000),
    "100 publishers of persistent messages with confirms": Load(
        ("-x", "100", "--size", "100", "--persistent", "--confirm", "100"), least=10_000
    ),
    "200 consumers with prefetch 1": Load((*FARM, "-r", "10000"), least=8_000),
    "the same, for whom more is published than they can take": Load((*FARM, "-r", "50000"), least=20_000),
}


@dataclass(frozen=True)
class Latency:
    """Of the innocent pair, in microseconds."""

    p50: float
    p99: float

    @classmethod
    def measure(cls, server: perf.Server, options: argparse.Namespace) -> "Latency":
        """The medians of several rounds of 1,000 messages of 100 bytes a second."""
        load = ("--rate", "1000", "--size", "100", "-z", str(options.seconds))
        rounds = [
            perf.measure(server, "latency", *load, below=before_others())["latency"] for _ in range(options.rounds)
        ]
        p50, p99 = (statistics.median(each[name] for each in rounds) / 1000 for name in ("p50_ns", "p99_ns"))
        return cls(p50, p99)

    def __str__(self) -> str:
        return f"{self.p50:.0f} / {self.p99:.0f}"


@dataclass(frozen=True)
class Beside:
    """The innocent pair alone and beside hostile clients, what these published a second, and the server's memory in bytes before and at most."""

    alone: Latency
    beside: Latency
    published: float
    before: int
    peak: int

    @classmethod
    def measure(cls, hostile: Own | Load, server: perf.Server, options: argparse.Namespace) -> "Beside":
        """Measure both, one after the other."""
        alone = Latency.measure(server, options)
        usage.forget_peak(server.process.pid)
        before = usage.resident(server.process.pid)
        # The hostile clients are there before the innocent ones and after them, which need some time to connect.
        end = hostile.start(server, 1 + options.rounds * (options.seconds + 1))
        time.sleep(1)
        beside = Latency.measure(server, options)
        published = end()
        return cls(alone, beside, published, before, usage.resident_peak(server.process.pid))

    def times(self) -> str:
        """How many times as long it takes beside them."""
        return f"{self.beside.p50 / self.alone.p50:.1f} / {self.beside.p99 / self.alone.p99:.1f}"


@dataclass(frozen=True)
class Outcome:
    """What came of one case: on the broker, and on the frame limit if it bears such a load."""

    name: str
    ours: Beside
    limit: Beside | None

    @classmethod
    def measure(cls, name: str, options: argparse.Namespace) -> "Outcome":
        """Measure the case on a broker of its own, and on a frame limit what `amphora perf` can load."""
        binary, hostile = options.binary, CASES[name]
        broker = Broker(binary, cache_dir() / "results" / "hostile.broker.log")
        with apart(broker):
            ours = Beside.measure(hostile, broker, options)
            complaint = broker.complaint()
            assert complaint is None, complaint
        limit = None
        if isinstance(hostile, Load):
            server = perf.Limit(binary)
            with apart(server):
                try:
                    limit = Beside.measure(hostile, server, options)
                except perf.Refused as refused:
                    print(f"  the frame limit does not bear it: {refused}", file=sys.stderr)
        return cls(name, ours, limit)

    def row(self) -> str:
        """A line of a table in Markdown."""
        ours, limit = self.ours, self.limit.times() if self.limit else ""
        memory = f"{ours.before / MIB:.0f}, at most {ours.peak / MIB:.0f}"
        return f"| {self.name} | {decimal(ours.published)} | {ours.alone} | {ours.beside} | {ours.times()} | {limit} | {memory} |"

    def faults(self) -> Iterator[str]:
        """The bounds that are not kept."""
        name, p99, peak = self.name, self.ours.beside.p99, self.ours.peak
        p99_max = TIMES_ALONE_MAX * self.ours.alone.p99
        if p99 > p99_max:
            yield f"{name}: p99 is {p99:.0f} us, at most {p99_max:.0f} us ({TIMES_ALONE_MAX} times what it is alone)"
        if self.ours.published < (least := CASES[name].least):
            yield f"{name}: they published only {self.ours.published:.0f} messages a second, at least {least:.0f}"
        if peak > MEMORY_MAX:
            yield f"{name}: memory is {peak / MIB:.0f} MiB, at most {MEMORY_MAX / MIB:.0f} MiB"


def main() -> int:
    """Let all of them be hostile, one after another, each to a broker of its own; 1 if a bound is not kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    numbered = "; ".join(f"{number}: {name}" for number, name in enumerate(CASES, 1))
    parser.add_argument(
        "--case", type=int, action="append", choices=range(1, len(CASES) + 1), help=f"only this; may be repeated ({numbered})"
    )
    parser.add_argument("--binary", type=Path, help="the amphora to measure (default: cargo's newest)")
    parser.add_argument("--seconds", type=float, default=2, help="how long each round of the innocent pair is")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    options = parser.parse_args()
    names = list(CASES)
    options.binary = options.binary or default_binary(TESTS.parent)
    print(f"{heading(options.binary)}; clients on {listed(FOR_CLIENTS)}, the server on {listed(FOR_SERVER)}\n")
    print(
        "| hostile clients | published/s | alone: p50 / p99, us | beside them | times as long | the same on the frame limit | memory, MiB |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    faults: list[str] = []
    for number in options.case or range(1, len(CASES) + 1):
        outcome = Outcome.measure(names[number - 1], options)
        print(outcome.row(), flush=True)
        faults += outcome.faults()
    for fault in faults:
        print(f"\nNot kept: {fault}.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
