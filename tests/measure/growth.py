#!/usr/bin/env python3
"""What becomes of speed and memory as things grow: queues, connections, a backlog, bodies. Tables, and curves as JSON and SVG.

What a point falls by because sockets and copying allow no more is told by the frame limit, which bears the same load. Fails if there is a cliff: if from
one size to the next the rate of messages, or its share of the limit's where that bears the load, falls to less than half.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.machine import heading  # noqa: E402
from support.perf import Limit, Server, measure  # noqa: E402
from support.plot import Line, Plot, binary, decimal  # noqa: E402

MIB = 1 << 20
FALL_MAX = 0.5
# Fewer messages take less than the start of the threads that send and receive them.
BACKLOG_MIN = 10_000


@dataclass
class Point:
    """One size, and the figures there by their names."""

    at: int
    figures: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """How something is measured at each of its sizes, and what is drawn of it."""

    title: str
    axis: str
    sizes: list[int]
    quick: list[int]
    measure: Callable[[Server, Server, int, argparse.Namespace], dict[str, float]]
    drawn: dict[str, str]
    """Names of figures and of their lines."""
    sizes_are_bytes: bool = False


def rates(server: Server, options: argparse.Namespace, *load: str) -> dict[str, float]:
    """Messages a second, and a CPU second of the server."""
    outcome = measure(server, "throughput", "-z", str(options.seconds), *load)
    return {
        "msg/s": outcome["delivered"]["per_second"],
        "per CPU s": outcome["cost"]["messages_per_cpu_second"],
        "MiB": outcome["cost"]["rss_max_kib"] / 1024,
    }


def beside_the_limit(broker: Server, limit: Server, options: argparse.Namespace, *load: str) -> dict[str, float]:
    """The rates of the broker, and the limit's for the same load."""
    return rates(broker, options, *load) | {"limit, msg/s": rates(limit, options, *load)["msg/s"]}


def queues(broker: Server, limit: Server, count: int, options: argparse.Namespace) -> dict[str, float]:
    """One connection publishes to all queues in turn, another one consumes from all."""
    return beside_the_limit(broker, limit, options, "--queues", str(count))


def connections(broker: Server, limit: Server, count: int, options: argparse.Namespace) -> dict[str, float]:
    """So many connections that publish, and as many that consume: each pair has a queue of its own."""
    pairs = str(count)
    return beside_the_limit(broker, limit, options, "-x", pairs, "-y", pairs, "--queues", pairs)


def bodies(broker: Server, limit: Server, size: int, options: argparse.Namespace) -> dict[str, float]:
    """One publisher and one consumer, and bodies of that size."""
    figures = beside_the_limit(broker, limit, options, "--size", str(size))
    return figures | {"bytes/s": figures["msg/s"] * size, "limit, bytes/s": figures["limit, msg/s"] * size}


def backlog(broker: Server, _limit: Server, count: int, _options: argparse.Namespace) -> dict[str, float]:
    """A queue is filled and then emptied: with transient messages, and with persistent ones that are confirmed."""
    figures = {}
    for name, kind in (("", []), ("persistent, ", ["--persistent", "--confirm", "10000"])):
        load = ["--drain", "--count", str(count), "-z", "100", "--settle", "20", *kind]
        outcome = measure(broker, "throughput", *load)
        if (published := outcome["published"]["count"]) != count:
            raise RuntimeError(f"only {published:,} of {count:,} messages were published in the time that there was")
        figures |= {
            f"{name}publish/s": outcome["published"]["per_second"],
            f"{name}drain/s": outcome["delivered"]["per_second"],
            f"{name}MiB": max(outcome[cost]["rss_max_kib"] for cost in ("publish_cost", "cost")) / 1024,
        }
    return figures


BESIDE = {"msg/s": "Amphora", "per CPU s": "Amphora, per CPU second", "limit, msg/s": "frame limit"}
CURVES = {
    "queues": Curve(
        "Messages a second over so many queues", "queues", [1, 10, 100, 1000], [1, 10, 100], queues, BESIDE
    ),
    "connections": Curve(
        "Messages a second over so many pairs of connections",
        "connections that publish, and as many that consume",
        [1, 10, 100, 1000],
        [1, 10, 100],
        connections,
        BESIDE,
    ),
    "backlog": Curve(
        "Messages a second into and out of a backlog",
        "messages in the queue",
        [10**exponent for exponent in range(3, 8)],
        [10_000, 100_000],
        backlog,
        {
            "publish/s": "publish",
            "drain/s": "drain",
            "persistent, publish/s": "publish, persistent",
            "persistent, drain/s": "drain, persistent",
        },
    ),
    "bodies": Curve(
        "Bytes of bodies a second",
        "bytes of a body",
        [16 * 4**exponent for exponent in range(11)],
        [16, 1024, MIB],
        bodies,
        {"bytes/s": "Amphora", "limit, bytes/s": "frame limit"},
        sizes_are_bytes=True,
    ),
}


