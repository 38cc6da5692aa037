#!/usr/bin/env python3
"""How often the broker's threads have to wait for a lock while loads run, and for which: whether anything on the messages' way is locked by all.

Whoever waits for a lock gives the processor away: by sched_yield, up to seven times for one wait, and then by futex until somebody wakes it. `perf`
counts these system calls of the broker's process while a load runs. All of them are counted, and nothing is subtracted. Not all are for locks:

* Threads that have nothing to do wait by futex, too: the runtime's workers, the committer, the threads of the store and of the allocator.
* Whoever gives something to such a thread wakes it by futex, and so does who unlocks what another thread waits for.

So the load runs once more, and `perf record` looks at the stacks of some of the calls: one from the slow path of a lock is for a lock. Its place is the
first function outside of what locks are made of. Many calls for one place that belongs to a single queue or connection are what the load asks for; a place
that all messages pass, whatever their queues, is a global lock. Fails if there are more for locks than a load may have, which is a multiple of what was
measured on two cores of which other machines took a fifth. What becomes free within a microsecond or so is waited for without a call, and is not seen.

Needs `perf`, the right to trace system calls, which root has, and a binary with its symbols; ends with 2 where it has not.
"""

import argparse
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.dont_write_bytecode = True

from support import perf  # noqa: E402
from support.broker import Broker, default_binary  # noqa: E402
from support.cache import cache_dir  # noqa: E402
from support.machine import heading  # noqa: E402
from support.plot import decimal  # noqa: E402

CALLS = ("futex", "sched_yield")
EVENT = "syscalls:sys_enter_"
EVENTS = ",".join(EVENT + call for call in CALLS)
# So many stacks say enough, and each slows down what is looked at.
STACKS, STACK_BYTES = 2000, 4096
PERF_STARTS_S, PERF_ENDS_S = 0.5, 120
PLACES_SHOWN = 2


class Load:
    """How many calls for locks a load may have per million messages, and its options."""

    def __init__(self, most: int, *options: str) -> None:
        self.most, self.options = most, options


LOADS = {
    "16 bytes, one pair": Load(10),
    "four pairs": Load(10, "-x", "4", "-y", "4", "--queues", "4"),
    "100 queues, 4 publishers, 100 consumers": Load(10_000, "-x", "4", "-y", "100", "--queues", "100"),
    "fanout to four queues": Load(10, "--fanout", "4"),
    "100 publishers on one queue": Load(10_000, "-x", "100"),
    "1 KiB, persistent, with confirms": Load(100, "--size", "1024", "--persistent", "--confirm", "1000"),
    "the same, 100 queues, 4 publishers, 4 consumers": Load(
        50_000, "-x", "4", "-y", "4", "--queues", "100", "--size", "1024", "--persistent", "--confirm", "1000"
    ),
    "the same, 100 publishers to as many queues": Load(
        10_000, "-x", "100", "-y", "100", "--queues", "100", "--size", "1024", "--persistent", "--confirm", "100"
    ),
}

# Where a thread waits for a lock: of parking_lot, the standard library, the allocator, the C library.
LOCK = re.compile(r"lock_\w*slow|(lock|read|write)_contended|lll_lock_wait|pthread_(mutex|rwlock)_\w*lock\b")
# Where it waits for something to do.
IDLE = re.compile(r"condvar|cond_\w*wait|park|recv|background_thread", re.IGNORECASE)
# Waking is op 1 or 10, whatever flags come with it.
WAKE = re.compile(r"op: 0x[0-9a-f]*[08][1a]\b")
# What locks are made of, or what no symbol is known of.
OF_LOCKS = re.compile(r"^(parking_lot|lock_api|<?std::|<?core::|_*rjem_je_malloc_mutex|_*(GI_)?_*(pthread|lll)_|\[)|lock_\w*slow")


@dataclass
class Stacks:
    """What the calls were for whose stacks were looked at."""

    locks: Counter[str] = field(default_factory=Counter)
    """Where threads waited for a lock."""
    idle: int = 0
    wake: int = 0
    other: int = 0
    has_names: bool = False
    """Whether any of them has a function of the broker."""

    def total(self) -> int:
        """All of them."""
        return self.locks.total() + self.idle + self.wake + self.other

    def add(self, call: str, stack: list[str]) -> None:
        """Take note of one call; the stack begins with what was called last."""
        self.has_names |= any("amphora" in function for function in stack)
        if WAKE.search(call):
            self.wake += 1
            return
        for depth, function in enumerate(stack):
            if LOCK.search(function):
                places = (caller for caller in stack[depth + 1 :] if not OF_LOCKS.search(caller))
                self.locks[short(next(places, "?"))] += 1
                return
            if IDLE.search(function):
                self.idle += 1
                return
        self.other += 1


def short(function: str) -> str:
    """A function by its last two names, without parameters: of `<a::B<C> as d::E>::f::{{closure}}`, `B::f`."""
    function = re.sub(r"::\{\{.*|::h[0-9a-f]{16}$| \(inlined\)$", "", function)
    while (bare := re.sub(r"(?<=\w)<[^<>]*>", "", function)) != function:
        function = bare
    function = re.sub(r"<(?:impl )?([\w:]+)(?: as [\w:]+)?>", r"\1", function)
    return "::".join(function.split("::")[-2:])


