"""Variables of files that the shell sources, read as data: nothing in them is ever run.

Pure. A variable has the value that bash gives it by plain assignments, quotes and all; where only a
shell could tell, there is a doubt instead, which names file and line. How bash reads a line:
bash(1), QUOTING and SHELL GRAMMAR.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from multihoming_text import quoted

_NAME = "[A-Za-z_][A-Za-z0-9_]*"
_ASSIGNMENT = re.compile(rf"({_NAME})(\+?)=")
# What a command may set: names with an equals sign, or alone (`read NAME`, `$((NAME++))`).
_SET = re.compile(rf"({_NAME})(?:\[[^]\n]*\])?[-+*/%&|^:<>]*=")
_ALONE = re.compile(rf"(?<![$\w{{])({_NAME})")

_SPECIAL = re.compile(r"\n|<<|&>>?|>>|>[&|]|<[&>]|[<>]|&&|\|[|&]|[;&|()]")
_REDIRECTIONS = ("&>", "&>>", ">>", ">&", ">|", "<&", "<>", "<", ">")
_LITERAL = re.compile(r"[A-Za-z0-9_.,/%+@:=-]+")
# What nearly every line of nearly every file is; nothing in it needs to be found out.
_SIMPLE = re.compile(
    rf"""({_NAME})=(?:"([A-Za-z0-9_.,/%+@:= -]*)"|([A-Za-z0-9_.,/%+@:=-]*))[ \t]*|[ \t]*(?:\#.*)?"""
)
_CLOSED_BY = {"'": "'", '"': '"', "`": "`", "(": ")", "{": "}"}
# Expansions whose end is hard to find.
_TANGLED = re.compile(r"\n|\s#")
# Commands that may set any variable, and those after which nothing that follows is certain.
_SETS_ANY = (
    *(".", "source", "eval", "exec", "command", "builtin", "trap", "export", "unset", "read"),
    *("printf", "let", "getopts", "mapfile", "readarray"),
)
_TURNS = (
    *("if", "then", "elif", "else", "fi", "for", "while", "until", "select", "do", "done"),
    *("case", "esac", "{", "}", "function", "!", "time", "coproc", "return", "exit"),
    *("break", "continue", "set", "shopt", "alias", "enable", "declare", "typeset", "readonly"),
)

_SHELL = "needs a shell to be understood; write the value itself there"
_CARRIAGE_RETURN = (
    "holds a carriage return, which the scripts take for a part of the value; write the file "
    "with plain newlines"
)
_DOUBT = "\0"
# Under this name stands the doubt about every variable.
_ANY = ""


class _Word(NamedTuple):
    """A word as it is written, and what it says: None where only a shell could tell."""

    raw: str
    value: str | None


class _Line(NamedTuple):
    """Commands up to the end of a line; the only token is a bracket when a quote never ends."""

    number: int
    raw: str
    tokens: Sequence[_Word | str]


class _UnclosedError(Exception):
    """A quote or an expansion has no end."""


def assignments(path: str, text: str) -> dict[str, str]:
    """Return the variables that a sourced file sets; ask ``doubt`` before one is used.

    path
        The file's name, for messages.
    """
    if "\0" in text:
        return {_ANY: f"{_DOUBT}{path} holds a NUL byte; write the file anew"}
    lines = [_SIMPLE.fullmatch(line) for line in text.split("\n")]
    if all(lines):
        return {line[1]: line[2] or line[3] or "" for line in lines if line and line[1]}
    values: dict[str, str] = {}
    lost = ""
    for line in _lines(text):
        shown = quoted(line.raw.strip().partition("\n")[0])
        why = f"{_DOUBT}{path} line {line.number}: {shown} "
        plain = None if lost else _plain(line)
        if plain is not None:
            _assign(values, plain, why)
            continue
        why += _SHELL
        hazard = _hazard(line)
        if hazard == "any":
            return {_ANY: why}
        lost = lost or (why if hazard else "")
        values.update(dict.fromkeys(_mentioned(line.raw), lost or why))
    return values


def doubt(values: Mapping[str, str], name: str) -> str | None:
    """Return why a variable's value can't be told, with file and line; None when it can."""
    value = values.get(name, values.get(_ANY, ""))
    return value[1:] if value.startswith(_DOUBT) else None


