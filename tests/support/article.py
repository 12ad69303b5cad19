"""The first article's pillar, and what its author typed instead."""

ADDRESS = "192.168.1.220"
ADDRESS6 = "2001:db8:1::220"
GATEWAY = "192.168.1.254"
GATEWAY6 = "2001:db8:1::254"

# What has to be typed for eth1 without Salt.
BY_HAND = (
    "-4 route add 192.168.1.0/24 dev eth1 src 192.168.1.220 table 201",
    "-4 route add default via 192.168.1.254 dev eth1 table 201",
    "-4 rule add from 192.168.1.220 table 201 priority 20000",
    "-6 route add 2001:db8:1::/64 dev eth1 src 2001:db8:1::220 table 201",
    "-6 route add default via 2001:db8:1::254 dev eth1 table 201",
    "-6 rule add from 2001:db8:1::220 table 201 priority 20000",
)
NOTHING = {"tables": {}, "interfaces": {}}


def pillar(**eth1):
    """Return the article's pillar for both families, with more keys for eth1."""
    return {
        "tables": {"gateway1": 201},
        "interfaces": {"eth1": {"table": "gateway1", "gateway": [GATEWAY, GATEWAY6], **eth1}},
    }


def two(**eth2):
    """Return the article's pillar with eth2 beside eth1."""
    whole = pillar()
    whole["tables"]["gateway2"] = 202
    whole["interfaces"]["eth2"] = {
        "table": "gateway2",
        "gateway": ["10.0.0.1", "2001:db8:a::1"],
        **eth2,
    }
    return whole


def by_hand(host, *lines):
    """Run lines of `ip` on a host."""
    for line in lines:
        host.ip(*line.split())
