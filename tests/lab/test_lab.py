"""The lab itself: what it shows is what happens, in both families."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from capture import Capture
from network import Host, first_article, second_article, server_with_nics, wait_for
from traffic import EchoServer, Load, ping

pytestmark = pytest.mark.skipif(
    os.environ.get("MULTIHOMING_LAB") != "1", reason="needs the lab: run make test"
)

ENTER = Path(__file__).with_name("enter.sh")
ETH0 = ("192.168.2.220", "2001:db8:2::220")
ETH1 = ("192.168.1.220", "2001:db8:1::220")
OFF, STRICT, LOOSE = 0, 1, 2


@pytest.fixture
def network():
    with first_article() as article:
        yield article


@pytest.fixture
def policy(network):
    """The article's cure by hand, for both families, and rules to take back."""
    for own, prefix, gateway in (
        ("192.168.1.220", "192.168.1.0/24", "192.168.1.254"),
        ("2001:db8:1::220", "2001:db8:1::/64", "2001:db8:1::254"),
    ):
        family = "-6" if ":" in own else "-4"
        ip = network.server.ip
        ip(family, "route", "add", prefix, "dev", "eth1", "src", own, "table", "201")
        ip(family, "route", "add", "default", "via", gateway, "dev", "eth1", "table", "201")
        ip(family, "rule", "add", "from", own, "table", "201", "priority", "20000")


def pinged(network, client, target):
    """Ping once; return the replies, where the request came in and where the reply went out."""
    with Capture(network.server, ["eth0", "eth1"]) as capture:
        replies = ping(client, target, timeout=0.5)
        capture.settle(2, timeout=0.5)
        return replies, capture.arrived_on(target), capture.left_by(target)


@pytest.mark.parametrize("target", ETH0 + ETH1)
def test_every_client_reaches_the_server(network, target):
    for client in (network.pc1, network.pc2, network.far):
        assert ping(client, target, count=2) == 2


def test_the_second_articles_server_answers_without_filtering():
    with second_article() as network:
        network.server.rp_filter(OFF)
        assert ping(network.far, "192.168.2.99") == 1
        assert ping(network.far, "10.0.0.99") == 1


def test_a_server_may_have_many_nics():
    with server_with_nics(5) as network:
        for index in range(5):
            assert ping(network.far, f"192.168.{100 + index}.10") == 1
            assert ping(network.far, f"2001:db8:{100 + index:x}::10") == 1


def test_the_server_may_be_the_current_namespace():
    server = Host()
    before = {link["ifname"] for link in server.ip_json("link")}
    for _ in range(2):
        with first_article(server) as network:
            assert ping(network.pc2, "192.168.1.220") == 1
            assert ping(server, "203.0.113.10", source="192.168.1.220") == 1
        assert {link["ifname"] for link in server.ip_json("link")} == before
    server.close()


def test_ping_counts_no_reply_that_did_not_come(network):
    assert ping(network.far, "192.168.1.99", timeout=0.1) == 0
    assert ping(network.far, "2001:db8:1::99", timeout=0.1) == 0
    network.far.ip("route", "delete", "default")
    assert ping(network.far, "192.168.1.220") == 0


def test_ping_uses_the_source_it_is_given(network):
    network.far.address("eth0", "203.0.113.11/24")
    with Capture(network.server, ["eth1"]) as capture:
        assert ping(network.far, "192.168.1.220", source="203.0.113.11") == 1
    assert {packet.src for packet in capture.packets if packet.kind == "echo-request"} == {
        "203.0.113.11"
    }


@pytest.mark.parametrize("target", ETH1)
@pytest.mark.parametrize("rp_filter", [OFF, LOOSE])
def test_without_policy_the_reply_leaves_by_the_wrong_nic(network, rp_filter, target):
    network.server.rp_filter(rp_filter)
    assert pinged(network, network.pc2, target) == (1, {"eth1"}, {"eth0"})


def test_without_policy_the_strict_filter_drops_the_request(network):
    network.server.rp_filter(STRICT)
    assert pinged(network, network.pc2, "192.168.1.220") == (0, {"eth1"}, set())


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("target", ETH1)
@pytest.mark.parametrize("rp_filter", [OFF, STRICT, LOOSE])
def test_with_policy_the_reply_leaves_by_the_nic_that_was_asked(network, rp_filter, target):
    network.server.rp_filter(rp_filter)
    for client in (network.pc1, network.pc2, network.far):
        assert pinged(network, client, target) == (1, {"eth1"}, {"eth1"})


