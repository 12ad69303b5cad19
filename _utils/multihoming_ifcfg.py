"""ifcfg files and /etc/sysconfig/network: what the network scripts make of an interface.

Pure. What they mean is what ``ifup-eth`` and ``ifup-ipv6`` of RHEL 6 to 8 make of them: each
sources /etc/sysconfig/network and then ifcfg-DEV over it. Files are read as data, never run. Texts
are path -> text, of all of these files.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import multihoming_model as model
import multihoming_shell as shell
import multihoming_values as values
from multihoming_backend import Default, Said
from multihoming_errors import ContentError
from multihoming_numbers import U32
from multihoming_text import lines as lines_of
from multihoming_values import (
    Address,
    network_of,
    parse_gateway,
    parse_number,
    parse_own_address,
    show,
)

FOLDER = "/etc/sysconfig/network-scripts"
NETWORK = "/etc/sysconfig/network"
# Copies that ifup passes over (the same list as in network-functions).
COPY = re.compile(r"(~|\.bak|\.old|\.orig|\.rpmnew|\.rpmorig|\.rpmsave)$")
BLANK_OR_COMMENT = re.compile(r"[ \t]*(#.*)?", re.DOTALL)


class Profile(NamedTuple):
    """An ifcfg file.

    device
        The interface that it is for: its DEVICE, else its name.
    own
        The variables that it sets; ``values`` with those of /etc/sysconfig/network under them.
    """

    name: str
    path: str
    device: str
    own: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def is_alias(self) -> bool:
        """Tell whether it is for more addresses of an interface, like ifcfg-eth1:0."""
        return ":" in self.name

    @property
    def is_static(self) -> bool:
        """Tell whether the addresses stand in the file."""
        return read(self.values, "BOOTPROTO").lower() not in ("dhcp", "bootp")

    @property
    def dynamic(self) -> set[int]:
        """The families whose addresses come from DHCP or router advertisements."""
        found = set() if self.is_static else {4}
        asks = any(is_true(plain(self.values, name)) for name in ("IPV6_AUTOCONF", "DHCPV6C"))
        return found | ({6} if asks and not self.says_no("IPV6INIT") else set())

    def value(self, name: str) -> str:
        """Return a variable of the file; empty when unset, or when only a shell could tell."""
        return plain(self.own, name)

    def says_no(self, name: str) -> bool:
        """Tell whether a variable says no; raises ContentError when only a shell could tell."""
        return is_false(read(self.values, name))


def plain(values: Mapping[str, str], name: str) -> str:
    """Return a variable; empty when unset, or when only a shell could tell."""
    return "" if shell.doubt(values, name) else values.get(name, "")


def read(values: Mapping[str, str], name: str) -> str:
    """Return a variable, empty when unset; raises ContentError when only a shell could tell."""
    if why := shell.doubt(values, name):
        raise ContentError(why)
    return values.get(name, "")


def is_false(value: str) -> bool:
    """Tell whether a value means no, as is_false() of the scripts does."""
    return value.lower() in ("no", "n", "false", "f", "off", "0")


def is_true(value: str) -> bool:
    """Tell whether a value means yes, as is_true() of the scripts does."""
    return value.lower() in ("yes", "y", "true", "t", "on", "1")


def profiles(texts: Mapping[str, str]) -> list[Profile]:
    """Return the ifcfg files in the order in which the network service brings them up.

    That is by name, numbers as numbers. That of lo and copies are left out.
    """
    common = network(texts)
    found = []
    for path in sorted((path for path in texts if is_ifcfg(path)), key=_boot_order):
        name = os.path.basename(path).removeprefix("ifcfg-")
        own = shell.assignments(path, texts[path])
        device = (plain(own, "DEVICE") or name).partition(":")[0]
        found.append(Profile(name, path, device, own, shell.sourced_over(common, own)))
    return found


def is_ifcfg(path: str) -> bool:
    """Tell whether ifup reads a file: copies and that of lo are passed over."""
    name = os.path.basename(path)
    return name.startswith("ifcfg-") and name != "ifcfg-lo" and not COPY.search(name)


def network(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of /etc/sysconfig/network."""
    return shell.assignments(NETWORK, texts.get(NETWORK, ""))


