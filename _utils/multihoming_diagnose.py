"""What is wrong with a host: one short function for each check, from a survey to findings.

Pure. An error is a packet lost or a line that does nothing, a warning what goes another way than
it was meant to, or will; an info is worth knowing.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import multihoming_backend_network_scripts as network_scripts
import multihoming_ifcfg as ifcfg
import multihoming_model as model
import multihoming_reply_path as reply_path
import multihoming_rt_tables as rt_tables
import multihoming_survey as survey_
from multihoming_backend_network_scripts import Loaded
from multihoming_ifcfg import Profile
from multihoming_model import Route, Rule
from multihoming_survey import MAIN, Files, Path, Survey

SEVERITIES = ("error", "warning", "info")
_LOCAL, _DEFAULT = 255, 253
_YAML_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}
_APPLY = "salt-call state.apply multihoming"
# For sed, whose lines stay as they are where they are comments.
_ADD_PRIORITY = r"/ pri\| pref\| ord\|^[ \t]*\(#\|$\)/! s/$/ priority 20000/"
_CUT_ENDS = r"s/\r$//; /^[ \t]*#/! s/[ \t]*#.*//"
_MOST_LINES = 10
# Priority and table; IPv6 has no third (fib6_rules_net_init_default() in net/ipv6/fib6_rules.c).
_KERNEL_RULES = {
    4: ((0, _LOCAL), (32766, MAIN), (32767, _DEFAULT)),
    6: ((0, _LOCAL), (32766, MAIN)),
}
_RA = 9  # RTPROT_RA
# RTPROT_UNSPEC, BOOT, STATIC: what people make; the others belong to the kernel and to daemons.
_BY_HAND = (model.UNSPEC, model.BOOT, 4)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    interface
        The one that it is about, None when it is about the host.
    evidence
        Lines as ``ip`` or the file shows them.
    remedy
        A line for the pillar, or a command.
    """

    id: str
    severity: str
    interface: str | None
    message: str
    evidence: tuple[str, ...]
    remedy: str

    def as_dict(self) -> dict[str, Any]:
        """Return it in plain JSON types."""
        return {**self.__dict__, "evidence": list(self.evidence)}


def findings(survey: Survey) -> list[Finding]:
    """Return what all checks find, the worst first."""
    found = [finding for check in CHECKS for finding in check(survey)]
    return sorted(
        found, key=lambda one: (SEVERITIES.index(one.severity), one.id, one.interface or "")
    )


def invalid_pillar(errors: Sequence[str]) -> Finding:
    """Return the finding that the pillar can't be applied."""
    message = "the pillar `multihoming` can't be applied: " + errors[0].partition(";")[0]
    return Finding(
        "pillar-invalid", "error", None, message, _cut(errors), "salt-call multihoming.validate"
    )


# --- the ways of replies ----------------------------------------------------------------------


def asymmetric_reply(survey: Survey) -> Iterator[Finding]:
    """Replies leave by another interface than the request came in on."""
    for dev, paths in _by_interface(survey.paths):
        wrong = [path for path in paths if _is_asymmetric(survey, path)]
        if wrong:
            first = wrong[0]
            yield Finding(
                "asymmetric-reply",
                "warning",
                dev,
                f"replies from {first.flow.address}, which is {dev}'s, leave by {_way(first)}",
                _cut(_reply_line(survey, path) for path in wrong),
                _remedy(survey, first),
            )


def _is_asymmetric(survey: Survey, path: Path) -> bool:
    route = path.reply.route
    if route is None or route.type != "unicast" or path.request.route is None:
        return False
    if route.dev in (None, path.arrives):
        return False
    return not _is_spared(survey, path)


def _is_spared(survey: Survey, path: Path) -> bool:
    """Tell whether main answers for its own interface, as on any host without a policy there.

    What comes from a sibling's subnet through the router is then answered directly.
    """
    main, route = survey.mains.get(path.flow.family), path.reply.route
    if main is None or main.devices != (path.arrives,) or (route and reply_path.gateway(route)):
        return False
    return not survey_.ruled(survey.rules[path.flow.family])(path.flow.address)


