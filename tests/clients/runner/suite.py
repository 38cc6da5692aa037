"""What a suite is: `suite.toml` and `expected_failures.toml` in a folder of its own."""

import fnmatch
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

CLIENTS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Rewrite:
    """Replaces one literal text in the unpacked sources, where a suite hard-codes its broker or races itself."""

    files: str
    find: str
    replace: str
    reason: str


@dataclass(frozen=True)
class Exclusion:
    """Tests that are not run because they need more than a broker, or one with TLS."""

    pattern: str
    reason: str
    unless_tls: bool = False


@dataclass(frozen=True)
class Tls:
    """What a suite can do with a broker that has a TLS listener."""

    tests: int
    certificates: str
    """The suite whose sources hold the certificates, in `tests/certs`."""


@dataclass(frozen=True)
class Suite:
    """A client library's own tests, and how to run them.

    `tests` is how many there are: fewer would mean that some were lost without a word.
    """

    name: str
    library: str
    version: str
    tool: str
    source: dict[str, Any]
    tests: int
    timeout_s: int
    quick: bool = False
    arguments: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    rewrites: list[Rewrite] = field(default_factory=list)
    exclusions: list[Exclusion] = field(default_factory=list)
    tls: Tls | None = None

    def with_tls(self) -> "Suite":
        """The suite with all that it can do given a TLS listener, too."""
        if self.tls is None:
            return self
        exclusions = [entry for entry in self.exclusions if not entry.unless_tls]
        return replace(self, tests=self.tls.tests, exclusions=exclusions)

    def excludes(self, test: str) -> bool:
        """Whether an exclusion's pattern fits the test."""
        return any(fnmatch.fnmatchcase(test, entry.pattern) for entry in self.exclusions)

    @property
    def folder(self) -> Path:
        """Where the suite's files are in this repository."""
        return CLIENTS / self.name


@dataclass(frozen=True)
class Expectations:
    """Tests that are known not to pass, each with the reason."""

    failures: dict[str, str] = field(default_factory=dict)
    flaky: dict[str, str] = field(default_factory=dict)


def load(name: str) -> Suite:
    """The suite of that name; a key that is not understood is an error."""
    table = _table(CLIENTS / name / "suite.toml")
    rewrites = [Rewrite(**entry) for entry in table.pop("rewrites", [])]
    exclusions = [Exclusion(**entry) for entry in table.pop("exclusions", [])]
    tls = Tls(**table.pop("tls")) if "tls" in table else None
    return Suite(name=name, rewrites=rewrites, exclusions=exclusions, tls=tls, **table)


def load_expectations(suite: Suite) -> Expectations:
    """What is expected of the tests that are run; none may be both a known failure and flaky."""
    expectations = Expectations(**_table(suite.folder / "expected_failures.toml"))
    if both := expectations.failures.keys() & expectations.flaky.keys():
        raise ValueError(f"{suite.name}: both failing and flaky: {', '.join(sorted(both))}")

    def run(tests: dict[str, str]) -> dict[str, str]:
        return {test: reason for test, reason in tests.items() if not suite.excludes(test)}

    return Expectations(failures=run(expectations.failures), flaky=run(expectations.flaky))


def names() -> list[str]:
    """All suites, in the order they are run."""
    return sorted(path.parent.name for path in CLIENTS.glob("*/suite.toml"))


def _table(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        try:
            return tomllib.load(file)
        except tomllib.TOMLDecodeError as error:
            raise ValueError(f"{path}: {error}") from error
