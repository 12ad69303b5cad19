r"""Texts of the outside: bytes come in, go out again as they were, and are shown to people.

Pure. Files, their names, and what ``ip`` prints are UTF-8, whatever the locale says. A byte that is
none stands in a text as a surrogate (PEP 383), and is that byte again when the text goes out. No
encoding knows surrogates, so that what leaves this package for people (results, errors, the log)
shows them: ``caf\xe9``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

ENCODING, ERRORS = "utf-8", "surrogateescape"
# An escape of repr(): that of a byte, else any, so that a backslash of the text's own is passed.
_ESCAPE = re.compile(r"\\(?:udc([89a-f][0-9a-f])|.)")


def read(raw: bytes) -> str:
    """Return bytes as text."""
    return raw.decode(ENCODING, ERRORS)


def raw(text: str) -> bytes:
    """Return the bytes that ``read`` made a text of."""
    return text.encode(ENCODING, ERRORS)


def of_locale(text: str) -> str:
    """Return as text what Python has read by the locale's encoding, as it does names."""
    return read(os.fsencode(text))


def for_locale(text: str) -> str:
    """Return a text as Python writes it by the locale's encoding."""
    return os.fsdecode(raw(text))


def lines(text: str) -> list[str]:
    """Return the lines of a text with their newlines; nothing else ends one for ``ip`` and bash."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def shown(text: str) -> str:
    r"""Return a text for people: a byte that is no UTF-8 as ``\xe9``."""
    if text.isascii():
        return text
    try:
        return raw(text).decode(ENCODING, "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte, as YAML can write it
        return text.encode(ENCODING, "backslashreplace").decode(ENCODING)


def all_shown(value: Any) -> Any:
    """Return a result for people: plain data, keys included."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, dict):
        return {all_shown(key): all_shown(each) for key, each in value.items()}
    if isinstance(value, list):
        return [all_shown(each) for each in value]
    return value


def quoted(value: Any, quote: Callable[[Any], str] = repr) -> str:
    r"""Return a value as ``repr`` writes it, but for bytes, which are shown as ``\xe9``."""
    return _ESCAPE.sub(lambda found: f"\\x{found[1]}" if found[1] else found[0], quote(value))
