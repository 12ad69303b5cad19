"""Which way a reply goes, and why it is lost: the kernel's answers read into one result.

Pure: what to ask is made here, asked in ``kernel``, and read here. A reply takes the route that
the kernel finds from the address that was asked back to the client; a request is dropped on
arrival when the reverse-path filter finds another way back (``rp_filter`` in the kernel's
ip-sysctl documentation, fib_validate_source() in net/ipv4/fib_frontend.c).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import multihoming_attributes as attributes
import multihoming_iproute2 as iproute2
import multihoming_values as values
import netaddr
from multihoming_model import Answer, Link, Route, Rule, Step
from multihoming_text import shown

MODES = {0: "off", 1: "strict", 2: "loose"}
# Hosts in all parts of the internet; the kernel is asked for the way there, and nothing is sent.
# First those for documentation (RFC 5737, RFC 3849), which people know from examples.
FAR = {
    4: (
        "198.51.100.1",
        "203.0.113.1",
        "192.0.2.1",
        "45.67.89.10",
        "178.90.123.45",
        "23.45.67.89",
        "78.90.12.34",
        "109.87.65.43",
        "143.21.65.87",
        "212.34.56.78",
    ),
    6: (
        "2001:db8:ffff:ffff::1",
        "2605:1234:5678::1",
        "2a03:1234:5678::1",
        "2407:1234:5678::1",
        "2804:1234:5678::1",
        "2c0f:1234:5678::1",
    ),
}
# Where a default route shows: even a full feed has no other to what is reserved (RFC 1112) or not
# allocated (RFC 4291), which some refuse, as others do with what is for documentation.
_WITH_DEFAULT = {4: (*FAR[4][:4], "240.0.0.1"), 6: (*FAR[6][:2], "4000::1")}
# The largest blocks that IANA gives to anybody (its registries "IPv4 Address Space" and "IPv6
# Global Unicast Address Assignments").
_LARGEST = {4: 8, 6: 12}
_KINDS = {"unreachable": "an unreachable", "prohibit": "a prohibit", "blackhole": "a blackhole"}

_FILTERED = ("Invalid cross-device link", "Invalid argument")

Setting = Callable[[str, str], int | None]


class Flow(NamedTuple):
    """A request from ``client`` to ``address``; the reply goes the other way."""

    family: int
    address: str
    client: str


class Answers(NamedTuple):
    """What the kernel said of a flow.

    reply, matched
        The way of the reply, and the route that it matched.
    request
        What becomes of the request on the interface where it arrives; None when that was not
        asked.
    refusing
        The routes that refuse, of the tables that the flow's rules lead to; only asked for when
        there is no way for the reply.
    """

    reply: Answer
    matched: Answer
    request: Answer | None = None
    refusing: tuple[Route, ...] = ()


# --- the question -----------------------------------------------------------------------------


def flow(address: Any, client: Any, links: Mapping[str, Link]) -> Flow:
    """Return the flow that two arguments name; raises ValueError saying what to write."""
    family, own = _parsed("address", address)
    other_family, other = _parsed("client", client)
    if holder(own, links) is None:
        own_ones = _addresses(links)
        there = ", ".join(own_ones[:20]) + (", ..." if own_ones[20:] else "") or "none"
        raise ValueError(
            f"address: {own} is not on this host (there: {there}); write one that is, without its "
            "prefix length"
        )
    if family != other_family:
        raise ValueError(
            f"client: {other} is IPv{other_family}, but {own} is IPv{family}; write an "
            f"IPv{family} address"
        )
    _check_client(other)
    return Flow(family, own, other)


def _parsed(where: str, text: Any) -> tuple[int, str]:
    try:
        return values.parse_address(text)
    except (ValueError, TypeError) as err:
        raise ValueError(f"{where}: {err}") from None


def _check_client(client: str) -> None:
    address = netaddr.IPAddress(client)
    if address.is_link_local():
        raise ValueError(
            f"client: {client} is link-local and answered on its own segment, whatever the routes "
            "say; write the client's global address"
        )
    if address.is_multicast() or address.is_loopback() or client in _NO_CLIENTS:
        raise ValueError(
            f"client: no request comes from {client}; write the address of a host that asks"
        )


_NO_CLIENTS = ("0.0.0.0", "255.255.255.255", "::")


def check_interface(name: Any, links: Mapping[str, Link]) -> str:
    """Return the interface's name; raises ValueError when it is not on this host.

    It may be written as results show it.
    """
    known = {shown(link): link for link in links}
    found = known.get(shown(name)) if isinstance(name, str) and name not in links else name
    if not isinstance(found, str) or found not in links:
        there = ", ".join(sorted(links))
        raise ValueError(f"interface: {values.show(name)} is not on this host (there: {there})")
    return found


def _addresses(links: Mapping[str, Link]) -> list[str]:
    return [address.address for link in links.values() for address in link.addresses]


def holder(address: str, links: Mapping[str, Link]) -> str | None:
    """Return the interface that has an address."""
    for link in links.values():
        if any(own.address == address for own in link.addresses):
            return link.name
    return None


def ask_reply(asked: Flow) -> list[Step]:
    """Return the questions for the reply's way, its route, and the plain route to the client."""
    back = f"{asked.client} from {asked.address}"
    lines = (back, f"fibmatch {back}", f"fibmatch {asked.client}")
    return [Step(asked.family, f"route get {line}") for line in lines]