def _boot_order(path: str) -> tuple[str, int, str]:
    name = os.path.basename(path)
    match = re.fullmatch(r"(\D*)(\d{0,9})(.*)", name, re.DOTALL)
    return (match[1], int(match[2] or 0), match[3]) if match else (name, 0, "")


def interfaces(
    texts: Mapping[str, str], devices: Iterable[str]
) -> tuple[dict[str, Said], dict[str, str]]:
    """Return what the interfaces' own files say of them, and what can't be understood.

    The second is interface -> message naming the file and line of a value that can't be read as
    data.
    """
    named: dict[str, list[Profile]] = {}
    for profile in profiles(texts):
        named.setdefault(profile.device, []).append(profile)
    found, errors = {}, {}
    for dev in devices:
        try:
            mine = sorted(named.get(dev, []), key=lambda profile: profile.name != dev)
            found[dev] = _interface(mine)
        except ContentError as err:
            errors[dev] = f"{err}, or give `addresses` and `gateway` in the pillar"
    return found, errors


def _interface(mine: Iterable[Profile]) -> Said:
    found: list[Address] = []
    known: dict[int, str] = {}
    dynamic: set[int] = set()
    for profile in mine:
        found += addresses(profile)
        if not profile.is_alias:
            known = {**gateways(profile, profile.own), **known}
            dynamic |= profile.dynamic
    return Said(tuple(dict.fromkeys(found)), known, frozenset(dynamic))


# --- addresses and gateways -------------------------------------------------------------------


# IPADDR, IPADDR0, IPADDR1 and on (expand_config() in network-functions).
_INDEXES = ("", *map(str, range(256)))


def addresses(profile: Profile) -> list[Address]:
    """Return the addresses that a file sets; raises ContentError when they can't be read."""
    found: list[tuple[str, str]] = []
    # IPADDR has no effect with DHCP.
    for index in _INDEXES if profile.is_static else ():
        address = read(profile.own, f"IPADDR{index}")
        if not address:
            if index and int(index) >= 2:
                break
            continue
        mask = read(profile.own, f"PREFIX{index}") or read(profile.own, f"NETMASK{index}")
        found.append((f"IPADDR{index}", f"{address}/{mask or classful(address)}"))
    if _has_ipv6(profile):
        more = read(profile.own, "IPV6ADDR_SECONDARIES").split()
        own = filter(None, [read(profile.own, "IPV6ADDR"), *more])
        found += [("IPV6ADDR", text if "/" in text else f"{text}/64") for text in own]
    return [_own(profile.path, name, text) for name, text in found]


def known_addresses(profile: Profile) -> list[Address]:
    """Return the addresses that a file sets, none when they can't be read."""
    try:
        return addresses(profile)
    except ContentError:
        return []


def classful(address: str) -> str:
    """Return the length that ipcalc assumes when there is no netmask."""
    octet = address.partition(".")[0]
    first = int(octet) if octet.isdecimal() else 0
    return "8" if first < 128 else "16" if first < 192 else "24"


def _has_ipv6(profile: Profile) -> bool:
    return not profile.says_no("IPV6INIT")


def _own(path: str, name: str, text: str) -> Address:
    try:
        address = parse_own_address(text)
    except ValueError as err:
        raise ContentError(f"{path}: {name}: {err}") from None
    if (address.family == 6) != name.startswith("IPV6"):
        raise ContentError(f"{path}: {name}: {show(text)} is of the other family")
    return address


def gateways(profile: Profile, values: Mapping[str, str]) -> dict[int, str]:
    """Return family -> gateway, from the file's own variables or from all that it knows.

    One with the scope of another interface (``fe80::1%eth0``) is that interface's. Raises
    ContentError when one can't be read.
    """
    found = {}
    for family, name in _GATEWAY_OF_DEFAULT.items():
        text, _, scope = read(values, name).partition("%")
        if text and (family == 4 or _has_ipv6(profile)) and scope in ("", profile.device):
            try:
                found[family] = next_hop(text, family)
            except ValueError as err:
                raise ContentError(f"{profile.path}: {name}: {err}") from None
    return found


