"""The kernels of one run: which cell runs in which, and what it must find there.

A seat is a kernel and what is known of its namespace. Before a cell runs, its seat is filled: setup cells
are run again in it, values are loaded, the state of the process is set. After it, what others read is
written to the book. Cells that cannot do without one another's memory have the first seat.

Knows nothing of states and of the server.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jupyter_flows.errors import ValueLost
from jupyter_flows.runtime import kernel_values
from jupyter_flows.runtime.book import Book, Gift, Place, dumps, gift_from, newest_joint, place_for_kernel
from jupyter_flows.runtime.kernel_backend import CellRunner, texts_of
from jupyter_flows.runtime.kernels import Kernel
from jupyter_flows.runtime.passing import Needs, slugs_above

VALUES = '__import__("_jupyter_flows_values")'
AT_THE_START = ""
"""The version of what is as it was when the kernel started."""
SHARE_OF_TIME = 0.05
"""Of a run's time, what writing values may take that nobody waits for..."""
LEAST_TIME_S = 0.5
"""...and what it may take in any case."""
LARGEST_KEPT = 2 << 30
"""Bytes of one variable that is only kept to resume from."""


class ReplayFailed(Exception):
    """A setup cell that ran well once failed in another kernel; ``str`` has no text of the exception."""


class Seat:
    """A kernel and what its namespace holds."""

    def __init__(self, number: int, kernel: Kernel, *, deadline_at: float | None = None) -> None:
        self.number = number
        self._deadline_at = deadline_at
        self.kernel = kernel
        self.runner: CellRunner | None = None
        self.versions: dict[str, str] = {}
        """Variable -> the task whose value it has."""
        self.channels: dict[str, str] = {}
        self.replayed: list[str] = []
        self.is_free = True
        self.awaits: str | None = None
        """The task whose next attempt goes on from what its last one left here."""

    def ask(self, expression: str) -> str:
        """Evaluate an expression in the kernel, between cells; return its text.

        Raises
        ------
        KernelDied, RunTimeOver, CellStopped
        """
        content = self.execute("", expression)
        return texts_of(content).get("it", "{}")

    def execute(
        self, code: str, expression: str | None = None, *, what: str = "what a cell needs"
    ) -> dict[str, Any]:
        """Run code silently; return the kernel's reply.

        Raises
        ------
        KernelDied
        RunTimeOver : the time of the run was over; *what* says of what.
        CellStopped : the run was interrupted.
        """
        assert self.runner is not None
        return self.runner.execute(code, expression, what=what, deadline_at=self._deadline_at)