def ask_request(asked: Flow, dev: str) -> Step:
    """Return the question for the request's way in through an interface."""
    return Step(asked.family, f"route get {asked.address} from {asked.client} iif {dev}")


def ask_gateway(family: int, link: Link) -> list[Step]:
    """Return questions of which one tells whether an interface has a default route, in any table.

    In IPv6 ``oif`` is a wish, and the answer may name another interface.
    """
    own = [address.address for address in link.addresses if address.family == family]
    selectors = ["", *(f"from {address} " for address in own)]
    return [
        Step(family, f"route get fibmatch {client} {selector}oif {link.name}")
        for selector in selectors
        for client in _WITH_DEFAULT[family]
    ]


def is_default(answer: Answer, dev: str) -> bool:
    """Tell whether the kernel answered with a default route through an interface."""
    route = answer.route
    return route is not None and is_for_all(route.to) and dev in route.devices


def is_for_all(prefix: str) -> bool:
    """Tell whether a prefix means the internet, or a part of it that is larger than anybody's.

    Such parts stand together for a default route, like 0.0.0.0/1 and 128.0.0.0/1 of VPNs.
    """
    if prefix == "default":
        return True
    length = prefix.partition("/")[2]
    return bool(length) and int(length) < _LARGEST[values.family_of(prefix)]


# --- where the request arrives ----------------------------------------------------------------


def entrance(asked: Flow, links: Mapping[str, Link]) -> str | None:
    """Return the interface through which the network delivers what is for the address.

    It is the one that has it. An address on lo or a dummy interface (a virtual one, as in LVS) is
    delivered through the interface in whose subnet it lies; None when there is none.
    """
    own = holder(asked.address, links)
    if own is None or not _is_virtual(links[own]):
        return own
    devices = (name for name, link in links.items() if not _is_virtual(link))
    return next((name for name in devices if links[name].holds(asked.address)), None)


def _is_virtual(link: Link) -> bool:
    return "LOOPBACK" in link.flags or link.kind == "dummy"


def neighbour(asked: Flow, links: Mapping[str, Link], plain: Answer) -> str | None:
    """Return the interface, other than the entrance, on whose link the client is."""
    own = entrance(asked, links)
    route = plain.route
    if (own and links[own].holds(asked.client)) or route is None:
        return None
    on_link = route.type == "unicast" and not gateway(route) and route.to != "default"
    return route.dev if on_link and route.dev != own else None


def arrival(
    asked: Flow, links: Mapping[str, Link], near: str | None, near_has_gateway: bool
) -> str | None:
    """Return the interface on which the request arrives, None when that can't be told.

    near
        What ``neighbour`` returns. Without a gateway there (a bridge of containers, a VPN, a
        storage network) this host is the router of the clients behind it.
    """
    if holder(asked.client, links):
        return "lo"
    if near and not near_has_gateway:
        return near
    return entrance(asked, links)


# --- which rule -------------------------------------------------------------------------------


def matching(rules: Sequence[Rule], asked: Flow) -> Iterator[Rule]:
    """Return the rules that a reply meets, in the kernel's order, gotos followed.

    The reply is one without mark, port and protocol, as ``ip route get`` asks for; see
    fib_rules_lookup() in net/core/fib_rules.c.
    """
    least = 0
    targets = {rule.priority for rule in rules}
    for rule in rules:
        if (rule.priority or 0) < least or not _matches(rule, asked):
            continue
        verb, _, target = rule.action.partition(" ")
        if verb == "goto" and int(target) in targets:
            least = int(target)
        elif verb not in ("goto", "nop"):
            yield rule


