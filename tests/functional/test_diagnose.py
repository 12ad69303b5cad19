"""Each fault, made for real, is found; a healthy host has none."""

import json
import socket
import sys
from copy import deepcopy
from pathlib import Path

import live
import network_scripts
import pytest
import yaml
from article import ADDRESS, ADDRESS6, BY_HAND, NOTHING, by_hand, pillar
from minion import NO_PILLAR
from network import entered, first_article, second_article, server_with_nics
from salt.exceptions import CommandExecutionError
from traffic import ping

SCRIPTS = Path("/etc/sysconfig/network-scripts")
NETWORK = Path("/etc/sysconfig/network")
RT_TABLES = Path("/etc/iproute2/rt_tables")
RULE = f"from {ADDRESS} table 201 priority 20000"
OFF, STRICT, LOOSE = 0, 1, 2
APPLY = "salt-call state.apply multihoming"


@pytest.fixture
def article():
    """The first article's network, nothing configured; the test runs on its server."""
    SCRIPTS.joinpath("ifup-routes").write_text("#!/bin/sh\n")
    SCRIPTS.joinpath("ifup-routes").chmod(0o755)
    with first_article() as network, entered(network.server):
        yield network


@pytest.fixture
def server(article):
    return article.server


@pytest.fixture
def diagnose(minion):
    """Diagnose, and return the findings by id; they are plain JSON, one for each interface."""

    def run(pillar=NO_PILLAR, **kwargs):
        findings = minion.call("diagnose", pillar=pillar, **kwargs)
        assert json.loads(json.dumps(findings)) == findings
        by_id = {}
        for finding in findings:
            assert finding["evidence"] and all(finding["evidence"]), finding
            assert finding["remedy"] and finding["message"], finding
            by_id.setdefault(finding["id"], []).append(finding)
        return by_id

    return run


@pytest.fixture
def healthy(minion, article, diagnose):
    """The article's server with its policy, and nothing wrong with it."""
    minion.call("apply", pillar=pillar())
    assert diagnose() == {}
    assert diagnose(pillar()) == {}
    return article.server


@pytest.fixture
def found(diagnose):
    """Assert that a fault is found once, and return what is said of it."""

    def run(id_, severity, interface, *evidence, pillar=NO_PILLAR):
        by_id = diagnose(pillar)
        assert id_ in by_id, by_id
        (finding,) = (finding for finding in by_id[id_] if finding["interface"] == interface)
        assert finding["severity"] == severity
        for text in evidence:
            assert any(text in line for line in finding["evidence"]), finding
        return finding

    return run


@pytest.fixture
def cured(minion, server, diagnose):
    """Do what a finding's remedy says, and assert that the finding goes."""

    def run(finding, before=None, pillar=NO_PILLAR):
        remedy = finding["remedy"]
        if remedy == APPLY:
            minion.call("apply", pillar=pillar)
        elif remedy.startswith("salt-call multihoming.set_table"):
            _, _, name, id_ = remedy.split()
            minion.call("set_table", name, int(id_))
        elif remedy.startswith(("ip ", "sed ", "LC_ALL=C sed ")):
            server.run("sh", "-c", remedy)
        else:
            whole = merged(before or NOTHING, yaml.safe_load(f"{{{remedy}}}"))
            minion.call("apply", pillar=whole)
            for key, value in whole.get("sysctl", {}).items():
                server.sysctl(key, value)
        assert finding["id"] not in diagnose(pillar)

    return run


def merged(pillar, more):
    whole = deepcopy(pillar)
    for key, value in more.items():
        whole[key] = {**whole.get(key, {}), **value} if isinstance(value, dict) else value
    return whole


def ifcfg(device, **values):
    """Write an ifcfg file."""
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    SCRIPTS.joinpath(f"ifcfg-{device}").write_text(f"DEVICE={device}\n{text}")


def ifcfgs(eth0=None, eth1=None):
    """Write the ifcfg files of the article, with more in them."""
    addresses = {"eth0": "192.168.2.220", "eth1": ADDRESS}
    for device, more in (("eth0", eth0 or {}), ("eth1", eth1 or {})):
        ifcfg(device, IPADDR=addresses[device], PREFIX=24, **more)


GATEWAY0, GATEWAY1 = {"GATEWAY": "192.168.2.254"}, {"GATEWAY": "192.168.1.254"}


def write(name, *lines):
    SCRIPTS.joinpath(name).write_text("".join(f"{line}\n" for line in lines))


def append(name, *lines):
    with SCRIPTS.joinpath(name).open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


# --- healthy hosts ----------------------------------------------------------------------------


def test_a_host_with_one_nic_is_healthy(diagnose):
    SCRIPTS.joinpath("ifup-routes").touch(0o755)
    with server_with_nics(1) as network, entered(network.server):
        for mode in (OFF, STRICT, LOOSE):
            network.server.rp_filter(mode)
            assert diagnose() == {}


def test_a_host_with_its_policy_is_healthy(healthy, diagnose):
    ifcfgs(GATEWAY0)
    assert diagnose(pillar()) == {}


