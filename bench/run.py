"""The figures of the README: ratios measured in one run, in the lab.

Run it with ``make bench``. Exits 1 when a figure misses its limit.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "_utils"), str(ROOT / "tests" / "lab")]

import multihoming_ask as ask  # noqa: E402
import multihoming_host as host  # noqa: E402
from network import entered, server_with_nics  # noqa: E402

# As on a minion: what is imported is compiled once and kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

RUNS = 5
SCRIPTS = pathlib.Path("/etc/sysconfig/network-scripts")
RT_TABLES = pathlib.Path("/etc/iproute2/rt_tables")


class Minion:
    """A salt-call of its own: configuration, pillar and states in a temporary folder."""

    def __init__(self, server):
        self.server = server
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir="/run"))
        for name in ("pillar", "states"):
            (self.folder / name).mkdir()
        config = {
            "file_client": "local",
            "id": "bench",
            "root_dir": str(self.folder),
            "file_roots": {"base": [str(self.folder / "states"), str(ROOT), str(ROOT / "states")]},
            "pillar_roots": {"base": [str(self.folder / "pillar")]},
            "log_level": "error",
        }
        (self.folder / "minion").write_text(json.dumps(config))
        self.pillar({})

    def pillar(self, multihoming):
        """Give the minion this pillar."""
        (self.folder / "pillar" / "top.sls").write_text("base: {'*': [data]}")
        text = json.dumps({"multihoming": multihoming} if multihoming else {})
        (self.folder / "pillar" / "data.sls").write_text(f"#!json\n{text}")

    def state(self, name, text):
        """Give the minion another state."""
        (self.folder / "states" / f"{name}.sls").write_text(text)

    def call(self, *arguments):
        """Return (result, peak memory in MB) of a salt-call."""
        salt_call = os.path.join(os.path.dirname(sys.executable), "salt-call")
        command = [salt_call, "--local", "--out=json", "-c", str(self.folder), *arguments]
        with entered(self.server), tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            output.seek(0)
            result = json.loads(output.read())["local"]
        return result, usage.ru_maxrss / 1024

    def apply(self, name="multihoming"):
        """Run a state; return (seconds spent in it, any changes, peak memory in MB)."""
        result, memory = self.call("state.apply", name)
        bad = [entry for entry in result.values() if entry["result"] is False]
        if bad:
            sys.exit(f"bench: the state {name} failed: {bad[0]['comment']}")
        spent = sum(entry["duration"] for entry in result.values()) / 1000
        return spent, any(entry["changes"] for entry in result.values()), memory

    def converged(self, name="multihoming"):
        """Return the median of the seconds that runs without changes take."""
        self.apply(name)
        runs = [self.apply(name) for _ in range(RUNS)]
        if any(changed for _, changed, _ in runs):
            sys.exit(f"bench: the state {name} does not converge")
        return statistics.median(spent for spent, _, _ in runs)


def fresh_files():
    """Take away what an earlier scenario wrote."""
    shutil.rmtree(SCRIPTS, ignore_errors=True)
    SCRIPTS.mkdir(parents=True)
    loader = SCRIPTS / "ifup-routes"  # the network scripts are there
    loader.write_text("#!/bin/sh\n")
    loader.chmod(0o755)
    pathlib.Path("/etc/iproute2/rt_tables.d/multihoming.conf").unlink(missing_ok=True)
    lines = RT_TABLES.read_text().splitlines(keepends=True)
    RT_TABLES.write_text("".join(line for line in lines if " nic" not in line))


def pillar(network, backend="network-scripts", **extra):
    """Return the pillar that gives each NIC a table."""
    return {
        "backend": backend,
        "tables": {f"nic{index}": 200 + index for index in range(len(network.nics))},
        "interfaces": {
            nic.device: {"table": f"nic{index}", "gateway": gateway(nic), **extra}
            for index, nic in enumerate(network.nics.values())
        },
    }


def gateway(nic):
    """Return the IPv4 gateway of a NIC's segment."""
    return next(address for address in nic.gateways if ":" not in address)


def address(nic):
    """Return the IPv4 address of a NIC, with its length."""
    return next(cidr for cidr in nic.addresses if ":" not in cidr)


