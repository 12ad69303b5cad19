"""Which file a program's name means."""

import os

import multihoming_programs as programs
import pytest


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Return a folder with the system's `ip`; the current directory has one that nobody wants."""
    for name in ("bin", "here/sub"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "ip").write_text("#!/bin/sh\n")
        (tmp_path / name / "ip").chmod(0o755)
    (tmp_path / "here/ip").write_text("#!/bin/sh\n")
    (tmp_path / "here/ip").chmod(0o755)
    monkeypatch.chdir(tmp_path / "here")
    return str(tmp_path / "bin")


# Of all these a shell runs the `ip` of the current directory, or one below it.
RELATIVE = [
    "",
    ":",
    "::",
    ".",
    "./",
    "..:.",
    "sub",
    "./sub",
    "../here",
    "~/bin:",
    ":{bin}",
    ".:{bin}",
]


@pytest.mark.parametrize("path", [*RELATIVE, "sub:{bin}", "{bin}:", "{bin}::/nowhere", "/nowhere"])
def test_only_absolute_folders_are_searched(system, monkeypatch, path):
    monkeypatch.setenv("PATH", path.replace("{bin}", system))
    found = programs.find("ip", (system,))
    assert found == f"{system}/ip"
    assert os.path.isabs(found)


@pytest.mark.parametrize("path", RELATIVE[:10])
def test_what_is_only_in_the_current_directory_is_not_there(system, monkeypatch, path):
    monkeypatch.setenv("PATH", path)
    assert programs.find("ip") is None


def test_a_host_without_path_has_what_is_named(system, monkeypatch):
    monkeypatch.delenv("PATH")
    assert programs.find("ip") is None
    assert programs.find("ip", (system,)) == f"{system}/ip"


def test_path_comes_first(system, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", system)
    assert programs.find("ip", (str(tmp_path / "here"),)) == f"{system}/ip"
