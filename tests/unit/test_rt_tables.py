"""Names of tables: read as iproute2 reads them, edited without touching what others wrote."""

from __future__ import annotations

import re
from pathlib import Path

import multihoming_rt_tables as rt
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from multihoming_errors import TableError

CASES = yaml.safe_load((Path(__file__).parent / "data/rt_tables.yaml").read_text())
KERNELS = {"unspec": 0, "default": 253, "main": 254, "local": 255}
STOCK = "#\n# reserved values\n#\n255\tlocal\n254\tmain\n253\tdefault\n0\tunspec\n"


def tables(text=STOCK, drop_in=None, **more):
    """Return rt_tables with that text, and a drop-in of ours where ``drop_in`` is text."""
    texts = {rt.ETC: text}
    texts.update({f"{rt.DROP_INS}/{name}.conf": extra for name, extra in more.items()})
    if drop_in:
        texts[rt.OURS] = drop_in
    return rt.parse(texts, drop_in is not None)


def after(found, edits):
    return rt.combine(found, edits)


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "case", [case for case in CASES if "ids" in case], ids=lambda case: case["name"]
)
def test_names_are_read_as_iproute2_reads_them(case):
    assert tables(case["text"]).ids == {**KERNELS, **case["ids"]}


@pytest.mark.parametrize(
    "case", [case for case in CASES if "stops" in case], ids=lambda case: case["name"]
)
def test_where_iproute2_stops_is_an_error_with_file_line_and_remedy(case):
    with pytest.raises(TableError, match=rf"{rt.ETC} line {case['stops']}: .*write") as caught:
        tables(case["text"])
    assert str(caught.value).isprintable()


def fread_id_name(line):
    """Return (id, name) as C's sscanf() finds them, None for a line passed over.

    Raises ValueError where it finds none. Two deviations are meant: ids over 31 bits are kept, and
    blank lines that end in a carriage return are no error (they are repaired when we write).
    """
    line = line.lstrip(" \t")
    if not line.strip(C_SPACE) or line.startswith("#"):
        return None
    for literal, digits, base in (
        ("0x", "[0-9a-fA-F]+(?![0-9a-fA-F])", 16),
        ("", "[+-]?[0-9]+(?![0-9])", 10),
    ):
        match = re.match(rf"{literal}({digits})[{C_SPACE}]*([^{C_SPACE}]+)", line)
        if match:
            number = int(match[1], base)
            return (number, match[2]) if number >= 0 else None
    raise ValueError(line)


C_SPACE = " \t\v\f\r"
LINES = st.one_of(
    st.from_regex(
        r"[ \t]{0,2}(0x)?[0-9a-f]{1,4}[ \t]{0,2}[a-z0-9#.]{0,4}[ \t]{0,2}#?x?\r?", fullmatch=True
    ),
    st.text("0123xX_+- \t\r#abc", max_size=10),
    st.sampled_from(
        ["", "# comment", "201 a", "0xc9 b", "4294967295 c", "-1 d", "1_0 e", "٣ f", "0XC9 g", "7h"]
    ),
)


@given(st.lists(LINES, max_size=5))
def test_reading_agrees_with_iproute2(lines):
    text = "\n".join(lines)
    try:
        meant = {name: number for number, name in filter(None, map(fread_id_name, lines))}
    except ValueError:
        with pytest.raises(TableError):
            tables(text)
    else:
        assert tables(text).ids == {**KERNELS, **meant}


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        found = tables(text)
    except TableError as err:
        assert rt.ETC in str(err)
    else:
        assert found.ids.items() >= {"main": found.ids["main"]}.items()


def test_drop_ins_are_read_behind_the_main_file():
    found = tables("201 a\n", drop_in="202 b\n", vendor="203 c\n")
    assert {name: found.ids[name] for name in "abc"} == {"a": 201, "b": 202, "c": 203}
    assert found.owned == {"b": 202}