def by_hand(network):
    """Return the SLS that everybody writes: files, and commands with `unless`."""
    states = {"rt_tables": {"file.append": [{"name": str(RT_TABLES)}, {"text": []}]}}
    for index, nic in enumerate(network.nics.values()):
        table, dev, cidr = f"nic{index}", nic.device, address(nic)
        own = cidr.split("/")[0]
        subnet = f"{own.rsplit('.', 1)[0]}.0/24"
        routes = [f"{subnet} dev {dev} src {own} table {table}"]
        routes += [f"default via {gateway(nic)} dev {dev} table {table}"]
        rule = f"from {own} table {table} priority 20000"
        states["rt_tables"]["file.append"][1]["text"].append(f"{200 + index} {table}")
        for name, text in (("route", "\n".join(routes)), ("rule", rule)):
            path = str(SCRIPTS / f"{name}-{dev}")
            states[path] = {"file.managed": [{"contents": text}]}
        for route in routes:
            seen = f"ip route show table {table} | grep -q '^{route.split()[0]}'"
            states[f"ip route add {route}"] = {"cmd.run": [{"unless": seen}]}
        seen = f"ip rule | grep -q 'from {own} lookup {table}'"
        states[f"ip rule add {rule}"] = {"cmd.run": [{"unless": seen}]}
    return "#!json\n" + json.dumps(states)


class Report:
    """Lines of the README's table, and whether each holds."""

    def __init__(self):
        self.failed = False

    def line(self, what, figure, limit, holds):
        """Print one figure."""
        self.failed = self.failed or not holds
        print(f"| {what} | {figure} | {limit} | {'yes' if holds else 'NO'} |", flush=True)


def against_by_hand(report, count):
    """(a) A converged run against the SLS written by hand."""
    with server_with_nics(count) as network:
        minion = Minion(network.server)
        minion.call("saltutil.sync_all")
        fresh_files()
        minion.state("byhand", by_hand(network))
        hand = minion.converged("byhand")
        with entered(network.server):
            for nic in range(count):
                subprocess.run(["ip", "rule", "del", "table", str(200 + nic)], check=True)
                subprocess.run(["ip", "route", "flush", "table", str(200 + nic)], check=True)
        fresh_files()
        minion.pillar(pillar(network))
        ours = minion.converged()
    holds = hand / ours >= 10 and (count > 2 or ours <= 0.060)
    report.line(
        f"converged run, {count} NICs, against the SLS written by hand",
        f"{ours * 1000:.0f} ms against {hand * 1000:.0f} ms: {hand / ours:.0f} times less",
        "at least 10 times less" + (", at most 60 ms" if count == 2 else ""),
        holds,
    )


def many(count):
    """Return (routes, rules) for the pillar and the same lines for ip."""
    prefixes = [f"10.{index // 250}.{index % 250}.0/24" for index in range(count)]
    via = "192.168.100.254"
    routes = [{"to": prefix, "via": via} for prefix in prefixes]
    rules = [{"to": prefix} for prefix in prefixes]
    lines = [f"route add {prefix} via {via} dev eth0 table 200" for prefix in prefixes]
    lines += [f"rule add to {prefix} table 200 priority 20000" for prefix in prefixes]
    return routes, rules, "\n".join(lines) + "\n"


def first_apply(report):
    """(b), (e) A thousand rules and routes against one bare ip -batch, and the memory."""
    routes, rules, lines = many(1000)
    times = {"ip": [], "none": [], "network-scripts": []}
    with server_with_nics(2) as network:
        server = network.server
        minion = Minion(server)
        minion.call("saltutil.sync_all")
        minion.state("empty", "nothing:\n  test.nop: []\n")
        empty = statistics.median(minion.apply("empty")[2] for _ in range(3))
        peaks = []
        for _ in range(RUNS):
            start = time.perf_counter()
            server.run("ip", "-4", "-batch", "-", input=lines)
            times["ip"].append(time.perf_counter() - start)
            flush(server)
            for backend in ("none", "network-scripts"):
                fresh_files()
                wanted = pillar(network, backend)
                wanted["interfaces"] = {"eth0": {**wanted["interfaces"]["eth0"]}}
                wanted["interfaces"]["eth0"].update(routes=routes, rules=rules)
                minion.pillar(wanted)
                spent, _, peak = minion.apply()
                times[backend].append(spent)
                peaks.append(peak)
                flush(server)
    bare = statistics.median(times["ip"])
    none, scripts = (statistics.median(times[name]) for name in ("none", "network-scripts"))
    report.line(
        "first apply of 1,000 rules and 1,000 routes against a bare `ip -batch`, backend none",
        f"{none * 1000:.0f} ms against {bare * 1000:.0f} ms: {none / bare:.1f} times",
        "at most 4 times",
        none / bare <= 4,
    )
    report.line(
        "the same, backend network-scripts",
        f"{scripts * 1000:.0f} ms: {scripts / bare:.1f} times",
        "at most 5 times",
        scripts / bare <= 5,
    )
    extra = max(peaks) - empty
    report.line(
        "its peak memory above an empty state run", f"{extra:.0f} MB", "at most 50 MB", extra <= 50
    )


