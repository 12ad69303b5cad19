"""Values as people write them: what is said of each mistake, word for word."""

from __future__ import annotations

import ipaddress
import re
from collections import OrderedDict
from types import MappingProxyType

import multihoming_values as values
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multihoming_values import Address
from played_host import own as address

ADDRESS = "is not an IP address; write one like 192.168.1.254 or 2001:db8::1"
HOST = "is no address of a network interface; write the interface's"
ROUTER = "write the router's address on this network"
TOS = "is no TOS that the kernel takes; write one of 4, 8, 12, 16, 20, 24, 28"
PROTOCOL = "is not a protocol; write a name like tcp or a number from 1 to 255"
PORT = 'is not a port; write a number from 1 to 65534 or "8000-8010"'
UIDS = 'is not a uid range; write it like "1000-1999"'
SCOPE = "is not a scope; write link, host or global"
ACTION = (
    "is not an action; write one of lookup, blackhole, unreachable, prohibit, nop or goto PRIORITY"
)
MARK = "is not a mark; write a number or mark/mask like 0x1/0xff"
DEVICE = "is not an interface name; write one of letters, digits and _ . @ + = -"
LONG = "is longer than the 15 bytes that the kernel allows; write the name that `ip link` shows"
PAIR = "is not an address with its peer; write it like 198.18.7.33 peer 100.64.0.1/32"
END = "write the address at the other end"
LENGTH4 = "has no valid prefix length; write a number from 0 to 32"
LENGTH6 = "has no valid prefix length; write a number from 0 to 128"

