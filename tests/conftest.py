"""What all tests share: the lab is required, and skips can be forbidden."""

from __future__ import annotations

import os

import pytest

IN_LAB = os.environ.get("MULTIHOMING_LAB") == "1"


def pytest_addoption(parser):
    parser.addoption("--no-skips", action="store_true", help="fail when a test is skipped")


def pytest_collection_modifyitems(items):
    """Skip what needs namespaces when run outside of them: it would change this machine."""
    if IN_LAB:
        return
    for item in items:
        if "/unit/" not in str(item.path):
            item.add_marker(pytest.mark.skip(reason="needs the lab: run make test"))


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped and config.getoption("--no-skips"):
        terminalreporter.write_line(f"--no-skips: {len(skipped)} tests were skipped", red=True)


def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    # The workers of pytest-xdist have none.
    if session.config.getoption("--no-skips") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = 1