def test_packets_read_like_tcpdumps(network):
    with Capture(network.server, ["eth0"]) as capture:
        ping(network.pc2, "192.168.2.220")
        ping(network.pc2, "2001:db8:2::220")
        capture.settle(4)
    lines = [str(packet).split(" ", 1)[1].replace(",", "") for packet in capture.packets]
    lines = [line.split(" id ")[0] for line in lines if "echo" in line]
    assert lines == [
        "IP 192.168.2.17 > 192.168.2.220: ICMP echo request",
        "IP 192.168.2.220 > 192.168.2.17: ICMP echo reply",
        "IP6 2001:db8:2::17 > 2001:db8:2::220: ICMP6 echo request",
        "IP6 2001:db8:2::220 > 2001:db8:2::17: ICMP6 echo reply",
    ]


def test_a_capture_goes_on_when_the_link_was_down(network):
    with Capture(network.server, ["eth1"]) as capture:
        network.server.ip("link", "set", "eth1", "down")
        network.server.ip("link", "set", "eth1", "up")
        network.server.wait_ready()
        assert ping(network.pc1, "192.168.1.220") == 1
        assert capture.settle(2)
        assert len(capture.replies("192.168.1.220")) == 1


def test_load_loses_nothing_on_an_idle_network(network):
    targets = [*ETH0, *ETH1]
    with (
        EchoServer(network.server, targets),
        Load(network.far, targets) as load,
        Capture(network.server, ["eth0", "eth1"]) as capture,
    ):
        time.sleep(1.5)
        tallies = load.stop()
    assert list(tallies) == targets
    for target, tally in tallies.items():
        assert (tally.lost, tally.broken) == (0, None), str(tally)
        assert tally.sent > 1000
        assert tally.messages > 10
        # Answers come from the address that was asked, and nowhere else.
        assert capture.left_by(target, "udp") == {"eth0"}


def test_load_tells_what_was_lost(network):
    targets = ["192.168.1.220", "192.168.2.220"]
    rule = ("to", "203.0.113.10", "from", targets[0], "blackhole", "priority", "1")
    with EchoServer(network.server, targets), Load(network.far, targets) as load:
        time.sleep(0.3)
        network.server.ip("rule", "add", *rule)
        time.sleep(0.2)
        network.server.ip("rule", "delete", *rule)
        time.sleep(0.3)
        tallies = load.stop()
    assert tallies[targets[0]].lost > 100
    assert tallies[targets[0]].missing[0] > 0.2
    assert tallies[targets[1]].lost == 0
    assert {tally.broken for tally in tallies.values()} == {None}


def test_load_tells_that_a_connection_broke(network):
    target = "192.168.1.220"
    with EchoServer(network.server, [target]) as echo, Load(network.far, [target]) as load:
        time.sleep(0.2)
        echo.kill()
        assert load.stop()[target].broken


def run_in_lab(*argv, **kwargs):
    """Start ``enter.sh`` with a command."""
    return subprocess.Popen(["sh", str(ENTER), *argv], text=True, **kwargs)


def test_the_status_of_the_command_is_handed_on():
    assert run_in_lab("sh", "-c", "exit 7").wait(10) == 7


def test_nothing_done_in_the_lab_is_seen_outside():
    script = "echo x >/etc/lab-was-here && ip netns add inner && ip link add v0 type veth"
    before = subprocess.run(["ip", "link"], capture_output=True, check=True).stdout
    assert run_in_lab("sh", "-c", script).wait(10) == 0
    assert not Path("/etc/lab-was-here").exists()
    assert not Path("/run/netns/inner").exists()
    assert subprocess.run(["ip", "link"], capture_output=True, check=True).stdout == before


def _heed_signals():
    """Undo what the caller of the tests ignores: nohup SIGHUP, a shell's background job SIGINT.

    What is ignored is inherited, and a shell can't trap it (POSIX, sh, trap).
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


@pytest.mark.parametrize("ignored", [(), (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)])
@pytest.mark.parametrize("word", ["INT", "TERM", "KILL", "HUP"])
def test_everything_ends_when_the_lab_is_killed(word, ignored):
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    try:
        _kill_the_lab(word)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _kill_the_lab(name):
    # The command leaves a child behind that ignores every signal it can.
    word = f"4711.{os.getpid()}"
    script = f"(trap '' INT TERM HUP; exec sleep {word}) & echo up; wait"
    lab = run_in_lab(
        sys.executable,
        "-c",
        f"import subprocess; subprocess.run({['sh', '-c', script]})",
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_heed_signals,
    )
    assert lab.stdout.readline() == "up\n"
    # Ctrl-C goes to the whole foreground group, the others to the one process.
    target = -lab.pid if name == "INT" else lab.pid
    subprocess.run(["kill", f"-{name}", "--", str(target)], check=True)
    lab.wait(10)
    wait_for(lambda: not _running(word), "the child's end")


def _running(word):
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word in path.read_text().split("\0"):
                return True
        except OSError:
            pass
    return False
