"""Bytes of the outside: the same when they go out again, and shown as text to people."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import multihoming_errors as errors
import multihoming_text as text
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOMS = Path(__file__).parents[2] / "_utils"
TEXTS = st.binary().map(text.read)
# What YAML can write as well: any surrogate.
ANY = TEXTS | st.text(
    st.characters(codec="utf-16", categories=None) | st.sampled_from("\ud83d\udc00")
)
SHOWN = [
    (b"", ""),
    (b"eth1", "eth1"),
    (b"# caf\xe9", "# caf\\xe9"),
    ("größe".encode(), "größe"),
    (b"gr\xc3\xb6\xdfe", "größe".replace("ß", "\\xdf")),
    (b"\xc3", "\\xc3"),
    (b"\xed\xa0\xbd", "\\xed\\xa0\\xbd"),
    (b"caf\\xe9", "caf\\xe9"),
    (b"\0\x1b", "\0\x1b"),
]


@given(st.binary())
def test_bytes_are_the_same_when_they_go_out_again(raw):
    assert text.raw(text.read(raw)) == raw


@pytest.mark.parametrize(("raw", "shown"), SHOWN)
def test_what_is_no_text_is_shown_with_escapes(raw, shown):
    assert text.shown(text.read(raw)) == shown


@given(ANY)
def test_what_is_shown_is_text_and_stays_so(any_text):
    shown = text.shown(any_text)
    shown.encode()
    assert text.shown(shown) == shown
    text.quoted(any_text).encode()


def test_bytes_that_were_read_one_by_one_are_the_text_that_they_are():
    """As ASCII gives them, which is what Python reads names by in the locale POSIX."""
    assert text.shown("größe".encode().decode("ascii", "surrogateescape")) == "größe"


def test_surrogates_that_stand_for_no_byte_are_shown_by_their_number():
    assert text.shown("a\ud83d é") == "a\\ud83d é"


def test_a_whole_result_is_shown():
    result = {"\udce9": ["\udce8", {"a": "b\udce9"}, None, 7, True], "c": {}}
    assert text.all_shown(result) == {"\\xe9": ["\\xe8", {"a": "b\\xe9"}, None, 7, True], "c": {}}


def test_bytes_are_quoted_like_others():
    assert text.quoted("caf\udce9 'x'\n\\udce9") == "\"caf\\xe9 'x'\\n\\\\udce9\""
    assert text.quoted(["\udcff\\\udc80"]) == "['\\xff\\\\\\x80']"
    assert text.quoted("größe") == "'größe'"


@given(TEXTS)
def test_only_a_newline_ends_a_line(any_text):
    lines = text.lines(any_text)
    assert "".join(lines) == any_text
    assert [line.removesuffix("\n") for line in lines] == (
        any_text.removesuffix("\n").split("\n") if any_text else []
    )


@pytest.mark.parametrize("kind", [errors.FileError, errors.ContentError, errors.KernelError])
def test_errors_can_be_printed(kind):
    assert str(kind("/etc/caf\udce9 can't be read")) == "/etc/caf\\xe9 can't be read"
    error = errors.HostError(["caf\udce9", "größe"])
    assert (str(error), error.errors) == ("caf\\xe9\ngröße", ["caf\\xe9", "größe"])


# What a folder is read, and written, by a Python that reads names by another encoding.
FILES = """\
import json, sys
import multihoming_files as files
import multihoming_text as text
from multihoming_edit import Edit
folder = sys.argv[1]
names = files.names(folder)
for name in names:
    path = f"{folder}/{name}"
    before = files.read(path)
    files.write([Edit("files", path, before, before + name), Edit("files", path + "2", None, name)])
    assert files.exists(path) and files.exists(path + "2") and not files.exists(path + "3")
    assert files.refused([path + "3/a"]) == []
    files.write([Edit("files", path + "2", name, None)])
local = [text.of_locale(name) for name in __import__("os").listdir(folder)]
print(json.dumps([names, sorted(local)]))
"""


@pytest.mark.parametrize("utf8_mode", ["0", "1"])
def test_names_of_files_are_utf_8_whatever_the_locale(tmp_path, utf8_mode):
    names = [b"caf\xe9", "größe".encode(), b"plain"]
    folder = bytes(tmp_path)
    for name in names:
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"\xe9 ")
    environment = {"LC_ALL": "POSIX", "PYTHONUTF8": utf8_mode, "PYTHONPATH": str(ROOMS)}
    command = [sys.executable, "-c", FILES, tmp_path]
    done = subprocess.run(command, env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == [sorted(map(text.read, names))] * 2
    held = {bytes(path): path.read_bytes() for path in tmp_path.iterdir()}
    assert held == {folder + b"/" + name: b"\xe9 " + name for name in names}
