"""Main's default route: which is meant, what changes for it, and what never does."""

from __future__ import annotations

from collections import Counter

import multihoming_config as config
import multihoming_default_gateway as default_gateway
import multihoming_iproute2 as iproute2
import multihoming_model as model
import multihoming_plan as plan
import played_host
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from kernel_double import Kernel
from multihoming_default_gateway import Chosen
from multihoming_model import Found
from multihoming_numbers import BOOT, DHCP, KERNEL, MAIN, RA, STATIC
from played_host import changed

GATEWAYS = {4: "192.168.1.254", 6: "2001:db8:1::254"}
LINKS = {
    "eth0": played_host.link("eth0", 2, "192.168.2.220/24 2001:db8:2::220/64"),
    "eth1": played_host.link("eth1", 3, "192.168.1.220/24 2001:db8:1::220/64"),
    "eth2": played_host.link("eth2", 4, {"addresses": "10.0.0.99/8", "up": False}),
}


def routes(*lines):
    return [played_host.route(line, {}) for line in lines]


def words(found):
    """Return routes as lines; IPv6 is known by its addresses."""
    return [iproute2.text(route, "main").replace(" table main", "") for route in found]


# --- which gateway ------------------------------------------------------------------------------


def choose(eth1=None, found=None, live=(), default_gateway_="eth1"):
    """Return (what is chosen, messages); eth1 is what the pillar says of it, None for nothing."""
    entry = {} if eth1 is None else {"eth1": {"table": "t", **eth1}}
    pillar = {"tables": {"t": 1}, "interfaces": entry, "default_gateway": default_gateway_}
    wanted, errors = config.parse(pillar)
    assert errors == []
    known = {"eth1": found} if found else {}
    return default_gateway.choose(wanted, LINKS, known, routes(*live), errors), errors


LIVE = "default via 192.168.1.3 dev eth1"
OF_ETH0 = "default via 192.168.1.2 dev eth0"
ADVERTISED = "default via fe80::3 dev eth1 proto ra"
FILES = Found(gateways={4: "192.168.1.2"})
TABLE = Found(defaults={4: "192.168.1.4"})
BOTH = Found(defaults={4: "192.168.1.3", 6: "fe80::3"})


@pytest.mark.parametrize(
    ("eth1", "found", "live", "gateways"),
    [
        ({"gateway": "192.168.1.1"}, FILES, [LIVE], {4: "192.168.1.1"}),
        ({}, FILES, [LIVE], {4: "192.168.1.2"}),
        (None, FILES, [LIVE], {4: "192.168.1.2"}),
        (None, None, [LIVE], {4: "192.168.1.3"}),
        ({}, TABLE, [LIVE], {4: "192.168.1.3"}),
        ({}, TABLE, [], {4: "192.168.1.4"}),
        # a family that only one of them tells
        ({}, Found(gateways={6: "fe80::2"}), [LIVE], {4: "192.168.1.3", 6: "fe80::2"}),
        # the first of several, and no other interface's
        (None, None, [OF_ETH0, LIVE, LIVE.replace("1.3", "1.9")], {4: "192.168.1.3"}),
        # what comes by advertisements is the routers' business, also where it is known as live
        (None, None, [LIVE, ADVERTISED], {4: "192.168.1.3"}),
        (None, BOTH, [LIVE, ADVERTISED], {4: "192.168.1.3"}),
        ({}, BOTH, [ADVERTISED.replace("::3", "::4")], {4: "192.168.1.3", 6: "fe80::3"}),
        ({}, BOTH, [ADVERTISED.replace("eth1", "eth0")], {4: "192.168.1.3", 6: "fe80::3"}),
        # a route without next hop tells nothing
        ({}, TABLE, ["default dev eth1"], {4: "192.168.1.4"}),
    ],
)
def test_gateways_are_the_pillars_then_the_files_then_live_ones(eth1, found, live, gateways):
    chosen, errors = choose(eth1, found, live)
    assert (chosen.interface, chosen.gateways, chosen.onlink, errors) == (
        "eth1",
        gateways,
        False,
        [],
    )


def test_a_declared_interface_says_whether_its_gateway_is_on_the_link():
    chosen, errors = choose({"gateway": "192.0.2.1", "onlink": True})
    assert chosen.onlink
    assert errors == []


def test_without_the_key_nothing_is_chosen():
    errors = []
    assert default_gateway.choose(config.Config(), LINKS, {}, routes(LIVE), errors) is None
    assert errors == []


