"""ifcfg files and /etc/sysconfig/network: read as data, as the network scripts read them."""

import re

import multihoming_backend_network_scripts as backend
import multihoming_ifcfg as ifcfg
import pytest
from multihoming_backend import Default, Said
from multihoming_errors import ContentError
from multihoming_values import Address
from surveys import place, route

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
        ("IPADDR=10.0.0.1\nPREFIX=0", "IPADDR"),
        ("IPADDR2=10.0.0.1\nNETMASK2=0.0.0.0", "IPADDR2"),
        ("IPV6ADDR=2001:db8::1/0", "IPV6ADDR"),
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


# --- yes and no -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", "no NO n false False f off OFF 0".split())
def test_what_means_no_to_the_scripts(value):
    assert ifcfg.is_false(value)
    assert not ifcfg.is_true(value)


@pytest.mark.parametrize("value", "yes YES y true True t on ON 1".split())
def test_what_means_yes_to_the_scripts(value):
    assert ifcfg.is_true(value)
    assert not ifcfg.is_false(value)


@pytest.mark.parametrize("value", ["", "none", "never", "00", "2", " no", "yes."])
def test_what_means_neither(value):
    assert not ifcfg.is_true(value)
    assert not ifcfg.is_false(value)


# --- files ------------------------------------------------------------------------------------


def files(**said):
    """Return path -> text: ``eth1`` stands for ifcfg-eth1, ``network`` for the global file."""
    names = {name: name if name == "network" else f"ifcfg-{name}" for name in said}
    return {place(names[name]): text for name, text in said.items()}


@pytest.mark.parametrize(
    "ending", ["~", ".bak", ".old", ".orig", ".rpmnew", ".rpmorig", ".rpmsave"]
)
def test_a_copy_is_no_ifcfg_file(ending):
    assert not ifcfg.is_ifcfg(place(f"ifcfg-eth1{ending}"))
    assert ifcfg.is_ifcfg(place(f"ifcfg-eth1{ending}x"))


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("ifcfg-eth1", True),
        ("ifcfg-eth1:0", True),
        ("ifcfg-lo", False),
        ("ifcfg-lo:0", True),
        ("ifup-eth1", False),
        ("route-eth1", False),
        ("my-ifcfg-eth1", False),
    ],
)
def test_what_is_an_ifcfg_file(name, is_one):
    assert ifcfg.is_ifcfg(place(name)) is is_one


def test_files_are_brought_up_by_name_with_numbers_as_numbers():
    names = ["eth1:2", "eth10", "p2p1", "eth1", "br", "eth1:10", "eth9x", "eth9"]
    found = ifcfg.profiles({place(f"ifcfg-{name}"): "" for name in names})
    boot = ["br", "eth1", "eth1:10", "eth1:2", "eth9", "eth9x", "eth10", "p2p1"]
    assert [profile.name for profile in found] == boot


def test_a_file_has_variables_of_its_own_and_those_of_the_global_one_under_them():
    (found,) = ifcfg.profiles(files(network="A=1\nB=2\n", eth1="B=3\nC=$X\n"))
    assert (found.name, found.path, found.device) == ("eth1", place("ifcfg-eth1"), "eth1")
    assert [found.value(name) for name in "ABC"] == ["", "3", ""]
    assert {name: found.values[name] for name in "AB"} == {"A": "1", "B": "3"}


def test_an_alias_is_for_the_interface_before_the_colon():
    one, two = ifcfg.profiles(files(eth1="", **{"eth1:0": "DEVICE=eth2:7\n"}))
    assert (one.device, one.is_alias) == ("eth1", False)
    assert (two.device, two.is_alias) == ("eth2", True)


def test_a_device_that_only_a_shell_can_tell_is_taken_from_the_name():
    (found,) = ifcfg.profiles(files(eth1="DEVICE=$(x)\n"))
    assert found.device == "eth1"