def test_an_article_done_by_hand_with_its_files_is_healthy(server, diagnose):
    RT_TABLES.write_text(RT_TABLES.read_text() + "201 gateway1\n")
    write("route-eth1", *(line.removeprefix("-4 route add ") for line in BY_HAND[:2]))
    write("rule-eth1", BY_HAND[2].removeprefix("-4 rule add "))
    write("route6-eth1", *(line.removeprefix("-6 route add ") for line in BY_HAND[3:5]))
    write("rule6-eth1", BY_HAND[5].removeprefix("-6 rule add "))
    assert network_scripts.ifup_routes(server, "eth1") == []
    assert diagnose() == {}


def test_policies_on_both_interfaces_satisfy_the_strict_filter(minion, server, diagnose):
    whole = pillar()
    whole["tables"]["gateway0"] = 200
    whole["interfaces"]["eth0"] = {
        "table": "gateway0",
        "gateway": ["192.168.2.254", "2001:db8:2::254"],
    }
    minion.call("apply", pillar=whole)
    server.rp_filter(STRICT)
    assert diagnose(whole) == diagnose() == {}


def test_backend_none_needs_no_files(minion, server, diagnose):
    whole = {**pillar(), "backend": "none"}
    minion.call("apply", pillar=whole)
    assert diagnose(whole) == {}


def test_a_host_without_ipv6_is_looked_at_in_ipv4(minion, monkeypatch, tmp_path, diagnose):
    SCRIPTS.joinpath("ifup-routes").touch(0o755)
    monkeypatch.setattr(sys.modules["multihoming_kernel"], "_IF_INET6", str(tmp_path / "none"))
    with first_article(ipv6=False) as network, entered(network.server):
        ifcfgs(GATEWAY0, GATEWAY1)
        assert list(diagnose()) == ["asymmetric-reply", "no-policy", "several-gateways"]


def test_a_policy_that_keeps_mains_routes_is_healthy(minion, server, diagnose):
    whole = {**pillar(), "backend": "none"}
    minion.call("apply", pillar=whole)
    server.ip("link", "add", "docker0", "up", "type", "bridge")
    server.address("docker0", "172.17.0.1/16")
    by_hand(
        server,
        f"rule add from {ADDRESS} table 201 suppress_prefixlength 0 priority 19998",
        f"rule add from {ADDRESS} table main suppress_prefixlength 0 priority 19999",
        "route add 192.168.2.0/24 via 192.168.1.254 table 201",
    )
    assert diagnose(whole) == {}


def test_a_full_feed_in_main_is_no_fault(healthy, diagnose):
    lines = "".join(
        f"route add 20.{number // 256}.{number % 256}.0/24 via 192.168.2.254\n"
        for number in range(5000)
    )
    healthy.run("ip", "-batch", "-", input=lines)
    findings = diagnose()
    # The policy has no way to what stands in main: that is the one thing to say.
    assert findings.keys() <= {"main-routes-bypassed"}
    append("route-eth0", "20.0.1.0/24 via 192.168.2.254", "20.19.1.0/24 via 192.168.2.254")
    assert "not-live" not in diagnose()


def test_looking_changes_nothing(healthy, diagnose):
    append("rule-eth1", "from 10.1.1.1 table nowhere")
    before = (*live.snapshot(healthy), healthy.ip("neigh"))
    diagnose(pillar())
    assert (*live.snapshot(healthy), healthy.ip("neigh")) == before


def test_findings_come_with_the_worst_first(healthy, minion):
    healthy.ip("route", "flush", "table", "201")
    append("rule-eth1", "from 10.1.1.1 table nowhere")
    found = [finding["severity"] for finding in minion.call("diagnose")]
    assert found == sorted(found, key=["error", "warning", "info"].index)
    assert len(set(found)) > 1


# --- the ways of replies ----------------------------------------------------------------------


def test_asymmetric_reply_of_an_interface_without_policy(server, found, cured):
    ifcfgs(GATEWAY0, GATEWAY1)
    finding = found(
        "asymmetric-reply", "warning", "eth1", f"from {ADDRESS}: via 192.168.2.254 dev eth0"
    )
    assert "leave by eth0 via 192.168.2.254" in finding["message"]
    cured(finding)


def test_asymmetric_reply_because_of_a_rule_before_the_policys(healthy, found, cured):
    by_hand(healthy, f"rule add from {ADDRESS} lookup main priority 100")
    finding = found("asymmetric-reply", "warning", "eth1", "198.51.100.1", "table main")
    assert finding["remedy"] == f"ip -4 rule del from {ADDRESS} table 254 priority 100"
    cured(finding)


def test_asymmetric_reply_to_a_siblings_subnet_alone(healthy, found):
    by_hand(healthy, "rule add to 192.168.2.0/24 lookup main priority 100")
    finding = found("asymmetric-reply", "warning", "eth1", f"from {ADDRESS}: dev eth0")
    assert not any("198.51.100.1" in line for line in finding["evidence"])


def test_a_default_route_over_both_interfaces_is_no_policy(server, diagnose):
    hops = ("nexthop", "via", "192.168.2.254", "nexthop", "via", "192.168.1.254")
    server.ip("route", "replace", "default", *hops)
    found = diagnose()
    assert {finding["interface"] for finding in found["no-policy"]} == {"eth0", "eth1"}
    assert "asymmetric-reply" in found


def test_asymmetric_reply_in_ipv6(server, found):
    found("asymmetric-reply", "warning", "eth1", f"from {ADDRESS6}", pillar=pillar())


