"""The book of a run: written as it goes, read back after anything."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_flows.errors import CheckpointUnreadable
from jupyter_flows.runtime.book import BOOK, Book, Gift, Place, gift_from, place_for_kernel, read_book, whole

STORED = Place(kind="stored", type="int", pickle=(0, 5), bytes=5)


def gift(slug: str, *, file: str = "", **names: Place) -> Gift:
    """Return the record of a task."""
    return Gift(slug=slug, file=file, code="c", names=names)


def test_what_was_added_is_read_back_with_its_digest(tmp_path: Path) -> None:
    """Each task is a line; its file is vouched for by a SHA-256."""
    book = Book(tmp_path / "values")
    path = book.new_file("one")
    path.write_bytes(b"value")
    book.add(gift("one", file=path.name, x=STORED))
    book.add(gift("two"))
    book.close()
    gifts = read_book(book.directory)
    assert {"one", "two"} == set(gifts)
    assert 64 == len(gifts["one"].sha256)
    assert gifts == whole(book.directory, gifts)
    assert STORED == gifts["one"].names["x"]


def test_book_and_directory_are_their_owners_alone(tmp_path: Path) -> None:
    """What cells gave may be anybody's secret."""
    book = Book(tmp_path / "values")
    book.add(gift("one"))
    assert 0o700 == book.directory.stat().st_mode & 0o777
    assert 0o600 == (book.directory / BOOK).stat().st_mode & 0o777


@pytest.mark.parametrize("tail", [b'{"slug":"two","na', b"\x00\x00\x00", b"not json", b"{}", b'{"slug":7}'])
def test_a_torn_last_line_is_as_if_it_were_not_there(tmp_path: Path, tail: bytes) -> None:
    """A process that was killed while it wrote leaves all that it had finished."""
    book = Book(tmp_path)
    book.add(gift("one"))
    with (tmp_path / BOOK).open("ab") as stream:
        stream.write(tail)
    assert ["one"] == list(read_book(tmp_path))


def test_a_line_after_a_torn_one_is_read(tmp_path: Path) -> None:
    """A run that goes on in the same directory is not swallowed by what the killed one left."""
    Book(tmp_path).add(gift("one"))
    with (tmp_path / BOOK).open("ab") as stream:
        stream.write(b'{"slug":"two","na')
    again = Book(tmp_path)
    again.add(gift("two"))
    again.add(gift("three"))
    assert ["one", "two", "three"] == list(read_book(tmp_path))


def test_the_newest_line_of_a_task_counts(tmp_path: Path) -> None:
    """A task that ran twice gave what it gave last."""
    book = Book(tmp_path)
    book.add(gift("one", x=STORED))
    book.add(gift("one", y=STORED))
    assert ["y"] == list(read_book(tmp_path)["one"].names)


def test_a_task_that_runs_again_has_given_nothing_until_it_ends(tmp_path: Path) -> None:
    """A void line takes back what stands above it, and not what comes below."""
    book = Book(tmp_path)
    book.add(gift("one"))
    book.add(gift("two"))
    book.void("one")
    assert ["two"] == list(read_book(tmp_path))
    book.add(gift("one"))
    assert {"one", "two"} == set(read_book(tmp_path))


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(b"vALUE"), "its file is not what was written"),
        (lambda path: path.write_bytes(b""), "its file is not what was written"),
        (Path.unlink, "its file cannot be read (No such file or directory)"),
    ],
    ids=["changed", "emptied", "gone"],
)
def test_a_file_that_is_not_what_was_written_is_lost(tmp_path: Path, spoil, why: str) -> None:
    """Nothing of it is loaded; the task's other facts stay."""
    book = Book(tmp_path)
    path = book.new_file("one")
    path.write_bytes(b"value")
    made = Gift(
        slug="one",
        file=path.name,
        names={"x": STORED, "y": Place(kind="absent")},
        joint=Place(kind="stored", names=("a", "b")),
        channels={"cwd": STORED},
    )
    book.add(made)
    book.add(gift("two"))
    book.close()
    spoil(path)
    found = whole(tmp_path, read_book(tmp_path))
    assert ("lost", why) == (found["one"].names["x"].kind, found["one"].names["x"].why)
    assert "absent" == found["one"].names["y"].kind
    assert found["one"].joint is not None
    assert "lost" == found["one"].joint.kind
    assert {} == found["one"].channels
    assert "two" in found


def test_no_book_is_one_sentence(tmp_path: Path) -> None:
    """Where nothing lies, nothing is gone on from."""
    with pytest.raises(CheckpointUnreadable) as raised:
        read_book(tmp_path)
    sentence = f"{tmp_path / BOOK}: nothing to go on from (No such file or directory); run without --resume"
    assert sentence == str(raised.value)


def test_a_run_that_nobody_resumes_keeps_no_book(tmp_path: Path) -> None:
    """Values are passed by files, but no record of them is written."""
    book = Book(tmp_path, keeps=False)
    book.add(gift("one", x=STORED))
    book.void("two")
    book.close()
    assert "one" == book.giver("x", ("one",))
    assert [] == list(tmp_path.iterdir())


def test_the_last_provider_that_bound_a_name_gives_it(tmp_path: Path) -> None:
    """A cell that may bind a name and did not is passed over; so is one that has not ended."""
    book = Book(tmp_path)
    book.add(gift("one", x=STORED))
    book.add(gift("two", x=Place(kind="absent")))
    assert "one" == book.giver("x", ("one", "two", "three"))
    book.add(gift("three", x=Place(kind="lost")))
    assert "three" == book.giver("x", ("one", "two", "three"))
    assert book.giver("y", ("one",)) is None


def test_the_last_provider_that_left_a_state_keeps_it(tmp_path: Path) -> None:
    """The same for the state of the process."""
    book = Book(tmp_path)
    book.add(Gift(slug="one", channels={"cwd": STORED}))
    book.add(gift("two"))
    assert "one" == book.keeper_of("cwd", ("one", "two"))
    assert book.keeper_of("rng:random", ("one", "two")) is None


def test_attempts_never_write_over_one_another(tmp_path: Path) -> None:
    """A new file for each, also when an earlier run has left some; names are safe wherever tasks are called."""
    earlier = Book(tmp_path).new_file("a/b: c")
    earlier.write_bytes(b"1")
    later = Book(tmp_path).new_file("a/b: c")
    assert "00001-a_b__c.val" == earlier.name
    assert "00002-a_b__c.val" == later.name
    book = Book(tmp_path)
    assert book.new_file("x") != book.new_file("x")


def test_what_a_kernel_tells_becomes_a_gift(tmp_path: Path) -> None:
    """States of the process that were not written are as if they were not asked for."""
    place = {"kind": "stored", "pickle": [0, 9], "buffers": [[64, 8]], "bytes": 17}
    told = {"names": {"x": place}, "joint": None, "state": {"cwd": place, "env:A": {"kind": "skipped"}}}
    made = gift_from("one", told, file="f.val", code="c", seconds=1.5)
    assert ["cwd"] == list(made.channels)
    asked = place_for_kernel(tmp_path / "f.val", made.names["x"], name="x")
    assert {
        "file": str(tmp_path / "f.val"),
        "names": ["x"],
        "joint": False,
        "pickle": [0, 9],
        "buffers": [[64, 8]],
    } == asked
