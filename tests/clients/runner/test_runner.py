"""Of the runner itself: `python3 -m unittest discover --start-directory tests/clients/runner`."""

import os
import socket
import sys
import time
import unittest
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from clients.runner import suite, tools
from clients.runner.relay import DELAY_S, slowed
from clients.runner.suite import Expectations
from clients.runner.verdict import Verdict
from support.broker import Address


class Judging(unittest.TestCase):
    """What counts as expected."""

    def complaints(self, results: tools.Results, expectations: Expectations) -> list[str]:
        verdict = Verdict("a-suite", "1.0", results=results)
        verdict.judge(expectations, tests=len(results))
        return verdict.complaints

    def test_all_as_expected(self):
        results = {"a": "passed", "b": "failed", "c": "skipped"}
        self.assertEqual(self.complaints(results, Expectations(failures={"b": "why"})), [])

    def test_unexpected_failure(self):
        self.assertEqual(self.complaints({"a": "failed"}, Expectations()), ["failed: a"])

    def test_unexpected_pass(self):
        complaints = self.complaints({"a": "passed"}, Expectations(failures={"a": "why"}))
        self.assertEqual(complaints, ["passed, but is listed as an expected failure: a"])

    def test_expectation_of_a_test_that_is_gone(self):
        complaints = self.complaints({}, Expectations(flaky={"a": "why"}))
        self.assertEqual(complaints, ["expected, but did not run: a"])

    def test_tests_that_are_lost(self):
        verdict = Verdict("a-suite", "1.0", results={"a": "passed"})
        verdict.judge(Expectations(), tests=2)
        self.assertEqual(verdict.complaints, ["1 tests ran, where there are 2"])

    def test_flaky_test_that_failed_every_time(self):
        complaints = self.complaints({"a": "failed"}, Expectations(flaky={"a": "why"}))
        self.assertEqual(complaints, ["failed: a"])


class Reading(unittest.TestCase):
    """What the tools print."""

    def test_cargo(self):
        output = """
   Compiling x v1.0.0
     Running unittests src/lib.rs (target/debug/deps/x-0123)
test one::works ... ok
test two ... ignored, for a reason
     Running tests/it.rs (target/debug/deps/it-0123)
test works ... a line that the test prints
ok
test breaks - should panic ... FAILED
test hangs ... 
"""
        self.assertEqual(
            tools.read_cargo(output),
            {
                "src/lib.rs > one::works": "passed",
                "src/lib.rs > two": "skipped",
                "tests/it.rs > works": "passed",
                "tests/it.rs > breaks": "failed",
                "tests/it.rs > hangs": "failed",
            },
        )

    def test_java(self):
        output = """
test QueueTest.works
passed QueueTest.works
test QueueTest.breaks
java.lang.AssertionError: expected <1>, but it is <2>
failed QueueTest.breaks: java.lang.AssertionError: expected <1>, but it is <2>
test QueueTest.waits
skipped QueueTest.waits: for a reason
passed by: a line that a test prints
test QueueTest.hangs
"""
        self.assertEqual(
            tools.read_java(output),
            {
                "QueueTest.works": "passed",
                "QueueTest.breaks": "failed",
                "QueueTest.waits": "skipped",
                "QueueTest.hangs": "failed",
            },
        )

    def test_node(self):
        report = ElementTree.fromstring(
            """<testsuites>
  <testsuite name="Outer">
    <testsuite name="inner">
      <testcase name="works"/>
      <testcase name="works"/>
      <testcase name="breaks"><failure/></testcase>
    </testsuite>
    <testcase name="waits"><skipped/></testcase>
  </testsuite>
  <undefined name="Given up"><testcase name="works"/></undefined>
  <testcase name="/sources/test/x.test.js"><failure/></testcase>
</testsuites>"""
        )
        self.assertEqual(
            tools.read_junit(report, Path("/sources")),
            {
                "Outer > inner > works": "passed",
                "Outer > inner > works'": "passed",
                "Outer > inner > breaks": "failed",
                "Outer > waits": "skipped",
                "Given up": "failed",
                "Given up > works": "passed",
                "test/x.test.js": "failed",
            },
        )


class Missing(unittest.TestCase):
    """What is said of a tool that is not there."""

    def test_jdk(self):
        run = tools.Run(suite.load("java"), Path("sources"), Address("127.0.0.1", 1), Path("log"))
        with (
            mock.patch.dict(os.environ, PATH=""),
            self.assertRaisesRegex(RuntimeError, "^no javac: .*openjdk-17-jdk-headless"),
        ):
            run.tests()


class Slowing(unittest.TestCase):
    """The relay for flaky tests."""

    def test_relays_both_ways_and_late(self):
        with socket.create_server(("127.0.0.1", 0)) as broker:
            address = Address("127.0.0.1", broker.getsockname()[1])
            with (
                slowed(address) as slow,
                socket.create_connection((slow.host, slow.port)) as client,
            ):
                accepted, _ = broker.accept()
                with accepted:
                    client.sendall(b"question")
                    self.assertEqual(accepted.recv(8), b"question")
                    asked = time.monotonic()
                    accepted.sendall(b"answer")
                    self.assertEqual(client.recv(6), b"answer")
                    self.assertGreaterEqual(time.monotonic() - asked, DELAY_S)
                self.assertEqual(client.recv(1), b"")


class Suites(unittest.TestCase):
    """The files of all suites."""

    def test_are_understood(self):
        for name in suite.names():
            with self.subTest(name):
                loaded = suite.load(name)
                suite.load_expectations(loaded)
                suite.load_expectations(loaded.with_tls())
                self.assertIn(loaded.tool, tools.TOOLS)


if __name__ == "__main__":
    unittest.main()
