"""What can be wrong with files of the network scripts, for ``diagnose``.

Pure: lines that another start loads twice, that fail or get lost, and gateways in ifcfg files.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import multihoming_ifcfg as ifcfg
import multihoming_values as values
from multihoming_backend import Kept, Line
from multihoming_finding import Finding, cut, file_line, word
from multihoming_ifcfg import Profile
from multihoming_model import Rule
from multihoming_survey import Survey

NAME = "network-scripts"

# For sed, whose lines stay as they are where they are comments. In other locales than C a dot would
# not match bytes that are no text there.
_ADD_PRIORITY = r"/ pri\| pref\| ord\|^[ \t]*\(#\|$\)/! s/$/ priority 20000/"
_CUT_ENDS = r"s/\r$//; /^[ \t]*#/! s/[ \t]*#.*//"


def findings(kept: Kept, survey: Survey) -> Iterator[Finding]:
    """Return what is wrong with the files."""
    lines = survey.lines.get(NAME, ())
    for path, group in itertools.groupby(lines, lambda line: line.place):
        mine = list(group)
        yield from rule_without_priority(path, [line for line in mine if not line.lost])
        yield from broken_line(path, [line for line in mine if not line.lost])
        yield from lost_lines(path, [line for line in mine if line.lost])
    if NAME in survey.in_charge:
        profiles = [profile for profile in ifcfg.profiles(kept.texts) if not profile.is_alias]
        yield from several_gateways(profiles)
        yield from gateway_outside(profiles)
        yield from global_gateway(profiles, ifcfg.plain(ifcfg.network(kept.texts), "GATEWAY"))


def rule_without_priority(path: str, lines: Sequence[Line]) -> Iterator[Finding]:
    """A rule file's line has no priority: loading it twice makes two rules."""
    loose = [line for line in lines if isinstance(line.item, Rule) and line.item.priority is None]
    if loose:
        dev = loose[0].device
        yield Finding(
            "rule-without-priority",
            "warning",
            dev,
            f"{path}: a rule without a priority is added again each time {dev} comes up",
            cut(map(file_line, loose)),
            f"sed -i '{_ADD_PRIORITY}' {word(path)}",
        )


def broken_line(path: str, lines: Sequence[Line]) -> Iterator[Finding]:
    """A line fails because of what stands at its end."""
    broken = [line for line in lines if "\r" in line.raw or " #" in line.raw]
    if broken:
        why = "CR at its end" if "\r" in broken[0].raw else "comment behind it"
        yield Finding(
            "broken-line",
            "error",
            broken[0].device,
            f"{path}: a line with a {why} fails when it is loaded",
            cut(map(file_line, broken)),
            f"LC_ALL=C sed -i '{_CUT_ENDS}' {word(path)}",
        )


def lost_lines(path: str, lost: Sequence[Line]) -> Iterator[Finding]:
    """An ADDRESSn file has lines that nothing is made of."""
    if lost:
        yield Finding(
            "lost-lines",
            "error",
            lost[0].device,
            f"{path} has ADDRESSn lines, and is read as these from 0 to the first gap: the "
            "others are lost",
            cut(map(file_line, lost)),
            f"write them in {path} as ADDRESSn=, NETMASKn= and GATEWAYn= with the next n, or "
            "all of the file in the words of `ip route add`",
        )


# --- ifcfg ------------------------------------------------------------------------------------


def several_gateways(profiles: Sequence[Profile]) -> Iterator[Finding]:
    """Several files name a gateway for the one default route, and the order of boot decides."""
    for family, variable, wins in ((4, "GATEWAY", -1), (6, "IPV6_DEFAULTGW", 0)):
        metrics: dict[str, list[tuple[Profile, str]]] = {}
        for profile in profiles:
            gateway = _booted_gateway(profile, family)
            if gateway:
                metric = profile.value("METRIC") if family == 4 else ""
                metrics.setdefault(metric, []).append((profile, gateway))
        for rivals in metrics.values():
            if len(rivals) > 1:
                yield _rivals(variable, rivals, rivals[wins][0].device, wins)


def _rivals(variable: str, rivals: Sequence[tuple[Profile, str]], dev: str, wins: int) -> Finding:
    names = [profile.device for profile, _ in rivals]
    gateway = next(gateway for profile, gateway in rivals if profile.device == dev)
    rule = "each replaces the route of the one before" if wins else "the first is kept"
    return Finding(
        "several-gateways",
        "warning",
        dev,
        f"{variable} stands in the files of {', '.join(names)}, which the network service brings "
        f"up in this order: {rule}, so the default route goes through {dev} (via {gateway})",
        tuple(f"{profile.path}: {variable}={gateway}" for profile, gateway in rivals),
        f"default_gateway: {names[0]}",
    )


def _booted_gateway(profile: Profile, family: int) -> str | None:
    """Return the gateway that ifup makes a default route of, see ifup-eth and ifup-ipv6."""

    def value(name: str) -> str:
        return ifcfg.plain(profile.values, name)

    if ifcfg.is_false(profile.value("ONBOOT")):
        return None
    if family == 6:
        device = value("IPV6_DEFAULTGW").partition("%")[2] or value("IPV6_DEFAULTDEV")
        unused = ifcfg.is_false(value("IPV6INIT"))
        gateway = value("IPV6_DEFAULTGW").partition("%")[0]
    else:
        device = value("GATEWAYDEV")
        gateway = value("GATEWAY")
        unused = ifcfg.is_false(value("DEFROUTE")) or not _in_first_subnet(profile, gateway)
    return None if unused or device not in ("", profile.device) else gateway or None


def _in_first_subnet(profile: Profile, gateway: str) -> bool:
    first = _first_address(profile)
    try:
        return first is not None and first.holds(values.parse_address(gateway)[1])
    except ValueError:
        return False


def _first_address(profile: Profile) -> values.Address | None:
    own = (address for address in ifcfg.known_addresses(profile) if address.family == 4)
    return next(own, None)


def gateway_outside(profiles: Sequence[Profile]) -> Iterator[Finding]:
    """A GATEWAY outside of its interface's first subnet, which the scripts pass over."""
    for profile in profiles:
        gateway, first = profile.value("GATEWAY"), _first_address(profile)
        if gateway and first and not _in_first_subnet(profile, gateway):
            subnet = first.network
            yield Finding(
                "gateway-outside-subnet",
                "error",
                profile.device,
                f"{profile.path}: GATEWAY {gateway} is outside of {subnet}, the subnet of the "
                "first address there, and ifup passes it over without a word",
                (f"{profile.path}: GATEWAY={gateway}", f"{profile.path}: {subnet}"),
                f"write a router of {subnet} as GATEWAY= in {profile.path}",
            )


def global_gateway(profiles: Sequence[Profile], gateway: str) -> Iterator[Finding]:
    """A GATEWAY for all interfaces, on a host with several."""
    if not gateway or len(profiles) < 2:
        return
    mine = [profile for profile in profiles if _in_first_subnet(profile, gateway)]
    dev = mine[0].device if mine else None
    where = mine[0].path if mine else "the ifcfg file of the interface that it is for"
    yield Finding(
        "global-gateway",
        "warning",
        dev,
        f"{ifcfg.NETWORK}: GATEWAY={gateway} is every interface's that has none of its "
        "own, and used by those whose subnet it is in",
        (f"{ifcfg.NETWORK}: GATEWAY={gateway}",),
        f"write GATEWAY={gateway} in {where} instead",
    )
