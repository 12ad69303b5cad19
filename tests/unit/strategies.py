"""Random routes and rules, as any program may have made them."""

from __future__ import annotations

import multihoming_model as model
import multihoming_numbers as numbers
import multihoming_values as values
from hypothesis import strategies as st
from multihoming_model import Nexthop, Route, Rule

FAMILIES = st.sampled_from(numbers.FAMILIES)
U32 = st.integers(0, numbers.U32)
DEVICES = st.sampled_from(["eth0", "eth1", "eth1.100", "br-lan", "a23456789012345"])
TABLE_IDS = st.integers(1, numbers.U32)


def addresses(family):
    return st.ip_addresses(v=family).map(lambda address: values.parse_address(str(address))[1])


@st.composite
def prefixes(draw, family):
    bits = 32 if family == 4 else 128
    length = draw(st.integers(1, bits))
    address = draw(st.ip_addresses(v=family))
    return values.network_of(str(address), length)


def ranges(low, high):
    pair = st.tuples(st.integers(low, high), st.integers(low, high)).map(sorted)
    return pair.map(lambda pair: "{}-{}".format(*pair))


def maybe(strategy):
    return st.none() | strategy


@st.composite
def marks(draw):
    mask = draw(st.integers(1, numbers.U32))
    mark = draw(U32) & mask
    return values.parse_fwmark(f"{mark}/{mask}")


@st.composite
def rules(draw):
    family = draw(FAMILIES)
    action = draw(st.sampled_from([*values.RULE_ACTIONS, "goto 4000000000"]))
    return Rule(
        family=family,
        priority=draw(U32),
        table=draw(TABLE_IDS) if action == "lookup" else None,
        src=draw(maybe(prefixes(family))),
        to=draw(maybe(prefixes(family))),
        iif=draw(maybe(DEVICES)),
        oif=draw(maybe(DEVICES)),
        fwmark=draw(maybe(marks())),
        tos=draw(st.sampled_from([0, 4, 16, 28])),
        ipproto=draw(maybe(st.integers(1, 255))),
        sport=draw(maybe(ranges(1, 65534).map(values.parse_ports))),
        dport=draw(maybe(ranges(1, 65534).map(values.parse_ports))),
        uidrange=draw(maybe(ranges(0, numbers.U32 - 1))),
        invert=draw(st.booleans()),
        suppress_prefixlength=draw(maybe(st.integers(0, 32))) if action == "lookup" else None,
        action=action,
        protocol=draw(st.sampled_from([0, 2, 3, 4, 99, 186])),
    )


@st.composite
def hops(draw, family):
    return Nexthop(
        draw(addresses(family)), draw(DEVICES), draw(st.integers(1, 256)), draw(st.booleans())
    )


@st.composite
def routes(draw):
    family = draw(FAMILIES)
    kind = draw(st.sampled_from(values.ROUTE_TYPES))
    unicast = kind == "unicast"
    legs = draw(st.lists(hops(family), min_size=2, max_size=4)) if unicast else []
    legs = legs if draw(st.booleans()) else []
    via = draw(maybe(addresses(family))) if unicast and not legs else None
    route = Route(
        family=family,
        table=draw(TABLE_IDS),
        to=draw(st.just("default") | prefixes(family)),
        type=kind,
        via=via,
        dev="lo" if kind == "local" else draw(DEVICES) if unicast and not legs else None,
        src=draw(maybe(addresses(family))) if unicast else None,
        metric=draw(U32),
        scope=draw(st.sampled_from([0, 200, 253, 254, 7])) if unicast else 254 * (kind == "local"),
        mtu=draw(maybe(st.integers(68, 65520))) if unicast else None,
        onlink=bool(via) and draw(st.booleans()),
        nexthops=tuple(legs),
        protocol=draw(st.sampled_from([3, 2, 4, 0, 16, 99, 186])),
    )
    return model.canonical(route)