def sourced_over(first: Mapping[str, str], then: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are set after two files were sourced in turn."""
    return {**({} if _ANY in then else first), **then}


def _assign(values: dict[str, str], plain: Sequence[tuple[str, bool, _Word]], why: str) -> None:
    for name, adds, word in plain:
        before = values.get(name, "") if adds else ""
        if word.value is None or before.startswith(_DOUBT):
            # `${NAME:=1}` and `$((NAME++))` set a variable in passing.
            passing = _mentioned(word.raw) if re.search(r"\$\(\(|\$\[|:?=.*=", word.raw) else ()
            values.update(dict.fromkeys([*passing, name], f"{why}{_SHELL}"))
        elif "\r" in word.value:
            values[name] = f"{why}{_CARRIAGE_RETURN}"
        else:
            values[name] = before + word.value


def _mentioned(raw: str) -> list[str]:
    return [*_SET.findall(raw), *_ALONE.findall(raw)]


def _plain(line: _Line) -> list[tuple[str, bool, _Word]] | None:
    """Return (name, whether it is added to, value) of each assignment; None if there is more."""
    found = []
    fresh = False  # nothing stands between this word and the `;` before it
    exports = False
    for token in line.tokens:
        if isinstance(token, str):
            if token != ";" or not fresh:
                return None
            fresh = exports = False
        elif token.raw == "export" and not fresh:
            fresh = exports = True
        elif exports and re.fullmatch(_NAME, token.raw):
            continue
        else:
            match = _ASSIGNMENT.match(token.raw)
            if not match or _is_tangled(token):
                return None
            value = None if token.value is None else token.value[match.end() :]
            found.append((match[1], bool(match[2]), _Word(token.raw, value)))
            fresh = True
    return found


def _is_tangled(token: _Word) -> bool:
    return token.value is None and bool(_TANGLED.search(token.raw))


def _hazard(line: _Line) -> str:
    """Return what a line's commands may do besides naming variables.

    "any": set any of them. "rest": end the file, or begin what only a shell can follow.
    """
    hazards = set()
    fresh = True  # no word yet since the last operator
    command = True  # the next word is one
    target = False  # the next word is where a redirection goes to
    for token in line.tokens:
        if isinstance(token, str):
            if target or token in ("(", ")", "<<") or (fresh and token not in _REDIRECTIONS):
                hazards.add("rest")
            target = token in _REDIRECTIONS
            fresh, command = (fresh, command) if target else (True, True)
        elif target:
            fresh = target = False
        else:
            if command:
                hazards.add(_command(token))
            fresh = False
            command = command and bool(_ASSIGNMENT.match(token.raw))
    if target or (fresh and line.tokens and line.tokens[-1] not in (";", "&")):
        hazards.add("rest")
    return next((hazard for hazard in ("any", "rest") if hazard in hazards), "")


def _command(word: _Word) -> str:
    if _is_tangled(word) or word.raw in _TURNS or word.value in _TURNS:
        return "rest"
    if word.value in _SETS_ANY or (word.value is None and not _ASSIGNMENT.match(word.raw)):
        return "any"
    return ""


# --- quotes -----------------------------------------------------------------------------------


def _lines(text: str) -> Iterator[_Line]:
    at, number = 0, 1
    while at < len(text):
        start, tokens = at, []
        try:
            while at < len(text):
                token, at = _token(text, at)
                if token == "\n":
                    break
                if token:
                    tokens.append(token)
        except (_UnclosedError, RecursionError):
            yield _Line(number, text[start:], ("(",))
            return
        yield _Line(number, text[start:at], tokens)
        number += text.count("\n", start, at)


def _token(text: str, at: int) -> tuple[_Word | str, int]:
    """Return what begins at a place, and where it ends; an empty string for what says nothing."""
    if text[at] in " \t":
        return "", at + 1
    if text.startswith("\\\n", at):
        return "", at + 2
    if text[at] == "#":
        end = text.find("\n", at)
        return "", end if end >= 0 else len(text)
    if special := _SPECIAL.match(text, at):
        return special[0], special.end()
    return _word(text, at)


def _word(text: str, at: int) -> tuple[_Word, int]:
    raw, said = "", ""
    known = True
    while at < len(text) and text[at] not in " \t" and not _SPECIAL.match(text, at):
        if text.startswith("\\\n", at):
            at += 2
            continue
        part, end = _part(text, at, raw)
        known = known and part is not None
        raw += text[at:end]
        said += part or ""
        at = end
    return _Word(raw, said if known else None), at


def _part(text: str, at: int, before: str) -> tuple[str | None, int]:
    """Return what a literal, quoted or expanded part of a word says, and where it ends."""
    if literal := _LITERAL.match(text, at):
        return literal[0], literal.end()
    char, following = text[at], text[at + 1 : at + 2]
    if char == "\\":
        return following or char, at + 2
    if char in "'\"`":
        end = _end(text, at)
        inside = text[at + 1 : end - 1]
        return {"'": inside, '"': _double_quoted(inside), "`": None}[char], end
    if char == "$":
        return None, _end(text, at + 1) if following and following in "({'\"" else at + 1
    expands = char == "{" or (char == "~" and before[-1:] in ("", "=", ":"))
    return None if expands else char, at + 1


def _double_quoted(text: str) -> str | None:
    if re.search(r"(?<!\\)(?:\\\\)*[$`]", text):
        return None
    return re.sub(r'\\([$`"\\])|\\\n', r"\1", text)


def _end(text: str, at: int) -> int:
    """Return where the quote or bracket that opens at a place ends."""
    opener = text[at]
    closer = _CLOSED_BY[opener]
    at += 1
    while text[at : at + 1] != closer:
        char = text[at : at + 1]
        if not char:
            raise _UnclosedError
        if char == "\\" and opener != "'":
            at += 2  # what is escaped ends nothing, but in single quotes there is no escape
        elif opener in "'`":
            at += 1  # and nothing else begins in them; within backquotes nothing is looked at
        # Double quotes let expansions begin, which have ends of their own, quotes within and all.
        elif char == "$" and text[at + 1 : at + 2] in ("(", "{"):
            at = _end(text, at + 1)
        # Between brackets quotes count again; braces don't nest, parentheses do.
        elif char == "`" or (opener != '"' and char in "'\"") or char == opener == "(":
            at = _end(text, at)
        else:
            at += 1
    return at + 1
