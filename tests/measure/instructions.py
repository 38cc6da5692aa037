#!/usr/bin/env python3
"""How many instructions each message costs in reading, writing, routing, queues and the store, against what is stored of it: fails if a case takes more.

Instructions are the same whatever else the machine does, and valgrind counts them. They depend on the compiler and the C library.
"""

import argparse
import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STORED = ROOT / "broker" / "performance" / "instructions.json"
PAGE = ROOT / "broker" / "PERFORMANCE.md"
# The head of the table on the page.
HEAD = "| case | instructions for each message |\n| --- | ---: |\n"
BENCHES = {"amphora-protocol": "frames", "amphora-core": "messages", "amphora-storage": "groups"}
COUNTED_FUNCTION = "*measured_round*"
ROUNDS = 2
# How much more, in percent, is a regression: made by what made the stored counts, and by something else.
TOLERATED, TOLERATED_ELSEWHERE = 3, 15


@dataclass(frozen=True)
class Result:
    """What a message costs in one case, in instructions: now, and as stored, if it is."""

    case: str
    now: float
    stored: float | None
    tolerated: float

    @property
    def change(self) -> float:
        """In percent."""
        return (self.now / self.stored - 1) * 100 if self.stored else 0

    def row(self) -> str:
        """A line of a table in Markdown."""
        if self.stored is None:
            return f"| {self.case} |  | {self.now:,.1f} | **not stored** |"
        remark = ": **more**" if self.failed() else ": less" if self.change < -self.tolerated else ""
        return f"| {self.case} | {self.stored:,.1f} | {self.now:,.1f} | {self.change:+.1f} %{remark} |"

    def failed(self) -> bool:
        """Whether it takes more than is tolerated, or nobody has said what it may take."""
        return self.stored is None or self.change > self.tolerated


def build() -> list[Path]:
    """The benchmarks, built as a release is."""
    command = ["cargo", "bench", "--no-run", "--locked", "--message-format=json-render-diagnostics"]
    for package, bench in BENCHES.items():
        command += ["--package", package, "--bench", bench]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    messages = [json.loads(line) for line in built.stdout.splitlines()]
    benches = [message for message in messages if message.get("target", {}).get("kind") == ["bench"]]
    order = list(BENCHES.values())
    benches.sort(key=lambda message: order.index(message["target"]["name"]))
    return [Path(message["executable"]) for message in benches]


def cases(bench: Path) -> list[str]:
    """The names of a benchmark's cases."""
    return subprocess.run([bench, "--list"], capture_output=True, text=True, check=True).stdout.splitlines()


def count(bench: Path, case: str) -> float:
    """Instructions for each message. What a round needs beforehand, and the first round, are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--toggle-collect={COUNTED_FUNCTION}"]
        command += [f"--callgrind-out-file={folder}/out", str(bench), case, str(ROUNDS)]
        run = subprocess.run(command, capture_output=True, text=True)
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode or not collected or int(collected[1]) == 0:
        raise RuntimeError(f"{case}: valgrind counted nothing; `{' '.join(command)}` said\n{run.stderr}")
    return int(collected[1]) / int(run.stdout)


def made_by() -> dict[str, str]:
    """What the counts depend on beside our code."""
    said = subprocess.run(["rustc", "-vV"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    rustc = dict(line.split(": ", 1) for line in said.splitlines() if ": " in line)
    return {"rustc": rustc["release"], "host": rustc["host"], "libc": " ".join(platform.libc_ver())}


def compare(wanted: list[str], stored: dict[str, float], tolerated: float) -> Iterator[Result]:
    """The cases whose names have one of the wanted words, or all."""
    for bench in build():
        for case in cases(bench):
            if not wanted or any(word in case for word in wanted):
                yield Result(case, round(count(bench, case), 1), stored.get(case), tolerated)


def on_page(counts: dict[str, float]) -> str:
    """The page with these counts in its table."""
    before, head, rest = PAGE.read_text().partition(HEAD)
    if not head:
        raise RuntimeError(f"{PAGE.relative_to(ROOT)} has no table of instructions")
    _, _, behind = rest.partition("\n\n")
    rows = [f"| {case} | {instructions:,.1f} |" for case, instructions in counts.items()]
    return before + head + "\n".join(rows) + "\n\n" + behind


def main() -> int:
    """Count, and compare or store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="words of the names of cases (default: all cases)")
    parser.add_argument("--store", action="store_true", help=f"write the counts to {STORED.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    if options.store and options.cases:
        parser.error("all cases are stored together, because one compiler must have made them")
    if not shutil.which("valgrind"):
        parser.error("valgrind counts the instructions, and is not installed: apt-get install valgrind")
    maker = made_by()
    stored = json.loads(STORED.read_text()) if STORED.exists() else {"made_by": maker, "cases": {}}
    same = stored["made_by"] == maker
    if not same:
        print(f"Stored by {stored['made_by']}, and this is {maker}: {TOLERATED_ELSEWHERE} % more are tolerated.\n")
    print("| instructions for each message | stored | now | change |\n| --- | ---: | ---: | ---: |")
    results = []
    for result in compare(options.cases, stored["cases"], TOLERATED if same else TOLERATED_ELSEWHERE):
        print(result.row(), flush=True)
        results.append(result)
    if options.store:
        counts = {"made_by": maker, "cases": {result.case: result.now for result in results}}
        STORED.write_text(json.dumps(counts, indent=2) + "\n")
        PAGE.write_text(on_page(counts["cases"]))
        return 0
    if PAGE.read_text() != on_page(stored["cases"]):
        print(f"\n{PAGE.relative_to(ROOT)} does not say what is stored: --store.")
        return 1
    return verdict(results, set() if options.cases else set(stored["cases"]))


def verdict(results: list[Result], expected: set[str]) -> int:
    """Says what is to be done, and whether that is a failure."""
    gone = expected - {result.case for result in results}
    failed = sorted(gone) + [result.case for result in results if result.failed()]
    if gone:
        print(f"\nNo longer there: {', '.join(sorted(gone))}.")
    if any(result.change < -result.tolerated for result in results):
        print("\nWhat takes less is lost again unnoticed unless it is stored: --store.")
    if failed:
        print("\nWhat takes more is a regression, unless it is worth it: then store it, and say why in the commit: --store.")
    if not results:
        print("\nNo case has such a name.")
    return 1 if failed or not results else 0


if __name__ == "__main__":
    sys.exit(main())
