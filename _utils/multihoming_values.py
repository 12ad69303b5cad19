"""Values as people write them (addresses, prefixes, marks, ports), checked and made canonical.

Pure. Each reader raises ValueError with what to write instead. Canonical is the way ``ip -json``
prints a value (``default``, ``10.0.0.0/8``, ``192.168.1.220`` for a single address), so that two
spellings of the same thing are equal.
"""

import re
import reprlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import netaddr
from multihoming_numbers import IPPROTOS, SCOPES, U32
from multihoming_text import quoted

_IPPROTO_NAMES = {number: name for name, number in IPPROTOS.items() if name != "icmpv6"}
_SCOPE_NAMES = {number: name for name, number in SCOPES.items()}

ROUTE_TYPES = ("unicast", "local", "blackhole", "unreachable", "prohibit")
RULE_ACTIONS = ("lookup", "blackhole", "unreachable", "prohibit", "nop")
# Addresses that no host has.
NO_HOST = ("0.0.0.0", "255.255.255.255", "::")

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 80
_REPR.maxlevel = 2


def show(value: Any) -> str:
    """Return a value for a message: quoted, on one line and cut when it is long."""
    try:
        return quoted(dict(value) if isinstance(value, Mapping) else value, _REPR.repr)
    except ValueError:  # Python refuses to write numbers of thousands of digits
        return f"a {type(value).__name__} that is too large"


# --- addresses ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Address:
    """An interface address with its prefix length, like 192.168.1.220/24.

    peer
        The other end of a link, whose length it then is: ``198.18.7.33 peer 100.64.0.1/32``, see
        ip-address(8).
    """

    family: int
    address: str
    length: int
    peer: str | None = field(default=None, kw_only=True)

    def __str__(self) -> str:
        peer = f" peer {self.peer}" if self.peer else ""
        return f"{self.address}{peer}/{self.length}"

    @property
    def network(self) -> str:
        """The canonical prefix that the kernel has for it; the address alone for /32, /128 and /0.

        With a peer that is the peer's network in IPv4, the address's own in IPv6 (fib_add_ifaddr()
        in net/ipv4/fib_frontend.c, inet6_addr_add() in net/ipv6/addrconf.c).
        """
        here = self.peer if self.peer and self.family == 4 else self.address
        return network_of(here, self.length) if self.length else self.address

    @property
    def subnets(self) -> tuple[str, ...]:
        """The canonical prefixes that the kernel reaches directly because of it.

        In IPv6 a peer is reached besides, and alone (ipv6_ifa_notify() in net/ipv6/addrconf.c). In
        IPv4 what begins with 0 is no network (ipv4_is_zeronet() in fib_add_ifaddr()): /0 has none.
        In IPv6 /0 makes a default route, but nobody has the whole internet on a link.
        """
        found = [self.network, *([self.peer] if self.peer and self.family == 6 else [])]
        return tuple(each for each in found if each != self.address and not each.startswith("0."))

    def holds(self, address: str) -> bool:
        """Tell whether an address lies in one of its subnets, or is the same."""
        if family_of(address) != self.family:
            return False
        number = number_of(address)
        near = any(first <= number <= last for first, last in map(bounds, self.subnets))
        return near or address == self.address


def family_of(address: str) -> int:
    """Return the family of a canonical address or prefix, ``default`` aside."""
    return 6 if ":" in address else 4


def is_link_local(address: str) -> bool:
    """Tell whether an IPv6 address is link-local (fe80::/10, RFC 4291): on every link."""
    return family_of(address) == 6 and address in network("fe80::/10")