@pytest.mark.parametrize(
    ("etc", "drop_ins", "names", "expected"),
    [
        (True, False, [], ([rt.ETC], False)),
        (True, True, [], ([rt.ETC], True)),
        (
            True,
            True,
            ["b.conf", "a.conf", "c.txt", ".d.conf", "README"],
            ([rt.ETC, f"{rt.DROP_INS}/a.conf", f"{rt.DROP_INS}/b.conf"], True),
        ),
        (False, False, [], ([*rt.DEFAULTS], True)),
    ],
)
def test_sources(etc, drop_ins, names, expected):
    assert rt.sources(etc, drop_ins, names) == expected


def test_shipped_drop_ins_come_before_ours_unless_one_of_the_same_name_hides_them():
    share, lib = rt.SHIPPED
    found, _ = rt.sources(
        True,
        True,
        ["a.conf", "mine.conf", "hidden.txt"],
        {share: ["z.conf", "a.conf", "hidden.txt", ".x.conf"], lib: ["mine.conf", "b.conf"]},
    )
    assert found == [
        rt.ETC,
        f"{share}/z.conf",
        f"{lib}/b.conf",
        f"{rt.DROP_INS}/a.conf",
        f"{rt.DROP_INS}/mine.conf",
    ]


# --- whose it is ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "owned"),
    [
        ("201 gateway1 # multihoming\n", {"gateway1": 201}),
        ("0xc9\tgateway1\t# multihoming  \n", {"gateway1": 201}),
        ("201 gateway1 # multihoming\r\n", {"gateway1": 201}),
        ("201 gateway1 # multihoming notes\n", {}),
        ("201 gateway1\n# multihoming\n", {}),
        ("# 201 gateway1 # multihoming\n", {}),
    ],
)
def test_the_marker_says_what_is_ours(text, owned):
    assert tables(text).owned == owned


@pytest.mark.parametrize(
    ("text", "drop_in", "owned"),
    [
        ("", "201 gateway1\n", {"gateway1": 201}),
        ("201 gateway1\n", "# adopted 201 gateway1\n", {"gateway1": 201}),
        ("202 gateway1\n", "# adopted 201 gateway1\n", {}),
        ("", "# adopted 201 gateway1\n", {}),
        ("# adopted 201 gateway1\n201 gateway1\n", " ", {}),
    ],
)
def test_the_drop_in_says_what_is_ours(text, drop_in, owned):
    assert tables(text, drop_in).owned == owned


def test_what_is_ours_is_not_foreign():
    found = tables("201 a\n202 b # multihoming\n203 c\n")
    assert [line.table.name for line in found.foreign] == ["a", "c"]


# --- registering ----------------------------------------------------------------------------------

REGISTER = [
    pytest.param(
        STOCK, None, {"gateway1": 201}, STOCK + "201 gateway1 # multihoming\n", None, id="marker"
    ),
    pytest.param(
        "1 a",
        None,
        {"gateway1": 201},
        "1 a\n201 gateway1 # multihoming",
        None,
        id="no final newline",
    ),
    pytest.param(STOCK, " ", {"gateway1": 201}, STOCK, "201 gateway1\n", id="drop-in"),
    pytest.param(
        "201 gateway1\n1 a\n",
        None,
        {"gateway1": 201},
        "201 gateway1 # multihoming\n1 a\n",
        None,
        id="adopted where it stands",
    ),
    pytest.param(
        "0xc9\tgateway1 # by hand\n",
        None,
        {"gateway1": 201},
        "0xc9\tgateway1 # by hand # multihoming\n",
        None,
        id="adopted with its spelling and comment",
    ),
    pytest.param(
        "201\tgateway1\n",
        " ",
        {"gateway1": 201},
        "201\tgateway1\n",
        "# adopted 201 gateway1\n",
        id="adopted beside",
    ),
    pytest.param(
        "201 gateway1 # multihoming\n",
        None,
        {"gateway1": 205},
        "205 gateway1 # multihoming\n# renumbered 201 gateway1\n",
        None,
        id="another id",
    ),
    pytest.param(
        "",
        "201 gateway1\n202 b\n",
        {"gateway1": 205},
        "",
        "202 b\n205 gateway1\n# renumbered 201 gateway1\n",
        id="another id in the drop-in",
    ),
    pytest.param(
        "201 a # multihoming\n202 b # multihoming\n",
        None,
        {"a": 202, "b": 201},
        "202 a # multihoming\n201 b # multihoming\n",
        None,
        id="ids change places",
    ),
]


