"""What the cells of a run gave, and where it lies: the book that kernels are filled from, and resumed from.

Each task's values are one file; the book has a line of JSON for each task, written when the task has ended,
so that a run whose process is killed leaves behind all that was done. Knows nothing of kernels.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.errors import CheckpointUnreadable

BOOK = "book.jsonl"
Kind = str
"""``stored``, ``absent`` (the cell did not bind it), ``lost`` (no pickle), ``skipped`` (too large)."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a value lies, or why it does not."""

    kind: Kind
    type: str = ""
    why: str = ""
    pickle: tuple[int, int] = (0, 0)
    """Where in the file its pickle begins, and its bytes."""
    buffers: tuple[tuple[int, int], ...] = ()
    bytes: int = 0
    names: tuple[str, ...] = ()
    """Of values that share memory, those that are written together."""
    versions: Mapping[str, str] = {}
    """Likewise: which task gave each of them."""


class Gift(msgspec.Struct, frozen=True, kw_only=True):
    """What one task gave."""

    slug: str
    file: str = ""
    """Name of the file beside the book."""
    sha256: str = ""
    code: str = ""
    """Digest of what ran."""
    state: str = "Success"
    """``Void``: it runs again, and what it gave before is nobody's any more."""
    names: Mapping[str, Place] = {}
    joint: Place | None = None
    channels: Mapping[str, Place] = {}
    seconds: float = 0.0
    """How long the task took."""


_decode = msgspec.json.Decoder(Gift)


