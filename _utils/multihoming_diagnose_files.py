"""Checks of files: lines that fail, get lost or are loaded by nobody, and gateways in ifcfg files.

Pure; see ``multihoming_diagnose``.
"""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import multihoming_backend_network_scripts as network_scripts
import multihoming_ifcfg as ifcfg
import multihoming_rt_tables as rt_tables
import multihoming_survey as survey_
import multihoming_values as values
from multihoming_backend_network_scripts import Loaded
from multihoming_finding import (
    APPLY,
    Finding,
    cut,
    device_of,
    files_of,
    free_id,
    item_line,
    repair,
    route_text,
    rule_text,
)
from multihoming_ifcfg import Profile
from multihoming_model import Route, Rule, is_kernels
from multihoming_numbers import BY_HAND, MAIN, U32
from multihoming_survey import Survey

# For sed, whose lines stay as they are where they are comments.
_ADD_PRIORITY = r"/ pri\| pref\| ord\|^[ \t]*\(#\|$\)/! s/$/ priority 20000/"
_CUT_ENDS = r"s/\r$//; /^[ \t]*#/! s/[ \t]*#.*//"
_MOST_LINES = 10


def rule_without_priority(survey: Survey) -> Iterator[Finding]:
    """A rule file's line has no priority: loading it twice makes two rules."""
    for path, lines in _by_path(survey):
        loose = [line for line in lines if _lacks_priority(line)]
        if loose:
            dev = network_scripts.device(path)
            yield Finding(
                "rule-without-priority",
                "warning",
                dev,
                f"{path}: a rule without a priority is added again each time {dev} comes up",
                cut(map(_file_line, loose)),
                f"sed -i '{_ADD_PRIORITY}' {shlex.quote(path)}",
            )


def unknown_table(survey: Survey) -> Iterator[Finding]:
    """A file names a table that rt_tables does not know."""
    for path, lines in _by_path(survey):
        lost = [line for line in lines if _is_unknown(survey, line.table)]
        for name in dict.fromkeys(line.table for line in lost):
            yield Finding(
                "unknown-table",
                "error",
                network_scripts.device(path),
                f"{path}: table {values.show(name)} is not in rt_tables, and lines with it fail",
                cut(_file_line(line) for line in lost if line.table == name),
                _naming(survey, name or "", path),
            )


def _is_unknown(survey: Survey, name: str | None) -> bool:
    if name is None or name in survey.tables:
        return False
    try:
        values.parse_number(name, 0, U32)
    except ValueError:
        return True
    return False


def _naming(survey: Survey, name: str, path: str) -> str:
    if rt_tables.check_name(name):
        return f"write a table's name or id instead in {path}"
    return f"salt-call multihoming.set_table {name} {free_id(survey)}"


def broken_line(survey: Survey) -> Iterator[Finding]:
    """A line fails because of what stands at its end."""
    for path, lines in _by_path(survey):
        broken = [line for line in lines if line.crlf or " #" in line.raw]
        if broken:
            why = "CR at its end" if broken[0].crlf else "comment behind it"
            yield Finding(
                "broken-line",
                "error",
                network_scripts.device(path),
                f"{path}: a line with a {why} fails when it is loaded",
                cut(map(_file_line, broken)),
                f"sed -i '{_CUT_ENDS}' {shlex.quote(path)}",
            )


def lost_lines(survey: Survey) -> Iterator[Finding]:
    """An ADDRESSn file has lines that nothing is made of."""
    for path, text in files_of(survey).texts.items():
        lost = network_scripts.lost_lines(path, text)
        if lost:
            yield Finding(
                "lost-lines",
                "error",
                network_scripts.device(path),
                f"{path} has ADDRESSn lines, and is read as these from 0 to the first gap: the "
                "others are lost",
                cut(f"{path}: {raw.strip()}" for raw in lost),
                f"write them in {path} as ADDRESSn=, NETMASKn= and GATEWAYn= with the next n, or "
                "all of the file in the words of `ip route add`",
            )


