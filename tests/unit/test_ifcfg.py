"""ifcfg files and /etc/sysconfig/network: read as data, as the network scripts read them."""

import re

import multihoming_backend_network_scripts as backend
import multihoming_ifcfg as ifcfg
import pytest
from multihoming_backend import Said
from multihoming_values import Address

NOTHING = {"eth1": Said()}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(ifcfg, "FOLDER", str(tmp_path))
    return tmp_path


def interface(folder, **texts):
    for name, text in texts.items():
        (folder / name.replace("_", "-", 1).replace("__", ":")).write_text(text)
    kept = backend.look(["eth1"])
    assert kept.unreadable == {}
    said = kept.interfaces["eth1"]
    return [str(address) for address in said.addresses], dict(said.gateways)


def trouble(folder, text):
    """Return the message about eth1's file."""
    (folder / "ifcfg-eth1").write_text(text)
    kept = backend.look(["eth1"])
    assert (list(kept.interfaces), list(kept.unreadable)) == ([], ["eth1"])
    return kept.unreadable["eth1"]


ADDRESSES = [
    ("IPADDR=10.0.0.1\nPREFIX=16\n", ["10.0.0.1/16"]),
    ("IPADDR=10.0.0.1\nNETMASK=255.255.0.0\n", ["10.0.0.1/16"]),
    ("IPADDR=10.0.0.1\nPREFIX=16\nNETMASK=255.0.0.0\n", ["10.0.0.1/16"]),
    ("IPADDR=10.0.0.1\n", ["10.0.0.1/8"]),
    ("IPADDR=172.16.0.1\n", ["172.16.0.1/16"]),
    ("IPADDR=192.168.1.220\n", ["192.168.1.220/24"]),
    ("IPADDR0=10.0.0.1\nPREFIX0=16\n", ["10.0.0.1/16"]),
    ("IPADDR1=10.0.0.1\nPREFIX1=16\n", ["10.0.0.1/16"]),
    ("IPADDR2=10.0.0.1\nPREFIX2=16\n", ["10.0.0.1/16"]),
    ("IPADDR3=10.0.0.1\nPREFIX3=16\n", []),
    (
        "IPADDR=10.0.0.1\nIPADDR0=10.0.0.2\nIPADDR1=10.0.0.3\nIPADDR2=10.0.0.4\nIPADDR4=10.0.0.5\n",
        ["10.0.0.1/8", "10.0.0.2/8", "10.0.0.3/8", "10.0.0.4/8"],
    ),
    ("IPADDR=10.0.0.1\nPREFIX0=16\n", ["10.0.0.1/8"]),
    ("IPADDR=10.0.0.1\nIPADDR0=10.0.0.1\n", ["10.0.0.1/8"]),
    ("IPV6ADDR=2001:db8::1/48\n", ["2001:db8::1/48"]),
    ("IPV6ADDR=2001:DB8::1\n", ["2001:db8::1/64"]),
    (
        'IPV6ADDR=2001:db8::1\nIPV6ADDR_SECONDARIES="2001:db8::2/48 2001:db8::3"\n',
        ["2001:db8::1/64", "2001:db8::2/48", "2001:db8::3/64"],
    ),
    ("IPV6ADDR_SECONDARIES='2001:db8::2/48'\n", ["2001:db8::2/48"]),
    ("IPV6INIT=no\nIPV6ADDR=2001:db8::1/48\nIPADDR=10.0.0.1\n", ["10.0.0.1/8"]),
    ("IPV6INIT=Off\nIPV6ADDR=2001:db8::1/48\n", []),
    ("BOOTPROTO=dhcp\nIPADDR=10.0.0.1\n", []),
    ("BOOTPROTO=dhcp\nIPADDR=10.0.0.1\nIPV6ADDR=2001:db8::1\n", ["2001:db8::1/64"]),
    ("BOOTPROTO=none\nIPADDR=10.0.0.1\n", ["10.0.0.1/8"]),
    ('IPADDR="10.0.0.1"\nPREFIX="16"\n', ["10.0.0.1/16"]),
    ("IPADDR='10.0.0.1'\nPREFIX='16'\n", ["10.0.0.1/16"]),
    ("  IPADDR=10.0.0.1   # the first\n\tPREFIX=16\n", ["10.0.0.1/16"]),
    ("export IPADDR=10.0.0.1\nexport PREFIX=16\n", ["10.0.0.1/16"]),
    ("IPADDR=10.0.0.1 PREFIX=16\n", ["10.0.0.1/16"]),
    ("IPADDR=10.0.0.1;PREFIX=16\n", ["10.0.0.1/16"]),
    ("IPADDR=10.0.0.1; PREFIX=16;\n", ["10.0.0.1/16"]),
    ("IPADDR=10.0.0.9\nIPADDR=10.0.0.1\nPREFIX=16\n", ["10.0.0.1/16"]),
    ("IPADDR=\nPREFIX=16\n", []),
    ("#IPADDR=10.0.0.1\n", []),
    ("MYIPADDR=10.0.0.1\nIPADDRESS=10.0.0.2\n", []),
    ("IPADDR0=10.0.0.1\nIPADDR1=10.0.0.2\nPREFIX1=16\n", ["10.0.0.1/8", "10.0.0.2/16"]),
    ("IPADDR0=10.0.0.1\nNETMASK=255.255.0.0\n", ["10.0.0.1/8"]),
    ("IPADDR=10.0.0.1\nNETMASK0=255.255.0.0\n", ["10.0.0.1/8"]),
    ("IPADDR=10.0.0.1\nIPADDR+=0\n", ["10.0.0.10/8"]),
    ("IPADDR='10.0'\".0\".1\\\n1\n", ["10.0.0.11/8"]),
    ("IPADDR=10.0.0.1#2\nIPADDR=10.0.0.1 #2\n", ["10.0.0.1/8"]),
    ("IPADDR=10.0.0.1\nif [ -f /x ]; then\nMTU=9000\nfi\nNAME='never closed\n", ["10.0.0.1/8"]),
    ("ZONE=$ZONE\nHOSTNAME=`hostname`\nIPADDR=10.0.0.1\n", ["10.0.0.1/8"]),
    ('NAME="it\'s $(reboot) `id`"\nIPADDR=10.0.0.1\n', ["10.0.0.1/8"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "addresses"), ADDRESSES)
def test_addresses_of_an_interface_file(folder, text, addresses):
    assert interface(folder, ifcfg_eth1=text)[0] == addresses


GATEWAYS = [
    ("IPADDR=10.0.0.2\nGATEWAY=10.0.0.1\n", {4: "10.0.0.1"}),
    ("IPADDR=10.0.0.2\nGATEWAY='10.0.0.1'\n", {4: "10.0.0.1"}),
    ("IPV6ADDR=2001:db8::2\nIPV6_DEFAULTGW=2001:DB8::1\n", {6: "2001:db8::1"}),
    ("IPV6ADDR=2001:db8::2\nIPV6_DEFAULTGW=fe80::1%eth1\n", {6: "fe80::1"}),
    ("IPV6INIT=no\nIPV6_DEFAULTGW=fe80::1%eth1\n", {}),
    ("GATEWAY=10.0.0.1\nIPV6_DEFAULTGW=fe80::1\n", {4: "10.0.0.1", 6: "fe80::1"}),
    ("GATEWAY=\n", {}),
    ("#GATEWAY=10.0.0.1\n", {}),
]


@pytest.mark.parametrize(("text", "gateways"), GATEWAYS)
def test_gateways_of_an_interface_file(folder, text, gateways):
    assert interface(folder, ifcfg_eth1=text)[1] == gateways


SHELL = [
    "IPADDR=$ADDRESS",
    "IPADDR=${A}.1",
    "IPADDR=`hostname -i`",
    "IPADDR=$(hostname -i)",
    'IPADDR="$(touch executed)"',
    "[ -f /x ] && IPADDR=10.0.0.1",
    ". /etc/sysconfig/common",
    "NAME=x\nif true; then\nIPADDR=10.0.0.1\nfi",
    "GATEWAY=$GW",
    "IPADDR=10.0.0.1\nPREFIX=$P",
    'IPV6ADDR_SECONDARIES="2001:db8::1/64 $MORE"',
    "IPADDR=${ADDRESS:-10.0.0.1}",
    "cat <<END\nIPADDR=10.0.0.1\nEND",
    "\ufeffIPADDR=10.0.0.1",
    "IPADDR = 10.0.0.1",
    "NAME='never closed\nIPADDR=10.0.0.1",
]


@pytest.mark.parametrize("text", SHELL)
def test_value_that_only_a_shell_can_tell_is_refused_and_never_run(folder, monkeypatch, text):
    monkeypatch.chdir(folder)
    message = trouble(folder, f"{text}\n")
    assert re.search(r"ifcfg-eth1 line \d.*shell.*pillar", message)
    assert not (folder / "executed").exists()


@pytest.mark.parametrize(
    ("text", "variable"),
    [
        ("IPADDR=10.0.0", "IPADDR"),
        ("IPADDR=10.0.0.1\nPREFIX=33", "IPADDR"),
        ("IPADDR=10.0.0.1\nNETMASK=255.0.255.0", "IPADDR"),
        ("IPADDR=10.0.0.0\nPREFIX=8", "IPADDR"),
        ("IPADDR1=x", "IPADDR1"),
        ("IPADDR=2001:db8::1", "IPADDR"),
        ("IPV6ADDR=10.0.0.1", "IPV6ADDR"),
        ("IPV6ADDR=2001:db8::1/129", "IPV6ADDR"),
        ("GATEWAY=router", "GATEWAY"),
        ("GATEWAY=2001:db8::1", "GATEWAY"),
        ("IPV6_DEFAULTGW=10.0.0.1", "IPV6_DEFAULTGW"),
        ("IPV6_DEFAULTGW=ff02::1", "IPV6_DEFAULTGW"),
    ],
)
def test_bad_value_names_file_and_variable(folder, text, variable):
    assert f"ifcfg-eth1: {variable}: " in trouble(folder, f"{text}\n")


@pytest.mark.parametrize("between", [" \\\n", "\n", " \t\n  "])
def test_value_over_two_lines_is_read_whole(folder, between):
    text = f'IPV6ADDR_SECONDARIES="2001:db8::1/64{between}2001:db8::2/64"\n'
    assert interface(folder, ifcfg_eth1=text)[0] == ["2001:db8::1/64", "2001:db8::2/64"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("IPADDR=10.0.0.1\r\n", "ifcfg-eth1 line 1: 'IPADDR=10.0.0.1' holds a carriage return"),
        ("IPADDR=10.0.0.1\n\0", "ifcfg-eth1 holds a NUL byte"),
        ("IPADDR='10.0.0.1 '\n", "ifcfg-eth1: IPADDR: "),
        ("IPADDR=10.0.0.1/8\n", "ifcfg-eth1: IPADDR: "),
    ],
)
def test_what_the_scripts_would_choke_on_is_named(folder, text, said):
    assert said in trouble(folder, text)