def _way(path: Path) -> str:
    route = path.reply.route
    if route is None:
        return path.reply.error
    gateway = reply_path.gateway(route)
    return f"{route.dev}{f' via {gateway}' if gateway else ''}"


def _reply_line(survey: Survey, path: Path) -> str:
    flow, route = path.flow, path.reply.route
    asked = f"ip route get {flow.client} from {flow.address}"
    if route is None:
        return f"{asked}: {path.reply.error}"
    gateway = reply_path.gateway(route)
    via = f"via {gateway} " if gateway else ""
    return f"{asked}: {via}dev {route.dev} table {_name(survey, route.table)}"


def no_route_back(survey: Survey) -> Iterator[Finding]:
    """Replies to other networks find no route at all."""
    for dev, paths in _by_interface(survey.paths):
        lost = [path for path in paths if path.reply.route is None]
        if lost:
            yield Finding(
                "no-route-back",
                "error",
                dev,
                f"replies from {lost[0].flow.address}, which is {dev}'s, to {lost[0].flow.client} "
                f"are lost: {lost[0].reply.error.lower()}",
                _cut(_reply_line(survey, path) for path in lost),
                _repair(survey, dev),
            )


def rp_filter_drop(survey: Survey) -> Iterator[Finding]:
    """The reverse-path filter drops requests that are answered through another interface."""
    for dev, paths in _by_interface(survey.paths):
        dropped = [path for path in paths if _is_filtered(survey, path)]
        if not dropped:
            continue
        flow, route = dropped[0].flow, dropped[0].reply.route
        reason = reply_path.filter_reason(flow, dev, route, _filter(survey, dev))
        yield Finding(
            "rp-filter-drop",
            "error",
            dev,
            reason.replace("drops the request", f"drops requests to {flow.address}", 1),
            _cut([*_filter_lines(survey, dev), *map(_request_line, dropped)]),
            _remedy(survey, dropped[0]),
        )


def _is_filtered(survey: Survey, path: Path) -> bool:
    if path.flow.family == 6 or path.request.route or path.reply.route is None:
        return False
    filtered = _filter(survey, path.arrives)
    return reply_path.is_filters(path.arrives, path.request, path.reply, filtered)


def _filter(survey: Survey, dev: str) -> dict[str, Any]:
    return reply_path.rp_filter(dev, lambda name, key: survey.settings.get((name, key)))


def _filter_lines(survey: Survey, dev: str) -> list[str]:
    return [
        f"net.ipv4.conf.{name}.rp_filter = {survey.settings.get((name, 'rp_filter'), 0)}"
        for name in ("all", dev)
    ]


def _request_line(path: Path) -> str:
    flow = path.flow
    return (
        f"ip route get {flow.address} from {flow.client} iif {path.arrives}: {path.request.error}"
    )


def _by_interface(paths: Iterable[Path]) -> Iterator[tuple[str, list[Path]]]:
    ordered = sorted(paths, key=lambda path: path.arrives)
    for dev, group in itertools.groupby(ordered, lambda path: path.arrives):
        yield dev, list(group)


def main_routes_bypassed(survey: Survey) -> Iterator[Finding]:
    """Replies under a policy no longer use main's routes to bridges, VPNs and other networks."""
    found: dict[str, list[Route]] = {}
    for detour in survey.detours:
        route = detour.reply.route
        if route and route.to == "default" and route.table not in (MAIN, _DEFAULT):
            found.setdefault(detour.dev, []).append(detour.route)
    for dev, routes in found.items():
        targets = ", ".join(dict.fromkeys(route.to for route in routes[:3]))
        yield Finding(
            "main-routes-bypassed",
            "warning",
            dev,
            f"replies from {dev}'s addresses to {targets} go to its gateway, past main's route",
            _cut(f"ip -{route.family} route: {_route_text(route)}" for route in routes),
            "keep_main_routes: true",
        )


# --- policies ---------------------------------------------------------------------------------