@pytest.mark.parametrize(("everywhere", "own"), [(1, 0), (0, 1)])
def test_rp_filter_drop(server, found, cured, everywhere, own):
    ifcfgs(GATEWAY0, GATEWAY1)
    server.sysctl("net.ipv4.conf.all.rp_filter", everywhere)
    server.sysctl("net.ipv4.conf.eth0.rp_filter", 0)
    server.sysctl("net.ipv4.conf.eth1.rp_filter", own)
    by_hand(server, "rule add from 192.168.2.220 table 77 priority 9")
    by_hand(server, "route add default via 192.168.2.254 table 77")
    finding = found(
        "rp-filter-drop", "error", "eth1", f"net.ipv4.conf.all.rp_filter = {everywhere}"
    )
    assert f"rp_filter={everywhere}, eth1={own}: the larger counts" in finding["message"]
    cured(finding)


def test_rp_filter_drop_on_the_interface_of_mains_default(healthy, found, cured):
    healthy.rp_filter(STRICT)
    finding = found("rp-filter-drop", "error", "eth0", "iif eth0", pillar=pillar())
    cured(finding, before=pillar())


def test_the_loose_filter_drops_nothing(server, diagnose):
    ifcfgs(GATEWAY0, GATEWAY1)
    server.rp_filter(LOOSE)
    assert "rp-filter-drop" not in diagnose()


def test_no_route_back(server, found, cured):
    ifcfgs(eth1=GATEWAY1)
    server.ip("route", "delete", "default")
    finding = found("no-route-back", "error", "eth1", "Network is unreachable")
    cured(finding)


def test_main_routes_bypassed(healthy, found, cured):
    healthy.ip("link", "add", "docker0", "up", "type", "bridge")
    healthy.address("docker0", "172.17.0.1/16")
    healthy.ip("route", "add", "10.8.0.0/24", "via", "192.168.2.9")
    finding = found(
        "main-routes-bypassed", "warning", "eth1", "172.17.0.0/16 dev docker0", "10.8.0.0/24"
    )
    assert finding["remedy"] == "keep_main_routes: true"
    cured(finding, before=pillar())


def test_gateway_unknown(article, found, cured):
    finding = found("gateway-unknown", "info", "eth1", f"from {ADDRESS}: via", f"from {ADDRESS6}:")
    assert "leave by eth0 via 192.168.2.254" in finding["message"]
    remedy = "tables: {eth1: 202}, interfaces: {eth1: {table: eth1, gateway: [ROUTER]}}"
    assert finding["remedy"] == remedy
    gateways = "192.168.1.254, '2001:db8:1::254'"
    cured({**finding, "remedy": remedy.replace("ROUTER", gateways)})


def test_gateway_unknown_is_an_error_once_packets_were_dropped(article, server, found):
    server.rp_filter(STRICT)
    finding = found("gateway-unknown", "info", "eth1", "IPReversePathFilter 0")
    assert "strict reverse-path filtering drops the request" in finding["message"]
    assert not ping(article.far, ADDRESS)
    found("gateway-unknown", "error", "eth1", "IPReversePathFilter 1", "rp_filter = 1")


@pytest.mark.parametrize("kind", ["bridge", "macvlan"])
def test_a_bridge_of_containers_needs_no_gateway(healthy, diagnose, kind):
    link = ("link", "eth1") if kind == "macvlan" else ()
    healthy.ip("link", "add", *link, "extra0", "up", "type", kind)
    healthy.address("extra0", "172.17.0.1/16")
    assert ("gateway-unknown" in diagnose()) == (kind == "macvlan")


# --- policies ---------------------------------------------------------------------------------


def test_no_policy(server, found, cured):
    ifcfgs(GATEWAY0, {**GATEWAY1, "IPV6_DEFAULTGW": "2001:db8:1::254"})
    finding = found("no-policy", "warning", "eth1", f"{ADDRESS} (gateway", f"{ADDRESS6} (gateway")
    assert finding["remedy"] == (
        "tables: {eth1: 202}, interfaces: "
        '{eth1: {table: eth1, gateway: [192.168.1.254, "2001:db8:1::254"]}}'
    )
    cured(finding)


def test_no_policy_of_an_interface_that_the_pillar_declares(server, found, cured):
    finding = found("no-policy", "warning", "eth1", ADDRESS, pillar=pillar())
    assert finding["remedy"] == APPLY
    cured(finding, pillar=pillar())


def test_empty_table(healthy, found, cured, diagnose):
    healthy.ip("route", "flush", "table", "201")
    finding = found("empty-table", "warning", "eth1", RULE, pillar=pillar())
    assert "table gateway1, which has no IPv4 routes" in finding["message"]
    assert "no-policy" not in diagnose(pillar())
    cured(finding, pillar=pillar())


def test_a_table_that_was_never_filled(server, found, cured):
    by_hand(server, "rule add fwmark 7 table 99 priority 50")
    cured(found("empty-table", "warning", None, "fwmark 0x7 table 99"))


def test_link_down(healthy, found, diagnose, cured):
    healthy.ip("link", "set", "eth1", "down")
    assert "empty-table" not in diagnose()
    cured(found("link-down", "warning", "eth1", RULE))


