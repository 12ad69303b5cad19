"""What is wrong with a host: one short function for each check, from a survey to findings.

Pure. An error is a packet lost or a line that does nothing, a warning what goes another way than
it was meant to, or will; an info is worth knowing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import multihoming_backend as backend
import multihoming_diagnose_files as files
import multihoming_reply_path as reply_path
import multihoming_survey as survey_
from multihoming_finding import (
    SEVERITIES,
    Finding,
    cut,
    deletion,
    device_of,
    item_line,
    repair,
    route_text,
    rule_line,
    rule_text,
    table_name,
    word,
)
from multihoming_model import Route, Rule, is_catch_all, is_kernels
from multihoming_numbers import DEFAULT, KERNEL_RULES, LOCAL, MAIN, RA, RESERVED_TABLES
from multihoming_survey import Path, Survey


def findings(survey: Survey) -> list[Finding]:
    """Return what all checks find, the worst first."""
    found = [finding for check in CHECKS for finding in check(survey)]
    for name, kept in survey.kept.items():
        found += backend.named(name).findings(kept, survey)
    return sorted(
        found, key=lambda one: (SEVERITIES.index(one.severity), one.id, one.interface or "")
    )


def invalid_pillar(errors: Sequence[str]) -> Finding:
    """Return the finding that the pillar can't be applied."""
    message = "the pillar `multihoming` can't be applied: " + errors[0].partition(";")[0]
    return Finding(
        "pillar-invalid", "error", None, message, cut(errors), "salt-call multihoming.validate"
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
                cut(_reply_line(survey, path) for path in wrong),
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
    return f"{asked}: {via}dev {route.dev} table {table_name(survey, route.table)}"


def no_route_back(survey: Survey) -> Iterator[Finding]:
    """Replies to other networks find no route at all, or are refused."""
    for dev, paths in _by_interface(survey.paths):
        lost = [path for path in paths if path.reply.route is None]
        first = next((path for path in lost if any(path.refused)), next(iter(lost), None))
        if first:
            rule, route = first.refused
            yield Finding(
                "no-route-back",
                "error",
                dev,
                f"replies from {first.flow.address}, which is {dev}'s, to {first.flow.client} are "
                f"lost: {_why_lost(first)}",
                cut([*_refusing_lines(first), *(_reply_line(survey, path) for path in lost)]),
                deletion(rule) if rule and not route else repair(survey, dev),
            )


def _why_lost(path: Path) -> str:
    rule, route = path.refused
    if route:
        return f"the route `{route_text(route)}` refuses them"
    return f"the rule `{rule_text(rule)}` refuses them" if rule else path.reply.error.lower()


def _refusing_lines(path: Path) -> list[str]:
    rule, route = path.refused
    item = route or rule
    return [item_line(item)] if item else []


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
            cut([*_filter_lines(survey, dev), *map(_request_line, dropped)]),
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


def gateway_unknown(survey: Survey) -> Iterator[Finding]:
    """Nothing tells a gateway of an interface: requests from other networks would go astray."""
    for dev, paths in _by_interface(survey.strays):
        astray = [path for path in paths if path.reply.route and path.reply.route.dev != dev]
        dropped = [path for path in astray if _is_filtered(survey, path)]
        first = next(iter(dropped or astray), None)
        if first is None:
            continue
        really = bool(dropped) and survey.filtered > 0
        counter = [f"IPReversePathFilter {survey.filtered}"] if dropped else []
        lines = [*_filter_lines(survey, dev), *counter, *map(_request_line, dropped)]
        yield Finding(
            "gateway-unknown",
            "error" if really else "info",
            dev,
            f"nothing tells a gateway of {dev}: when clients in other networks ask "
            f"{first.flow.address}, the reply would leave by {_way(first)}"
            + (", and strict reverse-path filtering drops the request" if dropped else ""),
            cut([*(lines if dropped else ()), *(_reply_line(survey, path) for path in astray)]),
            repair(survey, dev, unknown="ROUTER"),
        )


def main_routes_bypassed(survey: Survey) -> Iterator[Finding]:
    """Replies under a policy no longer use main's routes to bridges, VPNs and other networks."""
    found: dict[str, list[Route]] = {}
    for detour in survey.detours:
        route = detour.reply.route
        if route and reply_path.is_for_all(route.to) and route.table not in (MAIN, DEFAULT):
            found.setdefault(detour.dev, []).append(detour.route)
    for dev, routes in found.items():
        targets = ", ".join(dict.fromkeys(route.to for route in routes[:3]))
        yield Finding(
            "main-routes-bypassed",
            "warning",
            dev,
            f"replies from {dev}'s addresses to {targets} go to its gateway, past main's route",
            cut(f"ip -{route.family} route: {route_text(route)}" for route in routes),
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
            cut(addresses),
            repair(survey, dev),
        )


def _with_policy(survey: Survey, dev: str, family: int) -> Callable[[str], bool]:
    """Return what tells whether a rule leads from an address to a default route through ``dev``.

    That a table is empty is another finding.
    """
    empty_or_good = set()
    for table in {rule.table or 0 for rule in survey.rules[family]}:
        routes = _of_family(survey.routes.get(table, ()), family)
        defaults = [route for route in routes if reply_path.is_for_all(route.to)]
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
            if table in (None, LOCAL, MAIN, DEFAULT):
                continue
            if _of_family(survey.routes.get(table or 0, ()), family):
                continue
            if not _is_of_link_down(survey, rule):
                found.setdefault((family, table or 0), []).append(rule)
    for (family, table), leading in found.items():
        dev = device_of(survey, leading[0])
        yield Finding(
            "empty-table",
            "warning",
            dev,
            f"a rule leads to table {table_name(survey, table)}, which has no IPv{family} routes",
            cut(map(rule_line, leading)),
            repair(survey, dev) if dev else deletion(leading[0]),
        )


def _is_of_link_down(survey: Survey, rule: Rule) -> bool:
    link = survey.links.get(device_of(survey, rule) or "")
    return link is not None and not survey_.is_usable(link)


def link_down(survey: Survey) -> Iterator[Finding]:
    """An interface that has a policy is down, or has no carrier."""
    for dev, link in survey.links.items():
        own = {address.address for address in link.addresses}
        rules = [
            rule
            for rules in survey.rules.values()
            for rule in rules
            if rule.src in own and rule.table not in (None, *RESERVED_TABLES)
        ]
        if not rules or survey_.is_usable(link):
            continue
        id_, what = ("no-carrier", "has no carrier") if link.up else ("link-down", "is down")
        yield Finding(
            id_,
            "warning",
            dev,
            f"{dev} {what}, and its policy has no effect",
            (f"ip link: {dev}: <{','.join(sorted(link.flags))}>", *cut(map(rule_line, rules))),
            f"ip link set {word(dev)} up" if not link.up else f"ethtool {word(dev)}",
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
                device_of(survey, rules[0]),
                f"the rule `{rule_text(rules[0]._replace(priority=None))}` stands there "
                f"{len(first)} times",
                cut(map(rule_line, rules)),
                " && ".join(map(deletion, spare[::-1])),
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
                    device_of(survey, kept),
                    f"the rule `{rule_text(kept._replace(protocol=0))}` stands there "
                    f"{len(twins)} times, with different protocols",
                    cut(map(rule_line, twins)),
                    " && ".join(deletion(rule) for rule in twins if rule is not kept),
                )


def _alike(survey: Survey) -> Iterator[list[Rule]]:
    """Return groups of rules that differ in priority and protocol at most."""
    groups: dict[Rule, list[Rule]] = {}
    for rules in survey.rules.values():
        for rule in rules:
            verb = rule.action.partition(" ")[0]
            if verb not in ("goto", "nop") and not is_kernels(rule):
                groups.setdefault(rule._replace(priority=None, protocol=0), []).append(rule)
    return (group for group in groups.values() if len(group) > 1)


def kernel_rules(survey: Survey) -> Iterator[Finding]:
    """One of the kernel's own rules is missing, or main is out of reach."""
    for family, rules in survey.rules.items():
        if family not in survey.families:
            continue
        for priority, table in KERNEL_RULES[family]:
            if not any(rule.table == table and is_catch_all(rule) for rule in rules):
                yield _missing_rule(family, priority, table)
        yield from _shadows(survey, family, rules)


def _missing_rule(family: int, priority: int, table: int) -> Finding:
    name = RESERVED_TABLES[table]
    return Finding(
        "kernel-rules",
        "warning" if table == DEFAULT else "error",
        None,
        f"the kernel's own IPv{family} rule {priority}, for all to table {name}, is missing",
        (f"ip -{family} rule: no `from all lookup {name}`",),
        f"ip -{family} rule add from all table {name} priority {priority}",
    )


def _shadows(survey: Survey, family: int, rules: Iterable[Rule]) -> Iterator[Finding]:
    for rule in rules:
        if rule.table == MAIN and is_catch_all(rule):
            return
        routes = _of_family(survey.routes.get(rule.table or 0, ()), family)
        ends = rule.action in ("blackhole", "unreachable", "prohibit")
        if is_catch_all(rule) and (ends or any(route.to == "default" for route in routes)):
            yield Finding(
                "kernel-rules",
                "warning",
                None,
                f"a rule for all packets stands before main's, whose IPv{family} routes are never "
                "used",
                (rule_line(rule),),
                deletion(rule),
            )


# --- links and neighbours ---------------------------------------------------------------------


def gateway_silent(survey: Survey) -> Iterator[Finding]:
    """A gateway does not answer on its link."""
    for dev, gateway in sorted(survey.silent or ()):
        asked = "neighbour discovery" if ":" in gateway else "ARP"
        family = 6 if ":" in gateway else 4
        routes = [
            f"ip -{family} route: {route_text(route)}"
            for table in survey.routes.values()
            for route in table
            if gateway in (route.via, *(hop.via for hop in route.nexthops))
        ]
        ask = f"ndisc6 {gateway} {word(dev)}" if family == 6 else f"arping -I {word(dev)} {gateway}"
        yield Finding(
            "gateway-silent",
            "error",
            dev,
            f"the gateway {gateway} does not answer {asked} on {dev}",
            cut(routes or [f"{gateway} dev {dev}"]),
            ask,
        )


def same_subnet(survey: Survey) -> Iterator[Finding]:
    """Two NICs are in one subnet, and each answers ARP for the other."""
    members: dict[str, dict[str, str]] = {}
    for dev, link in survey.links.items():
        for own in link.addresses if survey_.is_usable(link) else ():
            for subnet in own.subnets if own.family == 4 and link.kind != "dummy" else ():
                if "/" in subnet:
                    members.setdefault(subnet, {}).setdefault(dev, str(own))
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
            cut(survey.sockets),
            "ss -ulnp",
        )