MESSAGES = [
    (values.parse_address, "10.0.0", f"'10.0.0' {ADDRESS}"),
    (values.parse_address, None, f"None {ADDRESS}"),
    (values.parse_address, "10.0.0.1/8", f"'10.0.0.1/8' {ADDRESS}"),
    (values.parse_interface, "x/8", f"'x' {ADDRESS}"),
    (
        values.parse_interface,
        "10.0.0.1",
        "'10.0.0.1' has no prefix length; write it like 192.168.1.220/24",
    ),
    (
        values.parse_interface,
        "2001:db8::1",
        "'2001:db8::1' has no prefix length; write it like 2001:db8::220/64",
    ),
    (values.parse_interface, "10.0.0.1/33", f"'10.0.0.1/33' {LENGTH4}"),
    (values.parse_interface, "10.0.0.1/", f"'10.0.0.1/' {LENGTH4}"),
    (values.parse_interface, "10.0.0.1/255.0.255.0", f"'10.0.0.1/255.0.255.0' {LENGTH4}"),
    (values.parse_interface, "10.0.0.1/255.0.0", f"'10.0.0.1/255.0.0' {LENGTH4}"),
    (values.parse_interface, "10.0.0.1/x.0.0.0", f"'x.0.0.0' {ADDRESS}"),
    (values.parse_interface, "2001:db8::1/129", f"'2001:db8::1/129' {LENGTH6}"),
    (values.parse_interface, "2001:db8::1/255.0.0.0", f"'2001:db8::1/255.0.0.0' {LENGTH6}"),
    (
        values.parse_prefix,
        "10.0.0.1/8",
        "'10.0.0.1/8' has bits set beyond its length; write 10.0.0.0/8",
    ),
    (
        values.parse_prefix,
        "2001:db8::1/32",
        "'2001:db8::1/32' has bits set beyond its length; write 2001:db8::/32",
    ),
    (values.parse_own_address, 7, "7 is not an address; write one like 192.168.1.220/24"),
    (values.parse_own_address, "224.0.0.5/24", f"'224.0.0.5/24' {HOST}"),
    (values.parse_own_address, "127.0.0.1/8", f"'127.0.0.1/8' {HOST}"),
    (values.parse_own_address, "0.0.0.0/32", f"'0.0.0.0/32' {HOST}"),
    (values.parse_own_address, "::/128", f"'::/128' {HOST}"),
    (values.parse_own_address, "255.255.255.255/32", f"'255.255.255.255/32' {HOST}"),
    (
        values.parse_own_address,
        "10.0.0.0/30",
        "'10.0.0.0/30' is the network itself; write the interface's address, like 10.0.0.1/30",
    ),
    (
        values.parse_own_address,
        "10.0.0.3/30",
        "'10.0.0.3/30' is the broadcast address; write the interface's address, like 10.0.0.1/30",
    ),
    (
        values.parse_own_address,
        "2001:db8::/126",
        "'2001:db8::/126' is the network itself; write the interface's address, like "
        "2001:db8::1/126",
    ),
    (
        values.parse_own_address,
        "10.0.0.1/0.0.0.0",
        "'10.0.0.1/0.0.0.0' has the length 0, which is no network's; write the length of its "
        "network, like 10.0.0.1/24, or 10.0.0.1/32 for an address alone",
    ),
    (
        values.parse_own_address,
        "2001:db8::1/0",
        "'2001:db8::1/0' has the length 0, which is no network's; write the length of its "
        "network, like 2001:db8::1/64, or 2001:db8::1/128 for an address alone",
    ),
    (
        values.parse_own_or_peers,
        "10.0.0.1 peer 10.0.0.2/0",
        "'10.0.0.1 peer 10.0.0.2/0' has the length 0, which is no network's; write the length of "
        "its network, like 10.0.0.2/24, or 10.0.0.2/32 for an address alone",
    ),
    (values.parse_own_or_peers, 7, "7 is not an address; write one like 192.168.1.220/24"),
    (values.parse_own_or_peers, "peer", f"'peer' {PAIR}"),
    (values.parse_own_or_peers, "10.0.0.1 peer", f"'10.0.0.1 peer' {PAIR}"),
    (values.parse_own_or_peers, "peer 10.0.0.1/32 10.0.0.2", f"'peer 10.0.0.1/32 10.0.0.2' {PAIR}"),
    (
        values.parse_own_or_peers,
        "10.0.0.1 peer 10.0.0.2/32 peer",
        f"'10.0.0.1 peer 10.0.0.2/32 peer' {PAIR}",
    ),
    (
        values.parse_own_or_peers,
        "10.0.0.1/32 peer 10.0.0.2/32",
        f"'10.0.0.1/32 peer 10.0.0.2/32' {PAIR}",
    ),
    (values.parse_own_or_peers, "127.0.0.1 peer 10.0.0.2/32", f"'127.0.0.1/32' {HOST}"),
    (
        values.parse_own_or_peers,
        "10.0.0.1 peer 10.0.0.2",
        "'10.0.0.2' has no prefix length; write it like 192.168.1.220/24",
    ),
    (
        values.parse_own_or_peers,
        "10.0.0.1 peer 10.0.0.1/24",
        f"'10.0.0.1 peer 10.0.0.1/24': 10.0.0.1 is the address itself; {END}",
    ),
    (
        values.parse_own_or_peers,
        "10.0.0.1 peer 2001:db8::1/64",
        f"'10.0.0.1 peer 2001:db8::1/64': 2001:db8::1 is of the other family; {END}",
    ),
    (
        values.parse_own_or_peers,
        "10.0.0.1 peer 224.0.0.1/32",
        f"'10.0.0.1 peer 224.0.0.1/32': 224.0.0.1 is a multicast address; {END}",
    ),
    (values.parse_gateway, None, "None is not an address; write one like 192.168.1.254"),
    (values.parse_gateway, "10.0.0.1/8", "'10.0.0.1/8' has a prefix length; write 10.0.0.1"),
    (values.parse_gateway, "router", f"'router' {ADDRESS}"),
    (values.parse_gateway, "ff02::1", f"'ff02::1' is a multicast address; {ROUTER}"),
    (values.parse_gateway, "127.0.0.1", f"'127.0.0.1' is the host's own loopback; {ROUTER}"),
    (values.parse_gateway, "::1", f"'::1' is the host's own loopback; {ROUTER}"),
    (values.parse_gateway, "0.0.0.0", f"'0.0.0.0' is not a host's address; {ROUTER}"),
    (
        values.parse_gateway,
        "255.255.255.255",
        f"'255.255.255.255' is not a host's address; {ROUTER}",
    ),
    (values.parse_gateway, "::", f"'::' is not a host's address; {ROUTER}"),
    (
        values.parse_device,
        True,
        "True is not an interface name but, to YAML, bool; write it in quotes",
    ),
    (values.parse_device, 7, "7 is not an interface name but, to YAML, int; write it in quotes"),
    (
        values.parse_device,
        1e3,
        "1000.0 is not an interface name but, to YAML, float; write it in quotes",
    ),
    (values.parse_device, None, "None is not an interface name; write one like eth1"),
    (values.parse_device, "", "'' is not an interface name; write one like eth1"),
    (values.parse_device, ".", "'.' is not an interface name; write one like eth1"),
    (values.parse_device, "..", "'..' is not an interface name; write one like eth1"),
    (values.parse_device, "a" * 16, f"'{'a' * 16}' {LONG}"),
    (values.parse_device, "é" * 16, f"'{'é' * 16}' {LONG}"),
    (values.parse_device, "eth 1", f"'eth 1' {DEVICE}"),
    (values.parse_device, "eth\udcff", f"'eth\\xff' {DEVICE}"),
    (values.parse_device, "-eth1", f"'-eth1' {DEVICE}"),
    (values.parse_fwmark, "x", f"'x' {MARK}"),
    (values.parse_fwmark, "1/x", f"'1/x' {MARK}"),
    (values.parse_fwmark, None, f"None {MARK}"),
    (values.parse_fwmark, 2**32, f"4294967296 {MARK}"),
    (values.parse_fwmark, 0, "0 matches every packet; write a mask too, like 0/0xff"),
    (values.parse_fwmark, "1/0", "'1/0' matches every packet; write a mask too, like 0/0xff"),
    (
        values.parse_fwmark,
        "0x1ff/0xff",
        "'0x1ff/0xff' never matches: the mark has bits outside the mask; write 0xff/0xff",
    ),
    (values.parse_tos, 3, f"3 {TOS}"),
    (values.parse_tos, "0x20", f"'0x20' {TOS}"),
    (values.parse_tos, 6, f"6 {TOS}"),
    (values.parse_ipproto, "no such", f"'no such' {PROTOCOL}"),
    (values.parse_ipproto, 0, "0 is not a number from 1 to 255"),
    (values.parse_ipproto, "256", "256 is not a number from 1 to 255"),
    (values.parse_ports, "65535", f"'65535' {PORT}"),
    (values.parse_ports, "0-5", f"'0-5' {PORT}"),
    (values.parse_ports, "5-", f"'5-' {PORT}"),
    (values.parse_ports, None, f"None {PORT}"),
    (values.parse_ports, "9-8", "'9-8' is not a range; write it as \"8-9\""),
    (values.parse_uidrange, "root", f"'root' {UIDS}"),
    (values.parse_uidrange, "1-4294967295", f"'1-4294967295' {UIDS}"),
    (values.parse_uidrange, "9-8", "'9-8' is not a range; write it as \"8-9\""),
    (values.parse_scope, "universe", f"'universe' {SCOPE}"),
    (values.parse_scope, 256, f"256 {SCOPE}"),
    (values.parse_action, "drop", f"'drop' {ACTION}"),
    (values.parse_action, "goto 0", f"'goto 0' {ACTION}"),
    (values.parse_action, None, f"None {ACTION}"),
    (values.c_number, "x", "'x' is not a number from 0 to 4294967295"),
    (values.c_number, "4294967296", "4294967296 is not a number from 0 to 4294967295"),
]