def test_no_carrier(healthy, article, found):
    (own,) = healthy.ip_json("link", "show", "eth1")
    links = article.switch.ip_json("link", "show")
    port = next(link["ifname"] for link in links if link["ifindex"] == own["link_index"])
    article.switch.ip("link", "set", port, "down")
    found("no-carrier", "warning", "eth1", "NO-CARRIER")


# --- rules ------------------------------------------------------------------------------------


def test_duplicate_rule(healthy, found, cured):
    by_hand(healthy, f"rule add from {ADDRESS} table 201 priority 20001")
    finding = found("duplicate-rule", "warning", "eth1", RULE, "priority 20001")
    assert finding["remedy"].endswith("priority 20001")
    cured(finding)


def test_rule_protocols(healthy, found, diagnose, cured):
    by_hand(healthy, f"rule add {RULE} protocol static")
    assert "duplicate-rule" not in diagnose()
    finding = found("rule-protocols", "warning", "eth1", "protocol 4")
    assert "protocol 4" in finding["remedy"]
    cured(finding)
    assert len(live.rules(healthy, table=201)) == 1


@pytest.mark.parametrize(
    ("family", "priority", "severity"),
    [
        (4, 0, "error"),
        (4, 32766, "error"),
        (4, 32767, "warning"),
        (6, 0, "error"),
        (6, 32766, "error"),
    ],
)
def test_a_missing_kernel_rule(healthy, found, cured, family, priority, severity):
    by_hand(healthy, f"-{family} rule delete priority {priority}")
    cured(found("kernel-rules", severity, None, f"ip -{family} rule: no"))


@pytest.mark.parametrize("action", ["table 201", "unreachable"])
def test_a_rule_that_shadows_main(healthy, found, cured, action):
    by_hand(healthy, f"rule add from all {action} priority 30000")
    cured(found("kernel-rules", "warning", None, f"{action} priority 30000"))


def test_a_kernel_rule_moved_elsewhere_is_there(healthy, diagnose):
    by_hand(healthy, "rule add from all table local priority 10", "rule delete priority 0")
    assert "kernel-rules" not in diagnose()


# --- files ------------------------------------------------------------------------------------


def test_rule_without_priority(healthy, found, cured):
    by_hand(healthy, "rule add from 192.168.1.9 table 201")
    append("rule-eth1", "# a comment", "from 192.168.1.9 table gateway1")
    finding = found(
        "rule-without-priority", "warning", "eth1", "rule-eth1: from 192.168.1.9 table gateway1"
    )
    assert len(finding["evidence"]) == 1
    cured(finding)


def test_unknown_table(healthy, found, cured):
    append("route-eth1", "10.9.0.0/16 dev eth1 table nowhere")
    finding = found("unknown-table", "error", "eth1", "route-eth1: 10.9.0.0/16")
    assert finding["remedy"] == "salt-call multihoming.set_table nowhere 202"
    cured(finding)


def test_numbers_and_the_kernels_own_tables_need_no_name(healthy, diagnose):
    append("route-eth1", "10.9.0.0/16 dev eth1 table 0x63", "10.9.0.0/16 dev eth1 table main")
    assert "unknown-table" not in diagnose()


@pytest.mark.parametrize("line", [f"{RULE} # eth1", f"{RULE}\r"])
def test_broken_line(healthy, found, cured, line):
    write("rule-eth1", "# a comment", line)
    assert network_scripts.ifup_routes(healthy, "eth1")
    finding = found("broken-line", "error", "eth1", "rule-eth1: from")
    cured(finding)
    assert SCRIPTS.joinpath("rule-eth1").read_text() == f"# a comment\n{RULE}\n"


@pytest.mark.parametrize("line", ["10.9.0.0/16 via 192.168.1.1", "ADDRESS2=10.9.0.0"])
def test_lost_lines(server, found, diagnose, line):
    write("route-eth1", "ADDRESS0=10.8.0.0", "NETMASK0=255.255.0.0", "GATEWAY0=192.168.1.1")
    network_scripts.ifup_routes(server, "eth1")
    assert list(diagnose()) == ["gateway-unknown"]
    append("route-eth1", line)
    found("lost-lines", "error", "eth1", f"route-eth1: {line}")


def test_files_not_loaded_without_the_scripts(healthy, found, diagnose):
    SCRIPTS.joinpath("ifup-routes").chmod(0o644)
    finding = found("files-not-loaded", "error", "eth1", "route-eth1", "rule6-eth1")
    assert "network-scripts" in finding["remedy"]
    SCRIPTS.joinpath("ifup-routes").chmod(0o755)
    assert diagnose() == {}


@pytest.fixture
def networkmanager():
    """NetworkManager looks after this host."""
    devices = Path("/run/NetworkManager/devices")
    devices.mkdir(parents=True)
    yield Path("/etc/NetworkManager/dispatcher.d/10-ifcfg-rh-routes.sh")
    devices.rmdir()
    devices.parent.rmdir()


def test_files_not_loaded_by_networkmanager(healthy, found, diagnose, networkmanager):
    assert "no ifcfg file" in found("files-not-loaded", "error", "eth1")["message"]
    ifcfgs()
    finding = found("files-not-loaded", "error", "eth1", "rule-eth1")
    assert "dispatcher" in finding["message"]
    assert not any("route" in Path(line).name for line in finding["evidence"])
    networkmanager.parent.mkdir(parents=True, exist_ok=True)
    networkmanager.touch()
    try:
        assert diagnose() == {}
    finally:
        networkmanager.unlink()