def test_bytes_that_are_no_text_do_no_harm(folder):
    (folder / "ifcfg-eth1").write_bytes(b"NAME=\xff\xfe\nIPADDR=10.0.0.1\n")
    assert backend.look(["eth1"]).interfaces == {"eth1": Said((Address(4, "10.0.0.1", 8),))}
    assert "IPADDR: " in trouble(folder, "IPADDR=10.0.0.\u0661\n")


def test_an_alias_file_that_only_a_shell_can_tell_is_named(folder):
    (folder / "ifcfg-eth1:0").write_text("IPADDR=$VIP\n")
    assert "ifcfg-eth1:0 line 1" in trouble(folder, "IPADDR=10.0.0.1\n")


def test_alias_files_add_addresses_but_no_gateway(folder):
    addresses, gateways = interface(
        folder,
        ifcfg_eth1="IPADDR=10.0.0.1\nGATEWAY=10.0.0.254\n",
        ifcfg_eth1__0="IPADDR=10.0.0.2\nGATEWAY=10.0.0.253\n",
        ifcfg_eth1__web="IPADDR=10.0.0.3\n",
        ifcfg_eth10="IPADDR=10.0.0.4\n",
    )
    assert addresses == ["10.0.0.1/8", "10.0.0.2/8", "10.0.0.3/8"]
    assert gateways == {4: "10.0.0.254"}


