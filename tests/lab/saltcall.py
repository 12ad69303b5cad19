"""The real salt-call, masterless, on a host of the lab."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT = 300
_LONGEST_TEXT = 14


class SaltError(Exception):
    """salt-call gave no state results; says what it gave instead."""


@dataclass(frozen=True)
class StateResult:
    """What one state returned."""

    function: str
    id: str
    result: bool | None
    comment: str
    changes: dict

    def __str__(self):
        """Return the result as a few readable lines."""
        word = {True: "ok", None: "would change", False: "FAILED"}[self.result]
        if self.result and self.changes:
            word = "changed"
        lines = [f"{word}: {self.function} ({self.id})"]
        lines += [f"    {line}" for line in self.comment.strip().splitlines()[:_LONGEST_TEXT]]
        return "\n".join(lines + [f"      {line}" for line in _outline(self.changes)])


def _outline(value):
    """Return nested changes as a few indented lines, without what is empty."""
    if isinstance(value, dict) and value and set(value) <= {"old", "new"}:
        return _replacement(_outline(value.get("old")), _outline(value.get("new")))
    if isinstance(value, dict):
        return [line for key, item in value.items() for line in _entry(f"{key}:", _outline(item))]
    if isinstance(value, list):
        return [line for item in value for line in _entry("-", _outline(item))]
    lines = [] if value is None else str(value).splitlines()
    more = len(lines) - _LONGEST_TEXT
    return lines if more <= 0 else [*lines[:_LONGEST_TEXT], f"... {more} more lines"]


def _replacement(old, new):
    if len(old) == len(new) == 1:
        return [f"{old[0]} -> {new[0]}"]
    if not old:
        return new
    return [*(f"< {line}" for line in old), *(f"> {line}" for line in new)]


def _entry(key, lines):
    if len(lines) <= 1:
        return [f"{key} {line}" for line in lines]
    return [key, *(f"  {line}" for line in lines)]


class SaltCall:
    """A masterless minion with a configuration, cache and pillar of its own in ``directory``."""

    def __init__(self, host, directory, pillar):
        self._host = host
        self._directory = Path(directory)
        self._program = Path(sys.executable).with_name("salt-call")
        if not self._program.exists():
            raise SaltError(f"there is no salt-call beside {sys.executable}: install Salt there")
        self._write("conf/minion", json.dumps(self._configuration(), indent=1))
        self._write("pillar/top.sls", "base:\n  '*':\n    - multihoming\n")
        self._write("pillar/multihoming.sls", pillar)
        self._write("tmp/.keep", "")

    def _write(self, name, text):
        path = self._directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def _configuration(self):
        return {
            "id": "server",
            "file_client": "local",
            "file_roots": {"base": [str(ROOT), str(ROOT / "states")]},
            "pillar_roots": {"base": [str(self._directory / "pillar")]},
            "root_dir": str(self._directory / "root"),
            "cachedir": str(self._directory / "cache"),
            # Both look far afield, and the lab has neither graphics nor name servers.
            "enable_gpu_grains": False,
            "enable_fqdns_grains": False,
        }

    def call(self, function, *args):
        """Run a function on the minion and return what it returns."""
        options = ("--local", "--log-level=error", "--out=json", "--out-indent=-1")
        done = self._host.run(
            self._program,
            f"--config-dir={self._directory / 'conf'}",
            *options,
            function,
            *args,
            check=False,
            timeout=_TIMEOUT,
            env={**os.environ, "TMPDIR": str(self._directory / "tmp")},
        )
        try:
            return json.loads(done.stdout)["local"]
        except (ValueError, KeyError, TypeError) as err:
            raise SaltError(f"salt-call {function}: {done.stdout}{done.stderr}".strip()) from err

    def apply(self, *args):
        """Apply the multihoming states and return their results in order."""
        returned = self.call("state.apply", "multihoming", *args)
        if not isinstance(returned, dict):
            raise SaltError("state.apply multihoming: " + "\n".join(map(str, returned)))
        ordered = sorted(returned.items(), key=lambda item: item[1]["__run_num__"])
        return [_state_result(key, state) for key, state in ordered]


def _state_result(key, state):
    module, _id, _name, function = key.split("_|-")
    return StateResult(
        f"{module}.{function}",
        state.get("__id__", _id),
        state["result"],
        state["comment"] if isinstance(state["comment"], str) else "\n".join(state["comment"]),
        state["changes"],
    )
