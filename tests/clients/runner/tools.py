"""Runs a suite with its test tool, and reads the tool's results, test by test."""

import json
import os
import re
import shutil
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from support.broker import Address
from support.cache import cache_dir
from support.venv import venv

from .suite import Suite

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

Results = dict[str, str]


@dataclass(frozen=True)
class Run:
    """One run of a suite's tool: `only` are the tests to run, or all if it is empty."""

    suite: Suite
    sources: Path
    address: Address
    log: Path
    only: tuple[str, ...] = ()

    def tests(self) -> tuple[Results, str | None]:
        """What became of each test; and what went wrong with the tool as a whole, if anything."""
        return TOOLS[self.suite.tool](self)

    def execute(
        self, command: list[str | Path], cwd: Path, env: dict[str, str]
    ) -> tuple[str, str | None]:
        """Run `command` within the suite's time; what it printed, and a complaint if it hung."""
        values = {
            "uri": self.address.uri,
            "host": self.address.host,
            "port": self.address.port,
            "user": self.address.user,
            "password": self.address.password,
            "tls_port": self.address.tls_port or 0,
            "http_port": self.address.http_port or 0,
            "suite": self.suite.folder,
            "sources": self.sources,
        }
        for name, value in self.suite.env.items():
            env[name] = value.format(**values)
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=os.environ | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        complaint = None
        try:
            output, _ = process.communicate(timeout=self.suite.timeout_s)
        except subprocess.TimeoutExpired:
            complaint = f"not done after {self.suite.timeout_s} s"
        finally:
            if process.returncode is None:
                # The tool leads a session of its own, so its children end with it.
                os.killpg(process.pid, signal.SIGKILL)
                output, _ = process.communicate()
        with self.log.open("ab") as log:
            log.write(output)
        return output.decode(errors="replace"), complaint


def _pytest(run: Run) -> tuple[Results, str | None]:
    """pytest in the suite's environment; a plugin of ours selects tests and writes results."""
    python = venv(run.suite.name, run.suite.folder / "requirements.txt")
    report = run.log.with_suffix(".jsonl")
    report.unlink(missing_ok=True)
    env = {
        "PYTHONPATH": str(Path(__file__).parent / "plugins"),
        "SUITE_REPORT": str(report),
        "SUITE_EXCLUDE": json.dumps([entry.pattern for entry in run.suite.exclusions]),
        "SUITE_ONLY": json.dumps(run.only),
    }
    command = [python, "-m", "pytest", "-p", "suite_report", "--tb=short", "-q"]
    output, complaint = run.execute([*command, *run.suite.arguments], run.sources, env)
    if not report.exists():
        return {}, complaint or f"pytest did not start: {output[-500:]}"
    results: Results = {}
    for line in report.read_text().splitlines():
        entry = json.loads(line)
        results[entry["test"]] = entry["outcome"]
    return results, complaint


def _node(run: Run) -> tuple[Results, str | None]:
    """Node's own test runner, which reports as JUnit's XML."""
    report = run.log.with_suffix(".xml")
    report.unlink(missing_ok=True)
    command = ["node", "--test", *run.suite.arguments]
    command += ["--test-reporter=spec", "--test-reporter-destination=stdout"]
    command += ["--test-reporter=junit", f"--test-reporter-destination={report}"]
    command += [f"--test-name-pattern=^{re.escape(_leaf(test))}$" for test in run.only]
    output, complaint = run.execute(command, run.sources, {})
    if complaint or not report.exists():
        return {}, complaint or f"node did not start: {output[-500:]}"
    results = read_junit(ElementTree.parse(report).getroot(), run.sources)
    return {test: results[test] for test in run.only or results if test in results}, None


def read_junit(root: ElementTree.Element, sources: Path) -> Results:
    """Tests by their path of names; one that has the name of another gets an apostrophe."""
    results: Results = {}
    for test, outcome in _junit(root, ""):
        test = test.removeprefix(f"{sources}/")
        while test in results:
            test += "'"
        results[test] = outcome
    return results


def _junit(suite: ElementTree.Element, path: str) -> Iterator[tuple[str, str]]:
    for child in suite:
        name = path + child.get("name", "")
        if child.tag == "testcase":
            if child.find("failure") is not None or child.find("error") is not None:
                yield name, FAILED
            else:
                yield name, SKIPPED if child.find("skipped") is not None else PASSED
        elif child.get("name"):
            # Node writes a suite that it had to give up as `<undefined>`.
            if child.tag != "testsuite":
                yield name, FAILED
            yield from _junit(child, f"{name} > ")


def _leaf(test: str) -> str:
    return test.rsplit(" > ", 1)[-1]


