"""Reading the kernel, as far as it needs no namespace."""

import multihoming_kernel as kernel
import multihoming_model as model
import pytest
from multihoming_errors import KernelError


def test_a_host_without_ipv6_is_read_in_ipv4_only(monkeypatch, tmp_path):
    asked = []

    def show(options, commands):
        asked.append(options)
        return [[] for _ in commands]

    monkeypatch.setattr(kernel, "_IF_INET6", str(tmp_path / "if_inet6"))
    monkeypatch.setattr(kernel, "_show", show)
    state = kernel.read()
    assert not any("-6" in options for options in asked)
    assert state.rules == {4: (), 6: ()}


def test_documents_of_one_batch_are_told_apart():
    assert kernel._documents('[{"a":1}]\n[]\n[ {"b":2} ]') == [[{"a": 1}], [], [{"b": 2}]]


def test_aliases_may_hold_control_characters():
    assert kernel._documents('[{"ifalias":"a\x1b\x01"}]') == [[{"ifalias": "a\x1b\x01"}]]


def test_names_and_aliases_may_hold_any_byte(monkeypatch, tmp_path):
    """As `ip` prints them, who escapes hardly more than quotes and backslashes."""
    (tmp_path / "ip").write_bytes(b'#!/bin/sh\ncat\necho \'[{"ifalias":"caf\xe9"}]\'\n')
    (tmp_path / "ip").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    said = kernel._run(["addr"], '"caf\udce9"\n').stdout
    assert kernel._documents(said) == ["caf\udce9", [{"ifalias": "caf\udce9"}]]


def test_a_host_without_ip_is_told_which_package_to_install(monkeypatch):
    monkeypatch.setattr(kernel.shutil, "which", lambda *_, **__: None)
    with pytest.raises(KernelError, match=r"iproute2 5\.2 or newer"):
        kernel.commit([model.Step(4, "rule show")])