def test_not_persistent(server, found, cured):
    by_hand(server, *BY_HAND)
    finding = found("not-persistent", "warning", "eth1", RULE, "default via 192.168.1.254")
    cured(finding)


def test_not_persistent_leaves_out_what_daemons_make(healthy, diagnose):
    by_hand(healthy, "rule add from 192.168.1.8 table 201 priority 7 protocol 186")
    by_hand(healthy, "route add 10.7.0.0/16 dev eth1 table 201 protocol 186")
    assert diagnose() == {}


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("rule-eth1", "from 192.168.1.9 table gateway1 priority 20001"),
        ("route-eth1", "10.9.0.0/16 via 192.168.1.1 dev eth1"),
        ("route6-eth1", "2001:db8:9::/48 via 2001:db8:1::9 dev eth1"),
    ],
)
def test_not_live(healthy, found, cured, file, line):
    append(file, line)
    finding = found("not-live", "warning", "eth1", f"{file}: {line}")
    cured(finding)


def test_lines_of_an_interface_that_is_down_need_not_be_live(healthy, diagnose):
    healthy.ip("link", "set", "eth1", "down")
    assert "not-live" not in diagnose()


# --- ifcfg files ------------------------------------------------------------------------------


def test_several_gateways(server, found, cured):
    ifcfgs({**GATEWAY0, "IPV6_DEFAULTGW": "2001:db8:2::254"}, GATEWAY1)
    finding = found("several-gateways", "warning", "eth1", "GATEWAY=192.168.1.254")
    assert "goes through eth1 (via 192.168.1.254)" in finding["message"]
    assert finding["remedy"] == "default_gateway: eth0"
    cured(finding)


def test_the_last_name_wins_with_numbers_as_numbers(server, found):
    ifcfg("eth10", IPADDR="10.10.0.1", PREFIX=24, GATEWAY="10.10.0.254")
    ifcfg("eth2", IPADDR="10.2.0.1", PREFIX=24, GATEWAY="10.2.0.254")
    found("several-gateways", "warning", "eth10")


@pytest.mark.parametrize(
    "more",
    [{"DEFROUTE": "no"}, {"METRIC": 100}, {"ONBOOT": "no"}, {"GATEWAYDEV": "eth0"}],
    ids=lambda more: next(iter(more)),
)
def test_what_decides_between_several_gateways(server, diagnose, more):
    ifcfgs(GATEWAY0, {**GATEWAY1, **more})
    assert "several-gateways" not in diagnose()


def test_several_gateways_in_ipv6_the_first_wins(server, found, diagnose):
    ifcfgs({"IPV6_DEFAULTGW": "2001:db8:2::254"}, {"IPV6_DEFAULTGW": "2001:db8:1::254"})
    # What ipv6_add_route() of network-functions-ipv6 does for one after the other.
    server.ip("-6", "route", "flush", "default")
    for gateway in ("2001:db8:2::254", "2001:db8:1::254"):
        server.ip("-6", "route", "add", "::/0", "via", gateway, "metric", "1", check=False)
    (default,) = server.ip_json("-6", "route", "show", "default")
    assert default["dev"] == "eth0"
    found("several-gateways", "warning", "eth0", "IPV6_DEFAULTGW=2001:db8:1::254")
    NETWORK.write_text("IPV6_DEFAULTDEV=eth1\n")
    assert "several-gateways" not in diagnose()


def test_the_second_articles_author_gets_his_answer(found):
    SCRIPTS.joinpath("ifup-routes").touch(0o755)
    ifcfg("eth0", IPADDR="192.168.2.99", NETMASK="255.255.255.0", GATEWAY="192.168.2.1")
    ifcfg("eth1", IPADDR="10.0.0.99", NETMASK="255.0.0.0", GATEWAY="10.0.0.1")
    with second_article() as network, entered(network.server):
        network.server.rp_filter(STRICT)
        finding = found("rp-filter-drop", "error", "eth0")
        assert "the way back to 198.51.100.1 is eth1" in finding["message"]
        found("several-gateways", "warning", "eth1")
        found("no-policy", "warning", "eth0", "192.168.2.99")


def test_gateway_outside_subnet(server, found, diagnose):
    ifcfgs(GATEWAY0, {"GATEWAY": "192.168.9.254"})
    found("gateway-outside-subnet", "error", "eth1", "GATEWAY=192.168.9.254")
    ifcfgs(GATEWAY0)
    assert "gateway-outside-subnet" not in diagnose()


def test_global_gateway(server, found, diagnose):
    ifcfgs(eth1=GATEWAY1)
    NETWORK.write_text("GATEWAY=192.168.2.254\n")
    finding = found("global-gateway", "warning", "eth0", f"{NETWORK}: GATEWAY=192.168.2.254")
    assert str(SCRIPTS / "ifcfg-eth0") in finding["remedy"]
    SCRIPTS.joinpath("ifcfg-eth1").unlink()
    assert "global-gateway" not in diagnose()


def test_values_that_need_a_shell_are_passed_over(server, diagnose):
    ifcfgs({"GATEWAY": "$(cat /etc/gateway)"}, GATEWAY1)
    assert "several-gateways" not in diagnose()