def points(curve: Curve, binary_path: Path, options: argparse.Namespace) -> Iterator[Point]:
    """The medians of several rounds at each size; each size has a broker of its own, so that none inherits memory."""
    for size in curve.quick if options.quick else curve.sizes:
        log = cache_dir() / "results" / "growth.broker.log"
        with Broker(binary_path, log) as broker, Limit(binary_path) as limit:
            rounds = [curve.measure(broker, limit, size, options) for _ in range(options.rounds)]
            complaint = broker.complaint()
            assert complaint is None, complaint
        yield Point(size, {name: statistics.median(each[name] for each in rounds) for name in rounds[0]})


def draw(curve: Curve, measured: list[Point]) -> Plot:
    """The curves of a measurement."""
    lines = [
        Line(name, [(point.at, point.figures[figure]) for point in measured]) for figure, name in curve.drawn.items()
    ]
    unit = "bytes/s" if curve.sizes_are_bytes else "msg/s"
    return Plot(curve.title, curve.axis, unit, lines, curve.sizes_are_bytes)


def cliffs(curve: Curve, measured: list[Point]) -> Iterator[str]:
    """Where a curve falls by more than it may."""
    for before, after in pairwise(measured):
        for name, rate in judged(after).items():
            if (was := judged(before).get(name)) and rate < FALL_MAX * was:
                yield f"{curve.title}: from {before.at:,} to {after.at:,} {curve.axis}, {name} falls to {rate / was:.0%}"


def judged(point: Point) -> dict[str, float]:
    """The rates that are looked at: the share of the limit's, or what there is without one."""
    figures = point.figures
    if limit := figures.get("limit, msg/s"):
        return {"the share of the limit": figures["msg/s"] / limit}
    return {name: rate for name, rate in figures.items() if name.endswith("/s")} if point.at >= BACKLOG_MIN else {}


def row(curve: Curve, point: Point) -> str:
    """A line of a table in Markdown."""
    cells = [binary(point.at) if curve.sizes_are_bytes else f"{point.at:,}"]
    for name, figure in point.figures.items():
        cells.append(binary(figure) + "/s" if name.endswith("bytes/s") else decimal(figure))
    return "| " + " | ".join(cells) + " |"


def show(name: str, binary_path: Path, options: argparse.Namespace) -> list[str]:
    """Measure one of the curves, print its table, and write its files. Returns where it falls too much."""
    curve = CURVES[name]
    measured = []
    for point in points(curve, binary_path, options):
        if not measured:
            print(f"| {curve.axis} | " + " | ".join(point.figures) + " |")
            print("| ---: " * (len(point.figures) + 1) + "|")
        measured.append(point)
        print(row(curve, point), flush=True)
    print()
    if options.folder:
        options.folder.mkdir(parents=True, exist_ok=True)
        about = {"curve": name, "measured": heading(binary_path), "seconds": options.seconds, "rounds": options.rounds}
        text = json.dumps(about | {"points": [asdict(point) for point in measured]}, indent=2)
        (options.folder / f"{name}.json").write_text(text + "\n")
        draw(curve, measured).write(options.folder / f"{name}.svg")
    return list(cliffs(curve, measured))


def main() -> int:
    """Measure the curves that are asked for; 1 if one has a cliff."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", nargs="*", metavar="CURVE", help=f"of {', '.join(CURVES)} (default: all)")
    parser.add_argument("--binary", type=Path, help="the amphora to measure (default: cargo's newest)")
    parser.add_argument("--folder", type=Path, help="where to write CURVE.json and CURVE.svg")
    parser.add_argument("--seconds", type=float, default=2, help="how long each load lasts")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken")
    parser.add_argument(
        "--quick", action="store_true", help="fewer and smaller sizes, half a second and one round each"
    )
    options = parser.parse_args()
    if unknown := set(options.curves) - set(CURVES):
        parser.error(f"no such curve: {', '.join(sorted(unknown))}")
    if options.quick:
        options.seconds, options.rounds = 0.5, 1
    binary_path = options.binary or default_binary(TESTS.parent)
    print(f"{heading(binary_path)}\n")
    fallen = [fall for name in options.curves or CURVES for fall in show(name, binary_path, options)]
    for fall in fallen:
        print(f"Not kept: {fall}, at least {FALL_MAX:.0%}.")
    return 1 if fallen else 0


if __name__ == "__main__":
    sys.exit(main())