@pytest.mark.parametrize(("text", "drop_in", "wanted", "etc", "ours"), REGISTER)
def test_register(text, drop_in, wanted, etc, ours):
    found = tables(text, drop_in)
    now = after(found, rt.register(found, wanted))
    assert now.texts[rt.ETC] == etc
    assert now.texts.get(rt.OURS, "").endswith(ours or "")
    assert (rt.OURS in now.texts) == (ours is not None)
    assert now.owned.items() >= wanted.items()


# --- records ----------------------------------------------------------------------------------

ONE = rt.Table("gateway1", 201)
ETH1 = rt.Record(rt.SERVING, ONE, "eth1")
ETH2 = rt.Record(rt.SERVING, ONE, "eth2")
KEPT = rt.Record(rt.KEEPING, ONE, "19999")
RECORDED = [
    pytest.param(
        "201 gateway1 # multihoming\n",
        None,
        "201 gateway1 # interface: eth1 eth2 # multihoming\n"
        "# keep_main_routes 201 gateway1 19999\n",
        id="one file",
    ),
    pytest.param(
        "0xc9\tgateway1 # uplink # multihoming \r\n77 x",
        None,
        "0xc9\tgateway1 # uplink # interface: eth1 eth2 # multihoming \r\n77 x\n"
        "# keep_main_routes 201 gateway1 19999",
        id="adopted in one file",
    ),
    pytest.param(
        "201 gateway1\n",
        "# adopted 201 gateway1\n",
        "# adopted 201 gateway1\n# interface 201 gateway1 eth1\n# interface 201 gateway1 eth2\n"
        "# keep_main_routes 201 gateway1 19999\n",
        id="drop-in",
    ),
]


@pytest.mark.parametrize(("text", "drop_in", "home"), RECORDED)
def test_records_are_written_read_and_forgotten(text, drop_in, home):
    found = tables(text, drop_in)
    there = after(found, rt.record(found, [ETH1, ETH2, KEPT]))
    assert there.texts[rt.OURS if drop_in else rt.ETC] == home
    assert there.serving == {(201, "eth1"), (201, "eth2")}
    assert there.keeping_main == {(201, 19999)}
    assert there.owned == found.owned
    assert rt.record(there, [KEPT, ETH2, ETH1]) == {}
    assert rt.forget(there, {201}, [ETH1, ETH2, KEPT]) == {}
    assert rt.forget(there, {202}, []) == {}
    less = after(there, rt.forget(there, {201}, [ETH2]))
    assert (less.serving, less.keeping_main) == ({(201, "eth2")}, frozenset())
    none = after(less, rt.forget(less, {201}, []))
    assert none.texts == found.texts
    gone = after(there, rt.release(there, ["gateway1"]))
    assert not gone.records


def test_a_renumbered_table_is_ours_under_both_ids_until_it_is_forgotten():
    found = tables("", "201 gateway1\n# interface 201 gateway1 eth1\n")
    there = after(found, rt.register(found, {"gateway1": 301}))
    assert there.owned == {"gateway1": 301}
    assert there.owned_ids == {201, 301}
    assert there.serving == {(201, "eth1")}
    assert after(there, rt.forget(there, {201, 301}, [])).owned_ids == {301}


def test_ids_that_change_places_are_not_left_behind():
    found = tables("201 a # multihoming\n202 b # multihoming\n")
    assert after(found, rt.register(found, {"a": 202, "b": 201})).owned_ids == {201, 202}


def test_what_is_recorded_of_somebody_elses_table_says_nothing():
    text = "# interface 201 a eth1\n# keep_main_routes 201 a 5\n# renumbered 77 b\n77 x\n201 a\n"
    found = tables("", text.replace("77 x\n201 a\n", ""), other="77 x\n201 a\n")
    assert (found.serving, found.keeping_main, found.owned_ids) == (frozenset(),) * 3


