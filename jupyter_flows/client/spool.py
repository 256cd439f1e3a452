"""What a run said and the server has not yet heard, on disk. Knows nothing of HTTP.

Three files in the run's directory, each a row of records ``length, crc32, payload``:

``states.spool``
    states, results and the finish, in order.
``logs.spool``
    lines of the log, in order; bounded, because a chatty run must not fill the disk.
``delivery.journal``
    which stretch of the two made which batch, written *before* the batch is sent, so that after any
    crash the same batch goes out again under the same sequence numbers, and which batch was accepted.

States overtake logs, so that a flood of lines never delays the news that a task failed. The finish
alone waits for the log: after it the server takes nothing more.

How far tasks are is not on disk: the newest of each task is kept until it is fetched.

A torn or damaged tail (the machine lost power) is cut off and kept beside the file as ``*.bad``.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
import zlib
from pathlib import Path

import msgspec

from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import (
    FinishItem,
    LogItem,
    PipeItem,
    ProgressItem,
    ReportItem,
    SequencedItem,
    TaskStateItem,
)

STATES = "states.spool"
LOGS = "logs.spool"
JOURNAL = "delivery.journal"
RESERVE = "reserve"

_FRAME = struct.Struct("<II")
_RESERVE_BYTES = 1_048_576
_MAX_RECORD_BYTES = 1_048_576


class _Planned(msgspec.Struct, frozen=True, kw_only=True, tag="planned"):
    """A batch: its first sequence number and the bytes of the two files it is made of."""

    seq: int
    count: int
    states: tuple[int, int]
    logs: tuple[int, int]


WARNINGS = frozenset({"WARNING", "ERROR", "CRITICAL"})
"""Levels for which the last tenth of a log's room is kept: a chatty run still says why it failed."""


class _Accepted(msgspec.Struct, frozen=True, kw_only=True, tag="accepted"):
    """The server took everything up to *seq*."""

    seq: int


_decode_item = msgspec.json.Decoder(ReportItem)
_decode_entry = msgspec.json.Decoder(_Planned | _Accepted)


