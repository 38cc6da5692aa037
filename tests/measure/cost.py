#!/usr/bin/env python3
"""What the broker costs when it has little to do: memory of each thing that it keeps, CPU while idle, and how fast it and its connections start."""

import argparse
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support import usage  # noqa: E402
from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.client import Client, publish  # noqa: E402
from support.machine import heading  # noqa: E402
from support.perf import Limit, measure  # noqa: E402
from support.plot import decimal  # noqa: E402

KIB, MIB = 1 << 10, 1 << 20
# The allocator gives back what is free after two seconds, and the store writes what it has gathered.
SETTLE_S = 6
# The management API takes samples until two that are five seconds apart are alike.
SILENCE_S = 11
BATCH = 1000
FLAG_MODE, PERSISTENT = 1 << 12, b"\2"


@dataclass(frozen=True)
class Figure:
    """Something measured, in its unit, and the most (or least) that it should be."""

    name: str
    value: float
    unit: str
    most: float | None = None
    least: float | None = None

    def row(self) -> str:
        """A line of a table in Markdown."""
        bound = f"at most {self.most:g}" if self.most is not None else ""
        bound = f"at least {self.least:g}" if self.least is not None else bound
        unit = self.unit if self.unit.startswith("/") else f" {self.unit}"
        return f"| {self.name} | {decimal(self.value)}{unit} | {bound}{'' if self.kept() else ': **not kept**'} |"

    def kept(self) -> bool:
        """Whether it is within its bound, if it has one."""
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)


def idle(broker: Broker, _: argparse.Namespace) -> Iterator[Figure]:
    """A broker that has just started."""
    time.sleep(SETTLE_S)
    yield Figure("memory of a fresh broker", usage.resident(broker.process.pid) / MIB, "MiB", most=30)


def connections(broker: Broker, options: argparse.Namespace) -> Iterator[Figure]:
    """Connections that do nothing, each with a channel: their memory, and the broker's CPU while they do it."""
    count = 1000
    with Client(broker.address):
        pass
    before = settled(broker)
    with ExitStack() as open_clients:
        for _ in range(count):
            open_clients.enter_context(Client(broker.address))
        growth = settled(broker) - before
        yield Figure("an idle connection with a channel", growth / count / KIB, "KiB", most=12)
        yield from quiet(broker, options.seconds)


def quiet(broker: Broker, seconds: float) -> Iterator[Figure]:
    """What the broker does when nobody wants anything of it, and has not for a while."""
    pid = broker.process.pid
    time.sleep(SILENCE_S)
    cpu, before, begun = usage.cpu_seconds(pid), usage.threads(pid), time.time()
    time.sleep(seconds)
    cpu, after, took = usage.cpu_seconds(pid) - cpu, usage.threads(pid), time.time() - begun
    yield Figure("CPU with 1,000 idle connections", cpu / took * 100, "%", most=0)
    nothing = usage.Thread("", 0, 0)
    run_ns = sum(thread.run_ns - before.get(id_, nothing).run_ns for id_, thread in after.items())
    yield Figure("the same, counted in nanoseconds", run_ns / 1e7 / took, "%")
    wakers: Counter[str] = Counter()
    for id_, thread in after.items():
        wakers[thread.name] += thread.wake_ups - before.get(id_, nothing).wake_ups
    yield Figure("wake-ups of all threads", sum(wakers.values()) / took, "/s", most=0)
    for name, wake_ups in wakers.most_common():
        if wake_ups:
            yield Figure(f"wake-ups of threads {name}", wake_ups / took, "/s")


def queues(broker: Broker, _: argparse.Namespace) -> Iterator[Figure]:
    """Queues that have nothing, durable and transient ones."""
    count = 10_000
    with Client(broker.address) as client:
        client.declare_many(["first"], durable=True)
        for kind, durable in (("durable", True), ("transient", False)):
            before = settled(broker)
            client.declare_many([f"{kind}.{number}" for number in range(count)], durable)
            growth = settled(broker) - before
            yield Figure(f"an empty queue, {kind}", growth / count / KIB, "KiB", most=4)


def messages(broker: Broker, _: argparse.Namespace) -> Iterator[Figure]:
    """Messages of 100 bytes that wait: half a million, which stay in memory, and a million, of which some are on the disk only."""
    size = 100
    with Client(broker.address) as client:
        client.declare_many(["q"], durable=True)
        for kind, persistent, count in (
            ("transient, all in memory (half of them, taken twice)", False, 500_000),
            ("transient", False, 1_000_000),
            ("persistent", True, 1_000_000),
        ):
            before = settled(broker)
            fill(client, "q", count, size, persistent)
            over = settled(broker) - before - count * size
            name = f"a million messages of 100 bytes over their bytes, {kind}"
            yield Figure(name, over / MIB * (1_000_000 / count), "MiB", most=40)
            client.call((50, 30), struct.pack(">HB", 0, 1) + b"q\0")