@lru_cache(maxsize=65536)
def parse_address(text: str) -> tuple[int, str]:
    """Return (family, canonical text) of an IP address.

    Raises ValueError when ``text`` is not a whole IPv4 or IPv6 address.
    """
    try:  # most are IPv4, and the C library reads these as strictly, at a tenth of the cost
        return 4, socket.inet_ntop(socket.AF_INET, socket.inet_pton(socket.AF_INET, text))
    except (OSError, ValueError, TypeError):
        pass
    try:
        address = netaddr.IPAddress(str(text), flags=netaddr.INET_PTON)
    except (netaddr.AddrFormatError, ValueError, TypeError):
        raise ValueError(
            f"{show(text)} is not an IP address; write one like 192.168.1.254 or 2001:db8::1"
        ) from None
    return address.version, str(address)


@lru_cache(maxsize=65536)
def parse_interface(text: str) -> tuple[int, str, int]:
    """Return (family, address, prefix length) of ``192.168.1.220/24``.

    The mask may be a length or, for IPv4, a netmask. Raises ValueError otherwise, also when the
    length is missing.
    """
    address, slash, mask = str(text).partition("/")
    family, address = parse_address(address)
    if not slash:
        example = "192.168.1.220/24" if family == 4 else "2001:db8::220/64"
        raise ValueError(f"{show(text)} has no prefix length; write it like {example}")
    return family, address, _prefix_length(text, family, mask)


def _prefix_length(text: str, family: int, mask: str) -> int:
    bits = 32 if family == 4 else 128
    if mask.isascii() and mask.isdigit() and int(mask) <= bits:
        return int(mask)
    if family == 4 and mask.count(".") == 3:
        netmask = netaddr.IPAddress(parse_address(mask)[1])
        if netmask.is_netmask():
            return netmask.netmask_bits()
    raise ValueError(f"{show(text)} has no valid prefix length; write a number from 0 to {bits}")


@lru_cache(maxsize=65536)
def parse_prefix(text: str) -> tuple[int, str]:
    """Return (family, canonical text) of a prefix or single address.

    ``0.0.0.0/0`` and ``::/0`` become ``default``. Raises ValueError when bits are set beyond the
    prefix length, naming the prefix that was probably meant.
    """
    if "/" not in str(text):
        return parse_address(text)
    family, address, length = parse_interface(text)
    bits = 32 if family == 4 else 128
    if number_of(address) & ((1 << (bits - length)) - 1):
        fitting = netaddr.IPNetwork(f"{address}/{length}").cidr
        raise ValueError(f"{show(text)} has bits set beyond its length; write {fitting}")
    if length == 0:
        return family, "default"
    return family, address if length == bits else f"{address}/{length}"


def parse_any_prefix(value: Any) -> tuple[int | None, str | None]:
    """Return (family, prefix); ``default`` and ``all`` have neither family nor prefix."""
    if value in ("default", "all"):
        return None, None
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not a prefix; write one like 10.0.0.0/8 or default")
    family, prefix = parse_prefix(value)
    return family, None if prefix == "default" else prefix


def parse_loose_prefix(text: str, family: int) -> str | None:
    """Read a prefix as get_prefix() of iproute2 does, which pads ``10/8`` to ``10.0.0.0/8``.

    None is every address.
    """
    if text in ("default", "all", "any"):
        return None
    if family == 4:
        address, slash, mask = text.partition("/")
        octets = address.split(".")
        text = ".".join(octets + ["0"] * (4 - len(octets))) + slash + mask
    found, prefix = parse_prefix(text)
    if found != family:
        raise ValueError(f"{show(text)} is not an IPv{family} prefix")
    return None if prefix == "default" else prefix


@lru_cache(maxsize=65536)
def network_of(address: str, length: int) -> str:
    """Return the canonical prefix that an interface address lies in."""
    if family_of(address) == 4 and 0 < length < 32:  # as most are
        number = number_of(address) >> 32 - length << 32 - length
        return f"{socket.inet_ntop(socket.AF_INET, number.to_bytes(4, 'big'))}/{length}"
    return parse_prefix(str(netaddr.IPNetwork(f"{address}/{length}").cidr))[1]


@lru_cache(maxsize=65536)
def network(prefix: str) -> netaddr.IPNetwork:
    """Return a canonical prefix as a network that answers ``in``."""
    return netaddr.IPNetwork(prefix)


