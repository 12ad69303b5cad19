"""Route, rule and ifcfg files of network-scripts: read as data, edited with care."""

from __future__ import annotations

from pathlib import Path

import multihoming_backend_network_scripts as backend
import multihoming_ifcfg as ifcfg
import multihoming_iproute2 as iproute2
import multihoming_model as model
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from multihoming_backend import Claim, Kept
from multihoming_errors import ContentError
from multihoming_rules import Ours

DATA = Path(__file__).parent / "data"
CASES = yaml.safe_load((DATA / "files.yaml").read_text())
TABLES = {"main": 254, "default": 253, "local": 255, "other": 100, "gateway1": 201, "gateway2": 202}
OURS = frozenset({201, 202})


def in_folder(texts):
    return {f"{ifcfg.FOLDER}/{name}": text for name, text in texts.items()}


def policy_of(want):
    """Return eth1's policy, written as the lines of its files."""
    items = {"route": [], "rule": []}
    for kind, lines in want.items():
        read = iproute2.rule_from_words if kind.startswith("rule") else iproute2.route_from_words
        family = 6 if kind.endswith("6") else 4
        items[kind.rstrip("6")] += [read(line.split(), family, TABLES) for line in lines]
    return model.Policy(
        "eth1", model.Table("gateway1", 201), tuple(items["route"]), tuple(items["rule"])
    )


def render(texts, want):
    """Return path -> text after the edits."""
    policies = {"eth1": policy_of(want)} if want else {}
    edits = backend.render(Kept(texts), policies, Ours(OURS), TABLES, TABLES)
    for edit in edits:
        assert (edit.writer, edit.before) == ("network-scripts", texts.get(edit.place))
    return {edit.place: edit.after for edit in edits}


def written(texts, edits):
    """Return the files as they are after the edits."""
    return {path: text for path, text in {**texts, **edits}.items() if text is not None}


