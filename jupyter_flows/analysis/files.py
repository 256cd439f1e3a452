"""Files as hidden channels: ``file:PATH`` is written by one cell and read by another.

Paths are compared as text. A name that is only known at run time may be any file: every reader depends on
its writer, and the cell says so.
"""

from __future__ import annotations

import fnmatch
import posixpath

from jupyter_flows.analysis.aliases import Expressions, constant_text
from jupyter_flows.analysis.knowledge import (
    FILE_MOVERS,
    FILE_OPENERS,
    FILE_READERS,
    FILE_STORES,
    FILE_WRITERS,
    NUMPY_SUFFIXES,
)
from jupyter_flows.analysis.ledger import UNKNOWN_FILE
from jupyter_flows.analysis.objects import EMPTY, Obj, Value

_PLACE_KEYWORDS = ("path", "file", "fname", "filepath_or_buffer", "io", "f")

_ARCHIVES = {"zip": ".zip", "tar": ".tar", "gztar": ".tar.gz", "bztar": ".tar.bz2", "xztar": ".tar.xz"}


class Files(Expressions):
    """Finds reads and writes of files in calls."""

    def file_function(
        self, name: str, package: str, arguments: list[Value], keywords: dict[str, Value]
    ) -> None:
        """Note files that a library's function reads or writes: ``pd.read_csv(p)``, ``np.save(p, a)``."""
        named = [keywords[key] for key in _PLACE_KEYWORDS if key in keywords]
        first: Value = arguments[0] if arguments else named[0] if named else frozenset()
        if name in FILE_MOVERS and package in {"shutil", "os"} and len(arguments) > 1:
            self.read_file(arguments[0])
            if name in {"move", "rename", "replace"}:
                self.write_file(arguments[0])
            self.write_file(arguments[1])
        elif name == "make_archive" and len(arguments) > 1:
            kind = constant_text(arguments[1])
            self.read_file(arguments[2] if len(arguments) > 2 else keywords.get("root_dir", EMPTY))
            self.write_file(_with_suffix(first, _ARCHIVES[kind]) if kind in _ARCHIVES else EMPTY)
        elif name == "unpack_archive":
            self.read_file(first)
            self.write_file(arguments[1] if len(arguments) > 1 else keywords.get("extract_dir", EMPTY))
        elif name in FILE_READERS and (
            package not in {"json", "pickle", "yaml", "csv"} or constant_text(first) is not None
        ):
            if name in {"walk", "listdir", "scandir", "glob", "iglob"} and not arguments:
                first = frozenset({Obj("str", const="*")})
            if not any(obj.kind in {"file", "path"} and obj.const is None and obj.parts for obj in first):
                self.read_file(
                    first, is_listing=name in {"listdir", "scandir", "walk", "exists", "isfile", "isdir"}
                )
        elif name in FILE_WRITERS and package not in {"json", "pickle", "yaml", "csv"}:
            if package == "numpy" and name in NUMPY_SUFFIXES:
                first = _with_suffix(first, NUMPY_SUFFIXES[name])
            target = arguments[1] if package in {"torch", "joblib"} and len(arguments) > 1 else first
            self.write_file(target)
        elif name == "dump" and package == "joblib" and len(arguments) > 1:
            self.write_file(arguments[1])

    def opened_by_library(self, qual: str, arguments: list[Value], keywords: dict[str, Value]) -> Obj | None:
        """Note a file that a library's own ``open`` opens: archives, compressed files, databases."""
        if qual in FILE_OPENERS:
            place = (
                arguments[0]
                if arguments
                else next(
                    (
                        keywords[key]
                        for key in ("filename", "file", "name", "path", "fileobj")
                        if key in keywords
                    ),
                    EMPTY,
                )
            )
            if any(obj.kind == "file" or obj.qual.startswith("io.") for obj in place):
                return None
            mode = arguments[1] if len(arguments) > 1 else keywords.get("mode", EMPTY)
            return self.open_file(place, mode, default=FILE_OPENERS[qual])
        if qual in FILE_STORES:
            text = constant_text(arguments[0]) if arguments else None
            if text is None or not arguments or ":memory:" in text:
                return None
            path = text.removeprefix("sqlite:///")
            if qual == "sqlalchemy.create_engine" and (path == text or not path):
                return None
            place = frozenset({Obj("str", const=path)})
            self.read_file(place)
            self.write_file(place)
            store = Obj("unknown", qual)
            store.const = f"file:{_path(place)}"
            return store
        return None

    def store_used(self, store: Obj, name: str) -> None:
        """Note a method of a database in a file: what it writes reaches the file."""
        if store.const is not None and store.const.startswith("file:") and name not in {"cursor", "close"}:
            self.ledger.update_channel(store.const, "database written")

    def method_files(
        self, name: str, receiver: Obj, arguments: list[Value], keywords: dict[str, Value]
    ) -> None:
        """Note files that a method reads or writes: ``df.to_csv(p)``, ``path.read_text()``."""
        if receiver.kind == "path":
            place = frozenset({receiver})
            if name in {"read_text", "read_bytes", "exists", "is_file", "is_dir", "stat"}:
                self.read_file(place, is_listing=name not in {"read_text", "read_bytes"})
            elif name in {"iterdir", "glob", "rglob"}:
                self.read_file(
                    frozenset({Obj("str", const=f"{receiver.const}/*" if receiver.const else None)})
                )
            elif name in {"write_text", "write_bytes", "mkdir", "touch", "unlink", "rmdir"}:
                self.write_file(place)
            elif name in {"rename", "replace"} and arguments:
                self.read_file(place)
                self.write_file(place)
                self.write_file(arguments[0])
            return
        place = (
            arguments[0]
            if arguments
            else next(
                (keywords[key] for key in ("path", "path_or_buf", "fname", "file") if key in keywords),
                frozenset(),
            )
        )
        if name in {"to_csv", "to_json", "to_html", "to_markdown", "to_latex"} and not place:
            return
        if name == "write" and receiver.qual.endswith(".ElementTree"):
            self.write_file(place)
        if (name in FILE_WRITERS and name not in {"save", "remove", "touch", "rmdir", "unlink"}) or (
            name == "save" and constant_text(place) is not None
        ):
            self.write_file(place)

    def open_file(self, place: Value, mode: Value, *, default: str = "r") -> Obj:
        """Note an ``open`` and return the file object."""
        text = constant_text(mode) if mode else default
        opened = Obj("file")
        path = _path(place)
        if text is None or any(letter in text for letter in "wax+"):
            if text is None or "a" in text or "+" in text:
                self.read_file(place)
            self.write_file(place)
            # Kept with the object, so that what is written later in another cell counts too.
            opened.const = path
            opened.qual = "written"
        else:
            self.read_file(place)
        return opened

    def named_files(self, values: list[Value]) -> None:
        """Depend on the writers of files that are named as an argument, whatever the function is."""
        for value in values:
            path = _path(value)
            if path is not None and f"file:{path}" in self.ledger.channels:
                self.ledger.read_channel(f"file:{path}")

    def read_file(self, place: Value, *, is_listing: bool = False) -> None:
        """Depend on whoever wrote the file; a pattern depends on all that match."""
        ledger = self.ledger
        path = _path(place)
        if path is not None and path.startswith(("http:", "https:", "s3:", "gs:")):
            return
        if path is None or not path.startswith("/"):
            ledger.read_channel("cwd")
        if path is None:
            # The name is made at run time: every file written above may be meant.
            for name in [name for name in ledger.channels if name.startswith("file:")]:
                ledger.read_channel(name)
            ledger.read_channel(UNKNOWN_FILE)
            return
        pattern = f"file:{path}"
        matching = [name for name in ledger.channels if _may_be(name, pattern)]
        if is_listing and path == ".":
            matching = [name for name in ledger.channels if name.startswith("file:")]
        for name in sorted({pattern, *matching}):
            ledger.read_channel(name)

    def write_file(self, place: Value) -> None:
        """Note a file that is written."""
        path = _path(place)
        if path is not None and path.startswith(("http:", "https:", "s3:", "gs:")):
            return
        buffers = frozenset(obj for obj in place if obj.kind == "file" or obj.qual.startswith("io."))
        if buffers:
            self.ledger.change(buffers, "written to")
            return
        if path is None or not path.startswith("/"):
            self.ledger.read_channel("cwd")
        for folder in _folders(path):
            if f"file:{folder}" in self.ledger.channels:
                self.ledger.read_channel(f"file:{folder}")
        if path is None:
            self.ledger.warn(
                "writes a file whose name is only known when it runs: readers may not be linked (file)"
            )
            self.ledger.write_channel(UNKNOWN_FILE, "file written", keeps_earlier=True)
        else:
            self.ledger.write_channel(f"file:{path}", "file written")


def _with_suffix(place: Value, suffix: str) -> Value:
    """Return a path as numpy completes it."""
    text = constant_text(place)
    if text is None or text.endswith(suffix):
        return place
    return frozenset({Obj("str", const=text + suffix)})


def _path(place: Value) -> str | None:
    text = constant_text(place)
    if text is None:
        return None
    return text if "://" in text else posixpath.normpath(text.replace("\\", "/"))


def _may_be(channel: str, pattern: str) -> bool:
    """Whether a file written under one name may be read under the other: patterns, folders, unknown names."""
    if not channel.startswith("file:"):
        return False
    return (
        channel == UNKNOWN_FILE
        or fnmatch.fnmatchcase(channel, pattern)
        or fnmatch.fnmatchcase(pattern, channel)
        or channel.startswith(pattern + "/")
        or pattern.startswith(channel + "/")
    )


def _folders(path: str | None) -> list[str]:
    folders: list[str] = []
    while path and (path := posixpath.dirname(path)) not in {"", "/"}:
        folders.append(path)
    return folders
