"""Kernel settings are looked at before anything changes, and are put back as they were."""

from __future__ import annotations

import os
import stat

import multihoming_config as config
import multihoming_sysctl as sysctl
import pytest
from multihoming_edit import Edit

SETTINGS = {
    "net/ipv4/ip_forward": "0\n",
    "net/ipv4/ip_default_ttl": "64\n",
    "net/ipv4/tcp_rmem": "4096\t131072\t6291456\n",
    "net/ipv4/tcp_congestion_control": "cubic\n",
    "net/ipv4/ip_local_reserved_ports": "\n",
    "net/core/rmem_max": "212992\n",
    "kernel/hostname": "7\n",
    **{
        f"net/ipv4/{folder}/{dev}/{name}": "0\n"
        for dev in ("all", "default", "lo", "eth0", "eth1", "eth0.100")
        for folder, name in (
            ("conf", "arp_ignore"),
            ("conf", "arp_announce"),
            ("conf", "rp_filter"),
            ("neigh", "ucast_solicit"),
        )
    },
}


@pytest.fixture(autouse=True)
def proc(tmp_path, monkeypatch):
    """A tree like /proc/sys."""
    root = tmp_path / "sys"
    for name, text in SETTINGS.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    os.chmod(root / "net/core/rmem_max", 0o444)
    monkeypatch.setattr(sysctl, "ROOT", str(root))
    monkeypatch.setattr(sysctl.shutil, "which", lambda name: f"/sbin/{name}")
    return root


def problem(key, value="1"):
    """Return what is wrong with a setting that the pillar's own checks let pass."""
    settings = {key: value}
    wanted, errors = config.parse({"tables": {}, "interfaces": {}, "sysctl": settings})
    assert (wanted.sysctl, errors) == (settings, [])
    errors = sysctl.problems(settings)
    assert all(error.startswith(f"sysctl.{key}: ") for error in errors)
    return errors[0].partition(": ")[2] if errors else None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("net.ipv4.ip_forward", "1"),
        ("net.ipv4.ip_forward", "0x1"),
        ("net.ipv4.conf.eth0.arp_ignore", "1"),
        ("net.ipv4.conf.eth0/100.arp_ignore", "1"),
        ("net.ipv4.neigh.eth1.ucast_solicit", "1"),
        ("net.ipv4.conf.all.rp_filter", "2"),
        ("net.ipv4.tcp_rmem", "4096 87380 16777216"),
        ("net.ipv4.tcp_congestion_control", "reno"),
        ("net.ipv4.ip_local_reserved_ports", "8080,9148"),
        ("kernel.hostname", "web"),
        ("net.core.rmem_max", "212992"),
    ],
)
def test_what_can_be_kept_is_no_error(key, value):
    assert problem(key, value) is None


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("net.ipv4.ip_foward", "net.ipv4.ip_forward"),
        ("net.ipv4.ip-forward", "net.ipv4.ip_forward"),
        ("net.ip4.ip_forward", "net.ipv4.ip_forward"),
        ("net.ipv4.ipforward", "net.ipv4.ip_forward"),
        ("net.ipv4.conf.all.arp_ingore", "net.ipv4.conf.all.arp_ignore"),
        ("net.ipv4.conf.eth1.rpfilter", "net.ipv4.conf.eth1.rp_filter"),
        ("net.ipv4.config.eth1.rp_filter", "net.ipv4.conf.eth1.rp_filter"),
        # As other programs take it.
        ("net.ipv4.conf.eth0.100.arp_ignore", "net.ipv4.conf.eth0/100.arp_ignore"),
        ("net/ipv4/conf/eth0.100/arp_ignore", "net.ipv4.conf.eth0/100.arp_ignore"),
        ("net.ipv4.conf.eth0.100.arp_ignor", "net.ipv4.conf.eth0/100.arp_ignore"),
        ("net.ipv4/conf/eth1/rp_filter", "net.ipv4.conf.eth1.rp_filter"),
    ],
)
def test_a_setting_that_is_not_there_is_told_with_the_one_that_is(key, meant):
    assert problem(key) == f"there is no such kernel setting; did you mean `{meant}`?"


@pytest.mark.parametrize("key", ["net.netfilter.nf_conntrack_max", "a.b/c", "a" + ".b" * 2000])
def test_a_setting_that_is_like_no_other(key):
    assert problem(key).startswith("there is no such kernel setting; write one that `sysctl -a`")


