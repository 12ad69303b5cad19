"""The lab's networks: those of the two articles, and a server with any number of NICs.

Run from inside ``enter.sh``, so that nothing made here outlives the run::

    with first_article() as network:
        network.server.ip("rule", "show")
        network.pc2.run("ip", "route", "get", "192.168.1.220")
"""

import itertools
import os
from dataclasses import dataclass
from ipaddress import ip_interface

from hosts import CommandError, Host, bridge, connect, entered, plug, wait_for

__all__ = [
    "CommandError",
    "Host",
    "Network",
    "Nic",
    "bridge",
    "connect",
    "entered",
    "first_article",
    "plug",
    "second_article",
    "server_with_nics",
    "wait_for",
]

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Nic:
    """One NIC of the server: its addresses with prefix length, and the gateway next to each."""

    device: str
    addresses: tuple
    gateways: tuple

    def router_addresses(self):
        """Return the gateways with the prefix length of the address each belongs to."""
        pairs = zip(self.addresses, self.gateways, strict=True)
        return [f"{gateway}/{ip_interface(own).network.prefixlen}" for own, gateway in pairs]

    def of_families(self, ipv6):
        """Return the same NIC, without its IPv6 side unless that is wanted."""
        addresses, gateways = (
            tuple(value for value in values if ipv6 or ":" not in value)
            for values in (self.addresses, self.gateways)
        )
        return Nic(self.device, addresses, gateways)


class Network:
    """A server with several NICs, a segment for each, one router that joins them, and clients.

    The hosts are attributes: ``server``, ``router``, ``far`` (a client on a segment of its own
    behind the router, 203.0.113.10 and 2001:db8:cb::10), ``switch`` (which holds the segments),
    and whatever ``client`` adds. The server's main default route goes through ``default``.
    """

    def __init__(self, nics, default, server=None, ipv6=True):
        self.ipv6 = ipv6
        self.nics = {nic.device: nic.of_families(ipv6) for nic in nics}
        self._hosts = []
        self._lent = server
        try:
            self._build(default)
        except BaseException:
            self.close()
            raise

    def _build(self, default):
        self.switch = self._host("switch", ipv6=False)
        self.router = self._host("router", self.ipv6)
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.router.sysctl(key, 1)
        self.server = self._lent or self._host("server", self.ipv6)
        for nic in self.nics.values():
            bridge(self.switch, nic.device, (self.server, nic.device), (self.router, nic.device))
            self.server.address(nic.device, *nic.addresses)
            self.router.address(nic.device, *nic.router_addresses())
        self.server.default_route(*self.nics[default].gateways)
        outside = Nic(
            "outside",
            ("203.0.113.10/24", "2001:db8:cb::10/64"),
            ("203.0.113.1", "2001:db8:cb::1"),
        ).of_families(self.ipv6)
        bridge(self.switch, "outside", (self.router, "outside"))
        self.router.address("outside", *outside.router_addresses())
        self.far = self.client("far", outside.device, *outside.addresses, gateways=outside.gateways)
        self.wait_ready()

    def _host(self, name, ipv6):
        # Unique, so that several networks, and several test processes, fit into one lab.
        host = Host(f"{name}-{os.getpid()}-{next(_numbers)}", ipv6)
        self._hosts.append(host)
        return host

    def client(self, name, segment, *addresses, gateways=()):
        """Add a client to the segment of a NIC, with its addresses and default gateways."""
        host = self._host(name, self.ipv6)
        plug(self.switch, segment, host, "eth0")
        host.address("eth0", *(value for value in addresses if self.ipv6 or ":" not in value))
        host.default_route(*(value for value in gateways if self.ipv6 or ":" not in value))
        setattr(self, name, host)
        return host

    def wait_ready(self):
        """Wait until every link is usable."""
        for host in {self.server, *self._hosts}:
            host.wait_ready()

    def close(self):
        """Take every host away; of a server that was handed in, only its NICs."""
        if self._lent:
            # Their peers go with the other hosts, but only some time after this returns.
            for device in self.nics:
                self._lent.ip("link", "delete", device, check=False)
        while self._hosts:
            self._hosts.pop().close()

    def __enter__(self):
        """Return the network; it is closed at the end of the block."""
        return self

    def __exit__(self, *_exception):
        """Take the hosts away."""
        self.close()


def first_article(server=None, ipv6=True):
    """Return the network of the first article.

    The server's eth0 is 192.168.2.220 with the main default via 192.168.2.254, its eth1
    192.168.1.220 with the gateway 192.168.1.254, both the router. ``pc2``, 192.168.2.17, reaches
    eth1 through the router; ``pc1``, 192.168.1.100, is on eth1's own segment. The same in IPv6:
    2001:db8:2:: and 2001:db8:1:: with the last numbers of the IPv4 addresses.
    """
    nics = [
        Nic(
            f"eth{index}",
            (f"192.168.{net}.220/24", f"2001:db8:{net}::220/64"),
            (f"192.168.{net}.254", f"2001:db8:{net}::254"),
        )
        for index, net in enumerate((2, 1))
    ]
    network = Network(nics, "eth0", server, ipv6)
    for name, nic, last in (("pc2", nics[0], 17), ("pc1", nics[1], 100)):
        own = [address.replace("220", str(last)) for address in nic.addresses]
        network.client(name, nic.device, *own, gateways=nic.gateways)
    network.wait_ready()
    return network


def second_article(server=None):
    """Return the network of the second article: two gateways, and the last NIC up won.

    The server's eth0 is 192.168.2.99 with the gateway 192.168.2.1, its eth1 10.0.0.99/8 with the
    gateway 10.0.0.1, which is the main default.
    """
    nics = [
        Nic("eth0", ("192.168.2.99/24",), ("192.168.2.1",)),
        Nic("eth1", ("10.0.0.99/8",), ("10.0.0.1",)),
    ]
    return Network(nics, "eth1", server, ipv6=False)


def server_with_nics(count, server=None, ipv6=True):
    """Return a server with ``count`` NICs, each on a segment of its own, behind one router.

    NIC i is eth<i>, 192.168.(100+i).10/24 and 2001:db8:(100+i in hex)::10/64, with the gateways
    192.168.(100+i).254 and 2001:db8:(100+i in hex)::fe. The main default goes through eth0.
    """
    nics = [
        Nic(
            f"eth{index}",
            (f"192.168.{100 + index}.10/24", f"2001:db8:{100 + index:x}::10/64"),
            (f"192.168.{100 + index}.254", f"2001:db8:{100 + index:x}::fe"),
        )
        for index in range(count)
    ]
    return Network(nics, "eth0", server, ipv6)
