"""The documents say what the code does: tables, examples, versions, names, in both directions."""

from __future__ import annotations

import ast
import re
import subprocess
import textwrap
from graphlib import TopologicalSorter
from pathlib import Path

import multihoming_backend as backend
import multihoming_config as config
import multihoming_kernel as kernel
import pytest
import yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLE = (ROOT / "pillar.example").read_text()
PROJECT = (ROOT / "pyproject.toml").read_text()
VERSION = "_utils/multihoming_version.py"
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def found(pattern, text):
    """Return what a pattern's group is in each of its matches, which there have to be."""
    matches = re.findall(pattern, text, re.MULTILINE)
    assert matches, f"nothing like {pattern}"
    return matches


def table(*header):
    """Return the rows of the README's one table with these columns."""
    (body,) = found(
        rf"^{re.escape('| ' + ' | '.join(header) + ' |')}\n\|[ -|]+\n((?:\|.*\n)+)", README
    )
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in body.splitlines()]
    assert {len(row) for row in rows} == {len(header)}
    return rows


def code(text):
    return re.findall(r"`([^`]+)`", text)


def blocks(text, language):
    """Return a document's blocks of code in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def functions(path):
    """Return a module's public functions."""
    nodes = ast.parse((ROOT / path).read_text()).body
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    return {node.name: node for node in functions if not node.name.startswith("_")}


def arguments(function):
    return [argument.arg for argument in function.args.args]


def required(function):
    return arguments(function)[: len(function.args.args) - len(function.args.defaults)]


EXECUTION = functions("_modules/multihoming.py")
STATES = functions("_states/multihoming.py")


# --- pillar -----------------------------------------------------------------------------------


def test_the_key_table_has_the_pillars_keys():
    top, own = [], []
    for cell, _, _ in table("key", "meaning", "default"):
        (key,) = code(cell)
        (own if key.startswith("interfaces.DEV.") else top).append(key)
    assert sorted([*top, "interfaces"]) == sorted(config.KEYS)
    assert sorted(key.split(".")[2] for key in own) == sorted(config.INTERFACE_KEYS)


@pytest.mark.parametrize(
    ("key", "known"), [("routes", config.ROUTE_KEYS), ("rules", config.RULE_KEYS)]
)
def test_the_key_table_has_the_keys_of_routes_and_rules(key, known):
    (said,) = (row[1] for row in table("key", "meaning", "default") if f".{key}`" in row[0])
    # Their values stand in brackets.
    assert sorted(code(re.sub(r"\([^)]*\)", "", said))) == sorted(known)


def test_the_key_table_has_the_keys_of_next_hops():
    (said,) = found(r"`nexthops` \(([^)]*)\)", README)
    assert sorted(code(said)) == sorted(config.NEXTHOP_KEYS)


def test_the_example_pillar_shows_every_key():
    data = yaml.safe_load(EXAMPLE)["multihoming"]
    assert config.parse(data)[1] == []
    entries = data["interfaces"].values()
    routes, rules = (
        [item for entry in entries for item in entry.get(key, ())] for key in ("routes", "rules")
    )
    hops = [hop for route in routes for hop in route.get("nexthops", ())]
    for items, known in (
        ([data], config.KEYS),
        (entries, config.INTERFACE_KEYS),
        (routes, config.ROUTE_KEYS),
        (hops, config.NEXTHOP_KEYS),
        (rules, config.RULE_KEYS),
    ):
        assert set().union(*items) == set(known)
    assert any({*entry, "device"} == set(config.INTERFACE_KEYS) for entry in entries)


def test_the_readmes_pillars_are_good():
    pillars = [yaml.safe_load(block) for block in blocks(README, "yaml")]
    pillars = [each["multihoming"] for each in pillars if "multihoming" in each]
    assert len(pillars) > 1
    assert [config.parse(pillar)[1] for pillar in pillars] == [[] for _ in pillars]


def test_the_table_of_distributions_has_backends_and_versions_as_the_code():
    rows = table("distribution", "its network manager", "`backend`", "its iproute2", "Salt")
    backends = {name for row in rows for name in code(row[2])}
    assert backends == {*backend.BACKENDS}
    (needed,) = found(r"iproute2 ([\d.]+) or newer", README)
    assert f"iproute2 {needed}" == kernel.NEEDED
    for row in rows:
        oldest = min(numbers(version) for version in re.findall(r"(?<!\()\d+(?:\.\d+)+", row[3]))
        assert (oldest < numbers(needed)) == ("too old" in row[3]), row
        assert set(code(row[2])) <= {"none"} or "network scripts" in row[1], row