@pytest.mark.parametrize(
    ("name", "says"),
    [("eth7", "eth7 is not on this host; write an"), ("eth2", "eth2 is down; write an")],
)
def test_an_interface_that_takes_no_routes_can_not_be_chosen(name, says):
    chosen, errors = choose(default_gateway_=name)
    assert chosen is None
    assert [message.startswith(f"default_gateway: {says}") for message in errors] == [True]


@pytest.mark.parametrize("links", [{}, {"eth1": changed(LINKS["eth1"], up=False)}])
@pytest.mark.parametrize("optional", [True, False])
def test_an_optional_one_that_is_missing_is_left_alone(links, optional):
    entry = {"table": "t", "gateway": GATEWAYS[4], "optional": optional}
    pillar = {"tables": {"t": 1}, "interfaces": {"eth1": entry}, "default_gateway": "eth1"}
    wanted, errors = config.parse(pillar)
    assert default_gateway.choose(wanted, links, {}, (), errors) is None
    assert bool(errors) is not optional


def test_a_gateway_that_nothing_tells_is_asked_for():
    _, errors = choose(None, None, [LIVE.replace("eth1", "eth0")])
    assert errors == [
        "default_gateway: nothing tells the gateway of eth1; write `gateway: ADDRESS` under "
        "`interfaces.eth1`"
    ]


@pytest.mark.parametrize(
    ("gateway", "variable"), [("192.0.2.1", "GATEWAY"), ("2001:db8:9::1", "IPV6_DEFAULTGW")]
)
def test_a_gateway_outside_of_the_subnets_is_named_where_nobody_declares_it(gateway, variable):
    family = 6 if ":" in gateway else 4
    found = Found(gateways={family: gateway})
    _, errors = choose(None, found)
    (message,) = errors
    assert message.startswith(
        f"default_gateway: {gateway} is outside of eth1's subnets (192.168.1.0/24"
    )
    assert f"correct {variable} in its file" in message
    # desired.policies() says so of a declared one
    assert choose({}, found)[1] == []


@pytest.mark.parametrize("gateway", ["192.168.1.254", "2001:db8:1::254", "fe80::1"])
def test_a_gateway_on_the_link_is_good(gateway):
    assert choose(None, Found(gateways={6 if ":" in gateway else 4: gateway}))[1] == []


# --- the switch ---------------------------------------------------------------------------------

# What main has; what goes, and what is there instead, with eth1's gateways chosen in both families.
SWITCHES = [
    ("nothing in IPv4", ["{mine6}"], [], ["{mine}"]),
    ("nothing in IPv6", ["{mine}"], [], ["{mine6}"]),
    ("another's", ["{other}", "{mine6}"], ["{other}"], ["{mine}"]),
    ("another's of IPv6", ["{mine}", "{other6}"], ["{other6}"], ["{mine6}"]),
    ("with a metric", ["{other} metric 7", "{mine6}"], ["{other} metric 7"], ["{mine} metric 7"]),
    ("its own behind it", ["{other}", "{mine} metric 9", "{mine6}"], ["{other}"], ["{mine}"]),
    (
        "its own beside it",
        ["{other} metric 9", "{mine} metric 9 mtu 1400", "{mine6}"],
        ["{other} metric 9"],
        ["{mine} metric 9 mtu 1400"],
    ),
    ("its own before it", ["{mine}", "{other} metric 9", "{mine6}"], [], []),
    ("several before its own", ["{other}", "{other} metric 1", "{mine6}"], ["{other}"], ["{mine}"]),
    (
        "two of one metric",
        ["{other}", "default via 192.168.2.1 dev eth0", "{mine6}"],
        ["{other}", "default via 192.168.2.1 dev eth0"],
        ["{mine}"],
    ),
    ("DHCP's", ["{other} proto dhcp", "{mine6}"], ["{other} proto dhcp"], ["{mine}"]),
    ("the kernel's", ["{other} proto kernel", "{mine6}"], ["{other} proto kernel"], ["{mine}"]),
    ("a daemon's", ["{other} proto 186", "{mine6}"], ["{other} proto 186"], ["{mine} proto 186"]),
    ("advertised", ["{mine}", "{other6} proto ra"], [], ["{mine6} metric 1023"]),
    ("advertised, less", ["{mine}", "{other6} metric 2 proto ra"], [], ["{mine6} metric 1"]),
    ("advertised, behind", ["{mine}", "{mine6} metric 5", "{other6} proto ra"], [], []),
    (
        "advertised, behind another's",
        ["{mine}", "{other6} metric 5", "{other6} proto ra"],
        ["{other6} metric 5"],
        ["{mine6} metric 5"],
    ),
    ("advertised, its own", ["{mine}", "{mine6} proto ra"], [], []),
    ("a TOS's", ["{other} tos 0x10", "{mine6}"], [], ["{mine}"]),
    ("a source's", ["{mine}", "{other6} from 2001:db8::/32"], [], ["{mine6}"]),
    ("refusing, behind", ["{mine}", "{mine6}", "blackhole default metric 9"], [], []),
]
NAMES = {
    "mine": "default via 192.168.1.254 dev eth1",
    "other": "default via 192.168.2.254 dev eth0",
    "mine6": "default via 2001:db8:1::254 dev eth1",
    "other6": "default via 2001:db8:2::254 dev eth0",
}
CHOSEN = Chosen("eth1", GATEWAYS)