def test_the_distributions_line_is_adopted_by_a_record_where_there_are_no_drop_ins():
    path = f"{rt.SHIPPED[0]}/vendor.conf"
    found = rt.parse({rt.ETC: "254 main\n", path: "201 gateway1\n"}, False)
    there = after(found, rt.register(found, {"gateway1": 201}))
    assert there.texts == {
        rt.ETC: "254 main\n# adopted 201 gateway1\n",
        path: "201 gateway1\n",
    }
    assert there.owned == {"gateway1": 201}
    assert after(there, rt.release(there, ["gateway1"])).texts == found.texts


def test_a_new_drop_in_says_which_folders_were_made_for_it():
    found = rt.parse({}, True, [rt.DROP_INS])
    there = after(found, rt.register(found, {"gateway1": 201}))
    text = there.texts[rt.OURS]
    assert rt.made(text) == [rt.DROP_INS]
    assert there.ids["gateway1"] == 201
    assert rt.is_empty(rt.OURS, rt.release(there, ["gateway1"])[rt.OURS])
    assert rt.made(None) == []


def test_files_without_a_change_are_not_in_the_result():
    found = tables("201 gateway1 # multihoming\n")
    assert rt.register(found, {"gateway1": 201}) == {}
    assert rt.release(found, ["nobody"]) == {}


def test_releasing_takes_the_record_of_an_adopted_name_only_from_us():
    found = tables("201 gateway1\n", "# adopted 201 gateway1\n202 b\n")
    now = after(found, rt.release(found, ["gateway1"]))
    assert now.owned == {"b": 202}


def test_defaults_of_the_distribution_are_never_edited():
    texts = {rt.DEFAULTS[0]: "201 gateway1\n", rt.OURS: "# adopted 201 gateway1\n"}
    found = rt.parse(texts, True)
    edits = rt.release(found, ["gateway1"])
    assert set(edits) == {rt.OURS}
    assert rt.DEFAULTS[0] not in rt.register(
        rt.parse({rt.DEFAULTS[0]: "201 x # y z\n"}, True), {"x": 201}
    )


@pytest.mark.parametrize(
    ("path", "text", "empty"),
    [
        (rt.OURS, "", True),
        (rt.OURS, "\n", True),
        (rt.OURS, "201 a\n", False),
        (rt.OURS, "# adopted 201 a\n", False),
        (rt.ETC, "", False),
    ],
)
def test_only_our_drop_in_can_be_deleted(path, text, empty):
    assert rt.is_empty(path, text) == empty


def test_our_drop_in_is_empty_after_everything_is_released():
    found = tables(STOCK, " ")
    there = after(found, rt.register(found, {"gateway1": 201}))
    assert rt.is_empty(rt.OURS, rt.release(there, ["gateway1"])[rt.OURS])


# --- names and ids --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gateway1", "_x", "A.b-c", "x" * 64])
def test_a_good_name(name):
    assert rt.check_name(name) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (True, "True is not a table name (so YAML reads yes, no, on and off); write it in quotes"),
        (5, "5 is not a table name; start with a letter"),
        (None, "None is not a table name; start with a letter"),
        ("1st", "'1st' is not a table name; start with a letter"),
        ("", "'' is not a table name; start with a letter"),
        ("a b", "'a b' is not a table name; start with a letter"),
        ("x" * 65, f"'{'x' * 65}' is not a table name; start with a letter"),
        ("main", "'main' is a word of iproute2's own; choose another name"),
        ("all", "'all' is a word of iproute2's own; choose another name"),
    ],
)
def test_a_bad_name_is_told_with_the_remedy(name, says):
    assert rt.check_name(name).startswith(says)


@pytest.mark.parametrize("number", [1, 252, 256, 2**32 - 1])
def test_a_good_id(number):
    assert rt.check_id(number) is None


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (True, "True is not a number; write"),
        ("201", "'201' is not a number; write"),
        (254, "254 is the kernel's own table 'main'; write"),
        (0, "0 is the kernel's own table 'unspec'; write"),
        (-1, "-1 is out of range; write"),
        (2**32, "4294967296 is out of range; write"),
    ],
)
def test_a_bad_id_is_told_with_the_remedy(number, says):
    remedy = "a number from 1 to 4294967295 other than 253, 254 and 255"
    assert rt.check_id(number) == f"{says} {remedy}"


# --- conflicts ------------------------------------------------------------------------------------