def numbers(version):
    return [*map(int, version.split("."))]


# --- functions and states ---------------------------------------------------------------------


def named(*header):
    """Return what a table of functions names: (name, the arguments written beside it)."""
    spans = [span for cell, _ in table(*header) for span in code(cell)]
    return [(words[0].removeprefix("multihoming."), words[1:]) for words in map(str.split, spans)]


@pytest.mark.parametrize(
    ("header", "known"),
    [(("function", "returns"), EXECUTION), (("function", "declares"), STATES)],
    ids=["execution", "states"],
)
def test_the_tables_have_the_functions(header, known):
    rows = named(*header)
    assert sorted(name for name, _ in rows) == sorted(known)
    for name, written in rows:
        assert [*map(str.lower, written)] in ([], required(known[name])), name


@pytest.mark.parametrize("name", EXECUTION)
def test_a_function_has_an_example_of_its_call(name):
    _, _, example = ast.get_docstring(EXECUTION[name]).partition("CLI Example:\n")
    calls = found(r"^    +(salt.*(?:\\\n.*)*)$", example)
    for call in calls:
        assert re.search(rf" multihoming\.{name}\b", call), call
        assert set(re.findall(r"(?<=\s)(\w+)=", call)) <= set(arguments(EXECUTION[name]))


@pytest.mark.parametrize("name", STATES)
def test_a_state_has_an_example_for_an_sls(name):
    _, _, example = ast.get_docstring(STATES[name]).partition(".. code-block:: yaml\n\n")
    (state,) = yaml.safe_load(textwrap.dedent(example)).values()
    given = set().union(*state[f"multihoming.{name}"])
    assert {"name", *given} >= {*required(STATES[name])}
    assert given <= set(arguments(STATES[name]))


def test_the_readmes_example_for_an_sls_is_good():
    (given,) = (
        set().union(*state["multihoming.interface_present"])
        for block in blocks(README, "yaml")
        for state in yaml.safe_load(block).values()
        if "multihoming.interface_present" in state
    )
    assert given - {"require"} <= set(arguments(STATES["interface_present"]))


@pytest.mark.parametrize("name", ["validate", "desired", "plan", "apply", "diagnose", "diagram"])
def test_functions_take_the_pillars_keys(name):
    own = {"diagram": {"format"}, "validate": {"words"}, "diagnose": {"severity"}}
    assert sorted({*arguments(EXECUTION[name])} - own.get(name, set())) == sorted(config.KEYS)


def test_salt_ssh_hands_the_pillar_to_those_that_read_it():
    known = {*config.KEYS, "format", "severity", "words"}
    wanted = {
        name
        for name, function in EXECUTION.items()
        if arguments(function) and {*arguments(function)} <= known
    }
    wrapped = found(r"^(\w+) = _with_pillar", (ROOT / "_wrapper/multihoming.py").read_text())
    assert sorted(wrapped) == sorted(wanted)


def test_states_take_the_pillars_keys():
    assert sorted(arguments(STATES["managed"])) == sorted(["name", *config.KEYS])
    assert {"name", *config.INTERFACE_KEYS} <= set(arguments(STATES["interface_present"]))


@pytest.mark.parametrize("name", STATES)
def test_states_use_what_they_take(name):
    used = {node.id for node in ast.walk(STATES[name]) if isinstance(node, ast.Name)}
    assert set(arguments(STATES[name])) <= used


# --- findings ---------------------------------------------------------------------------------

ROOMS = {path.stem: ast.parse(path.read_text()) for path in (ROOT / "_utils").glob("*.py")}


def home_of_findings():
    """Return the room that says what a finding is, and the names of a finding's fields."""
    (home,) = (
        (room, [each.target.id for each in node.body if isinstance(each, ast.AnnAssign)])
        for room, tree in ROOMS.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and node.name == "Finding"
        and "remedy" in ast.unparse(node)
    )
    return home


