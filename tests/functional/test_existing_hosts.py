"""Hosts that somebody has set up by hand: adopted, converted or kept."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import live
import network_scripts
import pytest
from article import BY_HAND, NOTHING, by_hand, pillar, two

ETC = Path("/etc/iproute2")
RT_TABLES = ETC / "rt_tables"
DROP_INS = ETC / "rt_tables.d"
DROP_IN = DROP_INS / "multihoming.conf"
SCRIPTS = Path("/etc/sysconfig/network-scripts")
ARTICLE = {
    "route-eth1": "192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1\n"
    "default via 192.168.1.254 table gateway1\n",
    "rule-eth1": "from 192.168.1.220 table gateway1\n",
}
ADDRESSES = """\
# the warehouse
ADDRESS0=10.10.0.0
NETMASK0=255.255.0.0
GATEWAY0='192.168.1.9'
ADDRESS1="172.16.5.0"
NETMASK1=255.255.255.0
GATEWAY1=192.168.1.9
"""
IPV4 = {"addresses": ["192.168.1.220/24"], "gateway": "192.168.1.254"}


def write(**files):
    for name, text in files.items():
        (SCRIPTS / name.replace("_", "-")).write_bytes(text.encode())


def script(name):
    return (SCRIPTS / name).read_bytes().decode()


def load(host, *devices):
    """Bring a host up the way network-scripts do; nothing in the files may fail."""
    assert network_scripts.ifup_routes(host, *(devices or ("eth0", "eth1", "eth2"))) == []


@pytest.fixture
def same_after_reboot(twin, host):
    """Assert that network-scripts load, and unload, just what the product left in the kernel."""

    def check():
        load(twin)
        assert live.kernel(twin) == live.kernel(host)
        assert network_scripts.ifdown_routes(twin, "eth0", "eth1", "eth2") == []
        assert live.rules(twin, 4, 201) == live.rules(twin, 6, 201) == []

    return check


@pytest.fixture
def article_by_hand(host):
    """The article's own files, loaded: a rule without priority."""
    RT_TABLES.write_text(RT_TABLES.read_text() + "201\tgateway1\n")
    for name, text in ARTICLE.items():
        (SCRIPTS / name).write_text(text)
    load(host, "eth1")


# --- what is loaded at boot -------------------------------------------------------------------


@pytest.mark.parametrize("whole", [pillar(), two()], ids=["one", "two"])
def test_the_files_load_what_the_kernel_holds(converge, same_after_reboot, whole):
    converge(whole)
    same_after_reboot()


def test_the_whole_vocabulary_loads_from_the_files(converge, same_after_reboot):
    converge(
        pillar(
            routes=[
                {"to": "10.9.0.0/16", "via": "192.168.1.3", "metric": 5, "mtu": 1400},
                {"to": "10.8.0.0/16", "via": "192.0.2.1", "onlink": True},
                {"to": "10.7.0.0/16", "scope": "host"},
                {"to": "10.6.0.0/16", "nexthops": [{"via": "192.168.1.3"}, {"via": "192.168.1.4"}]},
                {"to": "2001:db8:9::/48", "via": "fe80::1", "src": "2001:db8:1::220"},
                {"to": "default", "type": "unreachable", "metric": 4000},
            ],
            rules=[
                {"from": "10.20.0.0/16", "to": "10.9.0.0/16"},
                {"to": "10.9.0.0/16"},
                {"fwmark": "0x1/0xff", "not": True, "priority": 7},
                {"ipproto": "tcp", "dport": "8000-8010", "tos": "0x10", "priority": 8},
                {"iif": "eth0", "suppress_prefixlength": 0, "priority": 9},
                {"from": "2001:db8:f::/48", "action": "prohibit", "priority": 10},
                {"from": "10.66.0.0/16", "action": "goto 32766", "priority": 11},
                {"uidrange": 0, "oif": "eth1", "priority": 12},
            ],
        )
    )
    same_after_reboot()


def test_running_ifup_again_makes_no_duplicates(converge, host):
    converge(pillar())
    held = live.kernel(host)
    complaints = network_scripts.ifup_routes(host, "eth1")
    assert len(complaints) == 6
    assert all("File exists" in complaint for complaint in complaints)
    assert live.kernel(host) == held


# --- the article, done by hand ----------------------------------------------------------------


@pytest.mark.usefixtures("article_by_hand")
def test_the_articles_own_files_are_adopted(converge, host, same_after_reboot):
    converge(pillar(**IPV4))
    assert script("rule-eth1") == "from 192.168.1.220 table gateway1 priority 20000\n"
    assert [rule["priority"] for rule in live.rules(host, table=201)] == [20000]
    same_after_reboot()