def ra_default(survey: Survey) -> Iterator[Finding]:
    """Router advertisements make IPv6 default routes."""
    defaults = [
        route
        for route in survey.routes.get(MAIN, ())
        if route.family == 6 and route.to == "default" and route.type == "unicast"
    ]
    advertised = [route for route in defaults if route.protocol == RA]
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
        cut(f"ip -6 route: {route_text(route)}" for route in defaults),
        f"sysctl: {{{keys}}}",
    )


CHECKS: tuple[Callable[[Survey], Iterable[Finding]], ...] = (
    rp_filter_drop,
    no_route_back,
    asymmetric_reply,
    gateway_unknown,
    no_policy,
    main_routes_bypassed,
    empty_table,
    link_down,
    duplicate_rule,
    rule_protocols,
    kernel_rules,
    *files.CHECKS,
    gateway_silent,
    same_subnet,
    udp_wildcard,
    ra_default,
)


# --- remedies and evidence --------------------------------------------------------------------


def _remedy(survey: Survey, path: Path) -> str:
    """Return what brings replies back: where there is a policy, the rule before it has to go."""
    flow, route = path.flow, path.reply.route
    if route and _with_policy(survey, path.arrives, flow.family)(flow.address):
        rules = reply_path.matching(survey.rules[flow.family], flow)
        rule = next((rule for rule in rules if rule.table == route.table), None)
        if rule and not is_kernels(rule):
            return deletion(rule)
    return repair(survey, path.arrives)
