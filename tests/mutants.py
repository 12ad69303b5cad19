"""Which small mistakes in the pure rooms do the unit tests not notice?

``make mutants`` makes random mutants of ``_utils``, evenly over the functions, and runs
``tests/unit`` against each, on a copy of the tree. The same seed gives the same mutants.
"""

import argparse
import ast
import copy
import itertools
import os
import random
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter, namedtuple
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[1]
ROOMS = tuple(
    """
    backend config default_gateway desired diagnose diagnose_files diagram edit export finding ifcfg
    iproute2 model network_scripts_checks plan reply_path rt_tables rules shell survey values work
    """.split()
)
MEMORY = 4 << 30  # a mutant that collects for ever ends here, before the machine suffers

NOT_RUN = {"annotation", "returns", "decorator_list"}
PAIRS = (
    "Eq NotEq,Lt LtE,Gt GtE,Is IsNot,In NotIn,And Or,Add Sub,Mult FloorDiv,BitOr BitAnd,"
    "LShift RShift,Break Continue,any all,min max"
)
SWAPPED = {a: b for pair in PAIRS.split(",") for a, b in itertools.permutations(pair.split())}
PARTS = {"BinOp": ("left", "right"), "UnaryOp": ("operand",), "IfExp": ("body", "orelse")}
LISTS = {
    **dict.fromkeys(("Tuple", "List", "Set"), ("elts",)),
    **dict.fromkeys(("BoolOp", "JoinedStr"), ("values",)),
    **{"Dict": ("keys", "values"), "Call": ("keywords",), "comprehension": ("ifs",)},
}
NEGATED = {"If", "While", "IfExp"}
DROPPED = {"Expr", "Assign", "AugAssign", "Raise", "Return", "If", "For", "While", "Continue"}
CLEARED = {"Slice": (("lower", None), ("upper", None)), "If": (("orelse", []),)}
EMPTY = {"bool": (True, False), "int": (0,), "str": ("",), "list": ([],), "tuple": ((),)}

Site = namedtuple("Site", "kind line owner field place new")
Mutant = namedtuple("Mutant", "room line source difference")


def _with(node, **fields):
    made = copy.copy(node)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def _mistakes(node, function):
    """Yield other nodes that may stand in a node's place."""
    kind = type(node).__name__
    if kind in SWAPPED:
        yield getattr(ast, SWAPPED[kind])()
    if kind in NEGATED:
        yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    # A name that is never set fails wherever its line is run: that would say nothing.
    sets_name = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name | ast.Tuple)
    if kind in DROPPED and function and not sets_name:
        yield ast.Pass()
    yield from (getattr(node, name) for name in PARTS.get(kind, ()))
    yield from (_with(node, **{name: value}) for name, value in CLEARED.get(kind, ()))
    yield from _an_item_less(node, LISTS.get(kind, ()))
    yield from _other_values(node, function)


def _an_item_less(node, names):
    """Yield a node without one item of its lists, which have the same length."""
    length = len(getattr(node, names[0])) if names else 0
    for place in range(0 if isinstance(getattr(node, "ctx", None), ast.Store) else length):
        lists = {name: list(getattr(node, name)) for name in names}
        for items in lists.values():
            del items[place]
        yield _with(node, **lists)