# --- links and neighbours ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gateway", "asked"), [("192.168.1.254/24", "ARP"), ("2001:db8:1::254/64", "neighbour")]
)
def test_gateway_silent(healthy, article, found, gateway, asked):
    article.router.ip("address", "delete", gateway, "dev", "eth1")
    # As a router of another make: none of its addresses is answered for elsewhere.
    finding = found("gateway-silent", "error", "eth1", f"default via {gateway.partition('/')[0]}")
    assert asked in finding["message"]
    assert "eth1" in finding["remedy"]


def test_same_subnet(healthy, found, cured):
    healthy.address("eth0", "192.168.1.221/24")
    finding = found("same-subnet", "warning", "eth1", "192.168.1.221/24 dev eth0")
    cured(finding, before=pillar())


def test_udp_wildcard(healthy, found, diagnose):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 5353))
        found("udp-wildcard", "info", None, "udp 0.0.0.0:5353")
    assert diagnose() == {}


@pytest.mark.parametrize("address", [(ADDRESS, 5353), ("0.0.0.0", 0), ("0.0.0.0", 68)])
def test_udp_sockets_that_do_no_harm(healthy, diagnose, address):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        assert diagnose() == {}


def test_ra_default(healthy, found):
    route = ("default", "via", "2001:db8:2::254", "dev", "eth0", "protocol", "ra")
    healthy.ip("-6", "route", "replace", *route)
    finding = found("ra-default", "info", "eth0", "default via 2001:db8:2::254")
    assert finding["remedy"] == "sysctl: {net.ipv6.conf.eth0.accept_ra_defrtr: 0}"
    healthy.ip("-6", "route", "add", "default", "via", "2001:db8:1::254", "metric", "9")
    found("ra-default", "warning", "eth0")


# --- how it is asked --------------------------------------------------------------------------


def test_an_invalid_pillar_is_a_finding_and_the_host_is_looked_at(healthy, diagnose):
    healthy.ip("route", "flush", "table", "201")
    findings = diagnose({"tables": {"gateway1": 201}, "interfaces": {"eth1": {"tabel": "x"}}})
    assert {"pillar-invalid", "empty-table"} <= findings.keys()
    assert any("tabel" in line for line in findings["pillar-invalid"][0]["evidence"])


def test_a_pillar_that_no_manager_would_keep(healthy, diagnose):
    path = SCRIPTS.rename(SCRIPTS.with_name("elsewhere"))
    try:
        assert "pillar-invalid" not in diagnose()
        (finding,) = diagnose(pillar())["pillar-invalid"]
        (line,) = finding["evidence"]
        assert line.startswith("backend: no network manager that is supported was found")
        assert "pillar-invalid" not in diagnose({**pillar(), "backend": "none"})
        own = pillar(backend="none")
        assert "pillar-invalid" not in diagnose(own)
        (finding,) = diagnose({**own, **two_of(own)})["pillar-invalid"]
        assert finding["evidence"][0].startswith("interfaces.eth0.backend: no network manager")
        (finding,) = diagnose({"tables": {}, "interfaces": {}})["pillar-invalid"]
        assert finding["severity"] == "error"
    finally:
        path.rename(SCRIPTS)


def two_of(whole):
    """Return the tables and interfaces of a pillar, and eth0's."""
    return {
        "tables": {**whole["tables"], "gateway0": 200},
        "interfaces": {**whole["interfaces"], "eth0": {"table": "gateway0"}},
    }


def test_a_pillar_with_a_kernel_setting_that_is_not_there(healthy, diagnose):
    whole = {**pillar(), "sysctl": {"net.ipv4.ip_foward": 1}}
    (finding,) = diagnose(whole)["pillar-invalid"]
    assert "did you mean `net.ipv4.ip_forward`?" in finding["evidence"][0]


def test_keys_may_come_as_arguments(server, diagnose):
    assert "no-policy" in diagnose(**pillar())


def test_the_exit_status_follows_the_worst(minion, healthy):
    modules = minion.modules()
    diagnose = modules["multihoming.diagnose"]

    def status():
        diagnose()
        return modules.pack["__context__"]["retcode"]

    assert status() == 0
    by_hand(healthy, f"rule add from {ADDRESS} table 201 priority 20001")
    assert status() == 1
    append("rule-eth1", "from 10.1.1.1 table nowhere priority 5")
    assert status() == 2


# --- clients far away -------------------------------------------------------------------------

DOCUMENTATION = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
# What people keep out who know what nobody on the internet has (RFC 6890, and a sloppy one).
BOGONS = (
    "0.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 192.0.0.0/24 198.18.0.0/15 "
    "224.0.0.0/4 240.0.0.0/4"
).split()
BOGONS6 = "100::/64 2001:2::/48 2002::/16 3ffe::/16 fec0::/10 4000::/2 8000::/1".split()
# All but private networks, as calculators of VPNs write it.
ALL_BUT_PRIVATE = (
    "0.0.0.0/5 8.0.0.0/7 11.0.0.0/8 12.0.0.0/6 16.0.0.0/4 32.0.0.0/3 64.0.0.0/2 128.0.0.0/3 "
    "160.0.0.0/5 168.0.0.0/6 172.0.0.0/12 172.32.0.0/11 172.64.0.0/10 172.128.0.0/9 173.0.0.0/8 "
    "174.0.0.0/7 176.0.0.0/4 192.0.0.0/9 192.128.0.0/11 192.160.0.0/13 192.169.0.0/16 "
    "192.170.0.0/15 192.172.0.0/14 192.176.0.0/12 192.192.0.0/10 193.0.0.0/8 194.0.0.0/7 "
    "196.0.0.0/6 200.0.0.0/5 208.0.0.0/4"
).split()
OFTEN6 = ["2001:db8:ffff::/48", *BOGONS6]
EVERYWHERE = [*DOCUMENTATION, *BOGONS]