CARGO_BINARY = re.compile(r"^\s+(?:Running (?:unittests )?(\S+) \(|Doc-tests (\S+))")
CARGO_TEST = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. (.*)")
CARGO_OUTCOMES = {"ok": PASSED, "FAILED": FAILED, "ignored": SKIPPED}


def _cargo(run: Run) -> tuple[Results, str | None]:
    """`cargo test`, one test at a time, with a target directory for all suites."""
    env = {"CARGO_TARGET_DIR": str(cache_dir() / "cargo-target"), "CARGO_TERM_COLOR": "never"}
    command = ["cargo", "test", "--locked", "--no-fail-fast", *run.suite.arguments]
    command += ["--", "--test-threads=1"]
    for exclusion in run.suite.exclusions:
        command += ["--skip", exclusion.pattern]
    if run.only:
        command += ["--exact", *(_leaf(test) for test in run.only)]
    output, complaint = run.execute(command, run.sources, env)
    results = read_cargo(output)
    if not results and not run.only:
        complaint = complaint or f"cargo ran no test: {output[-500:]}"
    return {test: results[test] for test in run.only or results if test in results}, complaint


def read_cargo(output: str) -> Results:
    """Tests by their binary and name; one that never said how it ended has failed."""
    binary, test, results = "", "", {}
    for line in output.splitlines():
        if match := CARGO_BINARY.match(line):
            binary = match[1] or f"doc {match[2]}"
        elif match := CARGO_TEST.match(line):
            test, line = f"{binary} > {match[1]}", match[2]
            results[test] = FAILED
        # What a test prints past the capture comes between its name and its outcome.
        if test and (outcome := CARGO_OUTCOMES.get(line.partition(",")[0])):
            results[test] = outcome
            test = ""
    return results


def _go(run: Run) -> tuple[Results, str | None]:
    """`go test` in GOPATH mode, with the toolchain of the suite's Python environment."""
    go = venv(run.suite.name, run.suite.folder / "requirements.txt").with_name("go")
    cache = cache_dir() / "go"
    env = {
        "GO111MODULE": "off",
        "GOPATH": str(run.sources / run.suite.source["gopath"]),
        "GOCACHE": str(cache),
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
    }
    command = [go, "test", "-json", "-count=1", *run.suite.arguments]
    if run.only:
        command.append(f"-run=^({'|'.join(re.escape(test) for test in run.only)})$")
    elif run.suite.exclusions:
        patterns = "|".join(entry.pattern for entry in run.suite.exclusions)
        command.append(f"-skip=^({patterns})$")
    folder = run.sources / run.suite.source["gopath"] / "src" / run.suite.source["import"]
    output, complaint = run.execute(command, folder, env)
    outcomes = {"pass": PASSED, "fail": FAILED, "skip": SKIPPED}
    results: Results = {}
    for line in output.splitlines():
        if not line.startswith("{"):
            continue
        event = json.loads(line)
        if event.get("Test") and event["Action"] in outcomes:
            results[event["Test"]] = outcomes[event["Action"]]
    if not results:
        complaint = complaint or f"go ran no test: {output[-500:]}"
    return results, complaint


def _java(run: Run) -> tuple[Results, str | None]:
    """A program of our own, compiled anew: it takes tests' names, and prints what became of each."""
    for program in ("javac", "java"):
        if shutil.which(program) is None:
            raise RuntimeError(
                f"no {program}: a JDK of version 17 or newer is missing"
                " (Debian's package is openjdk-17-jdk-headless)"
            )
    classes = run.sources / "classes"
    jars = [run.sources / jar for jar in run.suite.source["class_path"]]
    class_path = os.pathsep.join(str(path) for path in [classes, *jars])
    compiler = ["javac", "--release=17", "-encoding", "UTF-8", "-cp", class_path, "-d", classes]
    subprocess.run([*compiler, *sorted(run.sources.glob("*.java"))], check=True)
    command = ["java", "-cp", class_path, *run.suite.arguments, *run.only]
    output, complaint = run.execute(command, run.sources, {})
    results = read_java(output)
    if not results:
        complaint = complaint or f"java ran no test: {output[-500:]}"
    return results, complaint


JAVA_LINE = re.compile(r"(test|passed|failed|skipped) (\w+\.\w+)(?=:|$)")


def read_java(output: str) -> Results:
    """Tests by their class and name; one that never said how it ended has failed."""
    results: Results = {}
    for line in output.splitlines():
        if match := JAVA_LINE.match(line):
            results[match[2]] = FAILED if match[1] == "test" else match[1]
    return results


TOOLS: dict[str, Callable[[Run], tuple[Results, str | None]]] = {
    "pytest": _pytest,
    "node": _node,
    "cargo": _cargo,
    "go": _go,
    "java": _java,
}