@pytest.mark.parametrize(
    ("value", "static"), [("dhcp", False), ("DHCP", False), ("bootp", False), ("none", True)]
)
def test_addresses_stand_in_the_file_unless_dhcp_gives_them(value, static):
    (found,) = ifcfg.profiles(files(network="BOOTPROTO=dhcp\n", eth1=f"BOOTPROTO={value}\n"))
    assert found.is_static is static
    (found,) = ifcfg.profiles(files(network=f"BOOTPROTO={value}\n", eth1=""))
    assert found.is_static is static


def test_what_the_files_of_interfaces_say():
    texts = files(
        lan="DEVICE=eth1\nIPADDR=10.0.0.1\nGATEWAY=10.0.0.254\n",
        eth1="IPADDR=10.0.0.2\nGATEWAY=10.0.0.253\nIPV6_DEFAULTGW=fe80::1\nDHCPV6C=yes\n",
        eth2="BOOTPROTO=dhcp\nIPADDR=10.0.0.1\n",
        eth3="IPADDR=$X\n",
        network="GATEWAY=10.0.0.9\n",
        **{"eth1:0": "IPADDR=10.0.0.3\nGATEWAY=10.0.0.252\nDHCPV6C=yes\nBOOTPROTO=none\n"},
    )
    found, errors = ifcfg.interfaces(texts, ["eth1", "eth2", "eth3", "eth4"])
    own = tuple(Address(4, f"10.0.0.{number}", 8) for number in (2, 3, 1))
    assert found == {
        # The file of its own name comes first.
        "eth1": Said(own, {4: "10.0.0.253", 6: "fe80::1"}, frozenset({6})),
        "eth2": Said((), {}, frozenset({4})),
        "eth4": Said(),
    }
    assert errors == {
        "eth3": f"{place('ifcfg-eth3')} line 1: 'IPADDR=$X' needs a shell to be understood; write "
        "the value itself there, or give `addresses` and `gateway` in the pillar"
    }


@pytest.mark.parametrize(
    ("address", "length"),
    [
        ("10.0.0.1", "8"),
        ("127.0.0.1", "8"),
        ("128.0.0.1", "16"),
        ("191.255.0.1", "16"),
        ("192.0.0.1", "24"),
        ("x", "8"),
    ],
)
def test_without_a_mask_the_class_counts(address, length):
    assert ifcfg.classful(address) == length


def test_many_addresses_are_read():
    lines = "".join(f"IPADDR{number}=10.0.{number}.1\n" for number in range(257))
    (profile,) = ifcfg.profiles(files(eth1=lines))
    assert [str(own) for own in ifcfg.addresses(profile)][-1] == "10.0.255.1/8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("IPADDR=2001:db8::1/64", "IPADDR: '2001:db8::1/64/8' has no valid prefix length"),
        ("IPADDR=2001:db8::1\nPREFIX=64", "IPADDR: '2001:db8::1/64' is of the other family"),
        ("IPV6ADDR=10.0.0.1/8", "IPV6ADDR: '10.0.0.1/8' is of the other family"),
        ("IPADDR0=10.0.0.1\nPREFIX0=x", "IPADDR0: '10.0.0.1/x' has no valid prefix length"),
    ],
)
def test_an_address_that_can_not_be_read_is_told_with_its_variable(text, message):
    (profile,) = ifcfg.profiles(files(eth1=text))
    with pytest.raises(ContentError) as caught:
        ifcfg.addresses(profile)
    assert str(caught.value).startswith(f"{place('ifcfg-eth1')}: {message}")
    assert ifcfg.known_addresses(profile) == []