def rules(action, where, prefixes, priority=100):
    return [
        f"{'-6' if ':' in prefix else '-4'} rule add {where} {prefix} {action} priority {priority}"
        for prefix in prefixes
    ]


def refusing(kind, prefixes, more=""):
    return [f"route add {kind} {prefix} {more}" for prefix in prefixes]


# Each of these refuses, or leads elsewhere, only those that are no client of anybody.
SPECIAL = {
    "a rule": rules("prohibit", "to", DOCUMENTATION[1:2]),
    "rules": rules("blackhole", "from all to", DOCUMENTATION),
    "rules against bogons": rules("unreachable", "to", EVERYWHERE),
    "rules against bogons of IPv6": rules("unreachable", "to", OFTEN6),
    "rules for what comes in": rules("blackhole", "from", EVERYWHERE),
    "rules for what comes in by IPv6": rules("blackhole", "from", OFTEN6),
    "rules that lead to main": rules("lookup main", "to", EVERYWHERE),
    "rules that lead to main by IPv6": rules("lookup main", "to", OFTEN6),
    "a rule with the address": rules("prohibit", f"from {ADDRESS} to", DOCUMENTATION),
    "a rule for all but": rules("nop", "not to", DOCUMENTATION[1:2]),
    "routes of main": refusing("blackhole", EVERYWHERE),
    "routes of main in IPv6": refusing("unreachable", OFTEN6),
    "routes of the table": refusing("prohibit", EVERYWHERE, "table 201"),
    "routes of the table in IPv6": refusing("unreachable", OFTEN6, "table 201"),
    "routes of a daemon": refusing("blackhole", DOCUMENTATION, "protocol 186"),
    "routes of a daemon in local": refusing("local", DOCUMENTATION, "dev lo table local"),
    "routes elsewhere": [f"route add {to} via 192.168.2.9" for to in DOCUMENTATION],
}


@pytest.mark.parametrize("lines", SPECIAL.values(), ids=SPECIAL)
@pytest.mark.parametrize("mode", [OFF, STRICT])
def test_what_is_said_of_a_few_is_not_said_of_all(minion, server, diagnose, lines, mode):
    whole = {**pillar(), "backend": "none"}
    whole["tables"]["gateway0"] = 200
    gateways = ["192.168.2.254", "2001:db8:2::254"]
    whole["interfaces"]["eth0"] = {"table": "gateway0", "gateway": gateways}
    minion.call("apply", pillar=whole)
    server.rp_filter(mode)
    by_hand(server, *lines)
    found = diagnose({**whole, "backend": "none"})
    # A route of main that the policy goes past is another matter.
    assert found.keys() <= {"main-routes-bypassed"}
    assert "✓" in minion.call("diagram", pillar=whole) or found


@pytest.mark.parametrize("lines", SPECIAL.values(), ids=SPECIAL)
def test_what_goes_astray_is_found_beside_it(server, found, lines):
    ifcfgs(GATEWAY0, GATEWAY1)
    lines = [line for line in lines if "201" not in line]
    by_hand(server, *lines)
    finding = found("asymmetric-reply", "warning", "eth1", f"from {ADDRESS}: via 192.168.2.254")
    assert "leave by eth0 via 192.168.2.254" in finding["message"]


@pytest.mark.parametrize("lines", SPECIAL.values(), ids=SPECIAL)
def test_what_is_lost_is_found_beside_it(healthy, found, cured, lines):
    by_hand(healthy, *lines)
    by_hand(healthy, f"rule add from {ADDRESS} prohibit priority 7000")
    finding = found(
        "no-route-back", "error", "eth1", f"from {ADDRESS} prohibit priority 7000", pillar=pillar()
    )
    assert f"the rule `from {ADDRESS} prohibit priority 7000` refuses" in finding["message"]
    assert finding["remedy"] == f"ip -4 rule del from {ADDRESS} prohibit priority 7000"
    cured(finding, pillar=pillar())