def no_policy(survey: Survey) -> Iterator[Finding]:
    """An interface has an address and a gateway, but no table to answer through."""
    lacking: dict[str, list[str]] = {}
    for (dev, family), hops in survey.gateways.items():
        link, main = survey.links.get(dev), survey.mains.get(family)
        if link is None or not survey_.is_usable(link) or (main and main.devices == (dev,)):
            continue
        has_policy = _with_policy(survey, dev, family)
        for address in survey_.addresses(link, family):
            if hops and not has_policy(address):
                lacking.setdefault(dev, []).append(f"{address} (gateway {hops[0]})")
    for dev, addresses in lacking.items():
        yield Finding(
            "no-policy",
            "warning",
            dev,
            f"{dev} has an address and a gateway, but no rule from {addresses[0].split()[0]} to a "
            "table with a default route through it",
            _cut(addresses),
            _repair(survey, dev),
        )


def _with_policy(survey: Survey, dev: str, family: int) -> Callable[[str], bool]:
    """Return what tells whether a rule leads from an address to a default route through ``dev``.

    That a table is empty is another finding.
    """
    empty_or_good = set()
    for table in {rule.table or 0 for rule in survey.rules[family]}:
        routes = _of_family(survey.routes.get(table, ()), family)
        defaults = [route for route in routes if route.to == "default"]
        if not routes or any(dev in route.devices for route in defaults):
            empty_or_good.add(table)
    return survey_.ruled(rule for rule in survey.rules[family] if rule.table in empty_or_good)


def _of_family(routes: Iterable[Route], family: int) -> list[Route]:
    return [route for route in routes if route.family == family]


def empty_table(survey: Survey) -> Iterator[Finding]:
    """A rule leads to a table without routes, and on to main."""
    found: dict[tuple[int, int], list[Rule]] = {}
    for family, rules in survey.rules.items():
        for rule in rules:
            table = rule.table
            if table in (None, _LOCAL, MAIN, _DEFAULT):
                continue
            if _of_family(survey.routes.get(table or 0, ()), family):
                continue
            if not _is_of_link_down(survey, rule):
                found.setdefault((family, table or 0), []).append(rule)
    for (family, table), leading in found.items():
        dev = _device(survey, leading[0])
        yield Finding(
            "empty-table",
            "warning",
            dev,
            f"a rule leads to table {_name(survey, table)}, which has no IPv{family} routes",
            _cut(map(_rule_line, leading)),
            _repair(survey, dev) if dev else _deletion(leading[0]),
        )


def _is_of_link_down(survey: Survey, rule: Rule) -> bool:
    link = survey.links.get(_device(survey, rule) or "")
    return link is not None and not survey_.is_usable(link)


def link_down(survey: Survey) -> Iterator[Finding]:
    """An interface that has a policy is down, or has no carrier."""
    for dev, link in survey.links.items():
        own = {address.address for address in link.addresses}
        rules = [
            rule
            for rules in survey.rules.values()
            for rule in rules
            if rule.src in own and rule.table not in (None, *model.RESERVED_TABLES)
        ]
        if not rules or survey_.is_usable(link):
            continue
        id_, what = ("no-carrier", "has no carrier") if link.up else ("link-down", "is down")
        yield Finding(
            id_,
            "warning",
            dev,
            f"{dev} {what}, and its policy has no effect",
            (f"ip link: {dev}: <{','.join(sorted(link.flags))}>", *_cut(map(_rule_line, rules))),
            f"ip link set {shlex.quote(dev)} up" if not link.up else f"ethtool {shlex.quote(dev)}",
        )


# --- rules ------------------------------------------------------------------------------------


def duplicate_rule(survey: Survey) -> Iterator[Finding]:
    """The same rule stands at several priorities."""
    for rules in _alike(survey):
        first = {rule.priority: rule for rule in reversed(rules)}
        if len(first) > 1:
            spare = [rule for rule in first.values() if rule is not rules[0]]
            yield Finding(
                "duplicate-rule",
                "warning",
                _device(survey, rules[0]),
                f"the rule `{_rule_text(replace(rules[0], priority=None))}` stands there "
                f"{len(first)} times",
                _cut(map(_rule_line, rules)),
                " && ".join(map(_deletion, spare[::-1])),
            )


