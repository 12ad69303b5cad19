"""The kernel's numbers and their names: tables, rules, protocols, scopes and types.

Pure. linux/rtnetlink.h, and what iproute2 calls them (rt_protos, rt_scopes). One home for sets of
them that more than one room asks for.
"""

from __future__ import annotations

FAMILIES = (4, 6)
U32 = 2**32 - 1

# --- tables and rules that are the kernel's own -------------------------------------------------

LOCAL, MAIN, DEFAULT = 255, 254, 253
RESERVED_TABLES = {0: "unspec", DEFAULT: "default", MAIN: "main", LOCAL: "local"}
MAIN_PRIORITY = 32766
# Priority and table of the rules that every namespace starts with; IPv6 has no third
# (fib6_rules_net_init_default() in net/ipv6/fib6_rules.c).
KERNEL_RULES = {
    4: ((0, LOCAL), (MAIN_PRIORITY, MAIN), (32767, DEFAULT)),
    6: ((0, LOCAL), (MAIN_PRIORITY, MAIN)),
}
KERNEL_PRIORITIES = (0, MAIN_PRIORITY, 32767)

# --- protocols: who made a route or rule --------------------------------------------------------

UNSPEC = 0  # what `ip rule add` leaves on a rule
KERNEL = 2  # the kernel itself, for an address
BOOT = 3  # what `ip route add` stamps on a route when told nothing else
STATIC = 4  # administrators, and most network managers
RA = 9  # router advertisements
DHCP = 16
PROTOCOLS = {
    "unspec": UNSPEC,
    "redirect": 1,
    "kernel": KERNEL,
    "boot": BOOT,
    "static": STATIC,
    "ra": RA,
    "dhcp": DHCP,
}
# What people and their scripts stamp on routes and rules. Whatever else made one would make it
# again next to ours.
BY_HAND = (UNSPEC, BOOT, STATIC)
# The same, and what they copy from `ip route show`. The kernel's own routes are in the tables main
# and local and in those of VRFs.
PEOPLES = (*BY_HAND, KERNEL)
# Routes that somebody renews: what replaces one is not theirs.
RENEWED = (KERNEL, RA, DHCP)
# What is not left to a routing daemon.
NOT_OF_DAEMONS = (KERNEL, BOOT, STATIC, RA, DHCP)

# --- scopes and types ---------------------------------------------------------------------------

SCOPES = {"global": 0, "site": 200, "link": 253, "host": 254, "nowhere": 255}
TYPES = {
    "unicast": 1,
    "local": 2,
    "broadcast": 3,
    "anycast": 4,
    "multicast": 5,
    "blackhole": 6,
    "unreachable": 7,
    "prohibit": 8,
    "throw": 9,
    "nat": 10,
}
# Those that send nothing.
REFUSING = ("blackhole", "unreachable", "prohibit", "throw")

# --- IP protocols -------------------------------------------------------------------------------

# A few names, so that hosts without /etc/protocols (many containers) understand them too.
IPPROTOS = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "sctp": 132}
IPPROTOS |= {"ipv6-icmp": 58, "icmpv6": 58, "ospf": 89, "vrrp": 112, "dccp": 33, "udplite": 136}