class Seats:
    """All kernels of a run.

    Parameters
    ----------
    needs : mapping
        By slug, from :func:`~jupyter_flows.runtime.passing.needs_of`.
    book : Book
    first : Kernel
        The first seat's, launched.
    another : callable
        Launches one more kernel.
    runner : callable
        Makes the runner of a started kernel.
    codes : mapping
        By slug, the code of a task's cells, for setup cells that are run again.
    at_start : iterable of str
        Code that every kernel runs first (what papermill injected).
    limit : int
        Most kernels at once.
    is_alone : bool
        All cells run in the first kernel, in the order of the notebook.
    deadline_at : float, optional
        When the time of the whole run is over (``time.monotonic``).
    """

    _keeps_joint = True
    """Whether nobody else changes the objects that share memory while they are written."""

    def __init__(
        self,
        *,
        needs: Mapping[str, Needs],
        book: Book,
        first: Kernel,
        another: Callable[[], Kernel],
        runner: Callable[[Kernel], CellRunner],
        codes: Mapping[str, tuple[str, ...]],
        digests: Mapping[str, str],
        at_start: Iterable[str] = (),
        limit: int = 1,
        is_alone: bool = True,
        deadline_at: float | None = None,
    ) -> None:
        self._needs = needs
        self._book = book
        self._another = another
        self._runner = runner
        self._codes = codes
        self._digests = digests
        self._at_start = tuple(at_start)
        self._limit = limit
        self._is_alone = is_alone
        self._has_main = is_alone or any(need.is_pinned for need in needs.values())
        self._lock = threading.Lock()
        self._deadline_at = deadline_at
        self._first = first
        self._seats = [Seat(0, first, deadline_at=deadline_at)]
        self._count = 1
        self._reserved: dict[str, Seat] = {}
        self._live: dict[tuple[str, str], Seat] = {}
        self._began = time.monotonic()
        self._spent_s = 0.0
        self._setup = sorted(
            (need for need in needs.values() if need.is_replayed), key=lambda need: need.index
        )

    # -- who sits where ------------------------------------------------------------------------------------

    def reserve(self, slug: str) -> bool:
        """Whether the task can begin at once; then its seat is kept for it."""
        with self._lock:
            if slug in self._reserved:
                return True
            seat = self._fitting(slug)
            if seat is None:
                return False
            seat.is_free = False
            self._reserved[slug] = seat
            return True

    def _fitting(self, slug: str) -> Seat | None:
        need = self._needs[slug]
        if self._is_alone or need.is_pinned or need.is_replayed:
            # Every kernel runs the setup cells itself, when it needs them: no reason to open one for them.
            seat = self._seats[0]
            return seat if seat.is_free else None
        bound = self._live_seats(need)
        if bound:
            # Two are an error, which is told when the task runs.
            return bound[0] if bound[0].is_free else None
        workers = self._seats[1:] if self._has_main else self._seats
        for seat in workers:
            if seat.awaits == slug:
                return seat if seat.is_free else None
        at_work = [seat for seat in workers if seat.awaits is None]
        free = [seat for seat in at_work if seat.is_free]
        if free:
            return max(free, key=lambda seat: self._fit(seat, need))
        # One that waits for a retry holds what the failed attempt left; meanwhile another takes its place.
        return self._one_more() if len(at_work) < self._limit else None

    def _fit(self, seat: Seat, need: Needs) -> tuple[int, int]:
        here = sum(1 for name, providers in need.names.items() if seat.versions.get(name) in providers)
        return here, -seat.number

    def _live_seats(self, need: Needs) -> list[Seat]:
        found = []
        for name, providers in need.names.items():
            giver = self._book.giver(name, providers)
            seat = self._live.get((name, giver)) if giver is not None else None
            if seat is not None and seat not in found:
                found.append(seat)
        return found

    def _one_more(self) -> Seat:
        seat = Seat(self._count, self._another(), deadline_at=self._deadline_at)
        self._count += 1
        self._seats.append(seat)
        return seat

    def get_ready(self, count: int) -> None:
        """Launch kernels ahead, so many in all; they come up while the first cells run."""
        with self._lock:
            while len(self._seats) < min(count, self._limit + self._has_main):
                self._one_more()

    def seat_of(self, slug: str) -> Seat:
        """Return the seat that was kept for a task, with a kernel that answers.

        Raises
        ------
        KernelDied, KernelDidNotStart
        """
        with self._lock:
            if slug not in self._reserved:
                seat = self._seats[0]
                seat.is_free = False
                self._reserved[slug] = seat
            seat = self._reserved[slug]
        if seat.runner is not None and (seat.runner.dead or not seat.kernel.is_alive()):
            self._replace(seat)
        if seat.runner is None:
            self._open(seat)
        return seat

    def release(self, slug: str) -> None:
        """The task has ended, however: its seat is free."""
        with self._lock:
            seat = self._reserved.pop(slug, None)
            if seat is not None:
                seat.is_free = True

    def busy(self) -> list[Seat]:
        """Return the seats whose kernels are at work."""
        with self._lock:
            return [seat for seat in self._seats if not seat.is_free and seat.runner is not None]

    def close(self) -> None:
        """End all kernels, together: what each flushes at its end takes the time of one."""
        with self._lock:
            seats = list(self._seats)
        # One that still works, or never ran a cell, has nothing to flush.
        polite = [seat for seat in seats if seat.number == 0 or (seat.is_free and seat.runner is not None)]
        for seat in polite:
            with contextlib.suppress(Exception):
                seat.kernel.ask_to_end()
        for seat in seats:
            with contextlib.suppress(Exception):
                seat.kernel.stop(now=seat not in polite)

    # -- a kernel comes and goes -------------------------------------------------------------------------

    def _open(self, seat: Seat) -> None:
        """Wait for a launched kernel, and give it what passes values."""
        seat.kernel.start()
        seat.runner = self._runner(seat.kernel)
        for code in self._at_start:
            # Below its parameters cell it runs once more; what it binds is part of what every cell finds.
            seat.execute(code)
        install = f"names['install']({_values_source()!r}).begin()"
        content = seat.execute("", f"(lambda names: (exec({_values_source()!r}, names), {install})[1])({{}})")
        if texts_of(content).get("it") is None:
            found = content.get("user_expressions", {}).get("it", {})
            msg = (
                f"kernel {seat.kernel.name!r} cannot pass values ({found.get('ename') or 'no answer'}); "
                "it is no kernel of IPython's: run with --parallel off and --no-checkpoint"
            )
            raise ValueLost(msg)

    def _replace(self, seat: Seat) -> None:
        """Give a seat whose kernel is gone a fresh one; what only the old one had is lost."""
        with contextlib.suppress(Exception):
            seat.kernel.stop(now=True)
        with self._lock:
            for key in [key for key, there in self._live.items() if there is seat]:
                del self._live[key]
        seat.versions.clear()
        seat.channels.clear()
        seat.replayed.clear()
        seat.awaits = None
        seat.runner = None
        seat.kernel = self._another()

    # -- filling -------------------------------------------------------------------------------------------

    def fill(self, seat: Seat, slug: str) -> None:
        """Make the seat's namespace what the task needs.

        Raises
        ------
        ValueLost : something cannot be had there.
        ReplayFailed, KernelDied
        """
        need = self._needs[slug]
        goes_on, seat.awaits = seat.awaits == slug, None
        self._replay(seat, need)
        request: dict[str, Any] = {}
        loads = self._loads(seat, need)
        if loads:
            request["load"] = loads
        state = self._state(seat, need)
        if state:
            request["state"] = state
        if not self._is_alone:
            if need.is_pinned:
                request["aside"] = sorted(
                    name
                    for name in need.writes - set(need.names)
                    if name in seat.versions and not self._is_changed_unread(seat, name, need)
                )
            elif not goes_on:
                stay = {name for name, there in seat.versions.items() if self._stays(seat, name, there, need)}
                request["keep"] = sorted(stay | set(need.names))
                for name in set(seat.versions) - stay - set(need.names):
                    del seat.versions[name]
        if not any(request.values()) and "keep" not in request:
            return
        failed = json.loads(seat.ask(f"{VALUES}.take({dumps(request)})")).get("failed", {})
        for name, why in failed.items():
            seat.versions.pop(name, None)
            msg = f"`{name}` could not be restored: {why}; run the notebook from the start"
            raise ValueLost(msg)

    def _is_changed_unread(self, seat: Seat, name: str, need: Needs) -> bool:
        """Whether the task may change by another name what this one stands for here, and does not read it."""
        if name not in need.shared:
            return False
        above = (self._needs[slug] for slug in slugs_above(self._needs, need))
        last = next((other.slug for other in above if name in other.writes), None)
        return seat.versions[name] == last

    def _stays(self, seat: Seat, name: str, version: str, need: Needs) -> bool:
        """Whether a variable that the task does not need stays in the namespace of a worker."""
        if (name, version) in self._live:
            return True
        return version in seat.replayed and self._needs[version].index < need.index

    def _replay(self, seat: Seat, need: Needs) -> None:
        """Run the setup cells again that stand above the task and have not run in this kernel."""
        wanted = [
            setup
            for setup in self._setup
            if setup.index < need.index
            and setup.slug not in seat.replayed
            and self._book.gift(setup.slug) is not None
        ]
        for name, providers in need.names.items():
            giver = self._book.giver(name, providers)
            setup = self._needs.get(giver or "")
            if (
                setup is not None
                and setup.is_replayed
                and setup not in wanted
                and name in setup.defines
                and seat.versions.get(name) != giver
            ):
                wanted.append(setup)
        for setup in sorted(wanted, key=lambda one: one.index):
            for code in self._codes[setup.slug]:
                content = seat.execute(code, what=f"setup cell {setup.slug}, run again,")
                if content["status"] != "ok":
                    msg = f"setup cell {setup.slug} failed when another kernel ran it again"
                    raise ReplayFailed(f"{msg}: {content.get('ename') or content['status']}")
            self.has_run(seat, setup.slug)
            seat.ask(f"{VALUES}.know({dumps(sorted(setup.defines))})")

    def _loads(self, seat: Seat, need: Needs) -> list[dict[str, Any]]:
        missing: dict[str, str] = {}
        for name, providers in need.names.items():
            giver = self._book.giver(name, providers)
            if giver is not None and not self._is_there(seat, name, giver, need):
                missing[name] = giver
        if not missing:
            return []
        loads: list[dict[str, Any]] = []
        for name, giver in missing.items():
            gift = self._book.gift(giver)
            if gift is not None and gift.names[name].kind == "lost":
                raise ValueLost(self._why_lost(need, name, giver, gift.names[name]))
        if need.is_pinned and set(missing) & need.shared:
            joint = newest_joint(map(self._book.gift, slugs_above(self._needs, need)))
            if joint is not None:
                given, place = joint
                # What has been bound here since then stays.
                stay = {
                    name
                    for name, version in place.versions.items()
                    if seat.versions.get(name, version) != version
                    and self._is_there(seat, name, version, need)
                }
                taken = tuple(name for name in place.names if name not in stay)
                loads.append(place_for_kernel(self._book.path(given), place) | {"names": list(taken)})
                seat.versions.update({name: place.versions[name] for name in taken if name in place.versions})
                # Who reads a name need not wait for whoever changed its object by another name: of objects
                # that share memory the picture is the truth, also where it is newer than the own giver.
                missing = {
                    name: giver
                    for name, giver in missing.items()
                    if name not in place.versions or not self._is_as_new(place.versions[name], giver)
                }
        for name, giver in missing.items():
            found = self._book.gift(giver)
            assert found is not None
            place = found.names[name]
            if place.kind != "stored":
                raise ValueLost(self._why_lost(need, name, giver, place))
            loads.append(place_for_kernel(self._book.path(found), place, name=name))
            seat.versions[name] = giver
        return loads

    def _is_there(self, seat: Seat, name: str, giver: str, need: Needs) -> bool:
        """Whether the namespace has the value that the task is to find."""
        version = seat.versions.get(name, "")
        if version == giver:
            return True
        # Where cells run in the order of the notebook in one memory, what a cell finds is what the last one
        # left that wrote it, be it by another name: a copy of what the giver left would be older, and apart.
        in_order = self._is_alone or need.is_pinned
        return in_order and self._is_as_new(version, giver) and self._needs[version].index < need.index

    def _is_as_new(self, version: str, giver: str) -> bool:
        return version in self._needs and self._needs[version].index >= self._needs[giver].index

    def _why_lost(self, need: Needs, name: str, giver: str, place: Place) -> str:
        where = self._live.get((name, giver))
        what = f"{need.slug} needs `{name}` of {giver}, a {place.type or 'value'}"
        if where is not None and place.kind == "lost":
            return (
                f"{what}, and something of another kernel; {place.why}, so that it stays where it was made: "
                "run with --parallel off"
            )
        if place.kind == "lost":
            return f"{what}, which went with its kernel: {place.why}; {giver} must run again"
        return f"{what}, which was not kept: {place.why}; {giver} must run again"

    def _state(self, seat: Seat, need: Needs) -> dict[str, Any]:
        """Return the channels to be set."""
        found: dict[str, Any] = {}
        for channel, providers in need.channels.items():
            giver = self._book.keeper_of(channel, providers)
            if giver is None or seat.channels.get(channel) == giver or giver in seat.replayed:
                continue
            gift = self._book.gift(giver)
            assert gift is not None
            found[channel] = place_for_kernel(self._book.path(gift), gift.channels[channel], name=channel)
            seat.channels[channel] = giver
        if not need.is_pinned and not self._is_alone:
            for channel, giver in list(seat.channels.items()):
                # A cell further down in the notebook has run here first.
                changer = self._needs.get(giver)
                if channel not in need.channels and changer is not None and changer.index > need.index:
                    found[channel] = None
                    del seat.channels[channel]
        return found

    # -- what a task gives ---------------------------------------------------------------------------------

    def expressions(self, slug: str, file: str) -> dict[str, str]:
        """Return what is to be evaluated in the kernel when the task's last cell has run."""
        need = self._needs[slug]
        asked: dict[str, str] = {}
        if need.defines and need.is_replayed:
            asked["know"] = f"{VALUES}.know({dumps(sorted(need.defines))})"
        names = [name for name in need.gives if not (need.is_replayed and name in need.defines)]
        joint = (
            sorted(need.shared) if self._keeps_joint and need.is_pinned and need.writes & need.shared else []
        )
        if names or joint or need.state or not self._is_alone:
            request: dict[str, Any] = {
                "file": file,
                "names": names,
                "joint": joint,
                "changed": [name for name in names if name in need.names],
                "state": list(need.state),
            }
            if self._is_alone:
                # Nobody waits for these values: they are kept for a retry and for going on later.
                spent_s, run_s = self._spent_s, time.monotonic() - self._began
                request["seconds"] = max(LEAST_TIME_S, SHARE_OF_TIME * run_s) - spent_s
                request["limit"] = LARGEST_KEPT
            asked["give"] = f"{VALUES}.give({dumps(request)})"
        return asked

    def took(self, seat: Seat, slug: str, texts: Mapping[str, str], *, file: str, seconds: float) -> Gift:
        """Note in the book what the kernel says that it wrote."""
        need = self._needs[slug]
        told = json.loads(texts["give"]) if "give" in texts else {"names": {}, "joint": None, "state": {}}
        self._spent_s += float(told.get("seconds", 0.0))
        for name in need.gives:
            if need.is_replayed and name in need.defines:
                told["names"][name] = {"kind": "stored", "why": "run again where it is needed"}
        if told["joint"] is not None:
            versions = {**seat.versions, **dict.fromkeys(need.writes, slug)}
            told["joint"]["versions"] = {
                name: versions[name] for name in told["joint"]["names"] if name in versions
            }
        gift = gift_from(
            slug,
            told,
            file=file.rpartition("/")[2] if "give" in texts else "",
            code=self._digests.get(slug, ""),
            seconds=seconds,
        )
        self.has_run(seat, slug, gift)
        self._book.add(gift)
        return gift

    def has_run(self, seat: Seat, slug: str, gift: Gift | None = None) -> None:
        """Note what the namespace holds now that a task's cells have run in it."""
        need = self._needs[slug]
        absent = {name for name, place in gift.names.items() if place.kind == "absent"} if gift else set()
        for name in need.writes | set(need.gives):
            if name not in absent:
                seat.versions[name] = slug
        for channel in need.changes:
            seat.channels[channel] = slug
        if need.is_replayed:
            if slug in seat.replayed:
                seat.replayed.remove(slug)
            seat.replayed.append(slug)
        for name, place in gift.names.items() if gift else ():
            if place.kind == "lost":
                with self._lock:
                    self._live[name, slug] = seat

    def has_failed(self, seat: Seat, slug: str, *, tries_again: bool) -> None:
        """Keep for a next attempt what this one left: it goes on there, as a cell run again by hand does."""
        need = self._needs[slug]
        if tries_again and not (self._is_alone or need.is_pinned or need.is_replayed):
            seat.awaits = slug


@functools.cache
def _values_source() -> str:
    return inspect.getsource(kernel_values)