def rule_protocols(survey: Survey) -> Iterator[Finding]:
    """Rules differ only in their protocol: loaded twice, by different means."""
    for rules in _alike(survey):
        places: dict[int | None, list[Rule]] = {}
        for rule in rules:
            places.setdefault(rule.priority, []).append(rule)
        for twins in places.values():
            if len({rule.protocol for rule in twins}) > 1:
                kept = min(twins, key=lambda rule: rule.protocol)
                yield Finding(
                    "rule-protocols",
                    "warning",
                    _device(survey, kept),
                    f"the rule `{_rule_text(replace(kept, protocol=0))}` stands there "
                    f"{len(twins)} times, with different protocols",
                    _cut(map(_rule_line, twins)),
                    " && ".join(_deletion(rule) for rule in twins if rule is not kept),
                )


def _alike(survey: Survey) -> Iterator[list[Rule]]:
    """Return groups of rules that differ in priority and protocol at most."""
    groups: dict[Rule, list[Rule]] = {}
    for rules in survey.rules.values():
        for rule in rules:
            verb = rule.action.partition(" ")[0]
            if verb not in ("goto", "nop") and not _is_kernels(rule):
                groups.setdefault(replace(rule, priority=None, protocol=0), []).append(rule)
    return (group for group in groups.values() if len(group) > 1)


def _is_kernels(rule: Rule) -> bool:
    return (rule.priority, rule.table) in _KERNEL_RULES[rule.family] and _is_catch_all(rule)


def _is_catch_all(rule: Rule) -> bool:
    plain = Rule(rule.family, rule.priority, rule.table, action=rule.action, protocol=rule.protocol)
    return rule == plain


def kernel_rules(survey: Survey) -> Iterator[Finding]:
    """One of the kernel's own rules is missing, or main is out of reach."""
    for family, rules in survey.rules.items():
        if family not in survey.families:
            continue
        for priority, table in _KERNEL_RULES[family]:
            if not any(rule.table == table and _is_catch_all(rule) for rule in rules):
                yield _missing_rule(family, priority, table)
        yield from _shadows(survey, family, rules)


def _missing_rule(family: int, priority: int, table: int) -> Finding:
    name = model.RESERVED_TABLES[table]
    return Finding(
        "kernel-rules",
        "warning" if table == _DEFAULT else "error",
        None,
        f"the kernel's own IPv{family} rule {priority}, for all to table {name}, is missing",
        (f"ip -{family} rule: no `from all lookup {name}`",),
        f"ip -{family} rule add from all table {name} priority {priority}",
    )


def _shadows(survey: Survey, family: int, rules: Iterable[Rule]) -> Iterator[Finding]:
    for rule in rules:
        if rule.table == MAIN and _is_catch_all(rule):
            return
        routes = _of_family(survey.routes.get(rule.table or 0, ()), family)
        ends = rule.action in ("blackhole", "unreachable", "prohibit")
        if _is_catch_all(rule) and (ends or any(route.to == "default" for route in routes)):
            yield Finding(
                "kernel-rules",
                "warning",
                None,
                f"a rule for all packets stands before main's, whose IPv{family} routes are never "
                "used",
                (_rule_line(rule),),
                _deletion(rule),
            )


# --- files ------------------------------------------------------------------------------------


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
                _cut(map(_file_line, loose)),
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
                f"{path}: table {model.show(name)} is not in rt_tables, and lines with it fail",
                _cut(_file_line(line) for line in lost if line.table == name),
                _naming(survey, name or "", path),
            )


def _is_unknown(survey: Survey, name: str | None) -> bool:
    if name is None or name in survey.tables:
        return False
    try:
        model.parse_number(name, 0, model.U32)
    except ValueError:
        return True
    return False


def _naming(survey: Survey, name: str, path: str) -> str:
    if rt_tables.check_name(name):
        return f"write a table's name or id instead in {path}"
    return f"salt-call multihoming.set_table {name} {_free_id(survey)}"


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
                _cut(map(_file_line, broken)),
                f"sed -i '{_CUT_ENDS}' {shlex.quote(path)}",
            )


