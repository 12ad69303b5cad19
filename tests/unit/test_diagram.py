"""Pictures of paths, drawn from what there is to see."""

import itertools
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import multihoming_diagram as diagram
import pytest
import yaml
from multihoming_diagram import Finding, Nic, Picture, Reply

DATA = Path(__file__).parent / "data"
FORMATS = ("text", "mermaid", "svg")
RED, GREEN = "#cf222e", "#1a7f37"
ETH0 = Nic("eth0", ("192.168.2.220/24",), ("192.168.2.254",), main=(4,))
ETH1 = Nic("eth1", ("192.168.1.220/24",), ("192.168.1.254",))
OWN = Reply(("192.168.2.220",), "eth0", "eth0", ("192.168.2.254",), "main")
RIGHT = Reply(("192.168.1.220",), "eth1", "eth1", ("192.168.1.254",), "gateway1")
WRONG = replace(RIGHT, leaves="eth0", via=("192.168.2.254",), table="main")
LOST = replace(WRONG, leaves=None, via=(), reason="prohibit route for default in table 7")
# What an interface, a table or a host may be called, or somebody would like it to be.
ODD_NAMES = """
eth0@if7 wan+1=x.100 end graph subgraph <b>x</b> "x" 'x' &amp; a&b #35; a--b --> ]] }} | %%{x}%% \\N
\\" \\ `x` **x** ünï 1. $x [x](y) {x} click;x <x> ---
""".split()
ODD_NAMES += ["bell\x07", "line\nbreak", "lone\udcff", "\u202egnp"]


def before(**changes):
    """Return the first article's server, as it was."""
    return replace(Picture("web1", (ETH0, ETH1), (OWN, WRONG), ("203.0.113.10",)), **changes)


def after(**changes):
    """Return the first article's server, as it should be."""
    return before(**{"replies": (OWN, RIGHT), **changes})


def of_many(count, leaves=lambda number: number):
    """Return a server with many NICs and both families; ``leaves`` sends replies elsewhere."""
    nics, replies = [], []
    for number in range(count):
        # As long as addresses get.
        addresses = (f"192.168.{100 + number}.100", f"2001:db8:1111:2222:3333:4444:5555:{number:x}")
        gateways = (f"192.168.{100 + number}.254", f"2001:db8:1111:2222:3333:4444:6666:{number:x}")
        both = tuple(f"{own}/{length}" for own, length in zip(addresses, (24, 128), strict=True))
        nics.append(Nic(f"eth{number}", both, gateways, (4, 6) if number == 0 else ()))
        target = f"eth{leaves(number)}"
        replies += [Reply((own,), f"eth{number}", target, (), "main") for own in addresses]
    return Picture("storage1", tuple(nics), tuple(replies), ("203.0.113.10", "2001:db8::1"))


def text(picture):
    return diagram.draw(picture)


def tree(picture):
    """Return the SVG, parsed."""
    return ElementTree.fromstring(diagram.draw(picture, "svg"))


def elements(root, name):
    return list(root.iter(f"{{http://www.w3.org/2000/svg}}{name}"))


def labels(picture):
    """Return what is to be read in the SVG, without what is there for dot only."""
    said = [element.text for element in elements(tree(picture), "text")]
    return [text.replace("\N{WORD JOINER}", "").rstrip("\N{NO-BREAK SPACE}") for text in said]


def arrows(picture):
    """Return (colour, whether dashed) of the SVG's arrows."""
    groups = [g for g in elements(tree(picture), "g") if g.get("class") == "edge"]
    paths = [path for group in groups for path in elements(group, "path")]
    return [(path.get("stroke"), bool(path.get("stroke-dasharray"))) for path in paths]


def mermaid(drawn):
    """Return the title of a Mermaid picture and its flowchart."""
    head, flowchart = re.fullmatch(r"---\n(.*?)\n---\n(flowchart LR\n.*)", drawn, re.S).groups()
    return yaml.safe_load(head)["title"], flowchart


def words(picture, format):
    """Return all that is to be read in a picture, as one line."""
    if format == "svg":
        return " ".join(labels(picture))
    drawn = diagram.draw(picture, format)
    if format == "mermaid":
        title, flowchart = mermaid(drawn)
        flowchart = flowchart.replace("<br/>", " ")
        drawn = title + re.sub(r"#(\d+);", lambda code: chr(int(code[1])), flowchart)
    return " ".join(re.sub("[║╔╚╠╬═►│]", " ", drawn).split())