@pytest.mark.usefixtures("article_by_hand")
def test_a_route_file_that_means_the_right_thing_stays_to_the_letter(converge):
    changes = converge(pillar(**IPV4))
    assert script("route-eth1") == ARTICLE["route-eth1"]
    assert "routes" not in changes["eth1"]


@pytest.mark.usefixtures("article_by_hand")
def test_a_rule_loaded_several_times_is_there_once(converge, host):
    network_scripts.ifup_routes(host, "eth1")
    network_scripts.ifup_routes(host, "eth1")
    assert len(live.rules(host, table=201)) == 3
    converge(pillar(**IPV4))
    assert len(live.rules(host, table=201)) == 1


@pytest.mark.usefixtures("article_by_hand")
def test_the_articles_files_go_with_everything_else(converge, host, twin):
    converge(pillar(**IPV4))
    converge(NOTHING)
    assert live.kernel(host) == live.kernel(twin)
    assert list(SCRIPTS.iterdir()) == []
    assert "gateway1" not in RT_TABLES.read_text()


SAME_MEANING = {
    "comments, blanks, tabs": "# own\n\n\tfrom  192.168.1.220\ttable gateway1 priority 20000\n",
    "another order": "priority 20000 table gateway1 from 192.168.1.220\n",
    "the id for the name": "from 192.168.1.220 table 201 pref 20000\n",
    "lookup": "from 192.168.1.220/32 lookup gateway1 prio 20000\n",
    "no newline at the end": "from 192.168.1.220 table gateway1 priority 20000",
    "to all": "from 192.168.1.220 to all table gateway1 priority 20000\n",
}


@pytest.mark.parametrize("name", SAME_MEANING)
def test_a_rule_file_that_means_the_right_thing_stays_to_the_letter(
    converge, same_after_reboot, name
):
    write(rule_eth1=SAME_MEANING[name])
    converge(pillar(**IPV4))
    assert script("rule-eth1") == SAME_MEANING[name]
    same_after_reboot()