def test_known_addresses_are_those_that_can_be_read():
    (profile,) = ifcfg.profiles(files(eth1="IPADDR=10.0.0.1\n"))
    assert ifcfg.known_addresses(profile) == [Address(4, "10.0.0.1", 8)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("GATEWAY=2001:db8::1", "GATEWAY: '2001:db8::1' is not IPv4; write an IPv4 address"),
        (
            "IPV6_DEFAULTGW=10.0.0.1",
            "IPV6_DEFAULTGW: '10.0.0.1' is not IPv6; write an IPv6 address",
        ),
        ("GATEWAY=224.0.0.1", "GATEWAY: '224.0.0.1' is a multicast address; write the router's "),
    ],
)
def test_a_gateway_that_can_not_be_read_is_told_with_its_variable(text, message):
    _, errors = ifcfg.interfaces(files(eth1=text), ["eth1"])
    assert errors["eth1"].startswith(f"{place('ifcfg-eth1')}: {message}")


# --- the default routes that are made -----------------------------------------------------------

ETH1 = "IPADDR=192.168.1.220\nPREFIX=24\nGATEWAY=192.168.1.254\n"
DEFAULT1 = "default via 192.168.1.254 dev eth1"
DEFAULT6 = "default via 2001:db8:1::254 dev eth1 metric 1"


@pytest.mark.parametrize(
    ("text", "routes"),
    [
        (ETH1, [DEFAULT1]),
        (f"{ETH1}METRIC=7\n", [f"{DEFAULT1} metric 7"]),
        (f"{ETH1}METRIC=x\n", []),
        (f"{ETH1}METRIC=$X\n", []),
        (f"{ETH1}DEFROUTE=yes\n", [DEFAULT1]),
        (f"{ETH1}DEFROUTE=no\n", []),
        # No other word keeps the scripts from it.
        (f"{ETH1}DEFROUTE=No\n", [DEFAULT1]),
        (f"{ETH1}DEFROUTE=false\n", [DEFAULT1]),
        (f"{ETH1}DEFROUTE=0\n", [DEFAULT1]),
        (f"{ETH1}GATEWAY=192.168.9.254\n", []),
        (f"IPADDR2=192.168.9.1\nPREFIX2=24\n{ETH1}GATEWAY=192.168.9.254\n", []),
        (f"{ETH1}GATEWAY=router\n", []),
        (f"{ETH1}GATEWAY=\n", []),
        ("BOOTPROTO=dhcp\nGATEWAY=192.168.1.254\n", [DEFAULT1]),
        ("IPV6_DEFAULTGW=2001:db8:1::254\n", [DEFAULT6]),
        ("IPV6_DEFAULTGW=2001:db8:1::254%eth1\nMETRIC=7\nDEFROUTE=no\n", [DEFAULT6]),
        ("IPV6_DEFAULTGW=fe80::1%eth0\n", []),
        ("IPV6INIT=no\nIPV6_DEFAULTGW=2001:db8:1::254\n", []),
        (f"{ETH1}IPV6_DEFAULTGW=2001:db8:1::254\n", [DEFAULT1, DEFAULT6]),
    ],
)
def test_default_routes_that_a_file_makes(text, routes):
    assert ifcfg.defaults(files(eth1=text)) == [route(line) for line in routes]


def test_default_routes_come_from_the_global_file_too_and_from_no_alias():
    texts = files(network="GATEWAY=192.168.1.254\nMETRIC=3\n", eth1=ETH1.rpartition("GATEWAY")[0])
    assert ifcfg.defaults(texts) == [route(f"{DEFAULT1} metric 3")]
    assert ifcfg.defaults(files(**{"eth1:0": ETH1})) == []


# --- what is in the way of a default route --------------------------------------------------------

NETWORK, PATH = ifcfg.NETWORK, place("ifcfg-eth1")


def problems(default=None, /, **said):
    """Return what is in the way of eth1's gateway, by default that of IPv4."""
    return ifcfg.problems(files(**said), default or Default("eth1", {4: "192.168.1.254"}))


def test_nothing_is_in_the_way():
    assert problems(eth1=ETH1, eth0="IPADDR=192.168.2.220\nGATEWAY=192.168.2.254\n") == []
    assert problems(eth1="BOOTPROTO=dhcp\n") == []
    assert problems(network="GATEWAY=192.168.1.254\n", eth1=ETH1.rpartition("GATEWAY")[0]) == []