# --- what all three say -----------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_nics_are_shown_with_addresses_gateways_and_tables(format):
    said = words(after(), format)
    for word in ("web1", "eth0 · main default", "eth1", "192.168.1.220/24", "192.168.2.220/24"):
        assert word in said
    for word in ("192.168.1.254", "192.168.2.254", "table main", "table gateway1", "request"):
        assert word in said
    assert "✓ every reply leaves by the interface that was asked" in said
    assert "✗" not in said


@pytest.mark.parametrize("format", FORMATS)
def test_a_reply_that_leaves_elsewhere_is_told_in_words(format):
    said = words(before(), format)
    assert "✗ what comes in on eth1 is answered through eth0" in said
    assert "leaves by eth0" in said
    assert "reply of eth1" in said


@pytest.mark.parametrize("format", FORMATS)
def test_a_lost_reply_ends_in_a_cross_with_the_reason(format):
    said = words(before(replies=(OWN, LOST)), format)
    assert "✗ what comes in on eth1 gets no reply" in said
    assert re.search("✗ no reply:? prohibit route for default in table 7", said)


@pytest.mark.parametrize("format", FORMATS)
def test_findings_are_marked_at_the_nic_and_told(format):
    drop = Finding("rp-filter-drop", "error", "eth1", "eth1 drops requests")
    rivals = Finding("several-gateways", "warning", None, "two files name a GATEWAY")
    said = words(after(findings=(drop, drop, rivals)), format)
    assert said.count("✗ rp-filter-drop") == 3  # once at the NIC
    assert "✗ rp-filter-drop, eth1: eth1 drops requests" in said
    assert "! several-gateways: two files name a GATEWAY" in said
    assert "! every reply leaves by the interface that was asked; faults found: 3" in said


@pytest.mark.parametrize("format", FORMATS)
def test_an_info_is_no_fault(format):
    info = Finding("udp-wildcard", "info", None, "sockets are bound to all addresses")
    said = words(after(findings=(info,)), format)
    assert "✓ every reply" in said
    assert "i udp-wildcard: sockets" in said


@pytest.mark.parametrize("format", FORMATS)
def test_many_findings_are_cut(format):
    many = tuple(Finding("not-live", "warning", None, f"number {n}.") for n in range(1, 31))
    said = words(after(findings=many), format)
    assert "number 20." in said
    assert "number 21." not in said
    assert "and 10 more: see multihoming.diagnose" in said