def _other_values(node, function):
    match node:
        case ast.Constant(value=None | bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
        case ast.Constant(value=str()):
            yield from (ast.Constant(""), ast.Constant(node.value + "x"))
        case ast.Name(id=name) if name in SWAPPED:
            yield _with(node, id=SWAPPED[name])
        case ast.Return(value=ast.AST()):
            kind = ast.unparse(function.returns).partition("[")[0] if function.returns else ""
            for value in (*EMPTY.get(kind, ()), None):
                yield _with(node, value=ast.parse(repr(value), mode="eval").body)


def _is_passive(node):
    """Tell whether a node is a docstring or names a type, as in ``This = dict[str, int]``."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return bool(re.match("_?[A-Z][a-z]", node.targets[0].id))
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _sites(parent, function=None):
    """Yield the sites of mistakes in a function, or outside of all."""
    for field, value in ast.iter_fields(parent):
        for place, node in enumerate(value if isinstance(value, list) else [value]):
            if field in NOT_RUN or not isinstance(node, ast.AST) or _is_passive(node):
                continue
            if function or not isinstance(node, ast.FunctionDef):
                line = getattr(node, "lineno", getattr(parent, "lineno", 0))
                for new in _mistakes(node, function):
                    yield Site(type(node), line, parent, field, place, new)
                yield from _sites(node, function)


def _functions(tree):
    """Return the sites of each function, and of what stands outside of functions."""
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef))]
    functions = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]
    return [list(_sites(tree)), *(list(_sites(function, function)) for function in functions)]


def _mutated(tree, site):
    """Return the source with a mistake, and leave the tree as it was."""
    old, new = getattr(site.owner, site.field), site.new
    if isinstance(old, list):
        new = [*old[: site.place], new, *old[site.place + 1 :]]
    setattr(site.owner, site.field, new)
    try:
        return ast.unparse(tree)
    finally:
        setattr(site.owner, site.field, old)


def _compiled(code):
    """Return what a source does; docstrings and asserts, which tell mypy a type, don't count."""
    if isinstance(code, str):
        code = compile(code, "mutant", "exec", optimize=2)
    constants = [_compiled(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_flags, constants


def _shared(one, two):
    """Return how many items two lists begin with in common."""
    pairs = enumerate(zip(one, two, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(two)))


def _difference(old, new):
    """Return a line with what goes as ``[-this-]`` and what comes as ``{+that+}``."""
    old, new = (re.findall(r"\w+|\s+|[=!<>+-]=|[^\w\s]", text) for text in (old, new))
    start = _shared(old, new)
    end = _shared(old[start:][::-1], new[start:][::-1])
    gone, come = (" ".join("".join(ws[start : len(ws) - end]).split())[:80] for ws in (old, new))
    before = "".join(old[:start]).rpartition("\n")[2].lstrip()[-50:]
    after = "".join(old[len(old) - end :]).partition("\n")[0][:30]
    return f"{before}[-{gone}-]{{+{come}+}}{after}"


def _one(rng, room, tree, sites, seen):
    """Return a mutant that does what none has done, None if there is none; use its sites up."""
    rng.shuffle(sites)
    # Each kind of node is as likely to come first, however many there are of it.
    ranks = {kind: rng.random() for kind in dict.fromkeys(site.kind for site in sites)}
    sites.sort(key=lambda site: ranks[site.kind])
    while sites:
        site = sites.pop()
        try:
            source = _mutated(tree, site)
            does = _compiled(source)
        except (SyntaxError, ValueError):  # before 3.12, a backslash in an f-string's expression
            continue
        if does not in seen:
            seen.append(does)
            return Mutant(room, site.line, source, _difference(ast.unparse(tree), source))
    return None


def mutants(trees, count, seed):
    """Return mutants of room -> tree, no function twice before each had its turn."""
    rng, found = random.Random(seed), []
    seen = {room: [_compiled(ast.unparse(tree))] for room, tree in trees.items()}
    left = [(room, sites) for room, tree in trees.items() for sites in _functions(tree)]
    while left and len(found) < count:
        rng.shuffle(left)
        made = (_one(rng, room, trees[room], sites, seen[room]) for room, sites in left)
        found += itertools.islice(filter(None, made), count - len(found))
        left = [(room, sites) for room, sites in left if sites]
    return found


def _tests(project, room):
    """Return the unit tests, those first that import the room."""
    imports = re.compile(rf"^(import|from) multihoming_{room}\b", re.MULTILINE)
    files = sorted((project / "tests/unit").glob("test_*.py"))
    files.sort(key=lambda file: file.name != f"test_{room}.py")
    return sorted(files, key=lambda file: not imports.search(file.read_text()))


def _failure(project, tests, sources, patience=None):
    """Return what failing tests say with room -> source in front of the import path, or ""."""
    with tempfile.TemporaryDirectory(dir=project.parent) as folder:
        for room, source in sources.items():
            Path(folder, f"multihoming_{room}.py").write_text(source)
        # This replaces what pyproject.toml says, so it says it again.
        path = f"pythonpath={shlex.quote(folder)} _utils tests/lab"
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-o", path]
        try:
            done = subprocess.run(
                [*command, *tests],
                cwd=project,
                env={**os.environ, "TMPDIR": folder},
                capture_output=True,
                text=True,
                timeout=patience,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "too slow"
    return f"{done.stdout}{done.stderr}" if done.returncode else ""


def measure(project, rooms, count, seed):
    """Run the tests against mutants, print those that survive, and how many."""
    texts = {room: (project / f"_utils/multihoming_{room}.py").read_text() for room in rooms}
    trees = {room: ast.parse(text) for room, text in texts.items()}
    began = time.monotonic()
    clean = {room: ast.unparse(tree) for room, tree in trees.items()}
    if failure := _failure(project, _tests(project, rooms[0]), clean):
        sys.exit(f"{failure}\nThe unit tests fail without a mutant, so nothing can be told")
    patience = 5 * (time.monotonic() - began)
    made, survived = Counter(), Counter()
    for room, line, source, difference in mutants(trees, count, seed):
        made.update((room, "all"))
        if not _failure(project, _tests(project, room), {room: source}, patience):
            survived.update((room, "all"))
            print(f"_utils/multihoming_{room}.py:{line}: {difference}", flush=True)
    print(f"\n{'room':16}   made survived")
    for room in (*rooms, "all"):
        print(f"{room:16} {made[room]:6} {survived[room]:8}")
    print(f"{(time.monotonic() - began) / 60:.0f} min")


def main():
    """Measure a copy of the tree: it may be edited meanwhile, and nothing is left in it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("rooms", nargs="*", metavar="room", help=" ".join(ROOMS))
    options = parser.parse_args()
    if unknown := set(options.rooms).difference(ROOMS):
        parser.error(f"no pure room: {' '.join(sorted(unknown))}; there are {' '.join(ROOMS)}")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # and clean up
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        project = Path(folder, "project")
        shutil.copytree(
            ROOT,
            project,
            ignore=shutil.ignore_patterns(
                ".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__"
            ),
        )
        measure(project, options.rooms or ROOMS, options.count, options.seed)


if __name__ == "__main__":
    main()
