"""What is found on hosts, each written in data/surveys.yaml, word for word."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from copy import deepcopy
from pathlib import Path

import multihoming_config as config
import multihoming_diagnose as diagnose
import pytest
import yaml
from surveys import MAINS, rule, survey

DATA = Path(__file__).parent / "data"
CASES = yaml.safe_load((DATA / "surveys.yaml").read_text())
README = Path(__file__).parents[2] / "README.md"
PARTS = {"id", "severity", "interface", "message", "evidence", "remedy"}
SEVERITIES = ["error", "warning", "info"]


def name_of(case):
    return case["name"]


def found(case):
    """Return the findings as people get them."""
    return [finding.as_dict() for finding in diagnose.findings(survey(case.get("host", {})))]


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_findings(case):
    expected = case.get("findings", [])
    got = found(case)
    assert [finding["id"] for finding in got] == [finding["id"] for finding in expected]
    # Each is compared in the parts that the case tells.
    for there, wanted in zip(got, expected, strict=True):
        assert {part: there[part] for part in wanted} == wanted


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_findings_are_plain_and_the_worst_comes_first(case):
    got = found(case)
    assert json.loads(json.dumps(got)) == got
    order = [SEVERITIES.index(finding["severity"]) for finding in got]
    assert order == sorted(order)
    for finding in got:
        assert finding["message"] and finding["remedy"] and all(finding["evidence"])


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_a_remedy_for_the_pillar_is_one_that_is_taken(case):
    host = case.get("host", {})
    for finding in found(case):
        if finding["remedy"].startswith(("tables: ", "sysctl: ", "keep_main_routes: ")):
            said = yaml.safe_load(f"{{{finding['remedy'].replace('ROUTER', '10.0.0.1')}}}")
            pillar = {"tables": {}, "interfaces": {}, **said}
            assert config.parse(pillar)[1] == []
            for name, id_ in pillar["tables"].items():
                assert host.get("tables", {}).get(name, id_) == id_
                assert pillar["interfaces"][finding["interface"]]["table"] == name


# --- remedies ---------------------------------------------------------------------------------

# Those whose remedy changes what the host itself tells; for others the kernel had to be asked anew.
PLAYED = (
    "duplicate-rule rule-protocols kernel-rules empty-table not-live link-down unknown-table "
    "rule-without-priority broken-line same-subnet"
).split()


def after(host, remedy, folder):
    """Return the host after a remedy was followed, None when that can't be played."""
    host = deepcopy(host)
    if remedy.startswith("sysctl: "):
        for key, value in yaml.safe_load(f"{{{remedy}}}")["sysctl"].items():
            host.setdefault("settings", {})[key.removeprefix("net.ipv4.conf.")] = value
        return host
    if remedy.startswith("write "):
        return None
    for command in remedy.split(" && "):
        match shlex.split(command):
            case ["ip", family, "rule", "add", *words]:
                host["rules"] = [*host.get("rules", []), " ".join([family, *words])]
            case ["ip", family, "rule", "del", *words]:
                gone = rule(" ".join([family, *words]))
                (line,) = (line for line in host["rules"] if rule(line) == gone)
                host["rules"] = [each for each in host["rules"] if each != line]
            case ["ip", family, "route", "add", *words, "table", table]:
                name = "main" if table == "254" else int(table)
                routes = {"main": MAINS, **host.get("routes", {})}
                routes[name] = [*routes.get(name, []), " ".join([family, *words])]
                host["routes"] = routes
            case ["ip", "link", "set", dev, "up"]:
                host["links"][dev]["up"] = True
            case ["salt-call", "multihoming.set_table", name, id_]:
                host["tables"] = {**host.get("tables", {}), name: int(id_)}
            case ["sed" | "LC_ALL=C", *_, script, path]:
                file = folder / Path(path).name
                with file.open("w", newline="") as text:
                    text.write(host["files"][file.name])
                subprocess.run(["sed", "-i", script, file], check=True)
                host["files"][file.name] = file.read_text()
            case _:
                return None
    return host


# Of a finding that is cut the remedy is, too.
REMEDIES = [
    (case, finding)
    for case in CASES
    for finding in case.get("findings", [])
    if finding["id"] in PLAYED and "remedy" in finding and len(finding["evidence"]) <= 10
]


@pytest.mark.parametrize(
    ("case", "finding"),
    [pytest.param(*pair, id=f"{pair[1]['id']} of {pair[0]['name']}") for pair in REMEDIES],
)
def test_a_remedy_takes_its_finding_away(case, finding, tmp_path):
    host = after(case["host"], finding["remedy"], tmp_path)
    if host:
        left = diagnose.findings(survey(host))
        shown = [(each.message, list(each.evidence)) for each in left]
        assert (finding["message"], finding["evidence"]) not in shown


def test_remedies_of_each_kind_are_played(tmp_path):
    played = [
        (finding["id"], after(case["host"], finding["remedy"], tmp_path))
        for case, finding in REMEDIES
    ]
    assert {id_ for id_, host in played if host} == set(PLAYED)


def known_ids():
    """Return the ids that the README explains."""
    table = README.read_text().partition("| id | what is wrong |")[2].partition("\n\n")[0]
    return [
        id_
        for row in table.splitlines()[2:]
        for id_ in re.findall("`([a-z-]+)`", row.split("|")[1])
    ]


@pytest.mark.parametrize("id_", [id_ for id_ in known_ids() if id_ != "pillar-invalid"])
def test_each_finding_has_a_host_with_all_of_it_and_one_that_nearly_has_it(id_):
    whole = [
        case["name"]
        for case in CASES
        for finding in case.get("findings", [])
        if finding["id"] == id_ and finding.keys() == PARTS
    ]
    near = [case["name"] for case in CASES if id_ in case.get("nearly", "").split()]
    assert whole and near


@pytest.mark.parametrize("case", [case for case in CASES if "nearly" in case], ids=name_of)
def test_what_a_host_nearly_has_is_not_found(case):
    nearly = case["nearly"].split()
    assert set(nearly) <= set(known_ids())
    assert not set(nearly) & {finding["id"] for finding in found(case)}


def test_an_invalid_pillar_is_told_with_its_first_mistake_and_all_as_evidence():
    errors = [f"interfaces.eth{number}.tabel: unknown key; write `table`" for number in range(12)]
    assert diagnose.invalid_pillar(errors).as_dict() == {
        "id": "pillar-invalid",
        "severity": "error",
        "interface": None,
        "message": "the pillar `multihoming` can't be applied: interfaces.eth0.tabel: unknown key",
        "evidence": [*errors[:10], "... and 2 more"],
        "remedy": "salt-call multihoming.validate",
    }
