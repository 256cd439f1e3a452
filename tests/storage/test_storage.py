"""Code goes into storage whole, once, under its digest, readable by its owner; it comes back or says why."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_flows.errors import StorageUnavailable, UnknownKind
from jupyter_flows.schema.refs import StorageRef
from jupyter_flows.storage import Local, Notebook, storage_from_ref
from jupyter_flows.storage import base as storage_base
from jupyter_flows.storage.base import slug


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask():
    """A user whose umask hides nothing."""
    before = os.umask(0)
    yield
    os.umask(before)


# -- writing --------------------------------------------------------------------------------------


def test_the_name_of_a_file_is_its_digest(tmp_path):
    """Bytes are found under the beginning of their SHA-256, which the reference pins in full."""
    ref = Local(directory=str(tmp_path)).put_pickle(b"code", flow_name="etl")
    digest = hashlib.sha256(b"code").hexdigest()
    assert digest == ref.sha256
    assert Path(ref.location) == tmp_path / "etl" / f"{digest[:16]}.pickle"
    assert Path(ref.location).read_bytes() == b"code"
    assert ref.size_bytes == 4


def test_the_same_bytes_are_kept_once(tmp_path):
    store = Local(directory=str(tmp_path))
    first, second = store.put_pickle(b"a", flow_name="etl"), store.put_pickle(b"a", flow_name="etl")
    store.put_pickle(b"b", flow_name="etl")
    assert first == second
    assert 2 == len(files(tmp_path))


def test_only_the_owner_can_read_whatever_the_umask(tmp_path, open_umask):
    """Directories that storage makes are 0700, files 0600, also those above the flow's own."""
    root = tmp_path / "a" / "b" / "storage"
    ref = Local(directory=str(root)).put_pickle(b"code", flow_name="etl")
    fetched = Local().fetch(ref, tmp_path)
    assert 0o600 == mode(Path(ref.location)) == mode(fetched)
    assert [0o700] * 4 == [mode(path) for path in (root.parents[1], root.parent, root, root / "etl")]


def test_a_file_damaged_in_place_is_written_anew(tmp_path):
    """A file that does not hold what its name says is not trusted, though it is there."""
    store = Local(directory=str(tmp_path))
    ref = store.put_pickle(b"code", flow_name="etl")
    Path(ref.location).write_bytes(b"half")
    assert ref == store.put_pickle(b"code", flow_name="etl")
    assert b"code" == Path(ref.location).read_bytes()


def test_what_reads_back_different_is_refused(tmp_path, monkeypatch):
    """A disk that loses bytes is told at registering, not at the first run."""
    monkeypatch.setattr(storage_base, "_write_whole", lambda path, data: path.write_bytes(data[:-1]))
    with pytest.raises(StorageUnavailable, match="reads back different"):
        Local(directory=str(tmp_path)).put_pickle(b"code", flow_name="etl")


def test_a_failed_write_leaves_no_file(tmp_path, monkeypatch):
    """The disk is full: one sentence, and no piece of a file."""

    def full(_handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailable, match="cannot be written: No space left on device"):
        Local(directory=str(tmp_path)).put_pickle(b"code", flow_name="etl")
    assert [] == files(tmp_path)