def parse_own_address(text: Any) -> Address:
    """Read an interface address with its length; raises ValueError when no host can have it."""
    if not isinstance(text, str):
        raise ValueError(f"{show(text)} is not an address; write one like 192.168.1.220/24")
    family, address, length = parse_interface(text)
    host = netaddr.IPAddress(address)
    if host.is_multicast() or host.is_loopback() or address in NO_HOST:
        raise ValueError(
            f"{show(text)} is no address of a network interface; write the interface's"
        )
    _check_length(text, family, address, length)
    if length < (31 if family == 4 else 127):
        first, last = bounds(network_of(address, length))
        what = {first: "the network itself", last: "the broadcast address"}.get(int(host))
        if what and (family == 4 or int(host) == first):
            raise ValueError(
                f"{show(text)} is {what}; write the interface's address, like "
                f"{netaddr.IPAddress(first + 1, family)}/{length}"
            )
    return Address(family, address, length)


def _check_length(text: str, family: int, address: str, length: int) -> None:
    if not length:
        usual, whole = (24, 32) if family == 4 else (64, 128)
        raise ValueError(
            f"{show(text)} has the length 0, which is no network's; write the length of its "
            f"network, like {address}/{usual}, or {address}/{whole} for an address alone"
        )


def parse_own_or_peers(text: Any) -> Address:
    """Read the same, or with its peer as ``ip address`` has it: ``198.18.7.33 peer 100.64.0.1/32``.

    Raises ValueError when no host can have the one or the other.
    """
    words = text.split() if isinstance(text, str) else []
    if "peer" not in words:
        return parse_own_address(text)
    if len(words) != 3 or words[1] != "peer" or "/" in words[0]:
        raise ValueError(
            f"{show(text)} is not an address with its peer; write it like "
            "198.18.7.33 peer 100.64.0.1/32"
        )
    own = parse_own_address(f"{words[0]}/{128 if ':' in words[0] else 32}")
    family, peer, length = parse_interface(words[2])
    what = _no_router(peer) or ("the address itself" if peer == own.address else "")
    what = what or ("of the other family" if family != own.family else "")
    if what:
        raise ValueError(f"{show(text)}: {peer} is {what}; write the address at the other end")
    _check_length(text, family, peer, length)
    return Address(family, own.address, length, peer=peer)


def parse_source(value: Any) -> tuple[int, str]:
    """Return (family, address) of a preferred source; raises ValueError when it is no address."""
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not an address; write one like 192.168.1.220")
    return parse_address(value)


def parse_gateway(value: Any) -> tuple[int, str]:
    """Return (family, address) of a next hop; raises ValueError when no router can have it."""
    if not isinstance(value, str):
        raise ValueError(f"{show(value)} is not an address; write one like 192.168.1.254")
    if "/" in value:
        raise ValueError(f"{show(value)} has a prefix length; write {value.partition('/')[0]}")
    family, address = parse_address(value)
    what = _no_router(address)
    if what:
        raise ValueError(f"{show(value)} is {what}; write the router's address on this network")
    return family, address


@lru_cache(maxsize=65536)
def _no_router(address: str) -> str:
    """Return why no router can have an address, empty when one can."""
    parsed = netaddr.IPAddress(address)
    if parsed.is_multicast():
        return "a multicast address"
    if parsed.is_loopback():
        return "the host's own loopback"
    return "not a host's address" if address in NO_HOST else ""


# --- names, numbers, selectors ----------------------------------------------------------------


@lru_cache(maxsize=65536)
def bounds(prefix: str) -> tuple[int, int]:
    """Return the first and the last address of a canonical prefix, as numbers."""
    return network(prefix).first, network(prefix).last


@lru_cache(maxsize=65536)
def number_of(address: str) -> int:
    """Return a canonical address as a number."""
    family = socket.AF_INET6 if family_of(address) == 6 else socket.AF_INET
    return int.from_bytes(socket.inet_pton(family, address), "big")


