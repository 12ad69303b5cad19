"""What is run is the system's, whatever lies in the current directory."""

import pytest
from article import pillar

PATHS = [
    "",
    ":/usr/bin:/bin",
    "/usr/bin::/bin",
    "/usr/bin:/bin:",
    ".:/usr/bin:/bin",
    "trap:/usr/bin",
]


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """Return where the programs of the current directory, and of one below, leave a trace."""
    trace = tmp_path / "trace"
    for folder in (tmp_path, tmp_path / "trap"):
        folder.mkdir(exist_ok=True)
        for name in ("ip", "dot"):
            (folder / name).write_text(f"#!/bin/sh\n/usr/bin/touch {trace}\nexit 1\n")
            (folder / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return trace


@pytest.mark.parametrize("path", PATHS)
def test_ip_of_the_current_directory_is_never_run(minion, host, monkeypatch, trap, path):
    monkeypatch.setenv("PATH", path)
    whole = {**pillar(), "backend": "none"}
    assert minion.call("plan", pillar=whole)["commands"]
    minion.call("apply", pillar=whole)
    assert minion.call("reply_path", "192.168.1.220", "198.51.100.1")["leaves"] == "eth1"
    minion.call("diagnose", pillar=whole)
    assert not trap.exists()


@pytest.mark.parametrize("path", PATHS[1:])
def test_dot_of_the_current_directory_is_never_run(minion, host, monkeypatch, trap, path):
    monkeypatch.setenv("PATH", path)
    assert "<svg" in minion.call("diagram", "svg", pillar={**pillar(), "backend": "none"})
    assert not trap.exists()