def lost_lines(survey: Survey) -> Iterator[Finding]:
    """An ADDRESSn file has lines that nothing is made of."""
    for path, text in _files(survey).texts.items():
        lost = network_scripts.lost_lines(path, text)
        if lost:
            yield Finding(
                "lost-lines",
                "error",
                network_scripts.device(path),
                f"{path} has ADDRESSn lines, and is read as these from 0 to the first gap: the "
                "others are lost",
                _cut(f"{path}: {raw.strip()}" for raw in lost),
                f"write them in {path} as ADDRESSn=, NETMASKn= and GATEWAYn= with the next n, or "
                "all of the file in the words of `ip route add`",
            )


def files_not_loaded(survey: Survey) -> Iterator[Finding]:
    """Route and rule files are there, and nothing will load them."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for path, reason in _files(survey).unloaded.items():
        reasons.setdefault(reason, []).append(path)
    for (why, remedy), paths in reasons.items():
        devices = {network_scripts.device(path) for path in paths}
        yield Finding(
            "files-not-loaded",
            "error",
            devices.pop() if len(devices) == 1 else None,
            f"nothing will load {paths[0]}{' and others' if paths[1:] else ''}: {why}",
            _cut(paths),
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
            found.setdefault(_device(survey, item), []).append(_item_line(item))
    for dev, lines in found.items():
        yield Finding(
            "not-persistent",
            "warning",
            dev,
            f"{len(lines)} live rules and routes are in no file, and gone after a reboot",
            _cut(lines),
            _repair(survey, dev) if dev else _APPLY,
        )


def _made_by_hand(survey: Survey) -> Iterator[Route | Rule]:
    for rules in survey.rules.values():
        for rule in rules:
            if rule.protocol in _BY_HAND and not _is_kernels(rule):
                yield rule
    for table, routes in survey.routes.items():
        for route in routes if table != MAIN else ():
            if route.protocol in _BY_HAND:
                yield route


def _bare(item: Route | Rule) -> Route | Rule:
    return replace(item, protocol=0)


def not_live(survey: Survey) -> Iterator[Finding]:
    """Lines of files that the kernel does not have."""
    files = _files(survey)
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
                _cut(map(_file_line, missing)),
                " && ".join(map(_command, missing[:_MOST_LINES])),
            )


def _is_told(survey: Survey, item: Route | Rule) -> bool:
    return survey.whole or isinstance(item, Rule) or item.table != MAIN


def _files(survey: Survey) -> Files:
    return survey.files or Files()


def _by_path(survey: Survey) -> Iterator[tuple[str, list[Loaded]]]:
    for path, group in itertools.groupby(_files(survey).lines, lambda line: line.path):
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
        return subnet is not None and model.parse_address(gateway)[1] in model.network(subnet)
    except ValueError:
        return False


def _first_subnet(profile: Profile) -> str | None:
    own = [address for address in ifcfg.known_addresses(profile) if address.family == 4]
    return model.network_of(own[0].address, own[0].length) if own else None


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
    files = _files(survey)
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


# --- links and neighbours ---------------------------------------------------------------------


def gateway_silent(survey: Survey) -> Iterator[Finding]:
    """A gateway does not answer on its link."""
    for dev, gateway in sorted(survey.silent or ()):
        asked = "neighbour discovery" if ":" in gateway else "ARP"
        family = 6 if ":" in gateway else 4
        routes = [
            f"ip -{family} route: {_route_text(route)}"
            for table in survey.routes.values()
            for route in table
            if gateway in (route.via, *(hop.via for hop in route.nexthops))
        ]
        quoted = shlex.quote(dev)
        ask = f"ndisc6 {gateway} {quoted}" if family == 6 else f"arping -I {quoted} {gateway}"
        yield Finding(
            "gateway-silent",
            "error",
            dev,
            f"the gateway {gateway} does not answer {asked} on {dev}",
            _cut(routes or [f"{gateway} dev {dev}"]),
            ask,
        )


def same_subnet(survey: Survey) -> Iterator[Finding]:
    """Two NICs are in one subnet, and each answers ARP for the other."""
    members: dict[str, dict[str, str]] = {}
    for dev, link in survey.links.items():
        for own in link.addresses if survey_.is_usable(link) else ():
            if own.family == 4 and own.length < 32 and link.kind != "dummy":
                subnet = model.network_of(own.address, own.length)
                members.setdefault(subnet, {}).setdefault(dev, f"{own.address}/{own.length}")
    for subnet, devices in members.items():
        if len(devices) > 1 and not all(_keeps_arp_apart(survey, dev) for dev in devices):
            keys = ("arp_ignore", "arp_announce")
            yield Finding(
                "same-subnet",
                "warning",
                list(devices)[1],
                f"{' and '.join(devices)} are both in {subnet}, and each answers ARP for the "
                "other's addresses (ARP flux)",
                (
                    *(f"{address} dev {dev}" for dev, address in devices.items()),
                    *(
                        f"net.ipv4.conf.{dev}.{key} = {survey.settings.get((dev, key), 0)}"
                        for dev in ("all", *devices)
                        for key in keys
                    ),
                ),
                "sysctl: {net.ipv4.conf.all.arp_ignore: 1, net.ipv4.conf.all.arp_announce: 2}",
            )


def _keeps_arp_apart(survey: Survey, dev: str) -> bool:
    """Tell whether the larger of all's and the interface's settings keep ARP to its interface."""

    def setting(name: str) -> int:
        return max(survey.settings.get((where, name), 0) for where in ("all", dev))

    apart = setting("arp_ignore") >= 1 and setting("arp_announce") >= 2
    return apart or setting("arp_filter") >= 1


def udp_wildcard(survey: Survey) -> Iterator[Finding]:
    """UDP services on the wildcard address may answer from an address that was not asked."""
    leading = {dev for dev, _ in survey.gateways if dev in survey.links}
    devices = {dev for dev in leading if survey_.is_usable(survey.links[dev])}
    if survey.sockets and len(devices) > 1:
        yield Finding(
            "udp-wildcard",
            "info",
            None,
            "UDP services that listen on every address may answer from another than was asked, "
            "unless they use IP_PKTINFO",
            _cut(survey.sockets),
            "ss -ulnp",
        )


def ra_default(survey: Survey) -> Iterator[Finding]:
    """Router advertisements make IPv6 default routes."""
    defaults = [
        route
        for route in survey.routes.get(MAIN, ())
        if route.family == 6 and route.to == "default" and route.type == "unicast"
    ]
    advertised = [route for route in defaults if route.protocol == _RA]
    devices = list(dict.fromkeys(dev for route in advertised for dev in route.devices))
    if not advertised:
        return
    rivals = len(devices) > 1 or len(advertised) < len(defaults)
    keys = ", ".join(f"net.ipv6.conf.{dev}.accept_ra_defrtr: 0" for dev in devices)
    yield Finding(
        "ra-default",
        "warning" if rivals else "info",
        devices[0] if len(devices) == 1 else None,
        f"router advertisements make IPv6 default routes through {' and '.join(devices)}"
        + (", beside others" if rivals else ""),
        _cut(f"ip -6 route: {_route_text(route)}" for route in defaults),
        f"sysctl: {{{keys}}}",
    )


CHECKS: tuple[Callable[[Survey], Iterable[Finding]], ...] = (
    rp_filter_drop,
    no_route_back,
    asymmetric_reply,
    no_policy,
    main_routes_bypassed,
    empty_table,
    link_down,
    duplicate_rule,
    rule_protocols,
    kernel_rules,
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
    gateway_silent,
    same_subnet,
    udp_wildcard,
    ra_default,
)


# --- remedies and evidence --------------------------------------------------------------------


def _repair(survey: Survey, dev: str) -> str:
    """Return what gives an interface its policy: the state, or an entry for the pillar."""
    if dev in survey.declared:
        return _APPLY
    hops = [next(iter(survey.gateways.get((dev, family), ())), None) for family in model.FAMILIES]
    gateways = ", ".join(_yaml(gateway) for gateway in hops if gateway)
    table = _table_of(survey, dev) or _free_id(survey, dev)
    name = _yaml(_name_for(survey, table, dev))
    gateway = f", gateway: [{gateways}]" if gateways else ""
    return f"tables: {{{name}: {table}}}, interfaces: {{{_yaml(dev)}: {{table: {name}{gateway}}}}}"


def _name_for(survey: Survey, table: int, dev: str) -> str:
    """Return a table's name, else one that it may be given."""
    if table in survey.tables.values():
        return _name(survey, table)
    spare = dev not in survey.tables and rt_tables.check_name(dev) is None
    return dev if spare else f"table{table}"