def loaded(text):
    """Return the lines that ``read`` of the shell makes of a file, without comments."""
    joined = text.replace("\\\n", "").split("\n")
    return [line.strip() for line in joined if line.strip() and not line.strip().startswith("#")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_files_say_what_they_have_to(case):
    before = in_folder(case["before"])
    edits = render(before, case.get("want", {}))
    for path, lines in in_folder(case.get("loaded", {})).items():
        assert sorted(loaded(edits.get(path, before[path]))) == sorted(lines)
    if "loaded" not in case:
        assert edits == in_folder(case.get("after", {}))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_second_run_changes_nothing(case):
    before = in_folder(case["before"])
    after = written(before, render(before, case.get("want", {})))
    assert render(after, case.get("want", {})) == {}


@pytest.mark.parametrize("value", ["$NET", "`id`", "garbage", "10.0.0.0.0", "2001:db8::"])
@pytest.mark.parametrize("name", ["ADDRESS0", "NETMASK0", "GATEWAY0"])
def test_sourced_value_that_can_not_be_read_names_file_and_variable(name, value):
    values = {"ADDRESS0": "10.0.0.0", "NETMASK0": "255.0.0.0", "GATEWAY0": "192.168.1.1"}
    text = "".join(f"{key}={val}\n" for key, val in {**values, name: value}.items())
    want = {"route": ["default via 192.168.1.254 dev eth1 table gateway1"]}
    with pytest.raises(ContentError, match=f"route-eth1.*(ADDRESS0|{name})") as caught:
        render(in_folder({"route-eth1": text}), want)
    assert str(caught.value).isprintable()


def test_sourced_file_is_left_alone_when_nothing_in_it_is_ours():
    assert render(in_folder({"route-eth1": "ADDRESS0=$NET\n"}), {}) == {}


def test_id_that_iproute2_can_not_name_is_written_as_a_number():
    # fread_id_name() reads ids into an int, and passes over the names of those above 2^31-1.
    big = {"gateway1": 4294967295}
    rule = model.Rule(4, 20000, 4294967295, src="192.168.1.220")
    policies = {"eth1": model.Policy("eth1", model.Table("gateway1", 4294967295), (), (rule,))}
    edits = backend.render(Kept(), policies, Ours(frozenset(big.values())), big, big)
    assert [edit.after for edit in edits] == [
        "from 192.168.1.220 table 4294967295 priority 20000\n"
    ]


def test_lines_name_their_file_interface_and_table():
    texts = in_folder(
        {
            "rule-eth1": "# x\nfrom 10.0.0.1 table gateway1\nfrom 10.0.0.2 lookup 202\r\n",
            "rule-eth2": "from 10.0.0.1 table other\n# from 10.0.0.1 table gateway1\n",
            "route6-eth3": "default dev eth3 table 0xc9\n",
            "ifcfg-eth1": "IPADDR=10.0.0.1\n",
        }
    )
    found = [
        (line.place, line.device, iproute2.table_id(line.table, TABLES))
        for line in backend.lines(Kept(texts), TABLES)
    ]
    assert found == [
        (f"{ifcfg.FOLDER}/rule-eth1", "eth1", 201),
        (f"{ifcfg.FOLDER}/rule-eth1", "eth1", 202),
        (f"{ifcfg.FOLDER}/rule-eth2", "eth2", 100),
        (f"{ifcfg.FOLDER}/route6-eth3", "eth3", 201),
    ]


@pytest.mark.parametrize(
    ("name", "dev"),
    [
        ("route-eth1", "eth1"),
        ("rule6-eth1.100", "eth1.100"),
        ("route6-br-lan", "br-lan"),
        ("ifcfg-eth1", None),
        ("route-", None),
        ("routes-eth1", None),
    ],
)
def test_a_file_belongs_to_the_interface_in_its_name(name, dev):
    assert backend.device(f"{ifcfg.FOLDER}/{name}") == dev


# --- properties of render -----------------------------------------------------------------------

FOREIGN = st.sampled_from(
    [
        "",
        "# comment",
        "   # indented",
        "10.0.0.0/8 via 192.168.1.1",
        "\t172.16.0.0/12   dev eth1  ",
        "from 10.0.0.1 table other",
        "from 10.0.0.1 table nosuchtable",
        "from 10.0.0.1 table main # why",
        "garbage $(reboot) `id`",
        "crlf\r",
        "größe\udcff",
    ]
)
WANTED = st.fixed_dictionaries(
    {
        "rule": st.lists(
            st.sampled_from(
                [
                    "from 192.168.1.220 table gateway1 priority 20000",
                    "from 192.168.1.221 table gateway1 priority 20000",
                    "fwmark 0x1/0xff table gateway1 priority 5",
                    "not to 10.0.0.0/8 table gateway1 priority 6",
                ]
            ),
            unique=True,
        ),
        "route": st.lists(
            st.sampled_from(
                [
                    "192.168.1.0/24 dev eth1 src 192.168.1.220 table gateway1",
                    "default via 192.168.1.254 dev eth1 table gateway1",
                    "default via 192.168.1.1 dev eth1 metric 5 mtu 1400 table gateway1",
                    "blackhole default metric 9 table gateway1",
                ]
            ),
            unique=True,
        ),
    }
)
STALE = st.sampled_from(
    [
        "from 10.9.9.9 table gateway1 priority 9",
        "from 192.168.1.220 table gateway1",
        "table 201 from 192.168.1.220 prio 20000",
        "default via 192.168.1.254 table gateway1 # x",
        "default via 192.168.1.254 table gateway2\r",
        "blackhole 10.0.0.0/8 table 202",
    ]
)
NAMES = st.sampled_from(["route-eth1", "rule-eth1", "rule6-eth1", "route-eth0", "rule-eth9"])


def as_text(lines):
    return "\n".join(lines).rstrip("\n") + "\n" if any(lines) else ""


def is_ours(line):
    return "gateway" in line or line.endswith((" 201", " 202")) or " 201 " in line


@st.composite
def files(draw):
    names = draw(st.sets(NAMES))
    lines = {name: draw(st.lists(FOREIGN | STALE, min_size=1, max_size=8)) for name in names}
    return in_folder({name: "\n".join(found) + "\n" for name, found in lines.items()})


def foreign_lines(text):
    return [line for line in text.split("\n") if line and not is_ours(line)]


@given(files(), WANTED)
def test_rendering_twice_is_rendering_once(texts, want):
    once = written(texts, render(texts, want))
    assert render(once, want) == {}


@given(files(), WANTED)
def test_foreign_lines_keep_their_bytes_and_order(texts, want):
    after = written(texts, render(texts, want))
    for path, text in texts.items():
        assert foreign_lines(after.get(path, "")) == foreign_lines(text)


@given(files(), WANTED)
def test_what_is_loaded_into_our_tables_is_what_is_wanted(texts, want):
    after = written(texts, render(texts, want))
    found = sorted(line for text in after.values() for line in loaded(text) if is_ours(line))
    meant = policy_of(want)
    assert len(found) == len(meant.rules) + len(meant.routes)


@given(st.dictionaries(NAMES, st.lists(FOREIGN, min_size=1, max_size=6)), WANTED)
def test_taking_everything_away_gives_the_foreign_text_back(lines, want):
    texts = in_folder({name: as_text(found) for name, found in lines.items() if any(found)})
    there = written(texts, render(texts, want))
    assert written(there, render(there, {})) == texts


@given(st.dictionaries(NAMES, st.text()), WANTED)
def test_any_text_is_handled(texts, want):
    texts = in_folder(texts)
    try:
        once = written(texts, render(texts, want))
    except ContentError as err:
        assert ifcfg.FOLDER in str(err)
    else:
        assert render(once, want) == {}


def test_look_reads_route_and_rule_files_with_their_bytes(monkeypatch, tmp_path):
    folder = tmp_path
    monkeypatch.setattr(ifcfg, "FOLDER", str(folder))
    (folder / "route-eth1").write_bytes(b"a\r\nb\xff\n")
    (folder / "rule6-eth1.100").write_bytes(b"")
    (folder / "ifcfg-eth1").write_bytes(b"IPADDR=10.0.0.1\n")
    (folder / "ifup-routes").write_bytes(b"#!/bin/sh\n")
    assert backend.look([]).texts == {
        f"{folder}/route-eth1": "a\r\nb\udcff\n",
        f"{folder}/rule6-eth1.100": "",
    }


def test_name_that_is_not_loadable_yet_spoils_our_line():
    texts = in_folder({"rule-eth1": "from 10.0.0.1 table old priority 5\n"})
    policy = model.Policy(
        "eth1", model.Table("new", 201), (), (model.Rule(4, 5, 201, src="10.0.0.1"),)
    )
    edits = backend.render(
        Kept(texts), {"eth1": policy}, Ours(frozenset({201})), {"old": 201}, {"new": 201}
    )
    assert [edit.after for edit in edits] == ["from 10.0.0.1 table new priority 5\n"]


# --- for people who look for faults -----------------------------------------------------------


def test_what_an_addressn_file_loses():
    text = (
        "# old\nADDRESS0=10.8.0.0\nNETMASK0=255.255.0.0\nFOO=1\n\n"
        "10.9.0.0/16 via 192.168.1.1\nADDRESS2=10.7.0.0\nGATEWAY2=192.168.1.1\n"
    )
    path = f"{ifcfg.FOLDER}/route-eth1"
    lines = backend.lines(Kept({path: text}), {})
    assert [line.raw for line in lines if line.lost] == [
        "10.9.0.0/16 via 192.168.1.1",
        "ADDRESS2=10.7.0.0",
        "GATEWAY2=192.168.1.1",
    ]
    assert [line.raw for line in lines if not line.lost] == ["10.8.0.0/16 dev eth1"]
    plain = backend.lines(Kept({path: "10.9.0.0/16 via 192.168.1.1\n"}), {})
    assert [line.lost for line in plain] == [False]


def test_lines_are_told_with_their_table_and_what_they_make():
    path = f"{ifcfg.FOLDER}/rule-eth1"
    text = "# none\nfrom 10.0.0.1 lookup uplink prio 5\nfrom 10.0.0.2 table nowhere\nto 10.1.1.1\r"
    known, unknown, spoilt = backend.lines(Kept({path: text}), {"uplink": 7})
    assert (known.table, known.item) == ("uplink", model.Rule(4, 5, 7, src="10.0.0.1"))
    assert (unknown.table, unknown.item) == ("nowhere", None)
    assert (spoilt.raw[-1], spoilt.item) == ("\r", None)


# --- who is in charge -----------------------------------------------------------------------------


def test_every_interface_is_claimed_and_surely_where_it_has_a_file(monkeypatch, tmp_path):
    monkeypatch.setattr(ifcfg, "FOLDER", str(tmp_path))
    (tmp_path / "ifcfg-eth1").write_text("")
    assert backend.claims(["eth0", "eth1"]) == {
        "eth0": Claim(str(tmp_path), sure=False),
        "eth1": Claim(f"{tmp_path}/ifcfg-eth1"),
    }


def test_nothing_is_claimed_without_the_folder_or_where_networkmanager_runs(monkeypatch, tmp_path):
    monkeypatch.setattr(ifcfg, "FOLDER", str(tmp_path / "none"))
    assert backend.claims(["eth0"]) == {}
    monkeypatch.setattr(ifcfg, "FOLDER", str(tmp_path))
    monkeypatch.setattr(backend, "_NETWORKMANAGER", str(tmp_path))
    assert backend.claims(["eth0"]) == {}