def parse_device(text: Any) -> str:
    """Check an interface name as the kernel does (dev_valid_name()) and return it.

    Shell and glob characters are refused as well: the name becomes part of file names, and the
    network scripts expand the lines of these files unquoted.
    """
    if isinstance(text, bool | int | float):
        raise ValueError(
            f"{show(text)} is not an interface name but, to YAML, {type(text).__name__}; write it "
            "in quotes"
        )
    if not isinstance(text, str) or not text or text in (".", ".."):
        raise ValueError(f"{show(text)} is not an interface name; write one like eth1")
    if len(text.encode(errors="replace")) > 15:
        raise ValueError(
            f"{show(text)} is longer than the 15 bytes that the kernel allows; write the name that "
            "`ip link` shows"
        )
    if not re.fullmatch(r"[A-Za-z0-9_.@+=-]+", text) or text.startswith("-"):
        raise ValueError(
            f"{show(text)} is not an interface name; write one of letters, digits and _ . @ + = -"
        )
    return text


def c_number(text: str) -> int:
    """Read a number as strtoul() with base 0 does, which is what iproute2 uses: 010 is 8."""
    octal = re.fullmatch(r"0[0-7]+", text)
    return int(text, 8) if octal else parse_number(text, 0, U32)


def parse_number(value: Any, low: int, high: int) -> int:
    """Return a whole number within low..high; a string of digits or 0x... is accepted."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]+", value):
        value = int(value, 0) if value[:2] in ("0x", "0X") else int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{show(value)} is not a number from {low} to {high}")
    return value


def parse_flag(value: Any) -> bool:
    """Return a boolean; raises ValueError for what only looks like one (``yes`` in quotes, 1)."""
    if not isinstance(value, bool):
        raise ValueError(f"{show(value)} is not a boolean; write true or false")
    return value


def _parts(value: Any, separator: str) -> tuple[str, str, str]:
    """Split a number or text like ``8000-8010``; raises ValueError when it is neither."""
    if isinstance(value, str):
        return value.partition(separator)
    return str(parse_number(value, 0, U32)), "", ""


def parse_fwmark(value: Any) -> str:
    """Return ``0x1`` or ``0x1/0xff``; mark and mask are u32. A mask of all ones is left out."""
    try:
        mark_text, slash, mask_text = _parts(value, "/")
        mark = parse_number(mark_text, 0, U32)
        mask = parse_number(mask_text, 0, U32) if slash else U32
    except ValueError:
        raise ValueError(
            f"{show(value)} is not a mark; write a number or mark/mask like 0x1/0xff"
        ) from None
    if mask == 0 or (mark == 0 and not slash):
        # The kernel takes mark 0 without a mask as "any mark".
        raise ValueError(f"{show(value)} matches every packet; write a mask too, like 0/0xff")
    if mark & ~mask:
        raise ValueError(
            f"{show(value)} never matches: the mark has bits outside the mask; "
            f"write {mark & mask:#x}/{mask:#x}"
        )
    return f"{mark:#x}" if mask == U32 else f"{hex_number(mark)}/{mask:#x}"


def hex_number(number: int) -> str:
    """Return a number as iproute2 prints a mark: hexadecimal, but 0."""
    return f"{number:#x}" if number else "0"


def parse_tos(value: Any) -> int:
    """Return a TOS byte: a number or ``"0x10"``; the kernel refuses ECN bits and those above 28."""
    try:
        tos = parse_number(value, 4, 28)
    except ValueError:
        tos = 0
    if tos & ~0x1C or not tos:
        raise ValueError(
            f"{show(value)} is no TOS that the kernel takes; write one of 4, 8, 12, 16, 20, 24, 28"
        )
    return tos


def parse_ipproto(value: Any) -> int:
    """Return the number of an IP protocol given by number or name (``tcp``)."""
    if isinstance(value, str) and not value.isdigit():
        if value.lower() in IPPROTOS:
            return IPPROTOS[value.lower()]
        try:
            return socket.getprotobyname(value)
        except (OSError, ValueError):
            raise ValueError(
                f"{show(value)} is not a protocol; write a name like tcp or a number from 1 to 255"
            ) from None
    return parse_number(value, 1, 255)


def ipproto_name(number: int) -> str:
    """Return the name of an IP protocol, else the number as text."""
    return _IPPROTO_NAMES.get(number, str(number))


def parse_ports(value: Any) -> str:
    """Return ``80`` or ``8000-8010``; ports are 1..65534 as the kernel allows in rules."""
    try:
        low, dash, high = _parts(value, "-")
        first = parse_number(low.strip(), 1, 65534)
        last = parse_number(high.strip(), 1, 65534) if dash else first
    except ValueError:
        raise ValueError(
            f'{show(value)} is not a port; write a number from 1 to 65534 or "8000-8010"'
        ) from None
    if last < first:
        raise ValueError(f'{show(value)} is not a range; write it as "{last}-{first}"')
    return str(first) if first == last else f"{first}-{last}"


def parse_uidrange(value: Any) -> str:
    """Return ``1000-1999``; a single uid is a range of one."""
    try:
        low, dash, high = _parts(value, "-")
        first = parse_number(low.strip(), 0, U32 - 1)
        last = parse_number(high.strip(), 0, U32 - 1) if dash else first
    except ValueError:
        raise ValueError(f'{show(value)} is not a uid range; write it like "1000-1999"') from None
    if last < first:
        raise ValueError(f'{show(value)} is not a range; write it as "{last}-{first}"')
    return f"{first}-{last}"


def parse_scope(value: Any) -> int:
    """Return the number of a scope: ``link``, ``host``, ``global``, ``site`` or 0..255."""
    if isinstance(value, str) and value in SCOPES:
        return SCOPES[value]
    try:
        return parse_number(value, 0, 255)
    except ValueError:
        raise ValueError(f"{show(value)} is not a scope; write link, host or global") from None


def scope_name(scope: int) -> str:
    """Return iproute2's name of a scope, else the number as text."""
    return _SCOPE_NAMES.get(scope, str(scope))