@pytest.mark.parametrize(("parse", "value", "message"), MESSAGES)
def test_a_mistake_is_told_with_what_to_write(parse, value, message):
    with pytest.raises(ValueError) as caught:
        parse(value)
    assert str(caught.value) == message


GOOD = [
    (values.parse_own_address, "10.0.0.0/31", Address(4, "10.0.0.0", 31)),
    (values.parse_own_address, "10.0.0.1/31", Address(4, "10.0.0.1", 31)),
    (values.parse_own_address, "10.0.0.1/255.255.255.252", Address(4, "10.0.0.1", 30)),
    (values.parse_own_address, "2001:DB8::/127", Address(6, "2001:db8::", 127)),
    (values.parse_own_address, "2001:db8::3/126", Address(6, "2001:db8::3", 126)),
    (values.parse_own_or_peers, "10.0.0.1/24", Address(4, "10.0.0.1", 24)),
    (
        values.parse_own_or_peers,
        "10.0.0.1 peer 10.9.0.1/255.255.255.0",
        Address(4, "10.0.0.1", 24, peer="10.9.0.1"),
    ),
    (
        values.parse_own_or_peers,
        "2001:DB8::1  peer  2001:db8::/127",
        Address(6, "2001:db8::1", 127, peer="2001:db8::"),
    ),
    (values.parse_interface, "10.0.0.1/0", (4, "10.0.0.1", 0)),
    (values.parse_interface, "10.0.0.1/0.0.0.0", (4, "10.0.0.1", 0)),
    (values.parse_interface, "2001:db8::1/128", (6, "2001:db8::1", 128)),
    (values.parse_gateway, "FE80::1", (6, "fe80::1")),
    (values.parse_device, "Eth_1.0@+=-", "Eth_1.0@+=-"),
    (values.parse_fwmark, "0x10/0xff", "0x10/0xff"),
    (values.parse_fwmark, "0/0xff", "0/0xff"),
    (values.parse_fwmark, 255, "0xff"),
    (values.parse_tos, 4, 4),
    (values.parse_tos, "28", 28),
    (values.parse_ipproto, "tcp", 6),
    (values.parse_ipproto, "ICMPv6", 58),
    (values.parse_ipproto, 255, 255),
    (values.parse_ports, " 80 - 90 ", "80-90"),
    (values.parse_ports, 443, "443"),
    (values.parse_uidrange, 1000, "1000-1000"),
    (values.parse_uidrange, "1 - 2", "1-2"),
    (values.parse_scope, "host", 254),
    (values.parse_scope, "0", 0),
    (values.parse_action, "nop", "nop"),
    (values.parse_action, "goto 20100", "goto 20100"),
    (values.c_number, "010", 8),
    (values.c_number, "10", 10),
    (values.c_number, "0", 0),
    (values.c_number, "0X1f", 31),
]