def constructors(tree, home):
    """Return the words by which a module makes a finding."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name == "Finding" and tree is ROOMS[home]:
            yield "Finding"
        elif isinstance(node, ast.ImportFrom) and node.module == home:
            yield from (each.asname or each.name for each in node.names if each.name == "Finding")
        elif isinstance(node, ast.Import):
            names = (each.asname or each.name for each in node.names if each.name == home)
            yield from (f"{name}.Finding" for name in names)


def values(node, scope):
    """Return all that an expression may be: literals, a choice of them, or a name for these."""
    if isinstance(node, ast.Constant):
        return {node.value}
    if isinstance(node, ast.IfExp):
        return values(node.body, scope) | values(node.orelse, scope)
    bound = [*bindings(scope, node.id)] if isinstance(node, ast.Name) else []
    assert bound, f"line {node.lineno}: no literal, so no test can tell what {ast.unparse(node)} is"
    return set().union(*(values(value, scope) for value in bound))


def bindings(scope, name):
    """Yield the expressions that a name stands for within a function."""
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from unpacked(target, node.value, name)
        elif isinstance(node, ast.For) and isinstance(node.iter, ast.Tuple | ast.List):
            for each in node.iter.elts:
                yield from unpacked(node.target, each, name)


def unpacked(target, value, name):
    if isinstance(value, ast.IfExp):
        yield from unpacked(target, value.body, name)
        yield from unpacked(target, value.orelse, name)
    elif isinstance(target, ast.Name) and target.id == name:
        yield value
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for each, part in zip(target.elts, value.elts, strict=True):
            yield from unpacked(each, part, name)


def made():
    """Return id -> severities of the findings that are made anywhere."""
    home, fields = home_of_findings()
    findings = {}
    for tree in ROOMS.values():
        known = {*constructors(tree, home)}
        for scope in tree.body:
            for call in ast.walk(scope):
                if isinstance(call, ast.Call) and ast.unparse(call.func) in known:
                    given = dict(zip(fields, call.args, strict=False))
                    given |= {each.arg: each.value for each in call.keywords}
                    for id_ in values(given["id"], scope):
                        findings.setdefault(id_, set()).update(values(given["severity"], scope))
    return findings


def test_the_table_of_findings_has_those_that_are_made():
    rows = table("id", "what is wrong", "severity")
    ids = [id_ for cell, _, _ in rows for id_ in code(cell)]
    assert len(ids) == len(set(ids))
    said = {id_: set(severity.split(", ")) for cell, _, severity in rows for id_ in code(cell)}
    assert said == made()


# --- rooms ------------------------------------------------------------------------------------


def rows_of_rooms():
    """Return room -> the number of its row; a name counts before a pattern like ``backend_*``."""
    rows = {}
    cells = [code(cell) for cell, _ in table("`_utils/multihoming_...`", "what lives there")]
    for number, spans in enumerate(cells):
        for span in spans:
            assert f"multihoming_{span}" not in rows, f"{span} is there twice"
            rows[f"multihoming_{span}"] = number
    patterns = {name: rows.pop(name) for name in [*rows] if name.endswith("*")}
    for pattern, number in patterns.items():
        more = [room for room in ROOMS if room.startswith(pattern[:-1]) and room not in rows]
        assert more, f"{pattern} is no room's"
        rows |= dict.fromkeys(more, number)
    return rows


def imports(tree):
    """Return the rooms that a module imports, wherever it does so."""
    nodes = [*ast.walk(tree)]
    names = {each.name for node in nodes if isinstance(node, ast.Import) for each in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name for name in names if name.startswith("multihoming")}


def test_the_table_of_rooms_has_those_that_are_there():
    assert sorted(rows_of_rooms()) == sorted(ROOMS)


def test_a_room_imports_only_rooms_above_it():
    rows = rows_of_rooms()
    below = [
        f"{room} imports {other}"
        for room, tree in ROOMS.items()
        for other in imports(tree)
        if rows[other] > rows[room]
    ]
    assert below == []


def test_rooms_do_not_import_each_other_in_a_circle():
    TopologicalSorter({room: imports(tree) - {room} for room, tree in ROOMS.items()}).prepare()


# --- releases ---------------------------------------------------------------------------------


def texts():
    """Yield (path, text) of all files but those that others make, and what was."""
    past = ("CHANGELOG.md", "LICENSE")
    kept = (".ci", ".pre-commit-config.yaml", ".yamllint", ".gitignore")
    for top in ROOT.iterdir():
        if top.name in past or (top.name.startswith(".") and top.name not in kept):
            continue
        for path in top.rglob("*") if top.is_dir() else (top,):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path, path.read_text(errors="replace")


def test_the_version_stands_in_one_place():
    (version,) = found(r'^VERSION = "(.+)"$', (ROOT / VERSION).read_text())
    whole = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
    places = [path for path, text in texts() for _ in whole.finditer(text)]
    assert places == [ROOT / VERSION]


def test_a_release_sets_the_version(tmp_path):
    """By the very command of the Makefile."""
    (command,) = found(r"\$\(if \$\(VERSION\),(sed .*)\)$", MAKEFILE)
    (tmp_path / VERSION).parent.mkdir()
    (tmp_path / VERSION).write_text((ROOT / VERSION).read_text())
    subprocess.run(
        ["sh", "-c", command.replace("$(VERSION)", "12.34.56")], cwd=tmp_path, check=True
    )
    assert found(r'^VERSION = "(.+)"$', (tmp_path / VERSION).read_text()) == ["12.34.56"]


def test_the_newest_release_of_the_changelog_is_the_version():
    (version,) = found(r'^VERSION = "(.+)"$', (ROOT / VERSION).read_text())
    releases = found(r"^## (.+) \(\d{4}-\d\d-\d\d\)$", CHANGELOG)
    assert releases == found(r"^## (\S+)", CHANGELOG)
    assert releases[0] == version
    numbers = [tuple(map(int, release.split("."))) for release in releases]
    assert numbers == sorted(set(numbers), reverse=True)


def test_fragments_of_the_changelog_are_named_for_a_kind_of_change():
    kinds = found(r"^\[tool\.towncrier\.fragment\.(\w+)\]$", PROJECT)
    name = re.compile(rf"\+[\w-]+\.({'|'.join(kinds)})\.md")
    others = {path.name for path in (ROOT / "changelog").iterdir() if not name.fullmatch(path.name)}
    assert others == {"README.md", "template.md"}
    (said,) = found(r"KIND is ([^.]+)\.", (ROOT / "changelog/README.md").read_text())
    assert re.findall(r"`(\w+)`", said) == kinds


# --- checks -----------------------------------------------------------------------------------


def test_pre_commit_runs_what_lint_runs():
    """Locally, with what the virtual environment has."""
    text = (ROOT / ".pre-commit-config.yaml").read_text()
    (targets,) = found(r"^lint: (.*)$", MAKEFILE)
    (repository,) = yaml.safe_load(text)["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert [hook["entry"] for hook in hooks] == [f"make {target}" for target in targets.split()]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert "://" not in text
    files = [str(path.relative_to(ROOT)) for path, _ in texts()]
    for hook in hooks:
        assert any(re.search(hook["files"], path) for path in files), hook["id"]


def test_the_oldest_python_is_the_same_everywhere():
    (oldest,) = found(r'^requires-python = ">=(.*)"$', PROJECT)
    assert found(r'^target-version = "py(.*)"$', PROJECT) == [oldest.replace(".", "")]
    assert found(r'^python_version = "(.*)"$', PROJECT) == [oldest]
    assert found(r"Python (\S+) or newer", README) == [oldest]
    assert found(r'^VERSIONS="(\S+)', (ROOT / "tests/pythons.sh").read_text()) == [oldest]


# --- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "changelog/README.md"])
def test_documents_name_what_is_there(name):
    path = ROOT / name
    text = path.read_text()
    known = {*EXECUTION, *STATES}
    assert {*re.findall(r"(?<![\w/.-])multihoming\.([a-z_]+)", text)} <= known
    written = "\n".join([*code(text), *blocks(text, "sh")])
    assert {*re.findall(r"^make ([a-z-]+)", written, re.MULTILINE)} <= targets()
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link
    for file in re.findall(r"`((?:_\w+|tests|changelog|bench|docs|states)/[\w/.-]*\w)`", text):
        assert (ROOT / file).exists(), file


def targets():
    return {*found(r"^([a-z-]+):", MAKEFILE)}
