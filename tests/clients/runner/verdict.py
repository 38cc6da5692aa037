"""Compares what happened with what was expected."""

from dataclasses import dataclass, field

from .suite import Expectations
from .tools import FAILED, PASSED, SKIPPED, Results

FLAKY_ATTEMPTS = 4


@dataclass
class Verdict:
    """The outcome of a suite: its counts, and everything that was not as expected."""

    suite: str
    version: str
    seconds: float = 0.0
    results: Results = field(default_factory=dict)
    flaked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    expected: int = 0

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(1 for result in self.results.values() if result == outcome)

    @property
    def good(self) -> bool:
        """Nothing unexpected happened."""
        return not self.complaints

    def judge(self, expectations: Expectations, tests: int) -> None:
        """Add a complaint for each unexpected failure or pass, unknown or lost test."""
        if len(self.results) != tests:
            self.complaints.append(f"{len(self.results)} tests ran, where there are {tests}")
        for test, outcome in sorted(self.results.items()):
            if outcome == FAILED and test not in expectations.failures:
                self.complaints.append(f"failed: {test}")
            elif outcome == PASSED and test in expectations.failures:
                self.complaints.append(f"passed, but is listed as an expected failure: {test}")
        for test in sorted({*expectations.failures, *expectations.flaky} - self.results.keys()):
            self.complaints.append(f"expected, but did not run: {test}")
        self.expected = sum(self.results.get(test) == FAILED for test in expectations.failures)

    def to_json(self) -> dict:
        """For machines: counts, complaints, and the name of each test that did not pass."""
        return {
            "suite": self.suite,
            "version": self.version,
            "seconds": round(self.seconds, 1),
            "passed": self.count(PASSED),
            "failed": self.count(FAILED),
            "skipped": self.count(SKIPPED),
            "expected_failures": self.expected,
            "flaked": self.flaked,
            "complaints": self.complaints,
            "failures": sorted(t for t, outcome in self.results.items() if outcome == FAILED),
            "skips": sorted(t for t, outcome in self.results.items() if outcome == SKIPPED),
        }


def table(verdicts: list[Verdict]) -> str:
    """For people: a line per suite."""
    head = ("suite", "version", "passed", "failed", "expected", "skipped", "seconds", "verdict")
    rows = [head] + [
        (
            verdict.suite,
            verdict.version,
            str(verdict.count(PASSED)),
            str(verdict.count(FAILED)),
            str(verdict.expected),
            str(verdict.count(SKIPPED)),
            f"{verdict.seconds:.0f}",
            "ok" if verdict.good else "NOT AS EXPECTED",
        )
        for verdict in verdicts
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