@pytest.mark.parametrize("format", FORMATS)
def test_the_state_of_a_link_is_shown(format):
    assert "eth1 · down" in words(after(nics=(ETH0, replace(ETH1, state="down"))), format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_nic_without_a_gateway_is_not_called_good(format):
    said = words(before(nics=(ETH0, Nic("eth1", routed=False)), replies=(OWN,)), format)
    assert "✓ eth0: every reply leaves by the interface that was asked; eth1: no gateway" in said
    assert said.count("request") == 1


@pytest.mark.parametrize("format", FORMATS)
def test_families_that_go_the_same_way_share_an_arrow(format):
    said = words(of_many(2), format)
    assert "IPv4" not in said
    assert len(re.findall("reply,? ?:? ?table main", said)) == 2


@pytest.mark.parametrize("format", FORMATS)
def test_families_that_part_are_told_apart(format):
    six = Reply(("2001:db8:1::220",), "eth1", "eth1", (), "gateway1")
    said = words(before(replies=(OWN, WRONG, six)), format)
    assert "✗ what comes in on eth1 by IPv4 is answered through eth0" in said
    assert re.search("IPv6 reply[:,] table gateway1", said)
    assert "IPv4 reply" in said


@pytest.mark.parametrize("format", FORMATS)
def test_addresses_of_one_family_that_part_are_named(format):
    second = replace(RIGHT, addresses=("192.168.1.221",))
    said = words(before(replies=(OWN, WRONG, second)), format)
    assert re.search(r"reply of 192\.168\.1\.221[:,] table gateway1", said)
    assert "reply of 192.168.1.220" in said


@pytest.mark.parametrize("format", FORMATS)
def test_the_gateway_is_named_where_a_nic_has_several(format):
    nic = replace(ETH1, gateways=("192.168.1.254", "192.168.1.1"))
    assert "table gateway1, via 192.168.1.254" in words(after(nics=(ETH0, nic)), format)
    assert "via" not in words(after(), format)


@pytest.mark.parametrize("format", FORMATS)
def test_a_host_without_a_gateway(format):
    said = words(Picture("web1", (Nic("eth0", routed=False),), ()), format)
    assert "no gateway is known" in said
    assert "request" not in said
    assert "no gateway is known" in words(Picture("web1", (), ()), format)


@pytest.mark.parametrize("format", FORMATS)
def test_many_addresses_are_cut(format):
    addresses = tuple(f"10.0.{n}.1" for n in range(200))
    nic = replace(ETH1, addresses=tuple(f"{own}/24" for own in addresses))
    replies = tuple(replace(RIGHT, addresses=(own,)) for own in addresses)
    said = words(before(nics=(ETH0, nic), replies=(OWN, *replies)), format)
    assert "10.0.5.1/24 and 194 more" in said
    assert "10.0.6.1" not in said


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("format", FORMATS)
def test_odd_names_are_shown_as_they_are(format, name):
    shown = "".join(char if char.isprintable() else "�" for char in name.replace("\udcff", "\\xff"))
    nics = (ETH0, replace(ETH1, name=name))
    wrong = replace(WRONG, arrives=name, table=name)
    finding = Finding("no-policy", "warning", name, name)
    picture = Picture(name, nics, (OWN, wrong), (), (finding,))
    said = words(picture, format)
    assert f"on {shown} is answered" in said
    assert f"table {shown}" in said
    assert f"reply of {shown}" in said
    assert f"no-policy, {shown}: {shown}" in said


@pytest.mark.parametrize("format", ["Text", "png", "", None, 7, ["svg"]])
def test_an_unknown_format_is_an_error_that_names_the_known(format):
    with pytest.raises(diagram.DiagramError, match="write text, mermaid or svg"):
        diagram.draw(after(), format)


# --- whole pictures ---------------------------------------------------------------------------

NOWHERE = "there is no route back to 2001:db8::1 (Network is unreachable)"
NO_POLICY = (
    "ppp0 has an address and a gateway, but no rule from 10.9.0.2 to a table with a default route "
    "through it"
)
# All that a picture can show.
BUSY = Picture(
    "web1",
    (
        Nic(
            "eth0",
            ("192.168.2.220/24", "2001:db8:2::220/64"),
            ("192.168.2.254", "2001:db8:2::254"),
            main=(6, 4),
        ),
        Nic(
            "eth1",
            ("192.168.1.220/24",),
            ("192.168.1.254", "192.168.1.1"),
            main=(4,),
            state="down",
        ),
        Nic("eth2", ("192.168.3.220/24",), (), routed=False),
        Nic("ppp0", ("10.9.0.2/32", "2001:db8:9::2/128")),
    ),
    (
        Reply(("192.168.2.220",), "eth0", "eth0", ("192.168.2.254",), "main"),
        Reply(("2001:db8:2::220",), "eth0", "ppp0", (), "v6"),
        Reply(("192.168.1.220",), "eth1", "eth0", ("192.168.2.254",), "main"),
        Reply(("10.9.0.2",), "ppp0", "eth1", ("192.168.1.1",), "uplinks"),
        Reply(("2001:db8:9::2",), "ppp0", None, (), None, NOWHERE),
    ),
    ("203.0.113.10", "2001:db8::1", "203.0.113.11"),
    (
        Finding("rp-filter-drop", "error", "eth1", "eth1 drops requests"),
        Finding("no-policy", "warning", "ppp0", NO_POLICY),
        Finding("udp-wildcard", "info", None, "UDP services"),
        Finding("odd", "fatal", "eth1", "odd"),
    ),
)


@pytest.fixture
def asked_of_dot(monkeypatch, tmp_path):
    """Return what Graphviz is asked to draw: here dot gives it back as it is."""
    (tmp_path / "dot").write_text(f"#!{shutil.which('sh')}\nexec {shutil.which('cat')}\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    return lambda picture: diagram.draw(picture, "svg")


@pytest.mark.parametrize("format", ["text", "mermaid"])
def test_all_that_a_picture_can_show(format):
    assert f"{diagram.draw(BUSY, format)}\n" == (DATA / f"busy.{format}").read_text()


def test_all_that_a_picture_can_show_as_it_is_given_to_graphviz(asked_of_dot):
    assert asked_of_dot(BUSY) == (DATA / "busy.dot").read_text()


def test_a_host_without_a_fault_or_a_reply(asked_of_dot):
    alone = before(replies=(OWN,), nics=(ETH0,))
    assert "◄── request" in text(alone)
    assert "Evidence" not in text(alone)
    assert "Seen from" not in text(replace(alone, replies=()))
    assert "Seen from" not in text(replace(alone, clients=()))
    silent = asked_of_dot(Picture("web1", (Nic("eth0"),), ()))
    assert "client" not in silent
    assert "router" not in silent


@pytest.mark.parametrize(
    ("count", "listed"),
    [
        (1, "eth0"),
        (2, "eth0 and eth1"),
        (4, "eth0, eth1, eth2 and eth3"),
        (5, "eth0, eth1, eth2 and 2 more"),
        (9, "eth0, eth1, eth2 and 6 more"),
    ],
)
def test_four_names_are_listed(count, listed):
    nics = tuple(Nic(f"eth{number}") for number in range(count))
    lost = tuple(Reply(("10.0.0.1",), nic.name, None) for nic in nics)
    picture = Picture("web1", nics, lost)
    assert text(picture).startswith(f"web1: ✗ what comes in on {listed} gets no reply\n")


@pytest.mark.parametrize(("count", "shown"), [(6, "10.0.0.6/8"), (7, "and 1 more")])
def test_six_addresses_are_shown(count, shown):
    addresses = tuple(f"10.0.0.{number}/8" for number in range(1, count + 1))
    lines = text(before(nics=(ETH0, replace(ETH1, addresses=addresses)))).splitlines()
    last = max(number for number, line in enumerate(lines) if "10.0.0." in line or "more" in line)
    assert shown in lines[last]


@pytest.mark.parametrize(("count", "more"), [(20, None), (21, "and 1 more: see")])
def test_twenty_findings_are_told(count, more):
    many = tuple(Finding("not-live", "warning", None, f"number {n}.") for n in range(count))
    drawn = text(after(findings=many))
    assert "number 19." in drawn
    assert ("more: see" in drawn) == (more is not None)
    assert more is None or more in drawn


def test_replies_to_more_than_four_nics_are_told_in_words_only():
    picture = of_many(6, leaves=lambda number: (number + 1) % 6)
    lines = text(picture).splitlines()
    assert sum("╔" in line for line in lines) == 4
    assert sum("leaves by" in line for line in lines) == 6


# --- text -------------------------------------------------------------------------------------


def test_text_of_the_first_article_before():
    assert (
        text(before())
        == """\
web1: ✗ what comes in on eth1 is answered through eth0

   ┌─ eth0 · main default ────┐
   │ 192.168.2.220/24         │ ◄── request
   │ gateway 192.168.2.254    │ ──► reply, table main
╔═►│                          │ ══► reply of eth1
║  └──────────────────────────┘
║  ┌─ eth1 ───────────────────┐
║  │ 192.168.1.220/24         │ ◄── request
╚══│ gateway 192.168.1.254    │ ✗ reply leaves by eth0, table main
   └──────────────────────────┘

Seen from a client in another network, like 203.0.113.10."""
    )


def test_text_draws_lines_that_cross_each_other():
    picture = of_many(3, leaves=[2, 0, 1].index)
    assert [line[:8].rstrip() for line in text(picture).splitlines() if line[:1] in "║╔╚╠ "] == [
        "       ┌",
        "╔══════│",
        "║ ╔═══►│",
        "║ ║    │",
        "║ ║    │",
        "║ ║    └",
        "║ ║    ┌",
        "║ ╚════│",
        "║   ╔═►│",
        "║   ║  │",
        "║   ║  │",
        "║   ║  └",
        "║   ║  ┌",
        "║   ╚══│",
        "╚═════►│",
        "       │",
        "       │",
        "       └",
    ] or text(picture)


@pytest.mark.parametrize("count", [1, 2, 8, 32])
@pytest.mark.parametrize(
    "leaves",
    [lambda number: number, lambda _: 0, lambda number: number ^ 1 if number else 0],
    ids=["good", "all by one", "crossing"],
)
def test_text_fits_the_terminal_and_its_boxes_are_whole(count, leaves):
    last = count - 1
    lines = text(of_many(count, lambda number: min(leaves(number), last))).splitlines()
    # Salt indents it by four.
    assert max(map(len, lines)) <= 76
    # Every box has its right side in one column.
    assert len({line.index(end) for line in lines for end in "┐┘" if end in line}) == 1
    assert sum("┌─ eth" in line for line in lines) == count
    for upper, lower in itertools.pairwise(lines):
        # A line that leads down is taken up below.
        for column, (above, below) in enumerate(zip(upper[:9], lower[:9].ljust(9), strict=False)):
            assert (above in "║╔╠╬") == (below in "║╚╠╬"), (column, upper, lower)


def test_text_cuts_what_does_not_fit():
    nic = replace(ETH1, addresses=("x" * 100,), name="y" * 100)
    lines = text(before(nics=(ETH0, nic), replies=(OWN,))).splitlines()
    assert max(map(len, lines)) <= 76


# --- SVG --------------------------------------------------------------------------------------


def test_svg_shows_wrong_and_right_by_colour_and_line():
    assert set(arrows(after())) == {("#57606a", False), (GREEN, False)}
    wrong = [arrow for arrow in arrows(before()) if arrow[0] == RED]
    # eth1, to what sends it astray, to eth0, to its router, to the client.
    assert wrong == [(RED, True)] * 4


def test_svg_keeps_the_order_of_nics():
    def heights(picture):
        found = elements(tree(picture), "text")
        return [float(text.get("y")) for text in found if re.match(r"eth\d+", text.text)]

    for picture in (of_many(8), of_many(8, lambda _: 0)):
        assert heights(picture) == sorted(heights(picture))


def test_svg_is_named_for_readers_that_do_not_see_it():
    title = elements(tree(before()), "title")[0].text
    assert title == "web1: ✗ what comes in on eth1 is answered through eth0"


def test_svg_without_the_program_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(diagram.DiagramError, match=r"package graphviz.*format=mermaid"):
        diagram.draw(after(), "svg")


def test_svg_without_the_library_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(diagram.DiagramError, match=r"pip.install graphviz.*format=mermaid"):
        diagram.draw(after(), "svg")


def test_svg_tells_when_the_program_fails(monkeypatch, tmp_path):
    (tmp_path / "dot").write_text(f"#!{shutil.which('sh')}\necho no fonts >&2\nexit 1\n")
    (tmp_path / "dot").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(diagram.DiagramError, match=r"no fonts.*format=mermaid"):
        diagram.draw(after(), "svg")


# --- Mermaid ----------------------------------------------------------------------------------


def test_mermaid_of_the_first_article_before():
    title, flowchart = mermaid(diagram.draw(before(), "mermaid"))
    assert title == "web1: ✗ what comes in on eth1 is answered through eth0"
    drawn = flowchart.splitlines()
    arrows = [line.strip() for line in drawn if "->" in line]
    assert arrows == [
        "client --> router0",
        'router0 -->|"request"| nic0',
        'nic0 -->|"reply"| router0',
        "router0 --> client",
        'nic0 -.->|"reply of eth1"| router0',
        "router0 -.-> client",
        "client --> router1",
        'router1 -->|"request"| nic1',
        'nic1 -.->|"reply"| astray0',
        "astray0 -.-> nic0",
    ]
    assert f"    linkStyle 4,5,8,9 stroke:{RED},stroke-width:3px" in drawn
    assert 'nic1["eth1<br/>192.168.1.220/24"]:::bad' in "".join(drawn)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_mermaid_labels_hold_nothing_that_has_a_meaning(name):
    drawn = diagram.draw(after(nics=(ETH0, replace(ETH1, name=name)), replies=(OWN,)), "mermaid")
    node = next(line for line in drawn.splitlines() if line.strip().startswith("nic1["))
    label = re.fullmatch(r'\s+nic1\["(.*)"\]:::nic', node)[1].replace("<br/>", "")
    assert not set(re.sub(r"#\d+;", "", label)) & set("\"'`<>[]{}|#;&%\\*")


def test_mermaid_is_as_long_as_the_arrows_it_styles():
    drawn = diagram.draw(of_many(8, lambda _: 0), "mermaid")
    styled = re.findall(r"linkStyle ([\d,]+)", drawn)
    numbers = sorted(int(number) for group in styled for number in group.split(","))
    assert numbers == list(range(sum("->" in line for line in drawn.splitlines())))
