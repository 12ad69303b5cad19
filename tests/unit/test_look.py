"""Reading rt_tables from all the places where iproute2 looks."""

import multihoming_look as look
import multihoming_rt_tables as rt_tables
import pytest


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Empty folders for those of iproute2; return (etc, share, lib)."""
    etc, share, lib = (tmp_path / name for name in ("etc", "share", "lib"))
    for folder in (etc, share, lib):
        folder.mkdir()
    monkeypatch.setattr(rt_tables, "ETC", str(etc / "rt_tables"))
    monkeypatch.setattr(rt_tables, "DROP_INS", str(etc / "rt_tables.d"))
    defaults = (str(share / "rt_tables"), str(lib / "rt_tables"))
    monkeypatch.setattr(rt_tables, "DEFAULTS", defaults)
    monkeypatch.setattr(rt_tables, "SHIPPED", tuple(f"{path}.d" for path in defaults))
    return etc, share, lib


def write(folder, name, text):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_names_that_the_distribution_ships_are_known(places):
    etc, share, lib = places
    write(etc, "rt_tables", "254 main\n")
    write(share, "rt_tables.d/vendor.conf", "301 vendor\n")
    write(lib, "rt_tables.d/other.conf", "302 other\n")
    write(share, "rt_tables.d/README", "this is no table\n")
    found = look.read_tables()
    assert (found.ids["vendor"], found.ids["other"]) == (301, 302)
    assert found.owned == {}


def test_a_file_in_etc_goes_in_place_of_the_shipped_one(places):
    etc, share, _ = places
    write(etc, "rt_tables", "254 main\n")
    write(etc, "rt_tables.d/vendor.conf", "303 changed\n")
    write(share, "rt_tables.d/vendor.conf", "301 vendor\n")
    found = look.read_tables()
    assert found.ids["changed"] == 303
    assert "vendor" not in found.ids


def test_a_dangling_link_in_etc_hides_the_shipped_file(places):
    etc, share, _ = places
    write(etc, "rt_tables.d/x.conf", "")
    (etc / "rt_tables.d" / "vendor.conf").symlink_to("/dev/null")
    write(share, "rt_tables.d/vendor.conf", "301 vendor\n")
    assert "vendor" not in look.read_tables().ids


@pytest.mark.parametrize("wanted", [{"vendor": 999}, {"mine": 301}])
def test_a_conflict_with_a_shipped_name_names_file_and_line(places, wanted):
    etc, share, _ = places
    write(etc, "rt_tables", "254 main\n")
    write(share, "rt_tables.d/vendor.conf", "# ours\n301 vendor\n")
    (error,) = rt_tables.conflicts(look.read_tables(), wanted)
    assert f"{share}/rt_tables.d/vendor.conf line 2" in error
    assert "`vendor: 301`" in error


def test_defaults_below_usr_count_where_there_are_none_in_etc(places):
    _, share, _ = places
    write(share, "rt_tables", "300 default_of_share\n")
    write(share, "rt_tables.d/vendor.conf", "301 vendor\n")
    assert {"default_of_share", "vendor"} <= look.read_tables().ids.keys()
