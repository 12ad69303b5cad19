"""One run on a host, as far as it needs neither kernel nor files."""

import os

import multihoming_host as host
import pytest
from multihoming_errors import HostError

NONE = {"tables": {}, "interfaces": {}, "backend": "none"}


@pytest.fixture
def ordinary_user(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


@pytest.mark.usefixtures("ordinary_user")
def test_changing_the_host_needs_root_and_says_what_to_do():
    with pytest.raises(HostError, match="needs root; run salt-call with sudo"):
        host.apply(NONE)


@pytest.mark.usefixtures("ordinary_user")
def test_naming_a_table_needs_root():
    with pytest.raises(HostError, match="needs root"):
        host.commit_table(host.register_table, "gateway1", 201)


def test_newer_shared_code_on_disk_is_noticed(monkeypatch):
    assert not host.is_outdated()
    monkeypatch.setattr(host, "_IMPORTED", 0.0)
    assert host.is_outdated()


def test_all_messages_of_a_run_stand_in_its_error():
    error = HostError(["tables: one", "interfaces: two"])
    assert str(error) == "tables: one\ninterfaces: two"
    assert error.errors == ["tables: one", "interfaces: two"]