@pytest.mark.parametrize(("parse", "value", "expected"), GOOD)
def test_a_good_value_is_made_canonical(parse, value, expected):
    assert parse(value) == expected


@pytest.mark.parametrize("value", [5, "5", "0x5", "0X5", "05"])
def test_a_number_may_be_written_in_several_ways(value):
    assert values.parse_number(value, 5, 8) == 5


@pytest.mark.parametrize("value", [4, 9, "9", True, 5.0, None, "5 ", "0x", "+5", "0x5g", "x5"])
def test_what_is_no_number_within_the_limits_is_told_with_these(value):
    with pytest.raises(ValueError, match=r" is not a number from 5 to 8$"):
        values.parse_number(value, 5, 8)


def test_a_number_at_its_limit_is_good():
    assert values.parse_number(8, 5, 8) == 8


# --- shown in messages ------------------------------------------------------------------------


def test_a_value_is_shown_quoted_on_one_line_and_cut():
    assert values.show("a\nb") == r"'a\nb'"
    assert values.show("caf\udce9") == r"'caf\xe9'"
    assert values.show("x" * 100) == f"'{'x' * 37}...{'x' * 38}'"
    assert values.show("x" * 78) == f"'{'x' * 78}'"
    assert values.show({"a": [1, {"b": [2]}]}) == "{'a': [1, {...}]}"
    assert values.show(OrderedDict(a=1)) == values.show(MappingProxyType({"a": 1})) == "{'a': 1}"


def test_a_number_too_large_to_be_written_is_shown_by_its_type():
    # Newer versions of Python say how large by themselves.
    shown = values.show(10**5000)
    assert re.search(r"\bint\b", shown)
    assert len(shown) < 120


# --- addresses --------------------------------------------------------------------------------


def test_an_address_knows_its_network_and_how_it_is_written():
    own = Address(4, "192.168.1.220", 24)
    assert (str(own), own.network) == ("192.168.1.220/24", "192.168.1.0/24")
    assert Address(4, "192.168.1.220", 32).network == "192.168.1.220"
    assert Address(6, "2001:db8::1", 128).network == "2001:db8::1"
    assert Address(4, "192.168.1.220", 0).network == "192.168.1.220"
    assert Address(6, "2001:db8::1", 0).network == "2001:db8::1"