_BARE = [entry for entry in attributes.RULE if entry.selects and not entry.kind.family_told]
_IS_BARE = [entry.bare for entry in _BARE if entry.field]
_NO_SELECTORS = {entry.word for entry in attributes.RULE if not entry.selects}
_IS_BARE_WORD = {entry.word: entry.bare for entry in _BARE if not entry.field}
_selected = attributes.fields(_BARE)
_NOTHING = attributes.nothing(_BARE)


def _matches(rule: Rule, asked: Flow) -> bool:
    matches = (
        _contains(rule.src, asked.address)
        and _contains(rule.to, asked.client)
        and _is_bare(_selected(rule))
        and (not rule.other or all(_is_bare_word(*pair) for pair in rule.other))
    )
    return matches != rule.invert


def _is_bare(selected: tuple[Any, ...]) -> bool:
    """Tell whether a packet without mark, port and protocol has what is selected."""
    return selected == _NOTHING or all(
        _IS_BARE[place](value) for place, value in enumerate(selected) if value
    )


def _is_bare_word(word: str, value: str) -> bool:
    """Tell the same of a word without a field; one that is not known selects who knows what."""
    return word in _NO_SELECTORS or (word in _IS_BARE_WORD and _IS_BARE_WORD[word](value))


def _contains(prefix: str | None, address: str) -> bool:
    if prefix is None or prefix == address:
        return True
    return "/" in prefix and address in values.network(prefix)


def deciding(rules: Sequence[Rule], asked: Flow, route: Route) -> Rule | None:
    """Return the rule that led the kernel to the route that it answered with."""
    length = _length(route)
    # Until the first rule is added, the kernel keeps the table local within main.
    tables = (254, 255) if route.type in ("local", "broadcast") else (route.table,)
    for rule in matching(rules, asked):
        limit = rule.suppress_prefixlength
        if rule.table in tables and (limit is None or length > limit):
            return rule
    return None


def _length(route: Route) -> int:
    return 0 if route.to == "default" else int(values.network(route.to).prefixlen)


def refusal(
    rules: Sequence[Rule], asked: Flow, refusing: Sequence[Route]
) -> tuple[Rule | None, Route | None]:
    """Return the rule and the route because of which there is no way for the reply.

    Without a route the rule itself refuses; without both nothing leads to the client.
    """
    for rule in matching(rules, asked):
        if rule.action != "lookup":
            return rule, None
        routes = [
            route
            for route in refusing
            if route.table == rule.table and _contains(_prefix(route), asked.client)
        ]
        longest = max(routes, key=_length, default=None)
        if longest and longest.type != "throw":
            return rule, longest
    return None, None


def _prefix(route: Route) -> str | None:
    return None if route.to == "default" else route.to


# --- the result -------------------------------------------------------------------------------


def rp_filter(dev: str, setting: Setting) -> dict[str, Any]:
    """Return ``all``'s and the interface's reverse-path filter, and the ``mode`` in force.

    The larger of the two counts (ip-sysctl in the kernel's documentation).
    """
    values = {name: setting(name, "rp_filter") or 0 for name in ("all", dev)}
    return {**values, "mode": MODES[min(2, max(values.values()))]}


def result(
    asked: Flow,
    arrives: str | None,
    answers: Answers,
    links: Mapping[str, Link],
    rules: Sequence[Rule],
    setting: Setting,
    names: Mapping[int, str],
) -> dict[str, Any]:
    """Return the path of request and reply in plain words; see ``multihoming.reply_path``.

    names
        Table id -> name.
    """
    rule, route = _decided(asked, answers, rules)
    reply = answers.reply.route
    leaves = reply.dev if reply else None
    filtered = rp_filter(arrives, setting) if _is_filtered(asked, arrives) and arrives else None
    reason = (
        _arrival_trouble(arrives, links)
        or _dropped_request(asked, arrives, answers, filtered)
        or _lost_reply(asked, answers, rule, route, names)
        or _departure_trouble(leaves, links)
    )
    table = route.table if route else rule.table if rule else None
    return {
        "address": asked.address,
        "client": asked.client,
        "family": asked.family,
        "arrives": arrives,
        "leaves": leaves,
        "via": gateway(reply) if reply else None,
        "rule": iproute2.rule_dict(rule, names) if rule else None,
        "table": None if table is None else names.get(table, table),
        "route": iproute2.route_dict(route, names) if route else None,
        "symmetric": arrives == leaves if arrives and leaves else None,
        "dropped": reason is not None,
        "reason": reason,
        "rp_filter": filtered,
    }


