"""Tables that were somebody else's, names that stand elsewhere, and who a table is for."""

import os
import shutil
from pathlib import Path

import live
import pytest
from article import BY_HAND, GATEWAY, GATEWAY6, NOTHING, by_hand, pillar, two

ETC = Path("/etc/iproute2")
RT_TABLES = ETC / "rt_tables"
DROP_INS = ETC / "rt_tables.d"
DROP_IN = DROP_INS / "multihoming.conf"
SCRIPTS = Path("/etc/sysconfig/network-scripts")

# What people have in tables that stand in no rt_tables.
PROXY = ("-4 rule add fwmark 1 table 201", "-4 route add local default dev lo table 201")
OTHERS = {
    "a transparent proxy": PROXY,
    "the rule of one": PROXY[:1],
    "the route of one": PROXY[1:],
    "another interface's policy": (
        "-4 route add default via 10.0.0.1 dev eth2 table 201",
        "-4 rule add from 10.0.0.99 table 201 priority 100",
    ),
    "a blackhole": ("-6 route add blackhole default table 201",),
    "a rule for a whole subnet": ("-4 rule add from 192.168.1.0/24 table 201 priority 100",),
    "a second default route": (
        "-4 route add default via 192.168.1.254 dev eth1 table 201",
        "-4 route add default via 192.168.1.9 dev eth1 metric 100 table 201",
    ),
    "a rule with an action": ("-4 rule add from 10.9.0.0/16 table 201 priority 9 prohibit",),
    "a daemon's": ("-4 route add 10.9.0.0/16 via 192.168.1.9 table 201 proto bird",),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("drop_ins", [True, False], ids=["drop-ins", "one file"])
def test_what_stands_in_a_table_that_was_nobodys_is_listed_and_stays(
    refused, converge, host, name, drop_ins
):
    if not drop_ins:
        DROP_INS.rmdir()
    by_hand(host, *OTHERS[name])
    held = live.tables(host, 201)
    said = refused(pillar())
    assert said.startswith("tables.gateway1: table 201 was not managed before, and has `ip -")
    for way in ("another id", "multihoming.export", "take_over: true"):
        assert way in said
    assert live.tables(host, 201) == held
    converge({**pillar(), "take_over": True})
    assert live.tables(host, 201) != held


@pytest.mark.parametrize("name", OTHERS)
def test_so_it_is_with_single_states(refused, host, name):
    by_hand(host, *OTHERS[name])
    eth1 = {"table": "gateway1", "table_id": 201, "gateway": [GATEWAY, GATEWAY6]}
    assert "table 201" in refused(None, "interface_present", "eth1", **eth1)
    assert "table 201" in refused(None, "table_present", "gateway1", id=201)


def test_a_name_that_is_there_already_for_somebody_elses_table_is_not_taken(
    converged, host, refused
):
    RT_TABLES.write_text("201 gateway1\n")
    by_hand(host, *PROXY)
    converged(None, "table_present", "gateway1", id=201)
    assert not DROP_IN.exists()
    refused(pillar())


def test_another_id_of_an_owned_table_is_looked_at_too(converge, refused, host):
    converge(pillar())
    by_hand(host, *(line.replace("201", "301") for line in PROXY))
    assert "table 301" in refused({**pillar(), "tables": {"gateway1": 301}})


@pytest.mark.parametrize(
    "lines",
    [
        BY_HAND,
        [line.replace("priority 20000", "priority 500") for line in BY_HAND],
        [line.replace(" priority 20000", "") for line in BY_HAND],
        [line.replace("dev eth1", "dev eth1 metric 101 proto static") for line in BY_HAND],
        [line.replace("via 192.168.1.254", "via 192.168.1.9") for line in BY_HAND],
        ["-4 route add default via 192.168.1.254 dev eth1 table 201"],
    ],
)
def test_what_comes_in_place_of_its_like_is_no_obstacle(converge, host, lines):
    by_hand(host, *lines)
    converge(pillar())


@pytest.mark.parametrize("then", ["there", "gone from the pillar"])
def test_the_table_of_a_skipped_interface_is_not_taken(minion, converged, refused, host, then):
    by_hand(host, *PROXY)
    held = live.tables(host, 201)
    eth9 = {"table": "gateway1", "gateway": "198.51.100.1", "optional": True}
    whole = {"tables": {"gateway1": 201}, "interfaces": {"eth9": eth9}, "backend": "none"}
    converged(whole)
    if then == "there":
        tap = "address add 198.51.100.9/24 dev eth9"
        by_hand(host, "tuntap add eth9 mode tap", tap, "link set eth9 up")
        assert "`ip -4 rule fwmark 0x1" in refused(whole)
    assert minion.state("managed", "multihoming", {**NOTHING, "backend": "none"})["result"]
    assert live.tables(host, 201) == held


def test_lines_of_files_are_somebodys_too(refused, converge):
    (SCRIPTS / "route-eth2").write_text("10.9.0.0/16 via 10.0.0.1 table 201\n")
    (SCRIPTS / "rule-eth1").write_text("from 192.168.1.220 table 201\n")
    said = refused(pillar())
    assert "`ip -4 route 10.9.0.0/16 via 10.0.0.1 dev eth2 table gateway1`" in said
    assert "192.168.1.220" not in said
    converge({**pillar(), "take_over": True})


# --- names that stand elsewhere -----------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    ["201\tgateway1 # since 2014", "0xc9   gateway1", "  201 gateway1\t#x", "201 gateway1\r"],
)
def test_an_adopted_line_keeps_spelling_and_comment(converge, line):
    DROP_INS.rmdir()
    text = f"\n\n254 main\n{line}\n77 others"
    RT_TABLES.write_bytes(text.encode())
    converge(pillar())
    now = RT_TABLES.read_bytes().decode()
    bare = line.rstrip("\r")
    assert now.startswith(f"\n\n254 main\n{bare} # ")
    assert now.endswith("\n77 others")
    assert now.count("\n") == text.count("\n")