CONFLICTS = [
    (
        "201 other\n",
        {"gateway1": 201},
        ["tables.gateway1", "line 1", "201", "'other'", "another id"],
    ),
    (
        "# x\n200 gateway1\n",
        {"gateway1": 201},
        ["tables.gateway1", "line 2", "200", "gateway1: 200"],
    ),
    ("0xc9 other\r\n", {"gateway1": 201}, ["tables.gateway1", "201", "'other'"]),
]


@pytest.mark.parametrize(("text", "wanted", "words"), CONFLICTS)
def test_conflict_names_key_place_and_remedy(text, wanted, words):
    (message,) = rt.conflicts(tables(text), wanted)
    assert message.startswith("tables.gateway1: ")
    assert [word for word in words if word not in message] == []
    assert rt.ETC in message


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (STOCK, {"gateway1": 201}),
        ("201 gateway1\n", {"gateway1": 201}),
        ("201 gateway1 # multihoming\n", {"gateway1": 202}),
        ("201 old # multihoming\n", {"new": 201}),
    ],
)
def test_no_conflict(text, wanted):
    assert rt.conflicts(tables(text), wanted) == []


def test_all_conflicts_come_together():
    assert len(rt.conflicts(tables("1 a\n2 b\n"), {"x": 1, "b": 3})) == 2


# --- properties -----------------------------------------------------------------------------------

NAMES = st.from_regex(r"[a-z]{1,3}[0-9]?", fullmatch=True).filter(
    lambda name: not rt.check_name(name)
)
IDS = st.integers(1, 2**31 - 1).filter(lambda number: not rt.check_id(number))
WANTED = st.dictionaries(NAMES, IDS, max_size=4).filter(
    lambda found: len(set(found.values())) == len(found)
)
FOREIGN = st.lists(
    st.sampled_from(
        [
            "",
            "# comment",
            "  # indented",
            "255\tlocal",
            "0x64 hex100",
            "100000 far # x",
            "77 crlf\r",
        ]
    ),
    max_size=6,
).map(lambda lines: "".join(f"{line}\n" for line in lines))
DROP_IN = st.sampled_from([None, " "])


def fits(found, wanted):
    assume(not rt.conflicts(found, wanted))
    assume(not set(wanted) & {line.table.name for line in found.lines})


@given(FOREIGN, DROP_IN, WANTED)
def test_register_then_release_gives_the_text_back(text, drop_in, wanted):
    found = tables(text, drop_in)
    fits(found, wanted)
    there = after(found, rt.register(found, wanted))
    gone = after(there, rt.release(there, wanted))
    assert gone.texts[rt.ETC] == text
    assert rt.is_empty(rt.OURS, gone.texts.get(rt.OURS, ""))


@given(FOREIGN, DROP_IN, WANTED, WANTED)
def test_registering_twice_is_registering_once(text, drop_in, first, second):
    found = tables(text, drop_in)
    fits(found, {**first, **second})
    found = after(found, rt.register(found, first))
    assume(not set(second.values()) & {i for name, i in first.items() if name not in second})
    there = after(found, rt.register(found, second))
    assert there.owned == {**first, **second}
    assert rt.register(there, second) == {}


def test_blank_lines_that_stop_iproute2_are_repaired_where_our_name_stands():
    found = tables("200 a\r\n\r\n\f\n # x\r\n")
    assert rt.register(found, {"gateway1": 201}) == {
        rt.ETC: "200 a\r\n\n\n # x\r\n201 gateway1 # multihoming\n"
    }


@given(FOREIGN, DROP_IN, WANTED)
def test_foreign_lines_keep_bytes_and_order(text, drop_in, wanted):
    found = tables(text, drop_in)
    fits(found, wanted)
    there = after(found, rt.register(found, wanted))
    assert there.texts[rt.ETC].startswith(text)


@given(FOREIGN, DROP_IN, WANTED)
def test_what_is_registered_is_read_back_as_ours(text, drop_in, wanted):
    found = tables(text, drop_in)
    fits(found, wanted)
    there = after(found, rt.register(found, wanted))
    assert there.owned == wanted
    assert there.ids.items() >= wanted.items()
