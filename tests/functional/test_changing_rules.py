"""How it is known that rules change, on a real kernel."""

import subprocess
import sys
from pathlib import Path

import multihoming_netlink as netlink
import pytest

ROOMS = Path(__file__).parents[2] / "_utils"
FOREIGN = {
    4: "from 10.99.0.1 table 999 priority 99",
    6: "from 2001:db8:99::1 table 999 priority 99",
}


@pytest.fixture(params=[4, 6])
def family(request):
    return request.param


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
