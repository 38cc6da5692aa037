"""A pytest plugin: leaves tests out by pattern, and writes a line of JSON for each that ran."""

import fnmatch
import json
import os

REPORT = os.environ["SUITE_REPORT"]
EXCLUDE = json.loads(os.environ["SUITE_EXCLUDE"])
ONLY = json.loads(os.environ["SUITE_ONLY"])

_outcomes = {}


def pytest_collection_modifyitems(config, items):
    """Drop what is excluded, and all but `ONLY` if that names any."""
    kept, dropped = [], []
    for item in items:
        excluded = any(fnmatch.fnmatchcase(item.nodeid, pattern) for pattern in EXCLUDE)
        wanted = not ONLY or item.nodeid in ONLY
        (kept if wanted and not excluded else dropped).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=dropped)


def pytest_runtest_logreport(report):
    """The worst of set-up, call and tear-down is what counts; a rerun starts anew."""
    if report.outcome == "rerun":
        _outcomes.pop(report.nodeid, None)
        return
    if report.when == "call" or report.outcome != "passed":
        before = _outcomes.get(report.nodeid)
        _outcomes[report.nodeid] = "failed" if before == "failed" else report.outcome


def pytest_runtest_logfinish(nodeid, location):
    """Written test by test, so that a run which is cut short still says how far it came."""
    del location
    if outcome := _outcomes.pop(nodeid, None):
        with open(REPORT, "a", encoding="utf-8") as file:
            file.write(json.dumps({"test": nodeid, "outcome": outcome}) + "\n")


def pytest_collectreport(report):
    """A file that cannot be collected is a failure of that name."""
    if report.failed:
        with open(REPORT, "a", encoding="utf-8") as file:
            file.write(json.dumps({"test": report.nodeid, "outcome": "failed"}) + "\n")