def _decided(
    asked: Flow, answers: Answers, rules: Sequence[Rule]
) -> tuple[Rule | None, Route | None]:
    route = answers.matched.route or answers.reply.route
    if route is None:
        return refusal(rules, asked, answers.refusing)
    rule = deciding(rules, asked, route)
    return rule, route._replace(table=rule.table) if rule and rule.table else route


def gateway(route: Route) -> str | None:
    """Return a route's gateway; that of an IPv4 route may be an IPv6 address (RFC 5549)."""
    return route.via or dict(route.other).get("via", "").rpartition(" ")[2] or None


def _is_filtered(asked: Flow, arrives: str | None) -> bool:
    return asked.family == 4 and arrives not in (None, "lo")


def _arrival_trouble(arrives: str | None, links: Mapping[str, Link]) -> str | None:
    state = _link_state(arrives, links)
    return state and f"the request can't arrive: {state}"


def _departure_trouble(leaves: str | None, links: Mapping[str, Link]) -> str | None:
    state = _link_state(leaves, links)
    return state and f"the reply can't leave: {state}"


def _link_state(dev: str | None, links: Mapping[str, Link]) -> str | None:
    link = links.get(dev or "")
    if link is None:
        return None
    if not link.up:
        return f"{dev} is down; bring it up with `ip link set {dev} up` or ifup"
    if link.flags and "LOWER_UP" not in link.flags:
        return f"{dev} has no carrier; look at its cable or at the switch"
    return None


def _dropped_request(
    asked: Flow, arrives: str | None, answers: Answers, filtered: Mapping[str, Any] | None
) -> str | None:
    request = answers.request
    if request is None or arrives is None:
        return None
    if request.route is not None:
        if request.route.type == "local":
            return None
        return f"{arrives} does not take the request for its own: its route is {_shown(request)}"
    if filtered and is_filters(arrives, request, answers.reply, filtered):
        return filter_reason(asked, arrives, answers.reply.route, filtered)
    return (
        f"{arrives} drops the request: the kernel takes no packet from {asked.client} there "
        f"({request.error})"
    )


def _shown(answer: Answer) -> str:
    route = answer.route
    return f"`{iproute2.text(route)}`" if route else answer.error


def is_filters(arrives: str, request: Answer, reply: Answer, filtered: Mapping[str, Any]) -> bool:
    """Tell whether it is the reverse-path filter that refuses a request.

    It says EXDEV; newer kernels EINVAL, as for sources that no packet can have. It never minds
    a way back through the interface itself.
    """
    if filtered["mode"] == "off" or request.error not in _FILTERED:
        return False
    back = reply.route
    return back is None or (back.type == "unicast" and back.dev != arrives)


def filter_reason(
    asked: Flow, arrives: str, reply: Route | None, filtered: Mapping[str, Any]
) -> str:
    """Return the sentence that says why the reverse-path filter of ``arrives`` drops a request.

    reply
        The way of the reply, None when there is none.
    filtered
        What ``rp_filter`` returns.
    """
    values = f"net.ipv4.conf.all.rp_filter={filtered['all']}, {arrives}={filtered[arrives]}"
    back = f"finds that the way back to {asked.client} is {reply.dev}" if reply else ""
    return (
        f"{arrives} drops the request: {filtered['mode']} reverse-path filtering ({values}: the "
        f"larger counts) {back or f'finds no way back to {asked.client}'}"
    )


def _lost_reply(
    asked: Flow,
    answers: Answers,
    rule: Rule | None,
    route: Route | None,
    names: Mapping[int, str],
) -> str | None:
    reply = answers.reply.route
    if reply is not None:
        if reply.type in ("unicast", "local"):
            return None
        return f"{asked.client} is no host: the route to it is of type {reply.type}"
    if route is not None:
        table = names.get(route.table, route.table)
        kind = _KINDS.get(route.type, route.type)
        return f"{kind} route for {route.to} in table {table} refuses the reply"
    if rule is not None:
        return f"the rule `{iproute2.text(rule)}` refuses the reply"
    return f"there is no route back to {asked.client} ({answers.reply.error})"