@pytest.mark.parametrize(
    ("line", "dev", "said"),
    [
        ("rule add from all prohibit priority 30000", "eth0", "prohibit priority 30000` refuses"),
        ("rule add from all unreachable priority 7", "eth1", "unreachable priority 7` refuses"),
        ("rule add to 0.0.0.0/1 prohibit priority 7", "eth1", "to 0.0.0.0/1 prohibit"),
        ("rule add to 128.0.0.0/1 prohibit priority 7", "eth1", "to 128.0.0.0/1 prohibit"),
        ("-6 rule add to 2000::/3 blackhole priority 7", "eth1", "to 2000::/3 blackhole"),
        (
            "route replace prohibit default table 201",
            "eth1",
            "`prohibit default table 201` refuses",
        ),
        (
            "-6 route add blackhole default metric 1 table 201",
            "eth1",
            "`blackhole ::/0 metric 1 table",
        ),
        (
            "route add unreachable 128.0.0.0/1 table 201",
            "eth1",
            "`unreachable 128.0.0.0/1 table 201`",
        ),
        ("route replace blackhole default", "eth0", "`blackhole default table 254` refuses"),
    ],
)
def test_what_refuses_everybody_is_told(minion, server, found, cured, line, dev, said):
    whole = {**pillar(), "backend": "none"}
    minion.call("apply", pillar=whole)
    ifcfgs(GATEWAY0, GATEWAY1)
    by_hand(server, line)
    finding = found("no-route-back", "error", dev, said.split("`")[1 if said[0] == "`" else 0])
    assert said in finding["message"]
    cured(finding, before=whole)


def test_routes_that_together_are_the_default_are_asked_about_each(healthy, diagnose, found):
    """The table's default in parts; one of them goes by the other interface."""
    parts = [*ALL_BUT_PRIVATE, "192.168.0.0/16"]
    by_hand(healthy, *(f"route add {to} via 192.168.1.254 table 201" for to in parts))
    by_hand(healthy, "route del default table 201")
    assert diagnose(pillar()).keys() <= {"not-live", "not-persistent"}
    by_hand(healthy, "route replace 64.0.0.0/2 via 192.168.2.254 dev eth0 table 201")
    evidence = "via 192.168.2.254 dev eth0 table gateway1"
    found("asymmetric-reply", "warning", "eth1", evidence, pillar=pillar())


def test_an_ipv6_default_may_be_a_route_to_all_that_is_assigned(minion, server, diagnose):
    minion.call("apply", pillar={**pillar(), "backend": "none"})
    by_hand(
        server,
        "-6 route del default",
        "-6 route add 2000::/3 via 2001:db8:2::254",
        "-6 route add unreachable default metric 4000",
    )
    ifcfgs({**GATEWAY0, "IPV6_DEFAULTGW": "2001:db8:2::254"})
    assert diagnose(pillar()).keys() <= {"not-persistent"}


@pytest.mark.parametrize(
    "line", ["rule add to 2001:db8::/32 prohibit priority 5", "route add blackhole 2001:db8::/32"]
)
def test_addresses_for_documentation_are_nobodys(article, minion, diagnose, line):
    """All of them, on a host that has none of its own."""
    for dev, number in (("eth0", 2), ("eth1", 1)):
        for end, last in ((article.server, "220"), (article.router, "254")):
            end.ip("-6", "addr", "flush", "dev", dev, "scope", "global")
            end.address(dev, f"2a02:aaaa:{number}::{last}/64")
    article.server.default_route("2a02:aaaa:2::254")
    whole = pillar(gateway=["192.168.1.254", "2a02:aaaa:1::254"])
    minion.call("apply", pillar={**whole, "backend": "none"})
    by_hand(article.server, f"-6 {line}")
    assert diagnose({**whole, "backend": "none"}) == {}


def test_a_policy_in_two_parts_goes_past_main_too(healthy, found):
    healthy.ip("link", "add", "docker0", "up", "type", "bridge")
    healthy.address("docker0", "172.17.0.1/16")
    parts = ("0.0.0.0/1", "128.0.0.0/1")
    by_hand(healthy, *(f"route add {to} via 192.168.1.254 table 201" for to in parts))
    found("main-routes-bypassed", "warning", "eth1", "172.17.0.0/16 dev docker0")


def test_a_default_route_in_two_parts_is_none_that_a_policy_goes_past(healthy, diagnose):
    by_hand(healthy, *(f"route add {to} via 192.168.2.254" for to in ("0.0.0.0/1", "128.0.0.0/1")))
    assert diagnose(pillar()) == {}


@pytest.mark.parametrize("lines", SPECIAL.values(), ids=SPECIAL)
def test_a_link_with_a_gateway_is_told_from_one_without(minion, server, lines):
    """Clients of eth0's subnet ask eth1 through the router, whatever is refused besides."""
    by_hand(server, *(line for line in lines if "201" not in line))
    assert minion.call("reply_path", ADDRESS, "192.168.2.17")["arrives"] == "eth1"


def test_only_what_is_bad_enough_is_told(minion, healthy):
    modules = minion.modules()
    diagnose = modules["multihoming.diagnose"]

    def told(**severity):
        found = {finding["severity"] for finding in diagnose(**severity)}
        return found, modules.pack["__context__"]["retcode"]

    by_hand(healthy, f"rule add from {ADDRESS} table 201 priority 20001")
    assert told() == told(severity="info") == told(severity="warning") == ({"warning"}, 1)
    assert told(severity="error") == (set(), 0)
    append("rule-eth1", "from 10.1.1.1 table nowhere priority 5")
    assert told() == told(severity="warning") == ({"error", "warning"}, 2)
    assert told(severity="error") == ({"error"}, 2)


@pytest.mark.parametrize("severity", ["fatal", "", 2, ["error"]])
def test_another_severity_is_refused(minion, server, severity):
    with pytest.raises(CommandExecutionError, match="write one of error, warning, info"):
        minion.call("diagnose", severity=severity)