MORE = [
    (
        "GATEWAYDEV=eth0\n",
        f"{PATH}: GATEWAYDEV=eth0 counts for eth1; remove that line",
    ),
    ("ONBOOT=no\n", f"{PATH}: ONBOOT=no, so it is down after a restart; write ONBOOT=yes"),
    ("DEFROUTE=no\n", f"{PATH}: DEFROUTE=no forbids the default route; remove that line"),
    (
        "GATEWAY=\n",
        f"{PATH}: has no GATEWAY, so there would be no IPv4 default route after a restart; write "
        "GATEWAY=192.168.1.254",
    ),
    (
        "GATEWAY=192.168.1.1\n",
        f"{PATH}: GATEWAY=192.168.1.1, but the pillar says 192.168.1.254; write the same in both",
    ),
    (
        "IPADDR=192.168.3.220\n",
        f"{PATH}: GATEWAY=192.168.1.254 is outside of 192.168.3.0/24, the subnet of the first "
        "address, and is ignored; write a gateway there, or put the address next to it first",
    ),
    (
        "NETWORK=192.168.0.0\n",
        f"{PATH}: NETWORK=192.168.0.0 is not the network of 192.168.1.220/24, so GATEWAY is "
        "ignored; remove that line",
    ),
    (
        "ONBOOT=$X\n",
        f"{PATH} line 4: 'ONBOOT=$X' needs a shell to be understood; write the value itself there",
    ),
]


@pytest.mark.parametrize(("line", "message"), MORE)
def test_a_line_that_is_in_the_way_is_told_with_the_remedy(line, message):
    assert problems(eth1=f"{ETH1}{line}") == [message]


@pytest.mark.parametrize("line", ["GATEWAYDEV=eth1\n", "NETWORK=192.168.1.0\n", "ONBOOT=yes\n"])
def test_a_line_that_says_the_same_is_not_in_the_way(line):
    assert problems(eth1=f"{ETH1}{line}") == []


def test_what_the_global_file_says_is_told_with_it():
    other = f"{NETWORK}: GATEWAY=192.168.1.1 is the gateway of every interface that names none; "
    assert problems(network="GATEWAY=192.168.1.1\n", eth1=ETH1) == [f"{other}remove that line"]
    assert problems(network="GATEWAY=192.168.1.1\n", eth1=ETH1.rpartition("GATEWAY")[0]) == [
        f"{other}remove that line",
        f"{NETWORK}: GATEWAY=192.168.1.1, but the pillar says 192.168.1.254; write the same in "
        "both",
    ]


def test_with_dhcp_only_what_forbids_the_route_is_in_the_way():
    assert problems(eth1="BOOTPROTO=dhcp\nDEFROUTE=no\nONBOOT=no\nGATEWAY=192.168.1.1\n") == [
        f"{PATH}: ONBOOT=no, so it is down after a restart; write ONBOOT=yes",
        f"{PATH}: DEFROUTE=no forbids the default route; remove that line",
    ]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("IPV6_DEFAULTGW=2001:db8:1::254\nDEFROUTE=no\nBOOTPROTO=dhcp\nNETWORK=10.0.0.0\n", []),
        ("IPV6_DEFAULTGW=2001:db8:1::254%eth1\n", []),
        (
            "",
            [
                f"{PATH}: has no IPV6_DEFAULTGW, so there would be no IPv6 default route after a "
                "restart; write IPV6_DEFAULTGW=2001:db8:1::254"
            ],
        ),
        (
            "IPV6_DEFAULTGW=2001:db8:1::254\nIPV6_DEFAULTDEV=eth0\n",
            [f"{PATH}: IPV6_DEFAULTDEV=eth0 counts for eth1; remove that line"],
        ),
        (
            "IPV6_DEFAULTGW=fe80::1%eth0\n",
            [
                f"{PATH}: IPV6_DEFAULTGW=fe80::1%eth0 makes a default route whatever else is said; "
                "write it without %eth0",
                f"{PATH}: has no IPV6_DEFAULTGW, so there would be no IPv6 default route after a "
                "restart; write IPV6_DEFAULTGW=2001:db8:1::254",
            ],
        ),
    ],
)
def test_what_is_in_the_way_of_a_gateway_of_ipv6(line, found):
    assert problems(Default("eth1", {6: "2001:db8:1::254"}), eth1=line) == found


