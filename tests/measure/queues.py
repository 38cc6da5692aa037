#!/usr/bin/env python3
"""What queues do with a million messages: delays, expiry, and retries, with their cost in memory and on the disk; and what features cost."""

import argparse
import json
import random
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support import usage  # noqa: E402
from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.client import Client, publish  # noqa: E402
from support.wire import long, short  # noqa: E402

PERSISTENT = b"\2"
FLAG_HEADERS, FLAG_MODE, FLAG_EXPIRATION = 1 << 13, 1 << 12, 1 << 8
BATCH = 1000


def field(name: str, value: int | str) -> bytes:
    """A field of a table."""
    if isinstance(value, int):
        return short(name) + b"l" + struct.pack(">q", value)
    return short(name) + b"S" + long(value.encode())


def fill(client: Client, count: int, message) -> float:  # noqa: ANN001
    """Publish so many messages with confirms, and say how long it took."""
    client.call((85, 10), b"\0")
    begun = time.time()
    for first in range(0, count, BATCH):
        batch = range(first, min(first + BATCH, count))
        client.socket.sendall(b"".join(message(number) for number in batch))
        if first % (50 * BATCH) == 49 * BATCH:
            client.confirmed(first + BATCH)
    if count % (50 * BATCH):
        client.confirmed(count)
    return time.time() - begun


def resident(broker: Broker) -> str:
    """Memory of the broker."""
    return f"{usage.resident(broker.process.pid) / 1024**2:.0f} MiB"


def written(broker: Broker) -> int:
    """Bytes that the broker has written, to files and sockets."""
    io = Path(f"/proc/{broker.process.pid}/io").read_text()
    return int(next(line for line in io.splitlines() if line.startswith("wchar")).split()[1])


def quantile(sample: list[float], part: float) -> float:
    """Of a sorted sample."""
    return sample[min(len(sample) - 1, int(len(sample) * part))]


def delays(broker: Broker, options: argparse.Namespace) -> None:
    """Messages that wait: memory, a restart, and how late they come at 10,000 a second."""
    rate, lead = 10_000, options.count / 10_000 + 20
    with Client(broker.address) as client:
        arguments = long(field("x-delayed-type", "direct"))
        exchange = short("later") + short("x-delayed-message") + b"\2" + arguments
        client.call((40, 10), struct.pack(">H", 0) + exchange)
        client.declare("q")
        binding = short("q") + short("later") + short("k") + b"\0" + long(b"")
        client.call((50, 20), struct.pack(">H", 0) + binding)
        print(f"before: {resident(broker)}")
        order = list(range(options.count))
        random.Random(1).shuffle(order)
        begun = time.time()

        def message(number: int) -> bytes:
            due = begun + lead + order[number] / rate
            delay = int((due - time.time()) * 1000)
            headers = long(field("x-delay", delay))
            properties = struct.pack(">H", FLAG_HEADERS | FLAG_MODE) + headers + PERSISTENT
            return publish("later", "k", properties, struct.pack(">d", due) + b"x" * 92)

        took = fill(client, options.count, message)
    print(f"{options.count} messages wait, published in {took:.1f} s: {resident(broker)}")
    broker.stop()
    restarted = time.time()
    broker.start()
    print(f"restart: {time.time() - restarted:.2f} s until clients may come")
    assert time.time() < begun + lead, "the first were due before"
    late = []
    with Client(broker.address) as client:
        client.consume("q")
        end = begun + lead + min(options.count / rate, options.seconds)
        client.socket.settimeout(lead + options.seconds)
        for _, body in client.bodies(end):
            late.append((time.time() - struct.unpack_from(">d", body)[0]) * 1000)
    print(f"memory while they come: {resident(broker)}")
    late.sort()
    per_second = len(late) / min(options.count / rate, options.seconds)
    p50, p99 = quantile(late, 0.5), quantile(late, 0.99)
    print(f"{len(late)} came, {per_second:.0f}/s; late: p50 {p50:.1f} ms, p99 {p99:.1f} ms", end="")
    print(f", at most {late[-1]:.1f} ms; at least {late[0]:.1f} ms")


def expiry(broker: Broker, options: argparse.Namespace) -> None:
    """Messages that expire all at once, and the latency of another queue before and meanwhile."""
    arguments = b""
    if options.dead_letter:
        arguments = field("x-dead-letter-exchange", "") + field("x-dead-letter-routing-key", "dead")
    with Client(broker.address) as client:
        client.declare("dead")
        client.declare("q", arguments)
        end = time.time() + options.count / 40_000 + options.seconds + 10

        def message(_: int) -> bytes:
            left = str(int((end - time.time()) * 1000))
            properties = struct.pack(">H", FLAG_MODE | FLAG_EXPIRATION) + PERSISTENT + short(left)
            return publish("", "q", properties, b"x" * 100)

        took = fill(client, options.count, message)
    print(f"{options.count} messages of 100 bytes, published in {took:.1f} s: {resident(broker)}")
    print("before:")
    latency(broker, options)
    assert time.time() < end, "they are gone already"
    time.sleep(max(0, end - time.time() - 0.5))
    print("meanwhile:")
    latency(broker, options)
    with Client(broker.address) as client:
        left, dead = settled(client, ("q", "dead"), end + 60)
    print(f"left in q: {left}; in dead: {dead}, all there {time.time() - end:.1f} s after their time")
    assert left == 0, "what has expired is still there"
    assert dead == (options.count if options.dead_letter else 0), "messages are lost, or come twice"