class Book:
    """Gifts by slug; safe to use from several threads.

    Parameters
    ----------
    directory : Path
        Where files and book are; made if it is not there.
    keeps : bool
        Whether the book itself is written: a run that nobody can resume passes values, but keeps none.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as name:
    ...     Book(Path(name)).add(Gift(slug="load", names={"df": Place(kind="absent")}))
    ...     read_book(Path(name))["load"].names["df"].kind
    'absent'
    """

    def __init__(self, directory: Path, *, keeps: bool = True) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._keeps = keeps
        if keeps:
            # A run whose first task failed has given nothing, and can be gone on from all the same.
            with contextlib.suppress(OSError):
                os.close(_private(str(directory / BOOK), os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        self._gifts: dict[str, Gift] = {}
        self._lock = threading.Lock()
        self._count = 0
        self._is_begun = False
        self._hashing: queue.SimpleQueue[Gift | None] = queue.SimpleQueue()
        self._hasher: threading.Thread | None = None

    def new_file(self, slug: str) -> Path:
        """Return a path for the values of one more attempt of a task."""
        with self._lock:
            self._count += 1
            count = self._count
        word = "".join(letter if letter.isalnum() or letter in "-_" else "_" for letter in slug[:40])
        while (path := self.directory / f"{count:05}-{word}.val").exists():
            count += 1
        return path

    def add(self, gift: Gift) -> None:
        """Note what a task gave."""
        with self._lock:
            self._gifts[gift.slug] = gift
        if not self._keeps:
            return
        if gift.file and self._hasher is None:
            self._hasher = threading.Thread(target=self._hash, name="digests of values", daemon=True)
            self._hasher.start()
        if gift.file:
            # Not in the way of the next task: a value that nobody can vouch for is not gone on from.
            self._hashing.put(gift)
        else:
            self._write(gift)

    def close(self) -> None:
        """Wait until everything is in the book."""
        if self._hasher is not None:
            self._hashing.put(None)
            self._hasher.join()
            self._hasher = None

    def _hash(self) -> None:
        while (gift := self._hashing.get()) is not None:
            with contextlib.suppress(OSError):
                self._write(msgspec.structs.replace(gift, sha256=digest_of(self.path(gift))))

    def _write(self, gift: Gift) -> None:
        # A disk that is full is no reason to end the run: it cannot be gone on from, that is all.
        with (
            self._lock,
            contextlib.suppress(OSError),
            open(self.directory / BOOK, "ab", opener=_private) as stream,
        ):
            # A line that a killed process has left half written must not swallow the next one.
            torn = (
                b"" if self._is_begun or not stream.tell() or _ends_a_line(self.directory / BOOK) else b"\n"
            )
            stream.write(torn + msgspec.json.encode(gift) + b"\n")
            self._is_begun = True

    def restore(self, gift: Gift, *, is_new: bool = False) -> None:
        """Take over what an earlier run left; *is_new*: it was in another book, and is to be in this one."""
        with self._lock:
            self._gifts[gift.slug] = gift
        if is_new and self._keeps:
            self._write(gift)

    def void(self, slug: str) -> None:
        """Note that a task runs again: what an earlier run has of it is not to be gone on from."""
        if self._keeps:
            self._write(Gift(slug=slug, state="Void"))

    def gift(self, slug: str) -> Gift | None:
        """Return what a task gave, if it has ended well."""
        return self._gifts.get(slug)

    def giver(self, name: str, providers: Iterable[str]) -> str | None:
        """Return the last of *providers* (in the order of the notebook) that gave the variable."""
        for slug in reversed(tuple(providers)):
            gift = self._gifts.get(slug)
            if gift is not None and name in gift.names and gift.names[name].kind != "absent":
                return slug
        return None

    def keeper_of(self, channel: str, providers: Iterable[str]) -> str | None:
        """Return the last of *providers* that left the channel in a state."""
        for slug in reversed(tuple(providers)):
            gift = self._gifts.get(slug)
            if gift is not None and channel in gift.channels:
                return slug
        return None

    def path(self, gift: Gift) -> Path:
        """Return where a gift's values lie."""
        return self.directory / gift.file


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read() == b"\n"


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def read_book(directory: Path) -> dict[str, Gift]:
    """Read the book of an earlier run: the newest gift of each task.

    Raises
    ------
    CheckpointUnreadable : there is none.
    """
    path = directory / BOOK
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        msg = f"{path}: nothing to go on from ({error.strerror}); run without --resume"
        raise CheckpointUnreadable(msg) from error
    gifts: dict[str, Gift] = {}
    for line in lines:
        try:
            gift = _decode.decode(line) if line else None
        except msgspec.DecodeError:
            continue  # the last line of a process that was killed
        if gift is not None:
            gifts.pop(gift.slug, None)
            if gift.state == "Success":
                gifts[gift.slug] = gift
    return gifts


def whole(directory: Path, gifts: Mapping[str, Gift]) -> dict[str, Gift]:
    """Return the gifts whose files are there and are what was written; of the others, none of the values."""
    found = {}
    for slug, gift in gifts.items():
        found[slug] = gift
        if gift.file:
            path = directory / gift.file
            try:
                same = digest_of(path) == gift.sha256
                why = "its file is not what was written"
            except OSError as error:
                same, why = False, f"its file cannot be read ({error.strerror})"
            if not same:
                found[slug] = msgspec.structs.replace(
                    gift,
                    names={name: _spoilt(place, why) for name, place in gift.names.items()},
                    joint=_spoilt(gift.joint, why) if gift.joint is not None else None,
                    channels={},
                )
    return found


def _spoilt(place: Place, why: str) -> Place:
    return place if place.kind == "absent" else msgspec.structs.replace(place, kind="lost", why=why)


def newest_joint(gifts: Iterable[Gift | None]) -> tuple[Gift, Place] | None:
    """Return the first of *gifts* that has values which share memory; None if they were not kept."""
    for gift in gifts:
        if gift is not None and gift.joint is not None:
            return (gift, gift.joint) if gift.joint.kind == "stored" else None
    return None


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def gift_from(slug: str, told: Mapping[str, Any], *, file: str, code: str, seconds: float) -> Gift:
    """Build the record of what a kernel said that it wrote."""
    return msgspec.convert(
        {
            "slug": slug,
            "file": file,
            "code": code,
            "names": told["names"],
            "joint": told["joint"],
            "channels": {name: place for name, place in told["state"].items() if place["kind"] == "stored"},
            "seconds": seconds,
        },
        type=Gift,
    )


def place_for_kernel(path: Path, place: Place, *, name: str = "") -> dict[str, Any]:
    """Return a place as the kernel takes it."""
    return {
        "file": str(path),
        "names": list(place.names) or [name],
        "joint": bool(place.names),
        "pickle": list(place.pickle),
        "buffers": [list(pair) for pair in place.buffers],
    }


def dumps(request: Mapping[str, Any] | Sequence[str]) -> str:
    """Return a request as the text of a Python string."""
    return repr(json.dumps(request))