class _File:
    """An append-only row of checked records."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.damage = self._cut_bad_tail()
        self.end = os.fstat(self.fd).st_size

    def append(self, payload: bytes) -> None:
        record = _FRAME.pack(len(payload), zlib.crc32(payload)) + payload
        done = 0
        try:
            while done < len(record):
                done += os.write(self.fd, record[done:])
        except OSError:
            # Half a record would make everything after it unreadable.
            os.ftruncate(self.fd, self.end)
            raise
        self.end += len(record)

    def read(
        self, start: int, *, stop: int | None = None, max_bytes: int = 1 << 30
    ) -> list[tuple[bytes, int]]:
        """Payloads from *start* on, each with the offset behind it; at least one if there is one."""
        records: list[tuple[bytes, int]] = []
        at, limit, used = start, self.end if stop is None else stop, 0
        chunk, chunk_at = b"", start
        while at < limit:
            if at - chunk_at + _FRAME.size > len(chunk):
                chunk, chunk_at = os.pread(self.fd, 262_144, at), at
            head = chunk[at - chunk_at : at - chunk_at + _FRAME.size]
            if len(head) < _FRAME.size:
                break
            length, crc = _FRAME.unpack(head)
            if length > _MAX_RECORD_BYTES:
                break
            begin = at - chunk_at + _FRAME.size
            if begin + length > len(chunk):
                chunk, chunk_at = os.pread(self.fd, max(262_144, length + _FRAME.size), at), at
                begin = _FRAME.size
            payload = chunk[begin : begin + length]
            if len(payload) < length or zlib.crc32(payload) != crc:
                break
            used += length
            if records and used > max_bytes:
                break
            at += _FRAME.size + length
            records.append((payload, at))
        return records

    def _cut_bad_tail(self) -> str | None:
        self.end = os.fstat(self.fd).st_size
        good = 0
        while good < self.end:
            records = self.read(good, max_bytes=4 << 20)
            if not records:
                break
            good = records[-1][1]
        if good == self.end:
            return None
        rest = os.pread(self.fd, self.end - good, good)
        bad = self.path.with_suffix(".bad")
        bad.write_bytes(rest)
        bad.chmod(0o600)
        os.ftruncate(self.fd, good)
        return f"{len(rest)} bytes at the end of {self.path.name} were damaged; kept in {bad.name}"


class Spool:
    """States and log lines of one run under one fencing token, until the server has them.

    One thread appends, one delivers; both may be others in a later process.

    Parameters
    ----------
    directory : Path
        The run's own directory; made (0700) if absent.
    limit_bytes : int
        Most bytes of log lines kept for the whole run, the last tenth for warnings and errors; states are
        never dropped.
    hold_finish : bool
        Keep the finish back until :meth:`release_finish`: there may be more to tell before it.

    Examples
    --------
    >>> import tempfile
    >>> spool = Spool(Path(tempfile.mkdtemp()), limit_bytes=1_000_000)
    >>> spool.next_batch()
    ()
    """

    def __init__(self, directory: Path, *, limit_bytes: int, hold_finish: bool = False) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._directory = directory
        self._limit_bytes = limit_bytes
        self._lock = threading.Lock()
        self._states = _File(directory / STATES)
        self._logs = _File(directory / LOGS)
        self._journal = _File(directory / JOURNAL)
        self.damage = tuple(
            file.damage for file in (self._states, self._logs, self._journal) if file.damage is not None
        )
        self._reserve_space()
        self._sent_states = self._sent_logs = 0
        self._seq = 1
        self._unanswered: _Planned | None = None
        self._dropped = 0
        self._dirty = False
        self._progress: dict[tuple[str, int], ProgressItem] = {}
        self._holds_finish = hold_finish
        self.finish: FinishItem | None = None
        self._finish_bytes = 0
        self._recover()
        self._appended = threading.Condition(self._lock)

    # -- taking ------------------------------------------------------------------------------------

    def append(self, item: PipeItem) -> bool:
        """Take an item; False if it was a log line over the limit (it is counted and told later)."""
        if isinstance(item, ProgressItem):
            return self._note_progress(item)
        payload = msgspec.json.encode(item)
        with self._appended:
            if isinstance(item, LogItem):
                limit = self._limit_bytes if item.level in WARNINGS else self._limit_bytes * 9 // 10
                if self._logs.end + len(payload) > limit:
                    self._dropped += 1
                    return False
                self._write(self._logs, payload)
            else:
                if isinstance(item, TaskStateItem):
                    self._progress.pop((item.slug, item.map_index), None)
                if isinstance(item, FinishItem):
                    self._progress.clear()
                    self._tell_dropped()
                before = self._states.end
                self._write(self._states, payload)
                if isinstance(item, FinishItem):
                    self.finish = item
                    self._finish_bytes = self._states.end - before
            self._dirty = True
            self._appended.notify_all()
        return True

    def _note_progress(self, item: ProgressItem) -> bool:
        with self._appended:
            if self.finish is not None:
                return False
            self._progress[item.slug, item.map_index] = item
            self._appended.notify_all()
        return True

    def take_progress(self) -> tuple[ProgressItem, ...]:
        """Return the newest progress of each task that told some since the last time, and forget it."""
        with self._lock:
            found = tuple(self._progress.values())[:1000]
            self._progress.clear()
            return found

    def release_finish(self) -> None:
        """Let the finish be delivered: everything is told."""
        with self._appended:
            self._holds_finish = False
            self._appended.notify_all()

    def flush(self) -> None:
        """Make what was taken survive a power cut."""
        with self._lock:
            if not self._dirty:
                return
            self._dirty = False
            for file in (self._states, self._logs):
                os.fsync(file.fd)

    # -- delivering --------------------------------------------------------------------------------

    @property
    def pending(self) -> bool:
        """Whether something is not yet accepted."""
        with self._lock:
            return self._pending()

    def wait_pending(self, timeout_s: float) -> bool:
        """Wait until there is something to deliver."""
        with self._appended:
            return self._appended.wait_for(lambda: bool(self._progress) or self._pending(), timeout_s)

    def next_batch(self, *, max_items: int = 500, max_bytes: int = 1_048_576) -> tuple[SequencedItem, ...]:
        """Return the batch to send now: the last one again until :meth:`accepted` was called for it."""
        with self._lock:
            if self._unanswered is None:
                self._unanswered = self._plan(max_items, max_bytes)
                if self._unanswered is None:
                    return ()
                self._write(self._journal, msgspec.json.encode(self._unanswered))
            return self._items(self._unanswered)

    def accepted(self, seq: int) -> None:
        """Note that the server has everything up to *seq*."""
        with self._lock:
            plan = self._unanswered
            if plan is None or seq < plan.seq + plan.count - 1:
                return
            self._write(self._journal, msgspec.json.encode(_Accepted(seq=seq)))
            self._advance(plan)

    def states(self) -> list[ReportItem]:
        """Return every state, result and finish ever taken, delivered or not."""
        with self._lock:
            return [_decode_item.decode(payload) for payload, _ in self._states.read(0)]

    def close(self) -> None:
        """Close the files; they stay."""
        with self._lock:
            for file in (self._states, self._logs, self._journal):
                os.close(file.fd)

    def remove(self) -> None:
        """Close and delete the files: everything is delivered, or nobody wants it any more."""
        self.close()
        for name in (STATES, LOGS, JOURNAL, RESERVE):
            (self._directory / name).unlink(missing_ok=True)

    # -- inside ------------------------------------------------------------------------------------

    def _pending(self) -> bool:
        if self._unanswered is not None or self._sent_logs < self._logs.end:
            return True
        return self._sent_states < (self._finish_at if self._holds_finish else self._states.end)

    @property
    def _finish_at(self) -> int:
        """Where the finish begins in the file of states, or would."""
        return self._states.end - self._finish_bytes

    def _plan(self, max_items: int, max_bytes: int) -> _Planned | None:
        states = self._states.read(self._sent_states, stop=self._finish_at, max_bytes=max_bytes)[:max_items]
        used = sum(len(payload) for payload, _ in states)
        room = max_items - len(states)
        logs = self._logs.read(self._sent_logs, max_bytes=max(1, max_bytes - used))[:room] if room else []
        states_end = states[-1][1] if states else self._sent_states
        logs_end = logs[-1][1] if logs else self._sent_logs
        if states_end == self._finish_at and logs_end == self._logs.end and not self._holds_finish:
            finish = self._states.read(self._finish_at)
            states += finish
        if not states and not logs:
            return None
        return _Planned(
            seq=self._seq,
            count=len(states) + len(logs),
            states=(self._sent_states, states[-1][1] if states else self._sent_states),
            logs=(self._sent_logs, logs_end),
        )

    def _items(self, plan: _Planned) -> tuple[SequencedItem, ...]:
        states = [
            _decode_item.decode(payload)
            for payload, _ in self._states.read(plan.states[0], stop=plan.states[1])
        ]
        logs = [
            _decode_item.decode(payload) for payload, _ in self._logs.read(plan.logs[0], stop=plan.logs[1])
        ]
        last = [states.pop()] if states and isinstance(states[-1], FinishItem) else []
        return tuple(
            SequencedItem(seq=plan.seq + place, item=item)
            for place, item in enumerate([*states, *logs, *last])
        )

    def _advance(self, plan: _Planned) -> None:
        self._sent_states, self._sent_logs = plan.states[1], plan.logs[1]
        self._seq = plan.seq + plan.count
        self._unanswered = None

    def _recover(self) -> None:
        for payload, _ in self._journal.read(0):
            entry = _decode_entry.decode(payload)
            if isinstance(entry, _Planned):
                self._unanswered = entry
            elif self._unanswered is not None:
                self._advance(self._unanswered)
        plan = self._unanswered
        if plan is not None and (plan.states[1] > self._states.end or plan.logs[1] > self._logs.end):
            # The records of the batch are gone with a damaged tail. What is left of them may have been
            # accepted or not: skipping its numbers keeps the later ones unique.
            self._advance(
                msgspec.structs.replace(
                    plan,
                    states=(plan.states[0], min(plan.states[1], self._states.end)),
                    logs=(plan.logs[0], min(plan.logs[1], self._logs.end)),
                )
            )
        at = self._sent_states
        for payload, end in self._states.read(at):
            item = _decode_item.decode(payload)
            if isinstance(item, FinishItem):
                self.finish = item
                self._finish_bytes = end - at
            at = end

    def _tell_dropped(self) -> None:
        if not self._dropped:
            return
        line = LogItem(
            at=utc_now(),
            level="WARNING",
            logger="jupyter_flows.keeper",
            message=f"{self._dropped} lines of this log were dropped: it is over "
            f"{self._limit_bytes / 1_048_576:.3g} MB (setting spool_limit_mb)",
        )
        self._dropped = 0
        self._write(self._logs, msgspec.json.encode(line))

    def _write(self, file: _File, payload: bytes) -> None:
        try:
            file.append(payload)
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            # A full disk must not hide how the run ended: give up the reserve, and the log with it.
            (self._directory / RESERVE).unlink(missing_ok=True)
            self._limit_bytes = 0
            if file is not self._logs:
                file.append(payload)

    def _reserve_space(self) -> None:
        fd = os.open(self._directory / RESERVE, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(fd, 0, _RESERVE_BYTES)
            else:
                os.write(fd, b"\0" * _RESERVE_BYTES)
        except OSError:
            pass
        finally:
            os.close(fd)