def _yaml(text: str) -> str:
    """Return a text as YAML reads it back, within braces and brackets too."""
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*|\d+(\.\d+){3}", text)
    return text if plain and text.lower() not in _YAML_WORDS else json.dumps(text)


def _table_of(survey: Survey, dev: str) -> int | None:
    """Return the table that serves an interface already."""
    own = survey.links[dev].addresses if dev in survey.links else ()
    sources = {address.address for address in own}
    for rules in survey.rules.values():
        for rule in rules:
            if rule.src in sources and rule.table not in (None, *model.RESERVED_TABLES):
                return rule.table
    return None


def _remedy(survey: Survey, path: Path) -> str:
    """Return what brings replies back: where there is a policy, the rule before it has to go."""
    flow, route = path.flow, path.reply.route
    if route and _with_policy(survey, path.arrives, flow.family)(flow.address):
        rules = reply_path.matching(survey.rules[flow.family], flow)
        rule = next((rule for rule in rules if rule.table == route.table), None)
        if rule and not _is_kernels(rule):
            return _deletion(rule)
    return _repair(survey, path.arrives)


def _free_id(survey: Survey, dev: str | None = None) -> int:
    """Return an id that no table has; each interface gets another."""
    taken = {*survey.tables.values(), *survey.routes, *model.RESERVED_TABLES}
    free = (number for number in itertools.count(201) if number not in taken)
    place = sorted(survey.links).index(dev) if dev and dev in survey.links else 0
    return next(itertools.islice(free, place, None))