# What `ip route show proto kernel` has of each (Linux 6.18), the address itself aside.
@pytest.mark.parametrize(
    ("text", "subnets"),
    [
        ("192.168.1.220/24", ["192.168.1.0/24"]),
        ("192.168.1.220/32", []),
        ("192.168.1.220/0", []),
        ("192.168.1.220/1", ["128.0.0.0/1"]),
        ("10.0.0.5/4", []),
        ("10.0.0.5/5", ["8.0.0.0/5"]),
        ("10.0.0.5 peer 0.0.0.0/32", []),
        ("192.168.9.220 peer 10.9.0.1/24", ["10.9.0.0/24"]),
        ("198.18.7.33 peer 100.64.0.1/32", ["100.64.0.1"]),
        ("198.18.7.33 peer 198.18.7.32/31", ["198.18.7.32/31"]),
        ("2001:db8::220/64", ["2001:db8::/64"]),
        ("2001:db8::220/128", []),
        ("2001:db8::220/0", []),  # but for a default route
        ("::5/64", ["::/64"]),
        ("2001:db8:9::220 peer 2001:db8:a::1/64", ["2001:db8:9::/64", "2001:db8:a::1"]),
        ("2001:db8:9::220 peer 2001:db8:a::1/128", ["2001:db8:a::1"]),
    ],
)
def test_the_subnets_of_an_address_are_what_the_kernel_makes_routes_to(text, subnets):
    own = address(text)
    assert (str(own), list(own.subnets)) == (text, subnets)


@pytest.mark.parametrize(
    ("text", "other", "held"),
    [
        ("192.168.1.220/0", "192.168.1.220", True),
        ("192.168.1.220/0", "192.168.1.221", False),
        ("2001:db8::220/0", "2001:db8::221", False),
        ("192.168.9.220 peer 10.9.0.1/24", "10.9.0.254", True),
        ("192.168.9.220 peer 10.9.0.1/24", "192.168.9.221", False),
        ("192.168.9.220 peer 10.9.0.1/24", "192.168.9.220", True),
        ("198.18.7.33 peer 100.64.0.1/32", "100.64.0.1", True),
        ("198.18.7.33 peer 100.64.0.1/32", "100.64.0.2", False),
        ("2001:db8:9::220 peer 2001:db8:a::1/64", "2001:db8:9::1", True),
        ("2001:db8:9::220 peer 2001:db8:a::1/64", "2001:db8:a::1", True),
        ("2001:db8:9::220 peer 2001:db8:a::1/64", "2001:db8:a::2", False),
        ("2001:db8:9::220 peer 2001:db8:a::1/64", "10.0.0.1", False),
    ],
)
def test_an_address_with_a_peer_holds_what_is_next_to_it(text, other, held):
    assert address(text).holds(other) is held


def test_the_family_of_an_address_or_prefix():
    assert values.family_of("10.0.0.0/8") == 4
    assert values.family_of("2001:db8::/32") == 6


def test_a_mark_is_printed_hexadecimal_but_for_0():
    assert [values.hex_number(number) for number in (0, 1, 255)] == ["0", "0x1", "0xff"]


@given(st.integers(0, 2**32 - 1), st.integers(0, 32))
def test_the_network_of_an_ipv4_address_is_what_the_standard_library_says(number, length):
    address = str(ipaddress.IPv4Address(number))
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    own = values.Address(4, address, length)
    shown = {0: address, 32: address}.get(length, str(network))
    assert own.network == shown
    if length:
        assert values.bounds(own.network) == (
            int(network.network_address),
            int(network.broadcast_address),
        )


@given(st.integers(0, 2**128 - 1), st.integers(1, 128))
def test_the_network_of_an_ipv6_address_is_what_the_standard_library_says(number, length):
    address = values.parse_address(str(ipaddress.IPv6Address(number)))[1]
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    first, last = values.bounds(values.network_of(address, length))
    assert (first, last) == (int(network.network_address), int(network.broadcast_address))


@given(st.text(alphabet="0123456789.", max_size=16))
def test_an_ipv4_address_is_read_as_the_standard_library_reads_it(text):
    try:
        expected = str(ipaddress.IPv4Address(text))
    except ValueError:
        with pytest.raises(ValueError, match="is not an IP address"):
            values.parse_address(text)
    else:
        assert values.parse_address(text) == (4, expected)