@dataclass(frozen=True)
class Outcome:
    """What came of one load."""

    load: str
    messages: int
    seconds: float
    calls: dict[str, int]
    stacks: Stacks

    def complaint(self) -> str | None:
        """What is wrong with it."""
        if not self.stacks.has_names:
            return f"{self.load}: the stacks name nothing of the broker: has the binary its symbols?"
        found, most = self.for_locks() / self.messages * 1e6, LOADS[self.load].most
        if found > most:
            return f"{self.load}: {decimal(found)} calls for locks per million messages, at most {most}"
        return None

    def for_locks(self) -> float:
        """How many calls were for locks, by their share of those that were looked at."""
        return sum(self.calls.values()) * self.stacks.locks.total() / (self.stacks.total() or 1)

    def row(self) -> str:
        """A line of a table in Markdown."""
        counts = [*self.calls.values(), self.for_locks()]
        rates = [f"{decimal(count / self.seconds)} / {decimal(count / self.messages * 1e6)}" for count in counts]
        # What one of the stacks that were looked at stands for, per million messages.
        each = sum(self.calls.values()) / (self.stacks.total() or 1) / self.messages * 1e6
        most = self.stacks.locks.most_common(PLACES_SHOWN)
        places = ", ".join(f"{place} {decimal(count * each)}" for place, count in most)
        return f"| {self.load} | {decimal(self.messages / self.seconds)} | {' | '.join(rates)} | {places} |"

    def data(self) -> dict:
        """The same and more, for JSON."""
        stacks = self.stacks
        return {
            "load": self.load,
            "messages": self.messages,
            "seconds": self.seconds,
            "calls": self.calls,
            "calls_for_locks": self.for_locks(),
            "stacks": {"idle": stacks.idle, "wake": stacks.wake, "other": stacks.other, "locks": dict(stacks.locks)},
        }


def beside(broker: Broker, load: list[str], *command: str) -> tuple[dict, str]:
    """The report of a load, and what `perf` says, which looks at the broker meanwhile."""
    looking = ["perf", *command, "-p", str(broker.process.pid)]
    process = subprocess.Popen(looking, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    try:
        # It does not say when it has begun.
        time.sleep(PERF_STARTS_S)
        report = perf.measure(broker, "throughput", *load)
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PERF_ENDS_S)
    return report, said


def count(broker: Broker, load: list[str]) -> tuple[dict, dict[str, int]]:
    """The report of a load, and how often each call came."""
    report, said = beside(broker, load, "stat", "-x", ",", "-e", EVENTS)
    lines = [line.split(",") for line in said.splitlines()]
    counts = {fields[2].removeprefix(EVENT): int(fields[0]) for fields in lines if len(fields) > 2 and EVENT in fields[2]}
    return report, {call: counts[call] for call in CALLS}


def look(broker: Broker, load: list[str], every: int) -> Stacks:
    """The stacks of the calls, one of so many."""
    stacks = Stacks()
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/data"
        how = ("--call-graph", f"dwarf,{STACK_BYTES}", "-c", str(every), "-o", data)
        beside(broker, load, "record", "-e", EVENTS, *how)
        command = ["perf", "script", "-i", data, "-F", "event,trace,ip,sym"]
        script = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    for sample in script.stdout.split("\n\n"):
        call, *frames = sample.strip().splitlines() or [""]
        if EVENT in call:
            stacks.add(call, [frame.split(maxsplit=1)[-1] for frame in frames])
    return stacks


def measure(load: str, options: argparse.Namespace) -> Outcome:
    """Run a load twice on a broker of its own: all calls are counted, and then some are looked at."""
    arguments = ["-z", str(options.seconds), *LOADS[load].options]
    with Broker(options.binary, cache_dir() / "results" / "locks.broker.log") as broker:
        report, calls = count(broker, arguments)
        stacks = look(broker, arguments, max(1, sum(calls.values()) // STACKS))
        complaint = broker.complaint()
        assert complaint is None, complaint
    delivered = report["delivered"]
    return Outcome(load, delivered["count"], delivered["seconds"], calls, stacks)


def lacks() -> str | None:
    """What is missing on this machine to look at system calls."""
    if not shutil.which("perf"):
        return "perf is not installed: apt-get install linux-perf"
    tried = subprocess.run(["perf", "stat", "-e", EVENTS, "true"], capture_output=True, text=True)
    return f"perf may not trace system calls, which root may: {tried.stderr.strip()}" if tried.returncode else None


def main() -> int:
    """Measure all loads, or some, and print a table; 1 if one has too many calls for locks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    loads = list(LOADS)
    numbered = "; ".join(f"{number}: {load}" for number, load in enumerate(loads, 1))
    parser.add_argument(
        "--load", type=int, action="append", choices=range(1, len(loads) + 1), help=f"only this; may be repeated ({numbered})"
    )
    parser.add_argument("--binary", type=Path, help="the amphora to measure (default: cargo's newest)")
    parser.add_argument("--seconds", type=float, default=5, help="how long each load runs, twice")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all figures, also of places that the table has no room for")
    options = parser.parse_args()
    if missing := lacks():
        parser.error(missing)
    options.binary = options.binary or default_binary(TESTS.parent)
    print(f"{heading(options.binary)}\n")
    print("| load | messages/s | futex: /s, per million messages | sched_yield | for locks, of both | where most, per million messages |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    outcomes = []
    for number in options.load or range(1, len(loads) + 1):
        outcome = measure(loads[number - 1], options)
        print(outcome.row(), flush=True)
        outcomes.append(outcome)
    if options.json:
        options.json.write_text(json.dumps([outcome.data() for outcome in outcomes], indent=2) + "\n")
    complaints = [complaint for outcome in outcomes if (complaint := outcome.complaint())]
    for complaint in complaints:
        print(f"\nNot kept: {complaint}.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
