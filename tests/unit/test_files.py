"""Files are replaced whole and keep what is theirs; a failure half way leaves no trace."""

from __future__ import annotations

import fcntl
import os
import stat

import multihoming_files as files
import pytest
from multihoming_edit import Edit
from multihoming_errors import FileError


def edit(path, before, after):
    return Edit("files", str(path), before, after)


def write(path, text):
    files.write([edit(path, files.read(str(path)), text)])


def leftovers(folder):
    return [name for name in os.listdir(folder) if name.startswith(".multihoming-")]


@pytest.mark.parametrize(
    "text", ["", "a\n", "no newline", "a\r\nb\r", "größe\n", "\udcff\udc80\n", "a\0b"]
)
def test_text_is_written_and_read_back_with_its_bytes(tmp_path, text):
    path = tmp_path / "file"
    write(path, text)
    assert files.read(str(path)) == text
    assert path.read_bytes() == text.encode(errors="surrogateescape")
    assert leftovers(tmp_path) == []


def test_a_new_file_is_readable_by_all_and_its_folder_made(tmp_path):
    path = tmp_path / "new" / "deep" / "file"
    write(path, "a\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o444])
def test_the_mode_is_kept(tmp_path, mode):
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(mode)
    write(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", mode)


def test_the_owner_is_asked_to_be_kept(tmp_path, monkeypatch):
    asked = []
    path = tmp_path / "file"
    path.write_text("old")
    monkeypatch.setattr(os, "fchown", lambda _, uid, gid: asked.append((uid, gid)))
    write(path, "new")
    assert asked == [(path.stat().st_uid, path.stat().st_gid)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_owner_is_kept(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    try:
        os.chown(path, 1234, 4321)
    except OSError:
        return  # in a user namespace there may be nobody else
    write(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)


def test_extended_attributes_are_kept_where_there_are_any(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    try:
        os.setxattr(path, "user.label", b"kept")
    except OSError:
        return  # not every file system has them
    write(path, "new")
    assert os.getxattr(path, "user.label") == b"kept"


def test_a_symlink_stays_and_its_target_changes(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to("target")
    write(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"


def test_deleting_through_a_symlink_empties_its_target(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    write(link, None)
    assert link.is_symlink()
    assert target.read_text() == ""


def test_deleting_takes_the_file_away_and_twice_is_no_error(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    write(path, None)
    write(path, None)
    assert not path.exists()


def test_readers_see_the_old_or_the_new_text_only(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        write(path, "new and longer")
        assert reader.read() == "old"


# --- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", ["fsync", "replace", "fchown"])
def test_a_write_that_fails_leaves_the_old_text_and_no_temporary_file(
    tmp_path, monkeypatch, function
):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(FileError, match=f"{path}.*No space left"):
        write(path, "new")
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_an_interrupted_write_leaves_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_text("old")

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(path, "new")
    assert path.read_text() == "old"
    assert leftovers(tmp_path) == []


def test_edits_that_are_made_already_are_passed_over(tmp_path):
    done, gone, link = (tmp_path / name for name in ("done", "gone", "link"))
    done.write_text("new")
    (tmp_path / "target").write_text("")
    link.symlink_to("target")
    times = done.stat().st_mtime_ns, done.stat().st_ino
    files.write([edit(done, "old", "new"), edit(gone, "there", None), edit(link, "there", None)])
    assert (done.stat().st_mtime_ns, done.stat().st_ino) == times
    assert link.is_symlink()


@pytest.mark.parametrize("after", ["new", None])
def test_what_somebody_else_wrote_meanwhile_is_left_alone(tmp_path, after):
    path = tmp_path / "file"
    path.write_text("theirs")
    with pytest.raises(FileError, match=f"{path} was changed by somebody else"):
        files.write([edit(path, "old", after)])
    assert path.read_text() == "theirs"
    with pytest.raises(FileError, match="was changed by somebody else"):
        files.write([edit(path, None, "new")])


def test_writing_stops_at_the_first_edit_that_fails(tmp_path):
    (tmp_path / "no-folder").write_text("")
    edits = [
        edit(tmp_path / "first", None, "x"),
        edit(tmp_path / "no-folder" / "file", None, "x"),
        edit(tmp_path / "last", None, "x"),
    ]
    with pytest.raises(FileError, match="no-folder"):
        files.write(edits)
    assert sorted(os.listdir(tmp_path)) == ["first", "no-folder"]


def test_a_writable_place_is_not_refused(tmp_path):
    assert files.refused([str(tmp_path / "new" / "deep" / "file"), str(tmp_path)]) == []


# --- reading --------------------------------------------------------------------------------------


def test_a_missing_file_is_none_and_a_missing_folder_empty(tmp_path):
    assert files.read(str(tmp_path / "none")) is None
    assert files.names(str(tmp_path / "none")) == []


def test_what_can_not_be_read_is_an_error_that_names_it(tmp_path):
    with pytest.raises(FileError, match=f"{tmp_path} can't be read"):
        files.read(str(tmp_path))
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file can't be read"):
        files.names(str(tmp_path / "file"))


def test_a_loop_of_symlinks_is_an_error(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileError, match="loop can't be read"):
        files.read(str(tmp_path / "loop"))


def test_names_are_sorted(tmp_path):
    for name in ("b", "a", "C"):
        (tmp_path / name).write_text("")
    assert files.names(str(tmp_path)) == ["C", "a", "b"]


# --- the lock -------------------------------------------------------------------------------------


def test_the_lock_excludes_others_and_is_given_back(tmp_path, monkeypatch):
    path = str(tmp_path / "lock")
    monkeypatch.setattr(files, "_LOCK_SECONDS", 0)
    with files.lock(path), pytest.raises(FileError, match=f"held {path}"), files.lock(path):
        pytest.fail("two runs at once")
    with files.lock(path):
        pass


def test_the_lock_is_given_back_after_an_error(tmp_path, monkeypatch):
    path = str(tmp_path / "lock")
    monkeypatch.setattr(files, "_LOCK_SECONDS", 0)
    with pytest.raises(RuntimeError), files.lock(path):
        raise RuntimeError
    with files.lock(path):
        pass


def test_the_lock_is_one_that_other_programs_respect(tmp_path):
    path = str(tmp_path / "lock")
    with files.lock(path), open(path) as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_that_can_not_be_made_names_its_path(tmp_path):
    path = str(tmp_path / "none" / "lock")
    with pytest.raises(FileError, match=f"{path}.*root"), files.lock(path):
        pytest.fail("locked nothing")