def named(lines):
    return [line.format(**NAMES) for line in lines]


@pytest.mark.parametrize(
    ("live", "goes", "comes"),
    [pytest.param(*case[1:], id=case[0]) for case in SWITCHES],
)
def test_what_goes_and_what_comes(live, goes, comes):
    live = routes(*named(live))
    have, want = default_gateway.switch(live, CHOSEN)
    # what stays under the same key stands on both sides
    assert words(route for route in have if route not in want) == [
        line for line in named(goes) if line not in named(comes)
    ]
    assert words(want) == named(comes)
    assert words(default_gateway.after(live, CHOSEN)) == words(
        sorted([*(r for r in live if r not in have), *want], key=lambda route: route.metric)
    )


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ("mtu 1400", "mtu 1400"),
        ("src 192.168.2.220", ""),
        ("onlink", ""),
        ("advmss 1000 realms 5", "advmss 1000 realms 5"),
        ("features ecn advmss 1000", "advmss 1000"),
        ("nhid 7 advmss 1000", "advmss 1000"),
        ("initcwnd 20 mtu lock 1400", "initcwnd 20 mtu lock 1400"),
    ],
)
def test_attributes_go_along_except_those_of_the_next_hop(more, kept):
    live = routes(f"{NAMES['other']} {more}")
    _, want = default_gateway.switch(live, Chosen("eth1", {4: GATEWAYS[4]}))
    assert words(want) == [f"{NAMES['mine']} {kept}".strip()]


@pytest.mark.parametrize(
    "line",
    [
        "default dev eth0",
        "default nexthop via 192.168.2.1 dev eth0 nexthop via 10.0.0.1 dev eth2",
    ],
)
def test_a_route_of_another_shape_is_replaced(line):
    _, want = default_gateway.switch(routes(line), Chosen("eth1", {4: GATEWAYS[4]}))
    assert words(want) == [NAMES["mine"]]


def test_a_gateway_outside_of_the_subnets_is_reached_on_the_link():
    _, want = default_gateway.switch((), Chosen("eth1", {4: "192.0.2.1"}, onlink=True))
    assert words(want) == ["default via 192.0.2.1 dev eth1 onlink"]


@pytest.mark.parametrize(
    ("old", "new"), [(BOOT, BOOT), (STATIC, STATIC), (186, 186), (DHCP, 99), (KERNEL, 99)]
)
def test_what_replaces_a_route_that_somebody_renews_has_the_managers_protocol(old, new):
    live = [changed(*routes(NAMES["other"]), protocol=old)]
    _, (made,) = default_gateway.switch(live, Chosen("eth1", {4: GATEWAYS[4]}, protocol=99))
    assert made.protocol == new


def test_a_new_route_has_the_managers_protocol():
    _, (made,) = default_gateway.switch((), Chosen("eth1", {4: GATEWAYS[4]}, protocol=99))
    assert made.protocol == 99


# --- what the scripts make ----------------------------------------------------------------------


def scripted(live, *made):
    """Return (what goes, what comes) where the scripts make such routes."""
    chosen = Chosen("eth1", {4: GATEWAYS[4]}, scripted=tuple(routes(*named(made))))
    have, want = default_gateway.switch(routes(*named(live)), chosen)
    return words(have), words(want)


OTHER, MINE = NAMES["other"], NAMES["mine"]