def settled(client: Client, queues: tuple[str, ...], until: float) -> list[int]:
    """Messages of queues, as soon as none is on its way any more."""
    counts, since = [], time.time()
    while time.time() < until and time.time() < since + 3:
        now = [client.ready(queue) for queue in queues]
        if now != counts:
            counts, since = now, time.time()
        time.sleep(0.1)
    return counts


def latency(broker: Broker, options: argparse.Namespace) -> None:
    """Persistent messages with confirms through a queue of their own."""
    command = [broker.binary, "perf", "latency", "--uri", broker.address.uri, "-z", str(options.seconds)]
    command += ["--rate", "2000", "--persistent", "--confirm", "1000", "-A", "1"]
    print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="")


def retries(broker: Broker, options: argparse.Namespace) -> None:
    """Messages that wait for a retry, and what it costs then to let another one fail."""
    with Client(broker.address) as client:
        client.declare("q", field("x-retry-delay", 600_000))
        properties = struct.pack(">H", FLAG_MODE) + PERSISTENT
        one = publish("", "q", properties, b"x" * 100)
        took = fill(client, options.count, lambda _: one)
    begun = time.time()
    with Client(broker.address) as client:
        client.consume("q", no_ack=False, prefetch=2000)
        fail(client, options.count, time.time() + 120)
        took = f"published in {took:.1f} s and failed in {time.time() - begun:.1f} s"
        time.sleep(1)
        print(f"{options.count} messages wait, {took}: {resident(broker)}")
        before, begun = written(broker), time.time()
        failed = 0
        with Client(broker.address) as publisher:
            while time.time() < begun + options.seconds:
                publisher.socket.sendall(one * 50)
                fail(client, 50, time.time() + 10)
                failed += 50
                time.sleep(0.05)
        took = time.time() - begun
        bytes_each = (written(broker) - before) / failed
        print(f"{failed} more failed in {took:.1f} s: {bytes_each:.0f} bytes written for each")


# Kinds of load, by name: a flood that nothing holds back, and publishers who wait for confirms.
LOADS = {
    "flood": ["-s", "16"],
    "acknowledged": ["-s", "16", "-A", "100", "-q", "1000"],
    "confirmed": ["-s", "100", "-A", "100", "-q", "1000", "-c", "2000"],
    "persistent": ["-s", "100", "-A", "100", "-q", "1000", "-c", "2000", "--persistent"],
}
FEATURES = {"x-message-ttl": 600_000, "x-max-length": 50_000_000, "x-max-priority": 3}


def features(broker: Broker, options: argparse.Namespace) -> None:
    """Throughput with TTL, a limit and priorities on, as a part of that without them, in alternating pairs.

    The same messages come either way: each priority has a routing key of its own, and messages with several keys cost more by themselves.
    """
    messages = ["--priorities", "4"]
    with_them = []
    for name, value in FEATURES.items():
        with_them += ["--queue-argument", f"{name}={value}"]
    for load in options.load or LOADS:
        ratios = []
        for pair in range(options.pairs):
            order = [[], with_them] if pair % 2 == 0 else [with_them, []]
            figures = {bool(extra): throughput(broker, options, LOADS[load] + messages + extra) for extra in order}
            ratios.append([on / off for on, off in zip(figures[True], figures[False])])
            off, on = figures[False], figures[True]
            print(f"{load}: {on[0]:.0f}/s with, {off[0]:.0f}/s without", end="")
            print(f"; per CPU second {on[1]:.0f} and {off[1]:.0f}", flush=True)
        rate, efficiency = (statistics.median(column) for column in zip(*ratios))
        print(f"{load}: ratio {rate:.2f}, per CPU second {efficiency:.2f} (medians of {options.pairs})")


def throughput(broker: Broker, options: argparse.Namespace, extra: list[str]) -> tuple[float, float]:
    """Deliveries a second, and a CPU second of the broker."""
    command = [broker.binary, "perf", "throughput", "--uri", broker.address.uri]
    command += ["--pid", str(broker.process.pid), "-z", str(options.seconds), "--json", "--quiet"]
    report = json.loads(subprocess.run(command + extra, check=True, capture_output=True).stdout)
    return report["delivered"]["per_second"], report["cost"]["messages_per_cpu_second"]


def fail(client: Client, count: int, until: float) -> None:
    """Give back so many messages."""
    for tag, _ in client.bodies(until):
        count -= 1
        if tag % 50 == 0 or count == 0:
            client._method(1, 60, 120, struct.pack(">QB", tag, 0b11))
        if count == 0:
            return
    raise AssertionError(f"{count} did not come")


def main() -> int:
    """Run one of them on a broker of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["delays", "expiry", "retries", "features"])
    parser.add_argument("--binary", type=Path, help="the amphora to test (default: cargo's newest)")
    parser.add_argument("--count", type=int, default=1_000_000, help="messages")
    parser.add_argument("--seconds", type=int, default=10, help="how long to look")
    parser.add_argument("--dead-letter", action="store_true", help="what expires is a dead letter")
    parser.add_argument("--pairs", type=int, default=3, help="of runs with features and without")
    parser.add_argument("--load", choices=LOADS, action="append", help="only this; may be repeated")
    options = parser.parse_args()
    binary = options.binary or default_binary(TESTS.parent)
    with Broker(binary, cache_dir() / "results" / "measure.broker.log") as broker:
        measurements = {"delays": delays, "expiry": expiry, "retries": retries, "features": features}
        measurements[options.what](broker, options)
        complaint = broker.complaint()
        assert complaint is None, complaint
    return 0


if __name__ == "__main__":
    sys.exit(main())