SPOILT = {
    "a trailing comment": "from 192.168.1.220 table gateway1 priority 20000 # replies\n",
    "CRLF": "from 192.168.1.220 table gateway1 priority 20000\r\n",
    "no priority": "from 192.168.1.220 table gateway1\n",
    "another priority": "from 192.168.1.220 table gateway1 priority 7\n",
    "a protocol": "from 192.168.1.220 table gateway1 priority 20000 protocol static\n",
    "twice": "from 192.168.1.220 table gateway1 priority 20000\n" * 2,
    "a word too much": "from 192.168.1.220 table gateway1 priority 20000 via 192.168.1.254\n",
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_line_that_does_not_mean_the_right_thing_is_written_anew(
    converge, same_after_reboot, name
):
    write(rule_eth1=SPOILT[name])
    converge(pillar(**IPV4))
    assert script("rule-eth1") == "from 192.168.1.220 table gateway1 priority 20000\n"
    same_after_reboot()


@pytest.mark.parametrize(
    "text",
    ["default via 192.168.1.254 table gateway1 # out\n", "default via 192.168.1.254 table 201\r\n"],
)
def test_a_spoilt_route_line_is_written_anew(converge, same_after_reboot, text):
    write(route_eth1=f"10.9.0.0/16 via 192.168.1.9\n{text}# the end\n")
    converge(pillar(**IPV4))
    assert script("route-eth1").splitlines() == [
        "10.9.0.0/16 via 192.168.1.9",
        "192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1",
        "default via 192.168.1.254 dev eth1 table gateway1",
        "# the end",
    ]


def test_lines_for_main_are_kept_byte_for_byte(converge, host, same_after_reboot):
    kept = "# warehouse\n\n\t10.9.0.0/16   via 192.168.1.9\n  # and the lab\n10.8.0.0/16 dev eth1\n"
    write(route_eth1=kept)
    load(host, "eth1")
    converge(pillar())
    assert script("route-eth1").startswith(kept)
    same_after_reboot()
    converge(NOTHING)
    assert script("route-eth1") == kept


def test_rules_to_other_tables_are_kept(converge, host, same_after_reboot):
    kept = "from 10.1.0.0/16 table 77 priority 9\n# note\n"
    write(rule_eth1=kept, rule6_eth1="from fd00::/8 lookup 77 priority 9\n")
    load(host, "eth1")
    converge(pillar())
    assert script("rule-eth1").startswith(kept)
    same_after_reboot()
    converge(NOTHING)
    assert script("rule-eth1") == kept


def test_backups_are_passed_over(converge):
    write(**{"rule-eth1.bak": SPOILT["CRLF"], "route-eth1~": "default table gateway1\n"})
    converge(pillar())
    assert script("rule-eth1.bak") == SPOILT["CRLF"]
    assert script("route-eth1~") == "default table gateway1\n"


def test_bytes_that_are_no_text_survive(converge):
    (SCRIPTS / "route-eth1").write_bytes(b"# caf\xe9\n10.9.0.0/16 via 192.168.1.9\n")
    converge(pillar())
    assert (SCRIPTS / "route-eth1").read_bytes().startswith(b"# caf\xe9\n10.9.0.0/16 via")


# --- files in the ADDRESSn style --------------------------------------------------------------


def test_an_addressn_file_is_converted(converge, host, same_after_reboot):
    write(route_eth1=ADDRESSES)
    load(host, "eth1")
    converge(pillar())
    assert script("route-eth1").splitlines()[:3] == [
        "# the warehouse",
        "10.10.0.0/16 via 192.168.1.9 dev eth1",
        "172.16.5.0/24 via 192.168.1.9 dev eth1",
    ]
    same_after_reboot()


def test_an_addressn_file_of_another_interface_stays(converge):
    write(route_eth2=ADDRESSES.replace("192.168.1.9", "10.0.0.9"))
    before = script("route-eth2")
    converge(pillar())
    assert script("route-eth2") == before


LOST = {
    "after a gap": "ADDRESS3=10.66.0.0\nNETMASK3=255.255.0.0\nGATEWAY3=192.168.1.9\n",
    "in ip's words": "10.66.0.0/16 via 192.168.1.9\n",
    "ours, in ip's words": "default via 192.168.1.254 dev eth1 table gateway1\n",
}


@pytest.mark.parametrize("name", LOST)
def test_converting_brings_nothing_to_life_that_was_lost(converge, host, same_after_reboot, name):
    write(route_eth1=ADDRESSES + LOST[name])
    load(host, "eth1")
    converge(pillar())
    assert "10.66.0.0/16" not in host.ip("route", "show", "table", "all")
    same_after_reboot()


def test_a_converted_file_is_cleaned_up_like_any_other(converge, host, twin):
    write(route_eth1=ADDRESSES)
    load(host, "eth1")
    converge(pillar())
    converge(NOTHING)
    load(twin, "eth1")
    assert live.kernel(host) == live.kernel(twin)
    assert "table" not in script("route-eth1")


def test_without_a_netmask_the_route_is_what_was_loaded_before(converge, host, same_after_reboot):
    write(route_eth1="ADDRESS0=10.10.0.0\nNETMASK0=255.255.0.0\n")
    load(host, "eth1")
    converge(pillar())
    assert "10.10.0.0/16 dev eth1" in script("route-eth1").splitlines()
    same_after_reboot()


# --- rt_tables --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["201 gateway1", "201\tgateway1\t# by hand", "0xc9 gateway1", "  201   gateway1"],
)
def test_a_name_with_the_same_id_is_adopted_where_it_stands(converge, same_after_reboot, line):
    before = f"# mine\n{line}\n100 storage\n"
    RT_TABLES.write_text(before)
    converge(pillar())
    assert RT_TABLES.read_text() == before
    assert "adopted" in DROP_IN.read_text()
    same_after_reboot()


def test_a_name_in_another_drop_in_is_adopted_there(converge):
    other = DROP_INS / "company.conf"
    other.write_text("201 gateway1\n202 other\n")
    converge(pillar())
    assert other.read_text() == "201 gateway1\n202 other\n"
    converge(NOTHING)
    assert other.read_text() == "202 other\n"


@pytest.mark.parametrize(
    ("line", "key"), [("301 gateway1", "tables.gateway1"), ("201 other", "tables.gateway1")]
)
def test_a_name_or_an_id_that_is_taken_is_an_error(refused, line, key):
    RT_TABLES.write_text(f"# mine\n{line}\n")
    said = refused(pillar())
    assert key in said
    assert f"{RT_TABLES} line 2" in said


def test_crlf_in_rt_tables_is_as_good_as_a_newline(converge, host, same_after_reboot):
    before = b"# mine\r\n201 gateway1\r\n100 storage\r\n"
    RT_TABLES.write_bytes(before)
    converge(pillar())
    assert RT_TABLES.read_bytes() == before
    assert "lookup gateway1" in host.ip("rule")
    same_after_reboot()


def test_without_rt_tables_d_our_lines_carry_a_marker(converge, same_after_reboot):
    DROP_INS.rmdir()
    before = RT_TABLES.read_text()
    converge(pillar())
    assert RT_TABLES.read_text().startswith(before)
    added = RT_TABLES.read_text()[len(before) :]
    assert added.startswith("201 gateway1 # ")
    assert added.count("\n") == 1
    assert not DROP_INS.exists()
    same_after_reboot()
    converge(NOTHING)
    assert RT_TABLES.read_text() == before