@pytest.mark.parametrize("ending", [".bak", "~", ".old", ".orig", ".rpmnew", ".rpmsave"])
def test_copies_are_passed_over(folder, ending):
    (folder / f"ifcfg-eth1:0{ending}").write_text("IPADDR=10.0.0.1\n")
    (folder / f"rule-eth1{ending}").write_text("x\n")
    kept = backend.look(["eth1"])
    assert (kept.interfaces, kept.unreadable) == (NOTHING, {})
    assert kept.texts.keys() <= {ifcfg.NETWORK}


def test_interface_without_a_file_has_nothing(folder):
    kept = backend.look(["eth1"])
    assert (kept.interfaces, kept.unreadable) == (NOTHING, {})


def test_addresses_are_plain_values(folder):
    (folder / "ifcfg-eth1").write_text("IPADDR=10.0.0.1\n")
    assert backend.look(["eth1"]).interfaces == {"eth1": Said((Address(4, "10.0.0.1", 8),))}


def test_trouble_with_one_interface_does_not_hide_others(folder):
    (folder / "ifcfg-eth1").write_text("IPADDR=$X\n")
    (folder / "ifcfg-eth2").write_text("IPADDR=10.0.0.1\n")
    kept = backend.look(["eth1", "eth2"])
    assert (list(kept.interfaces), list(kept.unreadable)) == (["eth2"], ["eth1"])


