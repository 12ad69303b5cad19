"""Random pillars one after the other on one host, in the manner of NetworkManager's test-route.c.

Set MULTIHOMING_SEED to another number, and MULTIHOMING_STEPS to a larger one, to look further.
"""

import os
import random

import article
import live
import network_scripts
import pytest
import random_policy as policy

SEED = int(os.environ.get("MULTIHOMING_SEED", "1"))
STEPS = int(os.environ.get("MULTIHOMING_STEPS", "60"))
DEVICES = tuple(policy.NICS)


@pytest.fixture(params=["none-crossing", "none", "network-scripts-crossing", "network-scripts"])
def manner(request):
    """The backend, and whether next hops may lie on other interfaces."""
    return request.param.removesuffix("-crossing"), request.param.endswith("-crossing")


class Walk:
    """A walk from one random pillar to the next."""

    def __init__(self, modules, host, manner, seed):
        self.rng = random.Random(f"{seed} {manner}")
        self.call = {name: modules[f"multihoming.{name}"] for name in ("validate", "apply", "plan")}
        self.host = host
        self.backend, self.crossing = manner
        self.tried = self.accepted = 0
        self.whole = {}

    def next(self):
        """Choose a pillar that is accepted."""
        while True:
            self.whole = policy.pillar(self.rng, self.crossing) | {"backend": self.backend}
            self.tried += 1
            if not self.call["validate"](**self.whole):
                self.accepted += 1
                return

    def apply(self):
        """Apply the pillar: the kernel holds what it asks for, and that is all."""
        self.call["apply"](**self.whole)
        assert policy.held(self.host, policy.IDS) == policy.expected(self.whole), self.whole
        left = self.call["plan"](**self.whole)
        assert not any(left.values()), self.whole

    def disturb(self):
        """Change something in the owned tables behind Salt's back."""
        rng, family = self.rng, self.rng.choice(("-4", "-6"))
        if not self.whole["tables"]:
            return
        table = rng.choice([*self.whole["tables"].values()])
        kind = rng.choice(("rules", "routes", "more", "twin"))
        if kind == "rules":
            self.host.ip(family, "rule", "del", "table", table, check=False)
        elif kind == "routes":
            self.host.ip(family, "route", "flush", "table", table, check=False)
        elif kind == "more":
            route = ("throw", "default", "metric", rng.randint(2, 9))
            self.host.ip(family, "route", "replace", *route, "table", table)
            self.host.ip(family, "rule", "add", "table", table, "priority", 20000, check=False)
        else:
            own = "192.168.1.220" if family == "-4" else "2001:db8:1::220"
            rule = ("from", own, "table", table, "priority", rng.choice((100, 20000)))
            self.host.ip(family, "rule", "add", *rule, "protocol", rng.choice((3, 4)), check=False)


def add_foreign(host, rng):
    """Make random rules and routes in tables that are nobody's business, and rules into main."""
    for priority in ("99", "19999", "29999"):
        rule = ("from", "10.9.9.9", "table", "main", "suppress_prefixlength", "0")
        host.ip("rule", "add", *rule, "priority", priority)
    for _ in range(30):
        whole = policy.pillar(rng)
        for device in whole["interfaces"]:
            table = str(rng.choice(policy.OTHER_TABLES))
            own = rng.choice(("192.168.1.220", "10.0.0.99", "2001:db8:1::220"))
            family = "-6" if ":" in own else "-4"
            priority = rng.choice(("100", "20000", "21100", "30000", "32766"))
            rule = ("from", own, "table", table, "priority", priority)
            mark = str(rng.randint(1, 999))
            host.ip(family, "rule", "add", *rule, "fwmark", mark, check=False)  # maybe there
            prefix = f"203.0.{rng.randint(1, 250)}.0/24" if family == "-4" else "fd00:1::/64"
            host.ip(family, "route", "replace", prefix, "dev", device, "table", table)


def foreign(host):
    """Return what the kernel holds outside of the owned tables, rules in their order."""
    routes, _ = policy.held(host, (*policy.OTHER_TABLES, 254))
    kept = (*policy.OTHER_TABLES, 253, 254, 255)
    rules = [
        rule
        for family in (4, 6)
        for rule in live.rules(host, family)
        if int(rule["table"]) in kept and not policy.is_into_main({"src": "all", **rule})
    ]
    return routes, rules


@pytest.fixture
def walk(minion, host, manner):
    return Walk(minion.modules(), host, manner, SEED)


def test_the_kernel_holds_what_each_of_many_random_pillars_asks_for(walk, host):
    add_foreign(host, walk.rng)
    before = foreign(host)
    for _ in range(STEPS):
        walk.next()
        walk.apply()
        assert foreign(host) == before
    assert walk.accepted > walk.tried / 4
    walk.call["apply"](**article.NOTHING, backend=walk.backend)
    assert policy.held(host, policy.IDS) == ([], [])
    assert foreign(host) == before


def test_whatever_is_disturbed_is_put_right(walk):
    for _ in range(STEPS // 2):
        walk.next()
        walk.apply()
        for _ in range(walk.rng.randint(1, 4)):
            walk.disturb()
        walk.apply()


def test_the_network_scripts_load_the_same_from_the_files(minion, host, twin):
    walk = Walk(minion.modules(), host, ("network-scripts", False), SEED + 1)
    for _ in range(STEPS // 4):
        walk.next()
        walk.apply()
        assert network_scripts.ifup_routes(twin, *DEVICES) == []
        # Rules of one priority that overlap do the same: their order is nobody's business.
        assert sorted(live.kernel(twin)) == sorted(live.kernel(host))
        assert network_scripts.ifdown_routes(twin, *DEVICES) == []
        assert policy.held(twin, policy.IDS)[1] == []
        for id_ in policy.IDS:
            twin.ip("-4", "route", "flush", "table", id_, check=False)
            twin.ip("-6", "route", "flush", "table", id_, check=False)
            # The kernel's own entry of an empty table looks like that, so flush passes over it.
            twin.ip("-6", "route", "del", "default", "table", id_, check=False)