def start(broker: Broker, options: argparse.Namespace) -> Iterator[Figure]:
    """From the start of the program until it has told a client how many messages a queue has."""
    with Client(broker.address) as client:
        client.declare("q")
    yield Figure("start with an empty store", restart(broker, "q", 0), "s")
    waiting = options.backlog
    with Client(broker.address) as client:
        fill(client, "q", waiting, 16, persistent=True)
    yield Figure(f"start with {waiting:,} messages in one queue", restart(broker, "q", waiting), "s")
    with Client(broker.address) as client:
        client.call((50, 40), struct.pack(">H", 0) + b"\1q\0")
        client.declare_many([f"q{number}" for number in range(10_000)], durable=True)
    yield Figure("start with 10,000 queues", restart(broker, "q9999", 0), "s")


def restart(broker: Broker, queue: str, expected: int) -> float:
    """How long it takes after a crash until the queue is there with all that it had."""
    broker.kill()
    begun = time.time()
    broker.start()
    with Client(broker.address) as client:
        ready = client.ready(queue)
        took = time.time() - begun
    assert ready == expected, f"{queue} has {ready} messages, and had {expected}"
    return took


def churn(broker: Broker, options: argparse.Namespace) -> Iterator[Figure]:
    """Connections that are opened, get a channel, and are closed; the frame limit's say what sockets allow."""
    load = ("connections", "--open", "1", "--hold", "0", "--churn", str(options.seconds))
    outcome = measure(broker, *load)
    yield Figure("connections opened and closed", outcome["churned"]["per_second"], "/s", least=10_000)
    yield Figure("CPU time of the broker for each", outcome["churn_cost"]["cpu_us_per_connection"], "us")
    yield Figure("what a client waits for one: p50", outcome["churn_latency"]["p50_ns"] / 1000, "us")
    yield Figure("p99", outcome["churn_latency"]["p99_ns"] / 1e6, "ms")
    with Limit(broker.binary) as limit:
        outcome = measure(limit, *load)
        yield Figure("connections of the frame limit, a thread each", outcome["churned"]["per_second"], "/s")
        yield Figure("CPU time of the frame limit for each", outcome["churn_cost"]["cpu_us_per_connection"], "us")


def settled(broker: Broker) -> int:
    """Bytes of memory, when the broker is done with what it was given."""
    time.sleep(SETTLE_S)
    return usage.resident(broker.process.pid)


def fill(client: Client, queue: str, count: int, size: int, persistent: bool) -> None:
    """Publish so many messages; return when the broker has all of them, and the persistent ones on the disk."""
    assert count % BATCH == 0, f"{count} messages are not so many batches of {BATCH}"
    properties = struct.pack(">H", FLAG_MODE) + PERSISTENT if persistent else struct.pack(">H", 0)
    batch = publish("", queue, properties, b"x" * size) * BATCH
    with Client(client.address) as publisher:
        publisher.call((85, 10), b"\0")
        for last in range(BATCH, count + BATCH, BATCH):
            publisher.socket.sendall(batch)
            if last % (100 * BATCH) == 0 or last == count:
                publisher.confirmed(last)


MEASUREMENTS: dict[str, Callable[[Broker, argparse.Namespace], Iterator[Figure]]] = {
    "idle": idle,
    "connections": connections,
    "queues": queues,
    "messages": messages,
    "start": start,
    "churn": churn,
}


def main() -> int:
    """Measure what is asked for, each on a broker of its own; 1 if anything is over its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(MEASUREMENTS)} (default: all)")
    parser.add_argument("--binary", type=Path, help="the amphora to measure (default: cargo's newest)")
    parser.add_argument(
        "--seconds", type=float, default=10, help="how long to look at what is idle, and to open connections"
    )
    parser.add_argument("--backlog", type=int, default=10_000_000, help="messages in the store at a start")
    options = parser.parse_args()
    if unknown := set(options.what) - set(MEASUREMENTS):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    binary = options.binary or default_binary(TESTS.parent)
    print(f"{heading(binary)}\n\n| | measured | wanted |\n| --- | ---: | --- |")
    all_kept = True
    for name in options.what or MEASUREMENTS:
        with Broker(binary, cache_dir() / "results" / "cost.broker.log") as broker:
            for figure in MEASUREMENTS[name](broker, options):
                print(figure.row(), flush=True)
                all_kept &= figure.kept()
            complaint = broker.complaint()
            assert complaint is None, complaint
    return 0 if all_kept else 1


if __name__ == "__main__":
    sys.exit(main())