def parse_action(value: Any) -> str:
    """Return a rule's action; ``goto`` comes with the priority it jumps to (``goto 20100``)."""
    if value in RULE_ACTIONS:
        return value
    match = re.fullmatch(r"goto\s+([0-9]+)", value) if isinstance(value, str) else None
    if match and 0 < int(match[1]) <= U32:
        return f"goto {int(match[1])}"
    known = ", ".join(RULE_ACTIONS)
    raise ValueError(f"{show(value)} is not an action; write one of {known} or goto PRIORITY")


# --- what meets -------------------------------------------------------------------------------


def prefixes_meet(one: str | None, other: str | None) -> bool:
    """Tell whether two prefixes (None for all) share an address."""
    if one is None or other is None or one == other:
        return True
    if "/" not in one and "/" not in other:
        return False
    first, second = network(one), network(other)
    return first in second or second in first


def ranges_meet(one: str, other: str) -> bool:
    """Tell whether two ranges like ``8000-8010`` share a number."""
    first, last = _bounds(one)
    other_first, other_last = _bounds(other)
    return first <= other_last and other_first <= last


def _bounds(text: str) -> tuple[int, int]:
    low, dash, high = text.partition("-")
    return int(low), int(high) if dash else int(low)


def marks_meet(one: str, other: str) -> bool:
    """Tell whether one packet can have two marks like ``0x1/0xff``."""
    mark, mask = _mark(one)
    other_mark, other_mask = _mark(other)
    return not (mark ^ other_mark) & mask & other_mask


def _mark(text: str) -> tuple[int, int]:
    mark, slash, mask = text.partition("/")
    return int(mark, 0), int(mask, 0) if slash else U32
