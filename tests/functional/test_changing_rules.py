"""Rules are read whole while a foreign program adds and deletes some as fast as it can.

A dump of several hundred rules takes several messages, and the kernel finds its way from one to the
next by counting rules (dump_rules() in net/core/fib_rules.c).
"""

import subprocess
import sys
from pathlib import Path

import multihoming_host as host_
import multihoming_kernel as kernel
import multihoming_netlink as netlink
import pytest
from article import pillar
from network import wait_for

ROOMS = Path(__file__).parents[2] / "_utils"
# In front of ours: whatever comes and goes here shifts them.
FOREIGN = {
    4: "from 10.99.0.1 table 999 priority 99",
    6: "from 2001:db8:99::1 table 999 priority 99",
}
PREFIXES = {
    4: [f"10.{index // 250}.{index % 250}.0/24" for index in range(500)],
    6: [f"2001:db8:9:{index:x}::/64" for index in range(1, 501)],
}
READINGS = 25


def restless(host, family):
    """Start the foreign program; return its processes."""
    lines = f"rule add {FOREIGN[family]}\nrule del {FOREIGN[family]}"
    feed = host.popen("yes", lines, stdout=subprocess.PIPE)
    foreign = host.popen("ip", f"-{family}", "-batch", "-", stdin=feed.stdout)
    feed.stdout.close()
    return foreign, feed


@pytest.fixture(params=[4, 6])
def family(request):
    return request.param


@pytest.fixture
def data(family):
    """A pillar with 500 rules."""
    return {**pillar(rules=[{"to": prefix} for prefix in PREFIXES[family]]), "backend": "none"}


@pytest.fixture
def ours(host, family, data):
    """Make the host converged; return its rules, in the kernel's order."""
    host_.apply(data)
    return rules_of_ours(family)


def rules_of_ours(family):
    return [rule for rule in kernel.read().rules[family] if rule.table == 201]


@pytest.fixture
def foreign(host, family, ours):
    """The foreign program, running; it is ended after the test."""
    processes = restless(host, family)
    try:
        with netlink.RuleWatch(family) as watch:
            wait_for(watch.changed, "the foreign program changes rules")
        yield processes[0]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def test_each_rule_is_read_once_and_a_converged_run_has_nothing_to_do(family, data, ours, foreign):
    assert {rule.to for rule in ours} >= {*PREFIXES[family]}
    for _ in range(READINGS):
        assert rules_of_ours(family) == ours
        assert not host_.apply(data).steps
    assert foreign.poll() is None


# --- how it is known that rules change ------------------------------------------------------------


def test_changes_are_told_once_and_to_those_of_their_family(host, family):
    with netlink.RuleWatch(family) as watch, netlink.RuleWatch(10 - family) as other:
        assert not watch.changed()
        for verb in ("add", "del"):
            host.ip(f"-{family}", "rule", verb, *FOREIGN[family].split())
            assert watch.changed()
            assert not watch.changed()
        assert not other.changed()


def test_more_changes_than_the_kernel_keeps_are_told_once_as_well(host, family):
    lines = f"rule add {FOREIGN[family]}\nrule del {FOREIGN[family]}\n"
    with netlink.RuleWatch(family) as watch:
        host.run("ip", f"-{family}", "-batch", "-", input=lines * 2000)
        assert watch.changed()
        assert not watch.changed()
        host.ip(f"-{family}", "rule", "add", *FOREIGN[family].split())
        assert watch.changed()


@pytest.mark.usefixtures("host")
def test_it_takes_no_privilege_to_be_told(family):
    ask = f"import multihoming_netlink as n; n.RuleWatch({family}).changed()"
    without = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]
    done = subprocess.run(
        [*without, sys.executable, "-c", f"{ask}; print(open('/proc/self/status').read())"],
        env={"PYTHONPATH": str(ROOMS), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CapEff:\t0000000000000000" in done.stdout