@pytest.mark.parametrize("edge", ["", "\n", "\n\n \n", "\r\n"])
@pytest.mark.parametrize("end", ["", "\n", "\n\n\n", "\n\t\n"])
@pytest.mark.parametrize("drop_ins", [True, False], ids=["drop-ins", "one file"])
def test_foreign_text_comes_back_to_the_letter(converge, edge, end, drop_ins):
    if not drop_ins:
        DROP_INS.rmdir()
    texts = {
        RT_TABLES: f"{edge}254 main\n#x{end}" if "\r" not in edge else f"254 main{end}",
        SCRIPTS / "route-eth1": f"{edge}10.9.0.0/16 via 192.168.1.9{end}",
        SCRIPTS / "rule-eth1": f"{edge}from 10.9.0.0/16 table main priority 9{end}",
        SCRIPTS / "rule-eth2": edge or "\n",
    }
    for path, text in texts.items():
        path.write_bytes(text.encode())
    converge(pillar())
    assert texts[SCRIPTS / "route-eth1"].strip() in (SCRIPTS / "route-eth1").read_text()
    converge(NOTHING)
    assert {path: path.read_bytes().decode() for path in texts} == texts


def test_a_line_that_means_what_it_should_stays_when_its_neighbour_changes(converge):
    mine = "from  192.168.1.220\tlookup gateway1 pref 20000"
    (SCRIPTS / "rule-eth1").write_text(f"# mine\n{mine}\nfwmark 7 table gateway1 pref 9\n# end\n")
    converge(pillar(rules=[{"fwmark": 7, "priority": 9}]))
    converge(pillar(rules=[{"fwmark": 8, "priority": 9}]))
    text = (SCRIPTS / "rule-eth1").read_text()
    assert text == f"# mine\n{mine}\nfwmark 0x8 table gateway1 priority 9\n# end\n"