def flush(server):
    """Empty table 200 and its rules; a flush of many rules passes over some."""
    for family in ("-4", "-6"):
        while server.run("ip", family, "rule", "show", "table", "200").stdout:
            server.run("ip", family, "rule", "flush", "table", "200")
        server.run("ip", family, "route", "flush", "table", "200", check=False)


def ifcfg(name, cidr):
    """Write the ifcfg file of an interface."""
    own, _, length = cidr.partition("/")
    text = f"DEVICE={name}\nONBOOT=yes\nBOOTPROTO=none\nIPADDR={own}\nPREFIX={length}\n"
    (SCRIPTS / f"ifcfg-{name}").write_text(text)


def many_tables(report):
    """(c) Converged runs with 10, 100 and 1,000 tables, an ifcfg, route and rule file each."""
    spent = {}
    processes = {}
    started = []
    sys.addaudithook(lambda event, _: started.append(1) if event == "subprocess.Popen" else None)
    for count in (10, 100, 1000):
        with server_with_nics(1) as network, entered(network.server):
            fresh_files()
            own = [f"172.16.{index // 250}.{index % 250 + 1}/16" for index in range(count)]
            lines = "".join(
                f"link add nic{index} type veth peer name peer{index}\n"
                f"link set nic{index} up\naddr add {cidr} dev nic{index}\n"
                for index, cidr in enumerate(own)
            )
            subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
            for index, cidr in enumerate(own):
                ifcfg(f"nic{index}", cidr)
            data = {
                "backend": "network-scripts",
                "tables": {f"nic{index}": 1000 + index for index in range(count)},
                "interfaces": {
                    f"nic{index}": {"table": f"nic{index}", "gateway": "172.16.255.254"}
                    for index in range(count)
                },
            }
            host.apply(data)
            runs = []
            for _ in range(RUNS):
                started.clear()
                begin = time.perf_counter()
                if host.apply(data).pending:
                    sys.exit("bench: many tables do not converge")
                runs.append(time.perf_counter() - begin)
            spent[count] = min(runs)
            processes[count] = len(started)
    shown = ", ".join(f"{count}: {spent[count] * 1000:.0f} ms" for count in spent)
    # Ten times the tables, ten times the time: a tenth more is the clock's.
    linear = spent[100] <= 11 * spent[10] and spent[1000] <= 11 * spent[100]
    report.line(
        "converged run with 10, 100 and 1,000 tables, three files each",
        shown,
        "no worse than linear, at most 350 ms",
        linear and spent[1000] <= 0.350,
    )
    most = max(processes.values())
    report.line("processes it starts", str(most), "at most 6", most <= 6)


IMPORT = """
import json, resource, sys
import salt.minion, salt.state
sys.path[:0] = [{rooms!r}]
def spent():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
times = [spent()]
for name in ("netaddr", "multihoming_host", "multihoming_backend_network_scripts"):
    __import__(name)
    times.append(spent())
print(json.dumps(times))
"""


def loading(report):
    """(h) What a state run loads: seconds of a processor, compiled files in place."""
    script = IMPORT.format(rooms=str(ROOT / "_utils"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "_utils")], check=True)
    runs = []
    for _ in range(11):
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        first, library, *_, last = json.loads(done.stdout)
        runs.append((last - first, library - first))
    whole, netaddr = (statistics.median(run[index] for run in runs) for index in (0, 1))
    report.line(
        "loading what a state run uses, netaddr included",
        f"{whole * 1000:.0f} ms, of which netaddr {netaddr * 1000:.0f}",
        "at most 45 ms",
        whole <= 0.045,
    )