def _device(survey: Survey, item: Route | Rule) -> str | None:
    """Return the interface that a rule or route is about."""
    if isinstance(item, Route):
        return next(iter(item.devices), None)
    if item.src in survey.holders:
        return survey.holders[item.src]
    if item.table in (None, *model.RESERVED_TABLES):
        return None
    return next(_served(survey, item.table or 0), None)


def _served(survey: Survey, table: int) -> Iterator[str]:
    """Return the interfaces that a table is for: by its routes, its other rules, and the files."""
    live = survey.routes.get(table, ())
    for route in sorted(live, key=lambda route: route.to != "default"):
        yield from route.devices
    for rules in survey.rules.values():
        for rule in rules:
            if rule.table == table and rule.src in survey.holders:
                yield survey.holders[rule.src]
    for line in _files(survey).lines:
        if isinstance(line.item, Route) and line.item.table == table:
            yield from line.item.devices


def _name(survey: Survey, table: int) -> str:
    names = {id_: name for name, id_ in survey.tables.items()}
    return names.get(table, str(table))


def _cut(lines: Iterable[str]) -> tuple[str, ...]:
    """Return the first lines, and how many more there are."""
    every = list(lines)
    more = len(every) - _MOST_LINES
    return tuple(every) if more <= 0 else (*every[:_MOST_LINES], f"... and {more} more")


def _rule_text(rule: Rule) -> str:
    return " ".join(model.rule_words(rule))


def _rule_line(rule: Rule) -> str:
    return f"ip -{rule.family} rule: {_rule_text(rule)}"


def _route_text(route: Route) -> str:
    return " ".join(model.route_words(route))


def _item_line(item: Route | Rule) -> str:
    if isinstance(item, Rule):
        return _rule_line(item)
    return f"ip -{item.family} route: {_route_text(item)}"


def _file_line(line: Loaded) -> str:
    return f"{line.path}: {line.raw}"


def _command(line: Loaded) -> str:
    """Return what the loader runs for a line."""
    item = line.item
    if isinstance(item, Rule):
        return f"ip -{item.family} rule add {_rule_text(item)}"
    return f"ip -{item.family} route add {_route_text(item)}" if item else ""


def _deletion(rule: Rule) -> str:
    return f"ip -{rule.family} rule del {_rule_text(rule)}"