def test_profiles_come_in_the_order_of_boot(monkeypatch, tmp_path):
    monkeypatch.setattr(ifcfg, "FOLDER", str(tmp_path))
    for name in ("eth10", "eth2", "eth2:1", "lo", "bond0", "eth3.bak"):
        (tmp_path / f"ifcfg-{name}").write_text(f"DEVICE='{name}'\nGATEWAY=$(x)\n")
    found = ifcfg.profiles(backend.look(["eth1"]).texts)
    assert [profile.name for profile in found] == ["bond0", "eth2", "eth2:1", "eth10"]
    assert [profile.device for profile in found] == ["bond0", "eth2", "eth2", "eth10"]
    assert {profile.value("GATEWAY") for profile in found} == {""}


def test_a_file_is_for_the_interface_that_it_names(folder):
    addresses, gateways = interface(
        folder, ifcfg_lan="DEVICE=eth1\nIPADDR=10.0.0.1\nGATEWAY=10.0.0.254\n"
    )
    assert (addresses, gateways) == (["10.0.0.1/8"], {4: "10.0.0.254"})
    assert interface(folder, ifcfg_eth1="DEVICE=eth2\nIPADDR=10.0.0.9\n")[0] == ["10.0.0.1/8"]


def test_a_gateway_with_another_interfaces_scope_is_not_its_own(folder):
    assert interface(folder, ifcfg_eth1="IPV6_DEFAULTGW=fe80::1%eth1\n")[1] == {6: "fe80::1"}
    assert interface(folder, ifcfg_eth1="IPV6_DEFAULTGW=fe80::1%eth0\n")[1] == {}


DYNAMIC = [
    ("BOOTPROTO=dhcp\n", {4}),
    ("BOOTPROTO=bootp\n", {4}),
    ("BOOTPROTO=none\nIPADDR=10.0.0.1\n", set()),
    ("", set()),
    ("IPV6_AUTOCONF=yes\n", {6}),
    ("BOOTPROTO=dhcp\nDHCPV6C=yes\n", {4, 6}),
    ("IPV6INIT=no\nDHCPV6C=yes\n", set()),
    ("IPV6_AUTOCONF=no\n", set()),
    ("IPV6_AUTOCONF=$(x)\n", set()),
]


@pytest.mark.parametrize(("text", "families"), DYNAMIC)
def test_addresses_of_dhcp_and_advertisements_are_dynamic(folder, text, families):
    (folder / "ifcfg-eth1").write_text(text)
    assert backend.look(["eth1"]).interfaces["eth1"].dynamic == families
