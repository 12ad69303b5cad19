"""The picture of a real host, through the real loader."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import live
import pytest
from article import ADDRESS, ADDRESS6, GATEWAY, GATEWAY6, pillar, two
from minion import NO_PILLAR
from salt.exceptions import CommandExecutionError

SCRIPTS = Path("/etc/sysconfig/network-scripts")
DROP_IN = Path("/etc/iproute2/rt_tables.d/odd.conf")
KERNEL_ONLY = {"backend": "none"}
ODD = '<b>&"x]]'


@pytest.fixture
def drawn(minion, host):
    """Draw the host, without changing anything."""

    def run(pillar, format="text", **kwargs):
        before = live.snapshot(host)
        text = minion.call("diagram", format, pillar=pillar, **kwargs)
        assert live.snapshot(host) == before
        return text

    return run


@pytest.fixture
def seen(drawn):
    """Return what the text says: as a whole, and in and beside the box of each NIC."""

    def run(pillar, **kwargs):
        text = drawn(pillar, **kwargs)
        assert max(map(len, text.splitlines())) <= 76
        boxes = re.findall("┌─ (.*?) ─*┐(.*?)└", text, re.DOTALL)
        return Seen(one_line(text), {title.split()[0]: parts(title, box) for title, box in boxes})

    return run


@dataclass(frozen=True)
class Seen:
    whole: str
    nics: dict

    def inside(self, device):
        return self.nics[device][0]

    def beside(self, device):
        return self.nics[device][1]


def parts(title, box):
    """Return what a box says, and the arrows beside it."""
    rows = [row.split("│") for row in box.splitlines() if "│" in row]
    return one_line(" ".join([title, *(row[1] for row in rows)])), one_line(
        " ".join(row[2] for row in rows)
    )


def one_line(text):
    return " ".join(text.split())


def applied(minion, whole):
    minion.call("apply", pillar={**whole, **KERNEL_ONLY})
    return {**whole, **KERNEL_ONLY}


def test_before_the_policy_replies_are_seen_to_leave_by_the_main_default(seen):
    picture = seen(two())
    assert "✗ what comes in on eth1 and eth2 is answered through eth0" in picture.whole
    assert "eth0 · main default" in picture.inside("eth0")
    assert "══► replies of eth1 and eth2" in picture.beside("eth0")
    for word in (f"{ADDRESS}/24", f"{ADDRESS6}/64", f"gateway {GATEWAY}", f"gateway {GATEWAY6}"):
        assert word in picture.inside("eth1")
    assert "! asymmetric-reply" in picture.inside("eth1")
    assert picture.beside("eth1") == "◄── request ✗ reply leaves by eth0, table main"


def test_after_the_policy_each_nic_is_seen_to_answer(seen, minion):
    picture = seen(applied(minion, two()))
    assert "every reply leaves by the interface that was asked" in picture.whole
    assert {device: picture.beside(device) for device in picture.nics} == {
        "eth0": "◄── request ──► reply, table main",
        "eth1": "◄── request ──► reply, table gateway1",
        "eth2": "◄── request ──► reply, table gateway2",
    }


def test_a_policy_for_one_family_only_shows_in_the_other(seen, minion):
    applied(minion, pillar(gateway=GATEWAY, addresses=[f"{ADDRESS}/24"]))
    picture = seen({**pillar(), **KERNEL_ONLY})
    assert "✗ what comes in on eth1 by IPv6 is answered through eth0" in picture.whole
    assert picture.beside("eth1") == (
        "◄── request ──► IPv4 reply, table gateway1 ✗ IPv6 reply leaves by eth0, table main"
    )


def test_a_request_that_strict_filtering_drops_shows_why(seen, host):
    host.rp_filter(1)
    picture = seen(pillar())
    assert re.search(r"✗ no IPv4 reply: .*rp_filter", picture.beside("eth1"))
    assert "✗ rp-filter-drop" in picture.inside("eth1")


def test_a_route_that_refuses_shows_as_a_lost_reply(seen, minion, host):
    whole = applied(minion, pillar())
    host.ip("rule", "add", "from", ADDRESS, "lookup", "77", "priority", "100")
    host.ip("route", "add", "prohibit", "default", "table", "77")
    picture = seen(whole)
    assert "✗ what comes in on eth1 by IPv4 gets no reply" in picture.whole
    assert "✗ no IPv4 reply: a prohibit route for default in table 77" in picture.beside("eth1")


def test_a_link_that_is_down_is_marked(seen, host):
    host.ip("link", "set", "eth1", "down")
    picture = seen(pillar())
    assert "eth1 · down" in picture.inside("eth1")
    assert "✗ no reply: the request can't arrive: eth1 is down" in picture.beside("eth1")


def test_without_a_pillar_gateways_are_the_hosts_own(seen, host):
    host.ip("route", "add", "default", "via", GATEWAY, "table", "66")
    host.ip("rule", "add", "from", ADDRESS, "lookup", "66", "priority", "100")
    picture = seen(NO_PILLAR)
    assert "eth2: no gateway known" in picture.whole
    assert "no gateway known" in picture.inside("eth2")
    assert picture.beside("eth1") == "◄── request ──► reply, table 66"


def test_gateways_in_files_count(seen):
    (SCRIPTS / "ifcfg-eth2").write_text(
        "DEVICE=eth2\nIPADDR=10.0.0.99\nPREFIX=8\nGATEWAY=10.0.0.1\n"
    )
    assert "✗ reply leaves by eth0" in seen(NO_PILLAR).beside("eth2")


def test_a_pillar_that_is_wrong_is_a_fault_and_the_host_is_drawn(seen):
    picture = seen({"interfaces": {}, "tabels": {}})
    assert "✗ pillar-invalid" in picture.whole
    assert "◄── request" in picture.beside("eth0")


def test_keys_can_be_given_in_place_of_the_pillar(seen):
    picture = seen({}, **pillar())
    assert f"gateway {GATEWAY}" in picture.inside("eth1")


def test_every_address_of_a_nic_is_asked(seen, minion, host):
    whole = applied(minion, pillar())
    host.ip("address", "add", "192.168.1.221/24", "dev", "eth1")
    picture = seen(whole)
    assert "✗ reply of 192.168.1.221 leaves by eth0, table main" in picture.beside("eth1")
    assert f"──► reply of {ADDRESS} and {ADDRESS6}, table gateway1" in picture.beside("eth1")


def test_a_nic_with_two_gateways_of_a_family_shows_which_is_used(seen, host):
    host.ip("route", "add", "default", "via", "192.168.2.1", "metric", "50")
    assert "table main, via 192.168.2.254" in seen(pillar()).beside("eth0")


def test_a_default_route_without_a_gateway(seen, host):
    host.ip("-4", "route", "replace", "default", "dev", "eth2")
    picture = seen(NO_PILLAR)
    assert "eth2 · main default" in picture.inside("eth2")
    assert "──► reply, table main" in picture.beside("eth2")


def test_a_table_with_an_odd_name(seen, drawn, host):
    DROP_IN.write_text(f"77 {ODD}\n")
    host.ip("rule", "add", "from", ADDRESS, "lookup", "77", "priority", "100")
    host.ip("route", "add", "default", "via", GATEWAY, "table", "77")
    assert f"table {ODD}" in seen(pillar()).beside("eth1")
    assert f"table {ODD}" in " ".join(ElementTree.fromstring(drawn(pillar(), "svg")).itertext())


def test_mermaid_and_svg(drawn):
    assert "flowchart LR" in drawn(pillar(), "mermaid")
    texts = ElementTree.fromstring(drawn(pillar(), "svg")).itertext()
    assert "✗ what comes in on eth1 is answered through eth0" in " ".join(texts)


def test_an_unknown_format_names_the_known(drawn):
    with pytest.raises(CommandExecutionError, match="write text, mermaid or svg"):
        drawn(pillar(), "png")


def test_without_graphviz_the_error_says_what_to_do(minion, host, monkeypatch, tmp_path):
    # `ip` is looked for in /usr/sbin too.
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandExecutionError, match=r"package graphviz.*format=mermaid"):
        minion.call("diagram", "svg", pillar=pillar())


def test_a_host_without_ipv6(seen, host):
    host.sysctl("net.ipv6.conf.all.disable_ipv6", 1)
    picture = seen(pillar(gateway=GATEWAY))
    assert "✗ what comes in on eth1 is answered through eth0" in picture.whole
    assert "2001:db8" not in picture.whole


def test_a_thousand_addresses_do_not_fill_the_picture(seen, host):
    more = "".join(f"address add 10.1.{n // 200}.{n % 200 + 1}/32 dev eth1\n" for n in range(1000))
    host.run("ip", "-batch", "-", input=more)
    picture = seen(pillar())
    assert "and 996 more" in picture.inside("eth1")
    assert picture.beside("eth1") == "◄── request ✗ reply leaves by eth0, table main"


@pytest.mark.parametrize("format", ["text", "mermaid", "svg"])
def test_the_title_is_the_minions_id(drawn, minion, monkeypatch, format):
    monkeypatch.setitem(minion._options, "id", "web1.example.com")
    monkeypatch.setitem(minion._options["grains"], "host", "somewhere")
    monkeypatch.setattr(minion, "_loaded", {})
    text = drawn(pillar(), format)
    assert "web1.example.com" in text
    assert "somewhere" not in text
