"""The documents say what the code does: tables, examples, versions, names, in both directions."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROJECT = (ROOT / "pyproject.toml").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


def found(pattern, text):
    """Return what a pattern's group is in each of its matches, which there have to be."""
    matches = re.findall(pattern, text, re.MULTILINE)
    assert matches, f"nothing like {pattern}"
    return matches


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
    (version,) = found(r'^version = "(.+)"$', PROJECT)
    whole = re.compile(rf"(?<![\d.]){re.escape(version)}(?![\d.])")
    places = [path.name for path, text in texts() for _ in whole.finditer(text)]
    assert places == ["pyproject.toml"]


def test_the_newest_release_of_the_changelog_is_the_version():
    (version,) = found(r'^version = "(.+)"$', PROJECT)
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
    (targets,) = found(r"^lint: (.*)$", (ROOT / "Makefile").read_text())
    (repository,) = yaml.safe_load(text)["repos"]
    assert repository["repo"] == "local"
    hooks = repository["hooks"]
    assert [hook["entry"] for hook in hooks] == [f"make {target}" for target in targets.split()]
    assert {hook["language"] for hook in hooks} == {"system"}
    assert "://" not in text
    files = [str(path.relative_to(ROOT)) for path, _ in texts()]
    for hook in hooks:
        assert any(re.search(hook["files"], path) for path in files), hook["id"]
