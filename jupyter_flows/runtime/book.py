"""What the cells of a run gave, and where it lies: the book that kernels are filled from, and resumed from.

Each task's values are one file; the book has a line of JSON for each task, written when the task has ended, so
that a run whose process is killed leaves behind all that was done. Knows nothing of kernels.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.errors import CheckpointUnreadable

BOOK = "book.jsonl"
Kind = str
"""``stored``, ``absent`` (the cell did not bind it), ``lost`` (cannot be pickled), ``skipped`` (too large)."""


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
        self._gifts: dict[str, Gift] = {}
        self._lock = threading.Lock()
        self._count = 0

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
            if self._keeps:
                with open(self.directory / BOOK, "ab", opener=_private) as stream:  # noqa: PTH123
                    stream.write(msgspec.json.encode(gift) + b"\n")

    def restore(self, gift: Gift) -> None:
        """Take over what an earlier run left."""
        with self._lock:
            self._gifts[gift.slug] = gift

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
            gifts[gift.slug] = gift
    return gifts


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def code_digest(sources: Iterable[str]) -> str:
    r"""Return a digest of what cells are made of, white space at line ends left aside.

    Examples
    --------
    >>> code_digest(["x = 1\n"]) == code_digest(["x = 1  "])
    True
    """
    text = "\n\0".join("\n".join(line.rstrip() for line in source.strip().splitlines()) for source in sources)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


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


def dumps(request: Mapping[str, Any]) -> str:
    """Return a request as the text of a Python string."""
    return repr(json.dumps(request))