@pytest.mark.parametrize(
    ("live", "made", "goes", "comes"),
    [
        # others' go, wherever they stand, with all that was added to them
        (["{mine}", "{other} metric 9"], ["{mine}", "{other} metric 9"], [f"{OTHER} metric 9"], []),
        (
            ["{mine}", "{other} src 192.168.2.220 metric 9 mtu 1400 advmss 9"],
            ["{other} metric 9"],
            [f"{OTHER} src 192.168.2.220 metric 9 mtu 1400 advmss 9"],
            [],
        ),
        # but not what somebody else made
        (["{mine}", "{other} metric 9 proto static"], ["{other} metric 9"], [], []),
        (["{mine}", "{other} metric 8"], ["{other} metric 9"], [], []),
        # nor its own
        (["{mine}", "{mine} metric 9"], ["{mine} metric 9"], [], []),
        # the new one is as the scripts will make it
        (["{other}"], ["{other}", "{mine} metric 9"], [OTHER], [f"{MINE} metric 9"]),
        ([], ["{mine} metric 9"], [], [f"{MINE} metric 9"]),
        # unless that would not win
        (
            ["{other}", "default via 10.0.0.1 dev eth2 metric 9"],
            ["{other}", "{mine} metric 9"],
            [OTHER],
            [MINE],
        ),
        # or what is replaced is not theirs
        (["{other} metric 3"], ["{mine} metric 9"], [f"{OTHER} metric 3"], [f"{MINE} metric 3"]),
    ],
)
def test_what_the_scripts_made_for_others_goes(live, made, goes, comes):
    assert scripted(live, *made) == (goes, comes)


def test_of_what_the_scripts_make_for_it_the_one_with_the_gateway_counts():
    made = ["default via 192.168.1.9 dev eth1 metric 5", "{mine} metric 9"]
    assert scripted(["{other}"], "{other}", *made) == ([OTHER], [f"{MINE} metric 9"])


# --- what goes before any gateway ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("live", "shown"),
    [
        ("blackhole default", "blackhole default table main"),
        ("throw default", "throw default table main"),
        ("-6 unreachable default metric 5", "unreachable ::/0 metric 5 table main"),
        ("default via fe80::1 dev eth0 metric 1 proto ra", None),
    ],
)
def test_what_goes_before_any_gateway_is_named(live, shown):
    live = routes(live)
    errors = default_gateway.in_the_way(live, CHOSEN)
    shown = shown or iproute2.text(live[0], "main")
    (message,) = errors
    assert message.startswith(f"default_gateway: main's `{shown}` goes before any gateway of eth1;")
    assert "remove it, or give it a higher metric" in message


@pytest.mark.parametrize(
    "live",
    [
        [],
        ["{other}", "blackhole default metric 9"],
        ["{mine}", "{mine6} metric 3", "-6 unreachable default metric 5"],
        ["blackhole default tos 0x10"],
        ["{other6} from 2001:db8::/32 metric 1"],
    ],
)
def test_what_stands_behind_or_is_for_some_packets_only_is_in_nobodys_way(live):
    assert default_gateway.in_the_way(routes(*named(live)), CHOSEN) == []


# --- properties ---------------------------------------------------------------------------------

HOPS = {
    4: [(GATEWAYS[4], "eth1"), ("192.168.1.9", "eth1"), ("192.168.2.1", "eth0"), (None, "eth2")],
    6: [(GATEWAYS[6], "eth1"), ("fe80::9", "eth1"), ("fe80::1", "eth0"), (None, "eth2")],
}


@st.composite
def live_routes(draw):
    family = draw(st.sampled_from([4, 6]))
    via, dev = draw(st.sampled_from(HOPS[family]))
    kind = draw(st.sampled_from(["unicast"] * 6 + ["blackhole"]))
    tos = draw(st.sampled_from([()] * 5 + [(("tos", "0x10"),)])) if family == 4 else ()
    protocols = [BOOT, BOOT, STATIC, DHCP if family == 4 else RA]
    route = model.Route(
        family,
        MAIN,
        "default",
        type=kind,
        via=via if kind == "unicast" else None,
        dev=dev if kind == "unicast" else None,
        metric=draw(st.sampled_from([0, 1, 2, 100, 1024][family == 6 :])),
        mtu=draw(st.sampled_from([None, None, 1400])) if kind == "unicast" else None,
        protocol=draw(st.sampled_from(protocols)),
        other=tos,
    )
    return changed(route, scope=model.default_scope(kind, family, bool(via)))


