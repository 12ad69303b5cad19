"""What is found on hosts, each written in data/surveys.yaml, word for word."""

from __future__ import annotations

import json
import re
from pathlib import Path

import multihoming_diagnose as diagnose
import pytest
import yaml
from surveys import survey

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
def test_a_remedy_for_the_pillar_is_yaml_that_says_what_it_shows(case):
    host = case.get("host", {})
    for finding in found(case):
        if finding["remedy"].startswith("tables: "):
            said = yaml.safe_load(f"{{{finding['remedy']}}}")
            ((name, id_),) = said["tables"].items()
            ((dev, entry),) = said["interfaces"].items()
            assert (dev, entry["table"]) == (finding["interface"], name)
            assert isinstance(id_, int)
            assert host.get("tables", {}).get(name, id_) == id_
            assert all(isinstance(gateway, str) for gateway in entry.get("gateway", []))


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
