"""The agent's spare crews: keepers that wait for an order, each with a run's process and a kernel ready.

Answers: how many, for which kernel and variables, when they are made (not while a run has just begun), and
when their memory is given back. A crew is taken once; what ran user code never comes back here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import msgspec

from jupyter_flows.agent.children import sweep
from jupyter_flows.agent.crew import SpareOrder, crew_directory, crew_marker, remove_crew_files
from jupyter_flows.agent.order import SECRET_VARIABLES, Order
from jupyter_flows.agent.run_directory import lock_directory
from jupyter_flows.runtime.known_imports import last_kernel, lately, recalled
from jupyter_flows.schema.agents import Claim
from jupyter_flows.schema.base import new_id
from jupyter_flows.settings import Settings

log = logging.getLogger("jupyter_flows.agent")

DEFAULT_KERNEL = "python3"
SETTLE_S = 1.0
"""A run that has just begun has the machine for itself; then the next crew is made."""
BUSY_LIMIT_S = 10.0
"""Longest wait for a core that is free."""
LONGEST_BACK_OFF_S = 300.0
STOP_LIMIT_S = 5.0
FLOWS_KEPT = 8


class Profile(msgspec.Struct, frozen=True):
    """What a crew is made for: the kernel, and the variables that the run config sets."""

    kernel: str
    env: tuple[tuple[str, str], ...] = ()


class Spare:
    """One crew, from here: its keeper's process and what it was made for."""

    def __init__(self, crew: str, profile: Profile, *, process: subprocess.Popen[bytes], home: Path) -> None:
        self.crew = crew
        self.profile = profile
        self.process = process
        self._home = home

    @property
    def is_ready(self) -> bool:
        """Whether its kernel waits."""
        return (crew_directory(self._home, self.crew) / "ready.json").exists()

    def hand(self, order: Order) -> bool:
        """Give its keeper an order; False: it is gone."""
        stream = self.process.stdin
        if stream is None or self.process.poll() is not None:
            return False
        try:
            stream.write(msgspec.json.encode(order))
            stream.close()
        except OSError:
            return False
        return True

    def dismiss(self) -> None:
        """Have it end; :meth:`clear` waits."""
        if self.process.stdin is not None:
            with contextlib.suppress(OSError):
                self.process.stdin.close()

    def clear(self) -> None:
        """Wait for its end and make sure that nothing is left of it."""
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        sweep(crew_marker(self.crew), own_children=False)
        remove_crew_files(self._home, self.crew)