def in_order(found):
    """Return routes as the kernel lists them; of one metric, only one refuses or has no gateway."""
    return sorted(found, key=lambda route: route.metric)


def hop(route):
    return (*route.key, route.via, route.dev, route.protocol)


LIVE_ROUTES = st.lists(live_routes(), max_size=6, unique_by=hop).map(in_order)
SOME_CHOSEN = st.builds(
    Chosen,
    interface=st.just("eth1"),
    gateways=st.sampled_from([GATEWAYS, {4: GATEWAYS[4]}, {6: GATEWAYS[6]}]),
    scripted=st.lists(live_routes(), max_size=3).map(
        lambda found: tuple(changed(r, protocol=BOOT, mtu=None, other=()) for r in found if r.via)
    ),
    onlink=st.just(False),
    protocol=st.sampled_from([BOOT, STATIC]),
)


def is_for_all(route):
    return not {"tos", "from"} & dict(route.other).keys()


def is_scripted(route, chosen):
    made = changed(route, src=None, mtu=None, other=())
    return made in chosen.scripted and route.dev != chosen.interface


def is_mine(route, chosen):
    return (route.via, route.dev) == (chosen.gateways[route.family], chosen.interface)


@given(LIVE_ROUTES, SOME_CHOSEN)
def test_the_first_default_leads_to_the_chosen_gateway(live, chosen):
    refusing = [route for route in live if route.type != "unicast" and is_for_all(route)]
    early = [route for route in live if route.protocol == RA and route.metric <= 1]
    assume(not refusing and not early)
    assert default_gateway.in_the_way(live, chosen) == []
    for family in chosen.gateways:
        after = [r for r in default_gateway.after(live, chosen) if r.family == family]
        first = next(route for route in after if is_for_all(route))
        assert is_mine(first, chosen)
        rivals = [r for r in after if not is_mine(r, chosen) and is_for_all(r)]
        assert all(first.metric < rival.metric for rival in rivals)


@given(LIVE_ROUTES, SOME_CHOSEN)
def test_switching_twice_is_switching_once(live, chosen):
    assume(default_gateway.in_the_way(live, chosen) == [])
    assert default_gateway.switch(default_gateway.after(live, chosen), chosen) == ([], [])


@given(LIVE_ROUTES, SOME_CHOSEN)
def test_nothing_of_others_goes_but_what_would_win_and_what_is_scripted(live, chosen):
    have, want = default_gateway.switch(live, chosen)
    after = default_gateway.after(live, chosen)
    for route in (route for route in have if route not in want):
        plain = [r for r in live if r.family == route.family and is_for_all(r)]
        plain = [r for r in plain if r.type == "unicast" and not is_scripted(r, chosen)]
        first = next(r for r in after if r.family == route.family and is_mine(r, chosen))
        assert is_scripted(route, chosen) or (route in plain and route.protocol != RA)
        wins = route == plain[0] or route.metric <= first.metric if plain else False
        assert is_scripted(route, chosen) or wins


@given(LIVE_ROUTES, SOME_CHOSEN)
def test_a_family_without_a_chosen_gateway_is_left_alone(live, chosen):
    have, want = default_gateway.switch(live, chosen)
    assert {route.family for route in [*have, *want]} <= chosen.gateways.keys()
    assert all(is_mine(route, chosen) for route in want)
    assert len({route.family for route in want}) == len(want)


@given(LIVE_ROUTES, SOME_CHOSEN)
def test_the_steps_of_a_switch_lead_there_and_no_packet_is_without_a_route(live, chosen):
    assume(default_gateway.in_the_way(live, chosen) == [])
    kernel = Kernel()
    for route in live:
        kernel.run(f"ip -{route.family} route append {iproute2.text(route)}")
    served = {route.family for route in live if is_for_all(route)}
    have, want = default_gateway.switch(live, chosen)
    for step in plan.steps((have, ()), (want, ())):
        kernel.run(f"ip -{step.family} {step.line}")
        there = [r for each in kernel.routes.values() for r in each.live if "tos" not in r]
        assert len(there) >= len(served)
    found = [
        played_host.route_of(each, family)
        for family, found in kernel.routes.items()
        for each in found.live
    ]
    assert Counter(found) == Counter(default_gateway.after(live, chosen))