def against_nothing(report):
    """(i) The wall time of a whole salt-call, beside one that does nothing."""
    times = {"empty": [], "multihoming": []}
    with server_with_nics(2) as network:
        fresh_files()
        minion = Minion(network.server)
        minion.call("saltutil.sync_all")
        minion.state("empty", "nothing:\n  test.nop: []\n")
        minion.pillar(pillar(network))
        minion.converged()
        for _ in range(9):
            for name, found in times.items():
                begin = time.perf_counter()
                minion.apply(name)
                found.append(time.perf_counter() - begin)
    nothing, ours = (statistics.median(found) for found in times.values())
    report.line(
        "wall time of a converged `salt-call state.apply multihoming` against one `test.nop`",
        f"{ours * 1000:.0f} ms against {nothing * 1000:.0f} ms: {ours / nothing:.2f} times",
        "at most 1.05 times",
        ours / nothing <= 1.05,
    )


def full_feed(report):
    """(d) The same host with 200,000 foreign routes in main."""
    with server_with_nics(2) as network, entered(network.server):
        fresh_files()
        data = pillar(network)
        host.apply(data)
        empty = fastest(data)
        via = gateway(network.nics["eth0"])
        lines = "".join(
            f"route add {20 + index // 65536}.{index // 256 % 256}.{index % 256}.0/24 via {via}\n"
            for index in range(200_000)
        )
        subprocess.run(["ip", "-batch", "-"], input=lines, text=True, check=True)
        full = fastest(data)
    report.line(
        "converged run with 200,000 foreign routes in main",
        f"{full * 1000:.1f} ms against {empty * 1000:.1f} ms: {(full / empty - 1) * 100:+.0f} %",
        "at most 10 % more",
        full <= empty * 1.1,
    )


def fastest(data):
    """Return the least time of many converged runs, which is the one least disturbed."""
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        host.apply(data)
        times.append(time.perf_counter() - begin)
    return min(times)


def diagnosing(report):
    """(f) A healthy host diagnosed, and one with a thousand rules and routes in its files."""
    routes, rules, _ = many(1000)
    with server_with_nics(2) as network, entered(network.server):
        fresh_files()
        script = SCRIPTS / "ifup-routes"
        script.touch(0o755)
        data = pillar(network)
        data["interfaces"]["eth0"]["gateway"] = list(network.nics["eth0"].gateways)
        data["interfaces"]["eth1"]["gateway"] = list(network.nics["eth1"].gateways)
        host.apply(data)
        healthy = diagnosed(data)
        data["interfaces"]["eth0"].update(routes=routes, rules=rules)
        host.apply(data)
        crowded = diagnosed(data)
        script.unlink()
    report.line(
        "`diagnose` on a healthy host with 2 NICs",
        f"{healthy * 1000:.0f} ms",
        "at most 150 ms",
        healthy <= 0.150,
    )
    report.line(
        "`diagnose` with 1,000 rules", f"{crowded * 1000:.0f} ms", "at most 1 s", crowded <= 1
    )


def diagnosed(data):
    """Return the median of the seconds that a diagnosis without findings takes."""
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        found = ask.findings(data, True)
        times.append(time.perf_counter() - begin)
        if found:
            sys.exit(f"bench: the host is not healthy: {found[0].message}")
    return statistics.median(times)


def asking(report):
    """(g) The processes that `reply_path` starts, for a lost reply too."""
    started = []
    sys.addaudithook(lambda event, _: started.append(1) if event == "subprocess.Popen" else None)
    most = 0
    with server_with_nics(2) as network, entered(network.server):
        network.server.ip("route", "add", "unreachable", "198.51.100.0/24")
        for client in ("203.0.113.10", "192.168.101.7", "198.51.100.1"):
            started.clear()
            ask.path_of_reply("192.168.100.10", client)
            most = max(most, len(started))
    report.line("processes that `reply_path` starts", str(most), "at most 5", most <= 5)


def main():
    """Measure, print, and exit 1 when a limit is missed."""
    report = Report()
    print("| figure | measured | limit | holds |\n| --- | --- | --- | --- |", flush=True)
    for count in (2, 32):
        against_by_hand(report, count)
    first_apply(report)
    many_tables(report)
    loading(report)
    against_nothing(report)
    full_feed(report)
    diagnosing(report)
    asking(report)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