def next_hop(text: str, family: int) -> str:
    """Return a router's address of that family; raises ValueError."""
    found, address = parse_gateway(text)
    if found != family:
        raise ValueError(f"{show(text)} is not IPv{family}; write an IPv{family} address")
    return address


# --- main's default route ---------------------------------------------------------------------

# What ifup-eth and ifup-ipv6 look at. Each sources /etc/sysconfig/network and then ifcfg-DEV over
# it. GATEWAYDEV and IPV6_DEFAULTDEV name the only interface that may make the default route.
_DEVICE_OF_DEFAULT = {4: "GATEWAYDEV", 6: "IPV6_DEFAULTDEV"}
_GATEWAY_OF_DEFAULT = {4: "GATEWAY", 6: "IPV6_DEFAULTGW"}
_METRIC6 = 1  # ifup-ipv6 adds its default route with it
_SIMPLE = re.compile(
    r"""(?P<head>(?:export[ \t]+)?(?P<name>\w+)=)
    (?P<value>[\w./:%+@-]*|"[\w./:%+@ -]*"|'[\w./:%+@ -]*')(?P<tail>[ \t\r]*|[ \t]+\#.*)""",
    re.VERBOSE,
)


def defaults(texts: Mapping[str, str]) -> list[model.Route]:
    """Return main's default routes that the scripts make, as if there were no GATEWAYDEV."""
    nics = [profile for profile in profiles(texts) if not profile.is_alias]
    return [
        route for profile in nics for family in (4, 6) for route in _default_made(profile, family)
    ]


def problems(texts: Mapping[str, str], default: Default) -> list[str]:
    """Return what is in the way of an interface's default route after a restart."""
    nics = [profile for profile in profiles(texts) if not profile.is_alias]
    dev = default.interface
    if default.own and dev not in {profile.device for profile in nics}:
        return [
            f"there is no {FOLDER}/ifcfg-{dev}, so after a restart there would be no default route "
            "at all; write that file, or choose an interface that has one"
        ]
    common = network(texts)
    return [problem for profile in nics for problem in _in_the_way(profile, default, common)]


def _default_made(profile: Profile, family: int) -> list[model.Route]:
    """Return the default route that an interface makes when it comes up."""
    try:
        gateway = gateways(profile, profile.values).get(family)
        metric = parse_number(read(profile.values, "METRIC") or 0, 0, U32)
        # RHEL 6 to 8 know no other way to say no here.
        refused = read(profile.values, "DEFROUTE") == "no"
        unheard = family == 4 and (refused or _outside(profile, gateway or ""))
    except (ContentError, ValueError):
        return []
    if not gateway or unheard:
        return []
    return [
        model.default_route(family, gateway, profile.device, metric if family == 4 else _METRIC6)
    ]


def _outside(profile: Profile, gateway: str) -> str:
    """Return the subnet of the first address when the gateway lies outside: it is then ignored."""
    own = [address for address in addresses(profile) if address.family == 4]
    if not own or not gateway:
        return ""
    subnet = network_of(own[0].address, own[0].length)
    return "" if gateway in values.network(subnet) else subnet


def _in_the_way(profile: Profile, default: Default, common: Mapping[str, str]) -> list[str]:
    """Return what keeps an interface's file from going along with the default."""
    found = []
    for family, gateway in default.gateways.items():
        try:
            found += _overrides(profile, default.interface, family)
            if default.own and profile.device == default.interface:
                found += _chosen_in_vain(profile, family, gateway, common)
        except ContentError as err:
            found.append(str(err))
    return found


def _overrides(profile: Profile, dev: str, family: int) -> list[str]:
    name = _DEVICE_OF_DEFAULT[family]
    other = read(profile.own, name)
    if other and other != dev:
        return [f"{profile.path}: {name}={other} counts for {profile.device}; remove that line"]
    gateway = read(profile.own, "IPV6_DEFAULTGW") if family == 6 else ""
    scope = gateway.partition("%")[2]
    if scope and scope != dev:
        return [
            f"{profile.path}: IPV6_DEFAULTGW={gateway} makes a default route whatever else is "
            f"said; write it without %{scope}"
        ]
    return []