def test_writers_at_once_never_show_half_a_file(tmp_path):
    """Eight writers of one content: whoever looks sees all of it."""
    data = os.urandom(300_000)
    refs = []
    threads = [
        threading.Thread(
            target=lambda: refs.append(Local(directory=str(tmp_path)).put_pickle(data, flow_name="etl"))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 8 == len(refs)
    assert 1 == len(set(refs_text(refs)))
    assert 1 == len(files(tmp_path))


def refs_text(refs: list[StorageRef]) -> list[str]:
    return [repr(ref) for ref in refs]


# -- names are data -----------------------------------------------------------------------------------


@given(st.text(max_size=400) | st.from_regex(r"(\.\./|/|\\|\x00|a){1,40}", fullmatch=True))
@example("../../etc/passwd")
@example("/etc/passwd")
@example("a\0b")
@example("..")
@example(".")
@example("")
@example("x" * 300)
@example("🦆" * 50)
@example("con.")
@example("~root")
def test_no_name_leaves_the_directory(name):
    """Whatever a flow is called, its file lies two levels below the storage's directory."""
    made = slug(name)
    assert made not in {"", ".", ".."}
    assert not set(made) & set("/\\\0~")
    assert len(os.fsencode(made)) <= 64
    assert made == Path(made).name


def test_a_name_of_many_characters_can_be_written(tmp_path):
    for name in ("x" * 300, "🦆" * 300, "../../../up", "a\0b"):
        location = Path(Local(directory=str(tmp_path)).put_pickle(b"code", flow_name=name).location)
        assert location.resolve().parent.parent == tmp_path.resolve()


# -- a place that cannot be used ------------------------------------------------------------------------


def test_a_file_in_the_way_is_named(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StorageUnavailable, match=f"{blocked} is a file; name another"):
        Local(directory=str(blocked / "storage")).check()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageUnavailable, match=f"{tmp_path}.* is not writable; change its permissions"):
            Local(directory=str(tmp_path / "storage")).check()
    finally:
        tmp_path.chmod(0o700)


def test_checking_writes_nothing(tmp_path):
    Local(directory=str(tmp_path / "storage")).check()
    assert [] == list(tmp_path.iterdir())


def test_the_home_of_jupyter_flows_is_the_default(home):
    assert home.storage_path == Notebook().root == Local().root


# -- fetching -------------------------------------------------------------------------------------------


def test_code_that_is_gone_is_told_with_its_place(tmp_path):
    ref = Local(directory=str(tmp_path)).put_pickle(b"code", flow_name="etl")
    Path(ref.location).unlink()
    with pytest.raises(StorageUnavailable, match=f"{ref.location} cannot be read: No such file"):
        storage_from_ref(ref).fetch(ref, tmp_path)


def test_fetching_gives_a_copy_of_its_own(tmp_path):
    """Who changes the registered file later does not change what this run executes."""
    ref = Local(directory=str(tmp_path / "s")).put_pickle(b"code", flow_name="etl")
    copy = storage_from_ref(ref).fetch(ref, tmp_path)
    Path(ref.location).write_bytes(b"evil")
    assert b"code" == copy.read_bytes()
    assert ".pickle" == copy.suffix


def test_an_unknown_kind_is_one_sentence():
    with pytest.raises(UnknownKind, match=r"no storage is called 'locl'; did you mean 'local'\?"):
        storage_from_ref(StorageRef(kind="locl"))
    with pytest.raises(UnknownKind, match="'s3'; there are local, notebook"):
        storage_from_ref(StorageRef(kind="s3"))


@pytest.mark.parametrize("kind", ["base", "__init__", "os", "../local", "local.Local", ""])
def test_a_kind_is_never_an_import(kind):
    """The server's word is looked up among kinds; it reaches no other module."""
    with pytest.raises(UnknownKind):
        storage_from_ref(StorageRef(kind=kind))


# -- options --------------------------------------------------------------------------------------------


def test_a_script_is_pinned_with_where_it_came_from(tmp_path):
    script = tmp_path / "etl.py"
    script.write_text("x = 1\n")
    ref = Local(directory=str(tmp_path / "s")).put_script(script, flow_name="etl")
    assert {"stored_as_script": True, "source": str(script)} == ref.options
    assert "x = 1\n" == Path(ref.location).read_text()


def test_a_script_that_is_gone_is_named(tmp_path):
    with pytest.raises(StorageUnavailable, match=r"script .*gone\.py cannot be read: No such file"):
        Local(directory=str(tmp_path)).put_script(tmp_path / "gone.py", flow_name="etl")


def test_host_labels_can_be_declined():
    assert 1 == len(Local().default_labels()) == len(Notebook().default_labels())
    assert () == Local(add_default_labels=False).default_labels()
    assert () == Notebook(add_default_labels=False).default_labels()


@pytest.mark.parametrize("host", ["vision-zero", "Ünï.example", "-x", "", "a b", "_h", "x" * 200])
def test_any_host_name_makes_a_label(monkeypatch, host):
    """A host may be called what it likes; its label is one that the server takes."""
    from jupyter_flows.core.labels import validate_labels

    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert (storage_base.host_label(),) == validate_labels([storage_base.host_label()])