def test_without_rt_tables_d_a_name_is_adopted_with_a_marker(converge):
    DROP_INS.rmdir()
    RT_TABLES.write_text("# mine\n201 gateway1\n100 storage\n")
    converge(pillar())
    lines = RT_TABLES.read_text().splitlines()
    assert (lines[0], lines[2]) == ("# mine", "100 storage")
    assert lines[1].startswith("201 gateway1 # ")
    converge(NOTHING)
    assert RT_TABLES.read_text() == "# mine\n100 storage\n"


def test_without_a_newline_at_the_end_our_line_is_a_line_of_its_own(converge):
    DROP_INS.rmdir()
    RT_TABLES.write_text("100 storage")
    converge(pillar())
    assert RT_TABLES.read_text().splitlines()[0] == "100 storage"


def test_an_unreadable_line_stops_the_run(refused):
    RT_TABLES.write_text("255 local\nnonsense here\n")
    assert f"{RT_TABLES} line 2" in refused(pillar())


def test_without_any_rt_tables_the_drop_in_is_made(converge):
    shutil.rmtree(ETC)
    converge(pillar())
    assert "201 gateway1" in DROP_IN.read_text().splitlines()
    assert not RT_TABLES.exists()


@pytest.fixture
def defaults():
    """The distribution's own rt_tables below /usr/share, laid over this machine's."""
    RT_TABLES.unlink()
    layers = Path(tempfile.mkdtemp(dir="/run"))
    (layers / "upper" / "iproute2").mkdir(parents=True)
    (layers / "work").mkdir()
    path = layers / "upper" / "iproute2" / "rt_tables"
    path.write_text("254 main\n77 gateway7\n201 gateway1\n")
    options = f"lowerdir=/usr/share,upperdir={layers}/upper,workdir={layers}/work"
    mount = ["mount", "-t", "overlay", "-o", options, "lab", "/usr/share"]
    subprocess.run(mount, check=True)
    yield path
    subprocess.run(["umount", "/usr/share"], check=True)


def test_the_distributions_defaults_are_adopted_and_never_written(converge, defaults):
    before = defaults.read_text()
    converge(pillar())
    assert "# adopted 201 gateway1" in DROP_IN.read_text()
    converge(NOTHING)
    assert defaults.read_text() == before
    assert not RT_TABLES.exists()


@pytest.mark.usefixtures("defaults")
def test_an_id_among_the_distributions_defaults_is_taken(refused):
    assert "gateway7" in refused({"tables": {"other": 77}, "interfaces": {}})


def test_ownership_survives_a_wiped_cache(converge, host, twin, tmp_path):
    from minion import Minion  # noqa: PLC0415

    converge(two())
    fresh = Minion(tmp_path / "fresh")
    assert fresh.state("managed", "multihoming", NOTHING)["result"] is True
    assert live.kernel(host) == live.kernel(twin)
    assert list(SCRIPTS.iterdir()) == []


# --- how files are written --------------------------------------------------------------------


def test_a_symlink_stays_one(converge, tmp_path):
    target = tmp_path / "rules"
    target.write_text("# elsewhere\n")
    (SCRIPTS / "rule-eth1").symlink_to(target)
    converge(pillar())
    assert (SCRIPTS / "rule-eth1").is_symlink()
    assert "from 192.168.1.220" in target.read_text()
    converge(NOTHING)
    assert target.read_text() == "# elsewhere\n"


def test_a_symlink_whose_file_is_left_empty_stays(converge, tmp_path):
    (tmp_path / "rules").write_text("")
    (SCRIPTS / "rule-eth1").symlink_to(tmp_path / "rules")
    converge(pillar())
    converge(NOTHING)
    assert (SCRIPTS / "rule-eth1").is_symlink()
    assert (tmp_path / "rules").read_text() == ""


def test_mode_and_owner_are_kept(converge):
    write(rule_eth1="# mine\n")
    path = SCRIPTS / "rule-eth1"
    path.chmod(0o640)
    if Path("/proc/self/uid_map").read_text().split()[2] != "1":
        os.chown(path, 12, 34)
    before = path.stat()
    converge(pillar())
    after = path.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


def test_new_files_can_be_read_by_all(converge):
    converge(pillar())
    for path in (DROP_IN, SCRIPTS / "rule-eth1", SCRIPTS / "route6-eth1"):
        assert path.stat().st_mode & 0o7777 == 0o644


def test_no_temporary_files_stay(converge):
    converge(two())
    converge(pillar())
    names = {path.name for folder in (SCRIPTS, DROP_INS, ETC) for path in folder.iterdir()}
    assert not [name for name in names if name.startswith(".")]


# --- the kernel, by hand ----------------------------------------------------------------------


def test_what_was_typed_by_hand_is_adopted_without_a_gap(minion, host, converge):
    by_hand(host, *BY_HAND)
    changes = converge(pillar())
    assert set(changes) == {"tables", "files"}