def files_not_loaded(survey: Survey) -> Iterator[Finding]:
    """Route and rule files are there, and nothing will load them."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for path, reason in files_of(survey).unloaded.items():
        reasons.setdefault(reason, []).append(path)
    for (why, remedy), paths in reasons.items():
        devices = {network_scripts.device(path) for path in paths}
        yield Finding(
            "files-not-loaded",
            "error",
            devices.pop() if len(devices) == 1 else None,
            f"nothing will load {paths[0]}{' and others' if paths[1:] else ''}: {why}",
            cut(paths),
            remedy,
        )


def not_persistent(survey: Survey) -> Iterator[Finding]:
    """Rules and routes that are live, and in no file: gone after a reboot."""
    files = survey.files
    if files is None or not files.in_charge:
        return
    kept = {_bare(line.item) for line in files.lines if line.item}
    found: dict[str | None, list[str]] = {}
    for item in _made_by_hand(survey):
        bare = _bare(item)
        if bare not in kept and not (
            isinstance(bare, Rule) and replace(bare, priority=None) in kept
        ):
            found.setdefault(device_of(survey, item), []).append(item_line(item))
    for dev, lines in found.items():
        yield Finding(
            "not-persistent",
            "warning",
            dev,
            f"{len(lines)} live rules and routes are in no file, and gone after a reboot",
            cut(lines),
            repair(survey, dev) if dev else APPLY,
        )


def _made_by_hand(survey: Survey) -> Iterator[Route | Rule]:
    for rules in survey.rules.values():
        for rule in rules:
            if rule.protocol in BY_HAND and not is_kernels(rule):
                yield rule
    for table, routes in survey.routes.items():
        for route in routes if table != MAIN else ():
            if route.protocol in BY_HAND:
                yield route


def _bare(item: Route | Rule) -> Route | Rule:
    return replace(item, protocol=0)


def not_live(survey: Survey) -> Iterator[Finding]:
    """Lines of files that the kernel does not have."""
    files = files_of(survey)
    if not files.in_charge:  # NetworkManager makes other routes of them
        return
    live: set[Route | Rule] = {_bare(rule) for rules in survey.rules.values() for rule in rules}
    live |= {replace(rule, priority=None) for rule in live if isinstance(rule, Rule)}
    live |= {_bare(route) for routes in survey.routes.values() for route in routes}
    for path, lines in _by_path(survey):
        link = survey.links.get(network_scripts.device(path) or "")
        if link is None or not survey_.is_usable(link) or path in files.unloaded:
            continue
        missing = [
            line
            for line in lines
            if line.item and _bare(line.item) not in live and _is_told(survey, line.item)
        ]
        if missing:
            yield Finding(
                "not-live",
                "warning",
                link.name,
                f"{path}: the kernel does not have what {len(missing)} of its lines say",
                cut(map(_file_line, missing)),
                " && ".join(map(_command, missing[:_MOST_LINES])),
            )


def _is_told(survey: Survey, item: Route | Rule) -> bool:
    return survey.whole or isinstance(item, Rule) or item.table != MAIN


def _by_path(survey: Survey) -> Iterator[tuple[str, list[Loaded]]]:
    for path, group in itertools.groupby(files_of(survey).lines, lambda line: line.path):
        yield path, list(group)


def _lacks_priority(line: Loaded) -> bool:
    return isinstance(line.item, Rule) and line.item.priority is None


# --- ifcfg ------------------------------------------------------------------------------------


def several_gateways(survey: Survey) -> Iterator[Finding]:
    """Several files name a gateway for the one default route, and the order of boot decides."""
    files = survey.files
    if files is None or not files.in_charge:
        return
    for family, variable, wins in ((4, "GATEWAY", -1), (6, "IPV6_DEFAULTGW", 0)):
        metrics: dict[str, list[tuple[Profile, str]]] = {}
        for profile in files.profiles:
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
    subnet = _first_subnet(profile)
    try:
        return subnet is not None and values.parse_address(gateway)[1] in values.network(subnet)
    except ValueError:
        return False


def _first_subnet(profile: Profile) -> str | None:
    own = [address for address in ifcfg.known_addresses(profile) if address.family == 4]
    return own[0].network if own else None


def gateway_outside(survey: Survey) -> Iterator[Finding]:
    """A GATEWAY outside of its interface's first subnet, which the scripts pass over."""
    files = survey.files
    for profile in files.profiles if files and files.in_charge else ():
        gateway, subnet = profile.value("GATEWAY"), _first_subnet(profile)
        if gateway and subnet and not _in_first_subnet(profile, gateway):
            yield Finding(
                "gateway-outside-subnet",
                "error",
                profile.device,
                f"{profile.path}: GATEWAY {gateway} is outside of {subnet}, the subnet of the "
                "first address there, and ifup passes it over without a word",
                (f"{profile.path}: GATEWAY={gateway}", f"{profile.path}: {subnet}"),
                f"write a router of {subnet} as GATEWAY= in {profile.path}",
            )


def global_gateway(survey: Survey) -> Iterator[Finding]:
    """A GATEWAY for all interfaces, on a host with several."""
    files = files_of(survey)
    gateway = ifcfg.plain(files.network, "GATEWAY")
    if not gateway or not files.in_charge or len(files.profiles) < 2:
        return
    mine = [profile for profile in files.profiles if _in_first_subnet(profile, gateway)]
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


def _file_line(line: Loaded) -> str:
    return f"{line.path}: {line.raw}"


def _command(line: Loaded) -> str:
    """Return what the loader runs for a line."""
    item = line.item
    if isinstance(item, Rule):
        return f"ip -{item.family} rule add {rule_text(item)}"
    return f"ip -{item.family} route add {route_text(item)}" if item else ""


CHECKS: tuple[Callable[[Survey], Iterable[Finding]], ...] = (
    rule_without_priority,
    unknown_table,
    broken_line,
    lost_lines,
    files_not_loaded,
    not_persistent,
    not_live,
    several_gateways,
    gateway_outside,
    global_gateway,
)