class Spares:
    """Keeps as many crews ready as the settings say, as long as runs come.

    Parameters
    ----------
    settings : Settings
        ``spares`` and ``spare_idle_s``.
    env, import_paths
        As the agent gives them to every run.
    """

    def __init__(self, settings: Settings, *, env: Mapping[str, str], import_paths: tuple[str, ...]) -> None:
        self._settings = settings
        self._env = dict(env)
        self._import_paths = import_paths
        self._spares: list[Spare] = []
        self._claims: list[Claim] = []
        """The last ones, newest first. Which kernel a run took is sometimes known only after it began."""
        self._used_at = time.monotonic()
        self._not_before = 0.0
        self._busy_until = 0.0
        self._failures = 0
        self._closed = settings.spares <= 0
        self._lock = threading.Lock()

    def tick(self, *, is_running: bool) -> None:
        """Drop what ended, give back what is idle, make what is missing; called about twice a second.

        Parameters
        ----------
        is_running : bool
            Whether a run is under way: idle is the time without one.
        """
        if self._closed:
            return
        now = time.monotonic()
        with self._lock:
            if is_running:
                self._used_at = now
            ended = [spare for spare in self._spares if spare.process.poll() is not None]
            self._spares = [spare for spare in self._spares if spare not in ended]
            idle = now - self._used_at > self._settings.spare_idle_s
            given_back, self._spares = (self._spares, []) if idle else ([], self._spares)
        for spare in ended:
            self._lost(spare, now)
        for spare in given_back:
            spare.dismiss()
        for spare in given_back:
            spare.clear()
        if given_back:
            log.info("no run for %g s: the memory of the spare is given back", self._settings.spare_idle_s)
        if not idle:
            self._make_missing(now)

    def take(self, claim: Claim) -> Spare | None:
        """Return the crew that fits a run best, which is its from now on; None: there is none."""
        if self._settings.spares <= 0:
            return None
        profile = self._profile_of(claim)
        with self._lock:
            self._used_at = time.monotonic()
            self._not_before = max(self._not_before, self._used_at + SETTLE_S)
            self._busy_until = self._not_before + BUSY_LIMIT_S
            others = (known for known in self._claims if known.run.flow_id != claim.run.flow_id)
            self._claims = [claim, *others][:FLOWS_KEPT]
            alive = [spare for spare in self._spares if spare.process.poll() is None]
            if not alive:
                return None
            best = max(
                alive,
                key=lambda spare: (
                    spare.profile == profile,
                    spare.profile.kernel == profile.kernel,
                    spare.is_ready,
                ),
            )
            self._spares.remove(best)
            self._failures = 0
            return best

    def close(self) -> None:
        """End all crews, and make no more."""
        with self._lock:
            self._closed = True
            left, self._spares = self._spares, []
        for spare in left:
            spare.dismiss()
        for spare in left:
            spare.clear()

    # -- inside ------------------------------------------------------------------------------------

    def _profile_of(self, claim: Claim) -> Profile:
        options = claim.spec.run_config.options
        fingerprint = claim.spec.fingerprint
        named = options.get("kernel_name") or (fingerprint.kernel if fingerprint else None)
        if not isinstance(named, str):
            known = recalled(self._settings.home, claim.run.flow_id)
            named = known.kernel if known else DEFAULT_KERNEL
        pairs = options.get("env")
        env = [str(pair).partition("=")[::2] for pair in pairs] if isinstance(pairs, (list, tuple)) else []
        return Profile(named, tuple(sorted(env)))

    def _lost(self, spare: Spare, now: float) -> None:
        was_ready = spare.is_ready
        spare.clear()
        if was_ready:
            log.debug("the spare crew ended (its environment changed, or it was killed); another is made")
            return
        self._failures += 1
        wait_s = min(LONGEST_BACK_OFF_S, 2.0**self._failures)
        with self._lock:
            self._not_before = max(self._not_before, now + wait_s)
        log.debug("the spare crew ended before it was ready; the next try is in %g s", wait_s)

    def _make_missing(self, now: float) -> None:
        with self._lock:
            if self._closed or now < self._not_before or len(self._spares) >= self._settings.spares:
                return
            if now < self._busy_until and _cores_are_busy():
                return
            # The last runs' profiles, the very last one again where there are fewer than crews.
            profiles = list(dict.fromkeys(self._profile_of(claim) for claim in self._claims))
            wanted = profiles[: self._settings.spares]
            for spare in self._spares:
                if spare.profile in wanted:
                    wanted.remove(spare.profile)
        profile = (wanted or profiles[:1] or [self._first_profile()])[0]
        try:
            made = self._made(profile)
        except OSError as error:
            log.warning("no spare crew could be started: %s", error)
            self._not_before = now + LONGEST_BACK_OFF_S
            return
        with self._lock:
            if not self._closed:
                self._spares.append(made)
                return
        made.dismiss()
        made.clear()

    def _first_profile(self) -> Profile:
        return Profile(last_kernel(self._settings.home) or DEFAULT_KERNEL)

    def _made(self, profile: Profile) -> Spare:
        crew = new_id()[:16]
        home = self._settings.home
        directory = crew_directory(home, crew)
        directory.mkdir(parents=True, mode=0o700)
        order = SpareOrder(
            crew=crew,
            settings={**asdict(self._settings), "home": str(home), "api_token": ""},
            env={**self._env, **dict(profile.env)},
            import_paths=self._import_paths,
            kernel=profile.kernel,
            modules=lately(home, profile.kernel),
        )
        # Held by us until its keeper holds it too, so that no other agent of this home takes it for a
        # dead one's.
        lock = lock_directory(directory)
        environ = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jupyter_flows.agent.keeper", "--spare"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                env=environ,
                cwd=directory,
                pass_fds=() if lock is None else (lock,),
            )
        finally:
            if lock is not None:
                os.close(lock)
        stream = process.stdin
        assert stream is not None
        with contextlib.suppress(OSError):
            stream.write(msgspec.json.encode(order) + b"\n")
            stream.flush()
        return Spare(crew, profile, process=process, home=home)


def clear_left_crews(home: Path) -> None:
    """Remove the crews of agents that are gone: no keeper holds their directory any more."""
    for directory in (home / "spares").glob("*"):
        with contextlib.suppress(OSError):
            lock = lock_directory(directory)
            if lock is not None:
                sweep(crew_marker(directory.name), own_children=False)
                remove_crew_files(home, directory.name)
                os.close(lock)


def _cores_are_busy() -> bool:
    """Whether more wants to run than there are cores (Linux says; elsewhere nobody is asked)."""
    try:
        running = Path("/proc/loadavg").read_text("ascii").split()[3].partition("/")[0]
    except (OSError, IndexError):
        return False
    return int(running) > (os.cpu_count() or 1)
