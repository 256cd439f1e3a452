"""Pointers: where code is, where a run may execute, when it fires. Open envelopes by ``kind``.

The server stores an envelope whose kind it does not know; whoever has the kind checks its options
strictly. Options are scalars (or short lists of them): there is no field that could carry code.
"""

from __future__ import annotations

from jupyter_flows.schema.base import Count, Digest, Labels, Name, Options, Parameters, Record, Text, Word


class StorageRef(Record, frozen=True, kw_only=True):
    """Where a registered flow's code is, and the digest of its bytes.

    ``sha256`` is empty only for code that is not pinned (a module, a live path).
    """

    kind: Word
    location: Text = ""
    options: Options = {}
    sha256: Digest | None = None
    size_bytes: Count = 0


class RunConfigRef(Record, frozen=True, kw_only=True):
    """Which kind of launcher executes a run, and its options."""

    kind: Word = "universal"
    options: Options = {}


class ScheduleRef(Record, frozen=True, kw_only=True):
    """One clock: kind, options, and what it changes for the runs it makes."""

    kind: Word
    options: Options = {}
    parameters: Parameters = {}
    labels: Labels | None = None


class ResultRef(Record, frozen=True, kw_only=True):
    """Where what a run produced lies (an executed notebook, a traceback), as seen by its agent."""

    kind: Word
    location: Text
    host: Name | None = None


class Fingerprint(Record, frozen=True, kw_only=True):
    """The environment that a flow was registered in."""

    python: Word
    platform: Name
    kernel: Name | None = None
    kernel_language: Name | None = None
    distributions: dict[Name, Word] = {}
