"""Routes with an encapsulation in a table of ours: they could not be put back, and stay."""

import live
import multihoming_iproute2 as iproute2
import multihoming_kernel as kernel
import pytest
from article import ADDRESS, NOTHING, by_hand, pillar

WHOLE = {**pillar(), "backend": "none"}
NEXT = "192.168.1.9"
# Lines of `ip route add`, and what has to be said of each.
TO = "-4 route add 10.66.0.0/16"
TUNNEL = f"encap ip id 1 dst {NEXT}"
LINES = {
    f"{TO} {TUNNEL} dev eth1": "10.66.0.0/16 dev eth1 encap ip",
    f"{TO} {TUNNEL} via {NEXT} dev eth1": "encap ip",
    f"{TO} encap ip6 id 1 dst 2001:db8:1::9 dev eth1": "encap ip6",
    "-6 route add 2001:db8:66::/48 encap ip6 id 1 dst 2001:db8:1::9 dev eth1": "encap ip6",
    "-6 route add 2001:db8:66::/48 encap seg6 mode encap segs 2001:db8:1::9 dev eth1": "encap seg6",
    f"{TO} nexthop {TUNNEL} dev eth1 nexthop via {NEXT} dev eth1": "nexthop encap ip dev eth1",
    "-6 route add 2001:db8:66::/48 nexthop encap ip6 id 1 dst 2001:db8:1::9 "
    "via 2001:db8:1::8 dev eth1 nexthop via 2001:db8:1::9 dev eth1": "nexthop encap ip6 via",
    f"-4 route add default nexthop via {NEXT} dev eth1 nexthop {TUNNEL} dev eth1": (
        "nexthop encap ip dev eth1"
    ),
}


def with_table(line, table=201):
    """Put a route into a table; where there are several next hops that stands before them."""
    first, nexthop, rest = line.partition(" nexthop ")
    return f"{first} table {table}{nexthop}{rest}"


@pytest.mark.parametrize(("line", "said"), LINES.items())
def test_a_table_that_is_to_be_managed_may_not_have_one(host, minion, refused, line, said):
    by_hand(host, with_table(line))
    message = refused(WHOLE)
    assert "tables.gateway1: " in message
    assert said in message
    assert "a table of its own that is not managed" in message
    # What it says can be done, and helps.
    command = message.partition("(`ip ")[2].partition("`)")[0]
    by_hand(host, command)
    assert minion.state("managed", "multihoming", WHOLE)["result"] is True


@pytest.mark.parametrize("later", [WHOLE, NOTHING | {"backend": "none"}], ids=["kept", "released"])
def test_nor_may_one_that_is_managed_already(host, converge, refused, later):
    converge(WHOLE)
    by_hand(host, with_table(next(iter(LINES))))
    assert "tables.gateway1: " in refused(later)


def test_elsewhere_it_is_nobodys_business(host, converge):
    for table in (77, "main"):
        by_hand(host, with_table(next(iter(LINES)), table))
    held = live.routes(host, 77)
    converge(WHOLE)
    assert live.routes(host, 77) == held


def test_mains_default_route_may_not_be_one_that_is_replaced(host, refused):
    by_hand(
        host,
        f"route replace default {TUNNEL} via 192.168.2.254 dev eth0",
    )
    message = refused({**WHOLE, "default_gateway": "eth1"})
    assert "default_gateway: " in message
    assert "encap ip" in message


@pytest.mark.parametrize(("line", "said"), LINES.items())
def test_export_leaves_the_table_out_and_says_why(host, minion, line, said):
    by_hand(
        host,
        with_table(line),
        "route append default via 192.168.1.254 dev eth1 table 201",
        f"rule add from {ADDRESS} table 201 priority 20000",
    )
    found = minion.call("export")
    assert found["multihoming"]["interfaces"] == {}
    (why,) = (text for text in found["left_out"] if "table 201" in text)
    assert "encap" in why and "no word" in why


def test_a_next_hop_that_is_an_object_is_put_back_by_its_number(host):
    by_hand(host, f"nexthop add id 7 encap ip id 3 dst {NEXT} dev eth1")
    by_hand(host, "route add 10.66.0.0/16 nhid 7 table 201")
    before = live.routes(host, 201)
    (route,) = kernel.routes(201)
    host.ip("route", "del", *iproute2.route_delete_words(route))
    assert kernel.routes(201) == []
    host.ip("route", "add", *iproute2.route_words(route))
    assert live.routes(host, 201) == before


def test_a_reply_that_goes_into_a_tunnel_is_told_by_its_own_destination(host, minion):
    by_hand(host, next(iter(LINES)))
    told = minion.call("reply_path", ADDRESS, "10.66.0.1")
    assert (told["route"]["to"], told["leaves"]) == ("10.66.0.0/16", "eth1")
