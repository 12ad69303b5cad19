"""A kernel's rules and routes, played: what `ip rule` and `ip route` lines do to them.

Written from net/core/fib_rules.c, net/ipv4/fib_rules.c, net/ipv4/fib_trie.c and
net/ipv6/ip6_fib.c, knowing nothing of the project's code: lines in, rules and routes out. A rule or
route is a dictionary of iproute2's words.
"""

from __future__ import annotations

from collections import Counter

PROTOCOLS = {"kernel": "2", "boot": "3", "static": "4"}
SCOPES = {"global": "0", "link": "253", "host": "254"}
ACTIONS = ("blackhole", "unreachable", "prohibit", "nop", "goto")
TYPES = ("unicast", "local", "blackhole", "unreachable", "prohibit", "throw")
HOPS = {"via", "via6", "nhid", "nexthop"}
KERNEL_RULES = (
    "rule add from all table 255 priority 0 protocol kernel",
    "rule add from all table 254 priority 32766 protocol kernel",
    "rule add from all table 253 priority 32767 protocol kernel",
)
LOOSE = ("from", "to", "tos", "realms")
ALL_ONES = str(2**32 - 1)


class RefusedError(Exception):
    """The kernel says EEXIST or ENOENT."""


def read_rule(words):
    """Return a rule as a dictionary of the words that name something."""
    rule = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "not":
            rule["not"] = True
        elif word in ACTIONS:
            rule["action"] = word
            if word == "goto":
                rule["target"] = rest.pop(0)
        else:
            rule[word] = rest.pop(0)
    if rule.get("from") == "all":
        del rule["from"]
    if "protocol" in rule:
        rule["protocol"] = PROTOCOLS.get(rule["protocol"], rule["protocol"])
    if "fwmark" in rule:
        rule["mark"], rule["mask"] = mark_of(rule.pop("fwmark"))
    return rule


def mark_of(text):
    mark, slash, mask = text.partition("/")
    return int(mark, 0), int(mask, 0) if slash else int(ALL_ONES)


class Rules:
    """The rules of one family, in the order the kernel runs them."""

    def __init__(self, lines=()):
        self.live = []
        for line in lines:
            self.run(line)

    def copy(self):
        twin = Rules()
        twin.live = list(self.live)
        return twin

    def run(self, line):
        """Do what ``rule add ...`` or ``rule del ...`` does; raises RefusedError."""
        kind, verb, *words = line.split()
        assert kind == "rule"
        rule = read_rule(words)
        if verb == "add":
            self._add(rule, line)
        else:
            self.live.remove(self._find(rule, line))

    def _add(self, new, line):
        for live in self.live:
            same = all(live.get(key) == new.get(key) for key in keys(live, new))
            if same and loosely(new, live):
                raise RefusedError(f"EEXIST {line}: {live}")
        priority = int(new["priority"])
        place = sum(int(live["priority"]) <= priority for live in self.live)
        self.live.insert(place, new)

    def _find(self, given, line):
        for live in self.live:
            named = {key for key in keys(given) if given[key] not in (None, 0)}
            if all(live.get(key) == given[key] for key in named) and loosely(given, live):
                return live
        raise RefusedError(f"ENOENT {line}")

    def __iter__(self):
        """Return the rules, each comparable and hashable."""
        return (frozenset(rule.items()) for rule in self.live)


def keys(*rules):
    """Return what is compared exactly: all but the loose ones, ``not`` and a goto's target."""
    return {key for rule in rules for key in rule} - {*LOOSE, "not", "target"}


def loosely(given, live):
    return all(given.get(key) in (None, live.get(key)) for key in LOOSE)


class Routes:
    """The routes of all tables, of one family."""

    def __init__(self, lines=(), family=4):
        self.live = []
        self.family = family
        for line in lines:
            self.run(line)

    def copy(self):
        twin = Routes(family=self.family)
        twin.live = list(self.live)
        return twin

    def run(self, line):
        """Do what ``route add|append|prepend|replace|del ...`` does; raises RefusedError."""
        kind, verb, *words = line.split()
        assert kind == "route"
        route = read_route(words)
        if verb == "del":
            self.live.remove(self._find(route, line))
            return
        self._complete(route)
        same = [live for live in self.live if key_of(live) == key_of(route)]
        if (verb == "add" and same) or route in same:
            raise RefusedError(f"EEXIST {line}")
        if verb == "replace" and same:
            self.live[self.live.index(same[0])] = route
        elif verb == "prepend" and same:
            self.live.insert(self.live.index(same[0]), route)
        else:
            self.live.append(route)
            self.live.sort(key=lambda live: int(live.get("metric", 0)))

    def _complete(self, route):
        """Add what iproute2 and the kernel assume."""
        route.setdefault("type", "unicast")
        route.setdefault("proto", PROTOCOLS["boot"])
        if self.family == 6:
            route.setdefault("metric", "1024")
        else:
            attached = route["type"] == "unicast" and not HOPS & route.keys()
            usual = "host" if route["type"] == "local" else "link" if attached else "global"
            route.setdefault("scope", SCOPES[usual])

    def _find(self, given, line):
        for live in self.live:
            same = all(given.get(key) == live.get(key) for key in ("to", "table", "tos", "from"))
            if same and all(live.get(key) == value for key, value in given.items()):
                return live
        raise RefusedError(f"ENOENT {line}")

    def __iter__(self):
        """Return the routes, each comparable and hashable."""
        return (frozenset(route.items()) for route in self.live)


def read_route(words):
    rest = list(words)
    route = {"type": rest.pop(0)} if rest[0] in TYPES else {}
    to = rest.pop(0)
    route["to"] = "default" if to == "::/0" else to
    while rest:
        word = rest.pop(0)
        if word == "nexthop":
            legs = route.get("nexthop", ())
            end = rest.index("nexthop") if "nexthop" in rest else len(rest)
            route["nexthop"] = (*legs, " ".join(rest[:end]))
            del rest[:end]
        elif word == "via" and rest[0] == "inet6":
            route["via6"] = rest.pop(0) and rest.pop(0)
        else:
            route[word] = True if word == "onlink" else rest.pop(0)
    for word, numbers in (("proto", PROTOCOLS), ("scope", SCOPES)):
        if word in route:
            route[word] = numbers.get(route[word], route[word])
    return route


def key_of(route):
    return tuple(route.get(key) for key in ("to", "table", "metric", "tos", "from"))


class Kernel:
    """Rules and routes of both families; a new one has the rules that every namespace has."""

    def __init__(self):
        self.rules = {4: Rules(KERNEL_RULES), 6: Rules(KERNEL_RULES[:2])}
        self.routes = {family: Routes(family=family) for family in (4, 6)}

    def copy(self):
        twin = Kernel()
        twin.rules = {family: rules.copy() for family, rules in self.rules.items()}
        twin.routes = {family: routes.copy() for family, routes in self.routes.items()}
        return twin

    def run(self, command):
        """Do what ``ip -4|-6 rule|route ...`` does; raises RefusedError."""
        ip, family, line = command.split(" ", 2)
        assert ip == "ip"
        kind = self.rules if line.startswith("rule ") else self.routes
        kind[int(family[1:])].run(line)

    def __eq__(self, other):
        """Tell whether another kernel holds the same; of one priority or metric in any order."""
        return self._holds() == other._holds()

    __hash__ = None

    def _holds(self):
        sides = (self.rules, self.routes)
        return [{family: Counter(items) for family, items in side.items()} for side in sides]