def _chosen_in_vain(
    profile: Profile, family: int, gateway: str, variables: Mapping[str, str]
) -> list[str]:
    """Return why the chosen interface would make another default route, or none."""
    name = _GATEWAY_OF_DEFAULT[family]
    said = gateways(profile, profile.values).get(family)
    where = profile.path if profile.own.get(name) else NETWORK
    common = read(variables, name)
    problems = []
    if gateway == model.DIRECT:
        common, said = "", model.DIRECT
    if common and common.partition("%")[0] != gateway:
        problems.append(
            f"{NETWORK}: {name}={common} is the gateway of every interface that names none; remove "
            "that line"
        )
    if profile.says_no("ONBOOT"):
        problems.append(
            f"{profile.path}: ONBOOT=no, so it is down after a restart; write ONBOOT=yes"
        )
    if family == 4 and profile.says_no("DEFROUTE"):
        problems.append(
            f"{profile.path}: DEFROUTE={read(profile.values, 'DEFROUTE')} forbids the default "
            "route; remove that line"
        )
    if family == 4 and not profile.is_static:
        return problems  # the DHCP client makes it, and heeds GATEWAYDEV
    if not said:
        problems.append(
            f"{profile.path}: has no {name}, so there would be no IPv{family} default route after "
            f"a restart; write {name}={gateway}"
        )
    elif said != gateway:
        problems.append(
            f"{where}: {name}={said}, but the pillar says {gateway}; write the same in both"
        )
    elif family == 4 and said != model.DIRECT:
        problems += _unheard(profile, said)
    return problems


def _unheard(profile: Profile, gateway: str) -> list[str]:
    subnet = _outside(profile, gateway)
    if subnet:
        return [
            f"{profile.path}: GATEWAY={gateway} is outside of {subnet}, the subnet of the first "
            "address, and is ignored; write a gateway there, or put the address next to it first"
        ]
    own = next(iter(addresses(profile)), None)
    network = read(profile.values, "NETWORK")
    if own and network and network != own.network.partition("/")[0]:
        return [
            f"{profile.path}: NETWORK={network} is not the network of {own}, so GATEWAY is "
            "ignored; remove that line"
        ]
    return []


def keep_default(texts: Mapping[str, str], default: Default) -> str:
    """Return /etc/sysconfig/network with the interface as the default route's after a restart."""
    text = texts.get(NETWORK, "")
    for family in default.gateways:
        text = _assigned(text, _DEVICE_OF_DEFAULT[family], default.interface)
    return text


def chosen_default(texts: Mapping[str, str]) -> dict[str, str]:
    """Return variable -> the interface that /etc/sysconfig/network names for the default route.

    Raises ContentError when only a shell could tell.
    """
    values = network(texts)
    said = {name: read(values, name) for name in _DEVICE_OF_DEFAULT.values()}
    return {name: dev for name, dev in said.items() if dev}


def _assigned(text: str, name: str, value: str) -> str:
    """Set a variable of a file that is sourced, where it stands if that is plain to see."""
    # What the last line says counts, whatever only a shell could tell of the lines before it.
    last = text.rstrip("\n").rpartition("\n")[2]
    if last == f"{name}={value}" or shell.assignments(NETWORK, text).get(name) == value:
        return text
    lines = lines_of(text)
    places = [number for number, line in enumerate(lines) if name in line]
    simple = _SIMPLE.fullmatch(lines[places[-1]].rstrip("\n")) if places else None
    if simple and simple["name"] == name and _is_plain(lines):
        lines[places[-1]] = f"{simple['head']}{value}{simple['tail']}\n"
        return "".join(lines)
    newline = "" if not text or text.endswith("\n") else "\n"
    return f"{text}{newline}{name}={value}\n"


def _is_plain(lines: Iterable[str]) -> bool:
    """Tell whether a sourced file has nothing but assignments, blank lines and comments."""
    return all(
        BLANK_OR_COMMENT.fullmatch(line.strip()) or _SIMPLE.fullmatch(line.rstrip("\n"))
        for line in lines
    )
