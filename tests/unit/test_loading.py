"""Rooms as Salt's loader executes them: under a name of its own, not in ``sys.modules`` yet."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOMS = sorted((Path(__file__).parents[2] / "_utils").glob("*.py"))


@pytest.mark.parametrize("path", ROOMS, ids=lambda path: path.stem)
def test_a_room_loads_under_any_name(path):
    name = f"loaded.under.any.name.{path.stem}"
    assert name not in sys.modules
    spec = importlib.util.spec_from_file_location(name, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