def test_a_global_gateway_of_ipv6_may_have_a_scope():
    default = Default("eth1", {6: "fe80::1"})
    assert problems(default, network="IPV6_DEFAULTGW=fe80::1%eth1\n", eth1="") == []


def test_files_of_other_interfaces_are_in_the_way_by_naming_another_only():
    other = place("ifcfg-eth0")
    text = "ONBOOT=no\nDEFROUTE=no\nGATEWAYDEV=eth0\nIPV6_DEFAULTGW=fe80::1%eth0\n"
    default = Default("eth1", {4: "192.168.1.254", 6: "2001:db8:1::254"})
    both = f"{ETH1}IPV6_DEFAULTGW=2001:db8:1::254\n"
    assert problems(default, eth0=text, eth1=both) == [
        f"{other}: GATEWAYDEV=eth0 counts for eth0; remove that line",
        f"{other}: IPV6_DEFAULTGW=fe80::1%eth0 makes a default route whatever else is said; write "
        "it without %eth0",
    ]


def test_an_alias_is_not_in_the_way():
    assert problems(eth1=ETH1, **{"eth1:0": "GATEWAYDEV=eth0\nONBOOT=no\n"}) == []


def test_an_interface_without_a_file_has_no_default_route_after_a_restart():
    assert problems(eth0="", **{"eth1:0": ETH1}) == [
        f"there is no {PATH}, so after a restart there would be no default route at all; write "
        "that file, or choose an interface that has one"
    ]


def test_of_another_backends_interface_nothing_is_asked_but_to_keep_out_of_its_way():
    default = Default("wan0", {4: "192.168.1.254"}, own=False)
    assert problems(default, eth1=f"{ETH1}ONBOOT=no\n") == []
    assert problems(default, eth1=f"{ETH1}GATEWAYDEV=eth1\n") == [
        f"{PATH}: GATEWAYDEV=eth1 counts for eth1; remove that line"
    ]
    mine = Default("eth1", {4: "192.168.9.254"}, own=False)
    assert problems(mine, eth1=f"{ETH1}ONBOOT=no\n") == []


# --- /etc/sysconfig/network -------------------------------------------------------------------

