"""The pictures of the README are those that the tool draws today."""

import re
from xml.etree import ElementTree

import multihoming_diagram as diagram
import pictures
import pytest

README = pictures.DOCS.parent / "README.md"


@pytest.fixture(scope="module")
def today():
    return pictures.pictures()


def labels(svg):
    """Return what is to be read; where it stands depends on the version of dot."""
    root = ElementTree.fromstring(svg)
    texts = root.iter("{http://www.w3.org/2000/svg}text")
    return sorted(element.text.strip() for element in texts)


@pytest.mark.parametrize("name", ["before", "after"])
def test_the_readme_shows_the_picture_that_is_drawn_today(today, name):
    shown = (pictures.DOCS / f"{name}.svg").read_text(encoding="utf-8")
    assert labels(shown) == labels(diagram.draw(today[name], "svg")), "run make pictures"
    assert f"(docs/{name}.svg)" in README.read_text(encoding="utf-8")


def test_the_readme_shows_the_text_that_is_drawn_today(today):
    text = diagram.draw(today["before"])
    # As Salt indents it.
    indented = re.sub("^(?=.)", "    ", text, flags=re.M)
    assert indented in README.read_text(encoding="utf-8"), text


def test_the_pictures_show_what_is_wrong_before_and_right_after(today):
    assert not [reply for reply in today["after"].replies if not reply.good]
    assert not today["after"].findings
    assert [reply.arrives for reply in today["before"].replies if not reply.good] == ["eth1"]
