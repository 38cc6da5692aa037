#!/usr/bin/env python3
"""What looking at a large broker costs: the time of answers, and what polling takes from the data path.

Makes thousands of queues and connections, times the pages that tools ask for, and measures throughput in turn with and without somebody who asks for all of them every
second. Fails if an answer is slow or polling costs too much; `--queues 100000 --connections 0` is the test of a very large broker.
"""

import argparse
import base64
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.wire import Wire  # noqa: E402

PATHS = [
    "/api/queues?page=1&page_size=100",
    "/api/queues?page=1&page_size=100&sort=message_stats.publish&sort_reverse=true",
    "/api/queues?page=1&name=9",
    "/api/connections?page=1&page_size=100",
    "/api/overview",
    "/api/nodes",
    "/metrics",
]
AUTHORIZATION = "Basic " + base64.b64encode(b"guest:guest").decode()
ANSWER_MAX_MS = 1000
TIMES = 7
PART = 5000


class Client:
    """Asks one broker by HTTP, over one connection."""

    def __init__(self, port: int) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, path: str, method: str = "GET", body: dict | None = None) -> bytes:
        """Return the answer, which has to be one."""
        headers = {"authorization": AUTHORIZATION, "content-type": "application/json"}
        self.connection.request(method, path, body and json.dumps(body), headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise RuntimeError(f"{method} {path}: {response.status} {answer[:300]!r}")
        return answer


def declare(client: Client, count: int) -> None:
    """Declare so many queues, by definitions."""
    for first in range(0, count, PART):
        numbers = range(first, min(first + PART, count))
        queues = [{"name": f"queue-{number:06}", "vhost": "/", "durable": True} for number in numbers]
        client.ask("/api/definitions", "POST", {"queues": queues})


def time_of(client: Client, path: str) -> tuple[float, int]:
    """Milliseconds of an answer (the median of some), and its bytes."""
    times, size = [], 0
    for _ in range(TIMES):
        begun = time.monotonic()
        size = len(client.ask(path))
        times.append((time.monotonic() - begun) * 1000)
    return statistics.median(times), size


def throughput(binary: Path, uri: str, seconds: int) -> float:
    """Messages a second of one producer and one consumer."""
    command = [binary, "perf", "throughput", "--uri", uri, "--size", "100", "--duration", str(seconds)]
    output = subprocess.run([*command, "--json", "--quiet"], capture_output=True, check=True).stdout
    return json.loads(output)["delivered"]["per_second"]


def poll(port: int, over: threading.Event) -> None:
    """Ask for everything, once a second."""
    client = Client(port)
    while not over.is_set():
        begun = time.monotonic()
        for path in PATHS:
            client.ask(path)
        over.wait(max(0.0, 1 - (time.monotonic() - begun)))


def main() -> int:
    """Measure, print a table, and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, help="the amphora to test (default: cargo's newest)")
    parser.add_argument("--queues", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=1_000)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement of throughput")
    parser.add_argument("--rounds", type=int, default=4, help="measurements with, and without polling")
    parser.add_argument("--ratio-min", type=float, default=95, help="in percent")
    args = parser.parse_args()
    binary = (args.binary or default_binary(TESTS.parent)).absolute()
    log = cache_dir() / "results" / "figures.log"
    failures = []
    with Broker(binary, log) as broker:
        port, uri = broker.address.http_port, broker.address.uri
        client = Client(port)
        begun = time.monotonic()
        declare(client, args.queues)
        print(f"{args.queues} queues, declared in {time.monotonic() - begun:.1f} s")
        clients = [Wire(broker.address) for _ in range(args.connections)]
        # The other one has been idle for long, and is closed by now.
        client = Client(port)
        print(f"{len(clients)} connections with a channel each")
        try:
            for path in PATHS:
                median, size = time_of(client, path)
                print(f"{median:9.1f} ms {size:11} bytes  {path}")
                if median > ANSWER_MAX_MS:
                    failures.append(f"{path} takes {median:.0f} ms")
            alone, polled = [], []
            for _ in range(args.rounds):
                alone.append(throughput(binary, uri, args.seconds))
                over = threading.Event()
                poller = threading.Thread(target=poll, args=(port, over))
                poller.start()
                try:
                    polled.append(throughput(binary, uri, args.seconds))
                finally:
                    over.set()
                    poller.join()
                print(f"{alone[-1]:12.0f} msg/s alone, {polled[-1]:12.0f} msg/s while it is polled")
            if args.rounds:
                ratio = 100 * statistics.median(polled) / statistics.median(alone)
                print(f"{ratio:.1f} % of the throughput remain")
                if ratio < args.ratio_min:
                    failures.append(f"polling leaves {ratio:.1f} % of the throughput")
        finally:
            for one in clients:
                one.__exit__(None, None, None)
        if complaint := broker.complaint():
            failures.append(complaint)
    for failure in failures:
        print(f"FAILED: {failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