KEPT = [
    ("", "GATEWAYDEV=eth1\n"),
    ("NETWORKING=yes\n", "NETWORKING=yes\nGATEWAYDEV=eth1\n"),
    ("NETWORKING=yes", "NETWORKING=yes\nGATEWAYDEV=eth1\n"),
    ("GATEWAYDEV=eth1\n", "GATEWAYDEV=eth1\n"),
    ("GATEWAYDEV='eth1' # mine", "GATEWAYDEV='eth1' # mine"),
    ("A=1\nGATEWAYDEV=eth0\nB=2\n", "A=1\nGATEWAYDEV=eth1\nB=2\n"),
    ('GATEWAYDEV="eth0"  # mine\n', "GATEWAYDEV=eth1  # mine\n"),
    ("export GATEWAYDEV='eth0'\n", "export GATEWAYDEV=eth1\n"),
    ("export\tGATEWAYDEV=\n", "export\tGATEWAYDEV=eth1\n"),
    ("GATEWAYDEV=eth0", "GATEWAYDEV=eth1\n"),
    ("GATEWAYDEV=eth0\nGATEWAYDEV=eth2\n", "GATEWAYDEV=eth0\nGATEWAYDEV=eth1\n"),
    ("# GATEWAYDEV=eth0\n", "# GATEWAYDEV=eth0\nGATEWAYDEV=eth1\n"),
    ("GATEWAYDEV=eth0\n# not GATEWAYDEV\n", "GATEWAYDEV=eth0\n# not GATEWAYDEV\nGATEWAYDEV=eth1\n"),
    # Nothing but a newline ends a comment.
    ("# not\fGATEWAYDEV=eth0\n", "# not\fGATEWAYDEV=eth0\nGATEWAYDEV=eth1\n"),
    ("# \u2028GATEWAYDEV=eth0\n", "# \u2028GATEWAYDEV=eth0\nGATEWAYDEV=eth1\n"),
    ("MYGATEWAYDEV=eth0\n", "MYGATEWAYDEV=eth0\nGATEWAYDEV=eth1\n"),
    # What is more than assignments may decide by itself what is set where.
    ("if x; then\nGATEWAYDEV=eth0\nfi\n", "if x; then\nGATEWAYDEV=eth0\nfi\nGATEWAYDEV=eth1\n"),
    ("GATEWAYDEV=$X\n", "GATEWAYDEV=$X\nGATEWAYDEV=eth1\n"),
    ("GATEWAYDEV=eth0 A=1\n", "GATEWAYDEV=eth0 A=1\nGATEWAYDEV=eth1\n"),
    # What comes last counts, whatever a shell would make of the lines before it.
    (". other\nGATEWAYDEV=eth1\n", ". other\nGATEWAYDEV=eth1\n"),
    (". other\nGATEWAYDEV=eth1\n\n", ". other\nGATEWAYDEV=eth1\n\n"),
    ("GATEWAYDEV=eth1\n. other\n", "GATEWAYDEV=eth1\n. other\nGATEWAYDEV=eth1\n"),
    (
        "  # indented\n\n\tA=1\nGATEWAYDEV=eth0\n",
        "  # indented\n\n\tA=1\nGATEWAYDEV=eth0\nGATEWAYDEV=eth1\n",
    ),
    ("  # indented\n \nGATEWAYDEV=eth0\n", "  # indented\n \nGATEWAYDEV=eth1\n"),
]


@pytest.mark.parametrize(("before", "after"), KEPT)
def test_the_interface_is_kept_where_it_stands_else_at_the_end(before, after):
    default = Default("eth1", {4: "192.168.1.254"})
    kept = ifcfg.keep_default({NETWORK: before}, default)
    assert kept == after
    assert ifcfg.keep_default({NETWORK: kept}, default) == kept


def test_each_family_has_its_variable():
    kept = ifcfg.keep_default({}, Default("eth1", {4: "192.168.1.254", 6: "fe80::1"}))
    assert kept == "GATEWAYDEV=eth1\nIPV6_DEFAULTDEV=eth1\n"
    assert ifcfg.keep_default({}, Default("eth1", {6: "fe80::1"})) == "IPV6_DEFAULTDEV=eth1\n"
    assert ifcfg.chosen_default({NETWORK: kept}) == {
        "GATEWAYDEV": "eth1",
        "IPV6_DEFAULTDEV": "eth1",
    }


def test_what_the_global_file_chooses():
    assert ifcfg.chosen_default({}) == {}
    assert ifcfg.chosen_default({NETWORK: "GATEWAYDEV=\nGATEWAY=10.0.0.1\n"}) == {}
    assert ifcfg.chosen_default({NETWORK: "IPV6_DEFAULTDEV='eth1'\n"}) == {
        "IPV6_DEFAULTDEV": "eth1"
    }
    with pytest.raises(ContentError) as caught:
        ifcfg.chosen_default({NETWORK: "A=1\nGATEWAYDEV=$(cat /etc/dev)\n"})
    assert str(caught.value) == (
        f"{NETWORK} line 2: 'GATEWAYDEV=$(cat /etc/dev)' needs a shell to be understood; write the "
        "value itself there"
    )