# --- folders ------------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o777])
@pytest.mark.parametrize("missing", [ETC, DROP_INS])
def test_folders_that_were_made_are_open_to_all_and_go_again(converge, umask, missing):
    shutil.rmtree(missing)
    if missing == DROP_INS:
        RT_TABLES.unlink()
    before = os.umask(umask)
    try:
        converge(pillar())
        for folder in (ETC, DROP_INS):
            assert folder.stat().st_mode & 0o777 == 0o755
        assert DROP_IN.stat().st_mode & 0o777 == 0o644
        converge(NOTHING)
    finally:
        os.umask(before)
    assert not missing.exists()


def test_a_folder_that_somebody_uses_by_now_stays(converge):
    shutil.rmtree(ETC)
    converge(pillar())
    (DROP_INS / "others.conf").write_text("77 others\n")
    converge(NOTHING)
    assert [path.name for path in DROP_INS.iterdir()] == ["others.conf"]


def test_folders_that_were_there_stay(converge):
    converge(pillar())
    converge(NOTHING)
    assert DROP_INS.is_dir()


# --- who a table is for -------------------------------------------------------------------------

LEGS = [
    {
        "to": "10.20.0.0/16",
        "nexthops": [{"via": "10.0.0.1", "dev": "eth2"}, {"via": "192.168.1.9"}],
    }
]


@pytest.mark.parametrize("backend", ["network-scripts", "none"])
@pytest.mark.parametrize("drop_ins", [True, False], ids=["drop-ins", "one file"])
def test_a_table_whose_legs_leave_by_another_interface_is_not_that_ones(
    converge, converged, host, backend, drop_ins
):
    if not drop_ins:
        DROP_INS.rmdir()
    whole = {**pillar(routes=LEGS), "backend": backend}
    converge(whole)
    held = live.tables(host, 201)
    converged(None, "interface_absent", "eth2", backend=backend)
    assert live.tables(host, 201) == held
    converge(None, "interface_absent", "eth1", backend=backend)
    assert live.tables(host, 201) == []


def test_a_table_whose_routes_are_gone_is_still_known(converge, host):
    converge({**two(), "backend": "none"})
    host.ip("link", "set", "eth1", "down")
    host.ip("link", "set", "eth1", "up")
    host.ip("-6", "route", "flush", "table", "201")
    converge(None, "interface_absent", "eth1", backend="none")
    assert live.tables(host, 201) == []
    assert live.tables(host, 202)


def test_a_table_of_an_older_version_is_known_by_its_default_route(converge, converged, host):
    whole = {**pillar(routes=LEGS), "backend": "none"}
    converge(whole)
    lines = DROP_IN.read_text().splitlines(keepends=True)
    DROP_IN.write_text("".join(line for line in lines if "interface" not in line))
    converged(None, "interface_absent", "eth2", backend="none")
    converge(None, "interface_absent", "eth1", backend="none")
    assert live.tables(host, 201) == []


def test_the_table_of_another_interface_is_not_taken_away(converge, refused):
    converge(two())
    said = refused(None, "interface_absent", "eth1", table="gateway2")
    assert said == "table: gateway2 is the table of eth2; write that as `name`, or another table"


@pytest.mark.parametrize("backend", ["network-scripts", "none"])
def test_an_interface_with_another_table_uses_that_one_only(converge, host, backend):
    eth1 = {"gateway": [GATEWAY, GATEWAY6], "backend": backend}
    converge(None, "interface_present", "eth1", table="gateway1", table_id=201, **eth1)
    converge(None, "interface_present", "eth1", table="other", table_id=301, **eth1)
    assert live.tables(host, 201) == []
    assert "201 gateway1" in DROP_IN.read_text().splitlines()
    for address, family in (("192.168.1.220", "-4"), ("2001:db8:1::220", "-6")):
        to = "198.51.100.1" if family == "-4" else "2001:db8:ffff::1"
        (answer,) = host.ip_json("-N", family, "-details", "route", "get", to, "from", address)
        assert answer["table"] == "301"
