"""What README.md prints, as it stands there: files, commands and pieces of pillar."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text()


def blocks(language, text=TEXT):
    """Return the blocks of code in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def section(title):
    """Return the text below a title, up to the next one."""
    (found,) = re.findall(rf"^#+ {title}\n(.*?)(?=^##|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    return found


def files(path):
    """Return the text of each file with this path: its first line is a comment that names it."""
    return [block for block in blocks("yaml") if block.startswith(f"# {path}\n")]


def commands(title):
    """Return the lines of the blocks of shell in a section, without their comments."""
    lines = "".join(blocks("sh", section(title))).splitlines()
    return [line.partition("  #")[0].strip() for line in lines]