@pytest.mark.parametrize(
    ("key", "dev"),
    [
        ("net.ipv4.conf.eth9.arp_ignore", "eth9"),
        ("net.ipv4.neigh.eth9.ucast_solicit", "eth9"),
        ("net.ipv4.conf.eth0/10.arp_ignore", "eth0.10"),
    ],
)
def test_an_interface_that_is_not_there_is_told(key, dev):
    said = problem(key)
    assert said.startswith(f"there is no interface {dev} on this host; write another, like eth")
    assert "eth0/100" in said


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("net.ipv4.conf", "1", "a folder"),
        ("net.ipv4.conf.eth0", "1", "a folder"),
        ("net.core.rmem_max", "1", "read only"),
        ("net.ipv4.ip_forward", "yes", "'yes' is not a number, and the kernel has 0 there"),
        ("net.ipv4.conf.eth0.rp_filter", "strict", "write a number"),
        ("net.//.//.net.ipv4.ip_forward", "1", "not a kernel setting"),
        ("net.ipv4..ip_forward", "1", "not a kernel setting"),
        ("net.ipv4./.ip_forward", "1", "not a kernel setting"),
    ],
)
def test_what_cannot_be_kept_is_told(key, value, says):
    if ".." in key:  # the pillar's own check
        assert config.parse({"sysctl": {key: value}})[0].sysctl == {}
        return
    assert says in problem(key, value)


def test_a_tree_that_cannot_be_written_is_told(monkeypatch):
    status = os.statvfs_result((0,) * 8 + (os.ST_RDONLY, 255))
    monkeypatch.setattr(sysctl.os, "statvfs", lambda path: status)
    assert "mounted read-only" in problem("net.ipv4.ip_forward", "1")
    assert problem("net.ipv4.ip_forward", "0") is None


def test_a_host_without_the_program_is_told(monkeypatch):
    monkeypatch.setattr(sysctl.shutil, "which", lambda name: None)
    (error,) = sysctl.problems({"net.ipv4.ip_forward": "1"})
    assert error.startswith("sysctl: there is no program `sysctl`")
    assert sysctl.problems({}) == []


def test_settings_of_optional_interfaces_that_are_not_there_are_skipped():
    keys = [
        "net.ipv4.ip_forward",
        "net.ipv4.conf.eth0.rp_filter",
        "net.ipv4.conf.eth7.rp_filter",
        "net.ipv6.neigh.eth7.ucast_solicit",
        "net.ipv4.conf.eth8.rp_filter",
    ]
    settings = dict.fromkeys(keys, "1")
    there, notes = sysctl.present(settings, ["eth0", "eth7"])
    assert list(there) == [keys[0], keys[1], keys[4]]
    assert notes == [f"sysctl.{key}: eth7 does not exist: skipped" for key in keys[2:4]]
    assert sysctl.present(settings, []) == (settings, [])


# --- the way back -----------------------------------------------------------------------------

KEYS = ["net.ipv4.ip_forward", "net.ipv4.tcp_rmem", "net.ipv4.conf.eth0/100.arp_ignore"]


def texts(proc):
    return {name: (proc / name).read_text() for name in SETTINGS}


def test_settings_and_file_are_put_back(proc, tmp_path):
    path = tmp_path / "sysctl.conf"
    path.write_text("# mine\n")
    path.chmod(0o600)
    before = sysctl.take(KEYS, str(path))
    (proc / "net/ipv4/ip_forward").write_text("1\n")
    (proc / "net/ipv4/tcp_rmem").write_text("1\t2\t3\n")
    (proc / "net/core/somaxconn").write_text("5\n")
    path.write_text("# mine\nnet.ipv4.ip_forward = 1\n")
    assert sysctl.put_back(before) == []
    assert texts(proc) == SETTINGS
    assert (proc / "net/core/somaxconn").read_text() == "5\n"
    assert path.read_text() == "# mine\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_and_folder_that_were_not_there_go_away(tmp_path):
    path = tmp_path / "sysctl.d/99-salt.conf"
    before = sysctl.take(KEYS, str(path))
    assert before.edits[0] == Edit("files", f"{path.parent}/", None, "")
    assert sysctl.put_back(before) == []
    path.parent.mkdir()
    path.write_text("net.ipv4.ip_forward = 1\n")
    assert sysctl.put_back(before) == []
    assert not path.parent.exists()


def test_what_cannot_be_put_back_is_told(proc, tmp_path):
    before = sysctl.take(KEYS, str(tmp_path / "sysctl.conf"))
    (proc / "net/ipv4/ip_forward").unlink()
    (proc / "net/ipv4/ip_forward").mkdir()
    (proc / "net/ipv4/tcp_rmem").write_text("1\t2\t3\n")
    (said,) = sysctl.put_back(before)
    assert said.startswith("sysctl.net.ipv4.ip_forward can't be set to 0 again: ")
    assert (proc / "net/ipv4/tcp_rmem").read_text() == SETTINGS["net/ipv4/tcp_rmem"]


def test_a_setting_that_cannot_be_read_is_left(proc, tmp_path):
    (proc / "net/ipv4/route").mkdir()
    (proc / "net/ipv4/route/flush").mkdir()
    before = sysctl.take(["net.ipv4.route.flush", *KEYS], str(tmp_path / "sysctl.conf"))
    assert list(before.values) == KEYS
    assert sysctl.put_back(before) == []
