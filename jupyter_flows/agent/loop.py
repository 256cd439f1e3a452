"""The agent: asks the server for runs, gives each to a keeper, and steps out of the way.

Answers: who may run here, how many at once, and what happens to runs when the agent is told to stop.
It never sees a flow's code, and a run does not need it any more once its keeper lives.
"""

from __future__ import annotations

import logging
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.agent.leftovers import kept_runs, recover
from jupyter_flows.agent.link import run_link
from jupyter_flows.agent.order import SECRET_VARIABLES, Order
from jupyter_flows.agent.run_directory import KeeperCard
from jupyter_flows.agent.spares import Spare, Spares, clear_left_crews
from jupyter_flows.client.api import FlowsApi
from jupyter_flows.client.backoff import Backoff
from jupyter_flows.client.reporter import FINAL
from jupyter_flows.errors import InvalidLabel, NotAuthorised, NotFound, ServerFault
from jupyter_flows.runtime.kernels import places_for_sockets
from jupyter_flows.runtime.owned_directory import remove_abandoned
from jupyter_flows.runtime.processes import ending, start_ticks
from jupyter_flows.schema.agents import AgentRecord, AgentStopped, Claim, ClaimRuns, RegisterAgent
from jupyter_flows.schema.base import LABEL_PATTERN, new_id
from jupyter_flows.schema.runs import HandBack
from jupyter_flows.settings import Settings, package_version
from jupyter_flows.storage.base import host_label

log = logging.getLogger("jupyter_flows.agent")

LONGEST_BACK_OFF_S = 10.0
LEAVE_LIMIT_S = 30.0
"""After the grace: how long keepers may take to stop their runs and deliver."""


class _Kept:
    """A keeper that lives: ours (with its process) or one that an earlier agent started."""

    def __init__(
        self,
        run_id: str,
        name: str,
        *,
        pid: int,
        process: subprocess.Popen[bytes] | None = None,
        claim: Claim | None = None,
    ) -> None:
        self.claim = claim
        self.run_id = run_id
        self.name = name
        self.pid = pid
        self.process = process
        self.started = start_ticks(pid)

    def signal(self, number: signal.Signals) -> None:
        """Signal the keeper, if it is still the same process."""
        if self.started is not None and start_ticks(self.pid) == self.started:
            os.kill(self.pid, number)


class Agent:
    """Claims runs and has each kept until it ends.

    Parameters
    ----------
    api : FlowsApi
        The server, with an agent's token.
    settings : Settings
        Home directory, times and limits; sent along to keepers.
    name : str, optional
        Name shown to people; default: the host's name.
    labels : iterable of str
        Labels offered, besides the host's name unless *hostname_label* is False.
    max_runs : int, optional
        Most runs at once; default: twice the number of cores; 0: no limit.
    env : mapping
        Variables for every run.
    import_paths : iterable of str
        Directories put before ``PYTHONPATH`` of every run.
    exclusive : bool
        Leave unlabelled runs to others.
    """

    def __init__(
        self,
        api: FlowsApi,
        settings: Settings,
        *,
        name: str | None = None,
        labels: Iterable[str] = (),
        hostname_label: bool = True,
        max_runs: int | None = None,
        env: Mapping[str, str] | None = None,
        import_paths: Iterable[str] = (),
        show_logs: bool = False,
        exclusive: bool = False,
    ) -> None:
        self._api = api
        self._settings = settings
        host = platform.node() or "localhost"
        self.name = name or host
        offered = {*labels, *([host_label()] if hostname_label else [])}
        for label in offered:
            if not LABEL_PATTERN.fullmatch(label):
                msg = f"label {label!r} is not one word of letters, digits, '.', '_', ':' or '-'"
                raise InvalidLabel(msg)
        self.labels = tuple(sorted(offered))
        self.max_runs = 2 * (os.cpu_count() or 1) if max_runs is None else max_runs
        self._env = dict(env or {})
        self._import_paths = tuple(import_paths)
        self._show_logs = show_logs
        self._exclusive = exclusive
        self._host = host
        self._spares = Spares(settings, env=self._env, import_paths=self._import_paths)
        self._kept: dict[str, _Kept] = {}
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._at_once = threading.Event()
        self._left = threading.Event()
        self._error: BaseException | None = None
        self.record: AgentRecord | None = None

    # -- life --------------------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        """Work until *stop* is set; then let runs finish, within the grace, and say goodbye.

        Raises
        ------
        NotAuthorised : the server does not know the token.
        """
        self._stop = stop
        self._adopt()
        clear_left_crews(self._settings.home)
        claiming = threading.Thread(target=self._claim_until_stopped, name="claim", daemon=True)
        claiming.start()
        try:
            self._spares.tick(is_running=bool(self.running))
            while not stop.wait(0.5):
                if not claiming.is_alive():
                    break
                self._spares.tick(is_running=bool(self.running))
        finally:
            self._spares.close()
        with self._changed:
            self._changed.notify_all()
        self._say_goodbye()
        self._let_runs_finish()
        self._left.set()
        if self._error is not None:
            raise self._error

    def stop_at_once(self) -> None:
        """Skip the grace: runs are stopped now."""
        self._at_once.set()
        with self._changed:
            self._changed.notify_all()

    @property
    def running(self) -> tuple[str, ...]:
        """Ids of the runs that have a living keeper."""
        with self._changed:
            return tuple(self._kept)

    # -- claiming ----------------------------------------------------------------------------------

    def _claim_until_stopped(self) -> None:
        try:
            back_off = Backoff(limit_s=LONGEST_BACK_OFF_S)
            key = new_id()
            away = False
            while not self._stop.is_set():
                room = self._wait_for_room()
                if room == 0:
                    continue
                try:
                    if self.record is None:
                        self.record = self._register()
                        log.info(
                            "agent %s waits for runs with labels %s", self.record.name, ", ".join(self.labels)
                        )
                    answer = self._api.claim_runs(
                        self.record.id,
                        ClaimRuns(
                            max_claims=min(room, 100), wait_s=min(self._settings.long_poll_s, 60.0), key=key
                        ),
                    )
                except NotFound:
                    # Another database behind the same address: introduce ourselves again.
                    self.record = None
                    self._stop.wait(back_off.next_delay_s())
                    continue
                except NotAuthorised:
                    raise
                except (ServerFault, OSError) as error:
                    if not away and not self._stop.is_set():
                        away = True
                        log.warning("the server does not answer, waiting for it (%s)", error)
                    # The same key: a claim whose answer got lost is answered again, not made twice.
                    self._stop.wait(back_off.next_delay_s())
                    continue
                if away:
                    away = False
                    log.info("the server answers again")
                back_off.reset()
                key = new_id()
                for claim in answer.claims:
                    self._begin(claim)
        except BaseException as error:  # noqa: BLE001 - told by run(), in the caller's thread
            self._error = error

    def _wait_for_room(self) -> int:
        with self._changed:
            if self.max_runs and len(self._kept) >= self.max_runs:
                self._changed.wait(timeout=1.0)
            if not self.max_runs:
                return 100
            return max(0, self.max_runs - len(self._kept))

    def _register(self) -> AgentRecord:
        return self._api.register_agent(
            RegisterAgent(
                name=self.name,
                labels=self.labels,
                kind="local",
                host=self._host,
                pid=os.getpid(),
                version=package_version(),
                exclusive=self._exclusive,
                max_runs=self.max_runs,
                kernels=installed_kernel_names(),
                python=platform.python_version(),
            )
        )

    # -- keepers -----------------------------------------------------------------------------------

    def _begin(self, claim: Claim) -> None:
        run = claim.run
        if self._stop.is_set():
            self._hand_back(claim, "the agent that claimed it is stopping")
            return
        log.info("run %s of flow %s begins", run.name, run.flow_name)
        settings = {**asdict(self._settings), "home": str(self._settings.home), "api_token": ""}
        order = Order(
            claim=claim,
            api_url=self._api.url,
            follow=not self._settings.api_url,
            settings=settings,
            env=self._env,
            import_paths=self._import_paths,
            show_logs=self._show_logs,
        )
        directory = self._settings.home / "runs" / run.id
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        spare = self._spares.take(claim)
        try:
            process = _given(spare, order) or _started(order, directory)
        except OSError as error:
            log.error("run %s could not be given a keeper: %s", run.name, error)  # noqa: TRY400
            self._hand_back(claim, f"the agent could not start a process: {error.strerror}")
            return
        self._watch(_Kept(run.id, run.name, pid=process.pid, process=process, claim=claim), directory)

    def _adopt(self) -> None:
        """Find the keepers of an earlier agent: living ones count, dead ones are finished."""
        remove_abandoned(places_for_sockets())
        for directory, card in kept_runs(self._settings.home):
            self._watch(_Kept(card.run_id, card.run_name, pid=card.pid), directory)

    def _watch(self, kept: _Kept, directory: Path) -> None:
        with self._changed:
            self._kept[kept.run_id] = kept
        threading.Thread(
            target=self._see_off, args=(kept, directory), name=f"keeper-{kept.run_id[:6]}", daemon=True
        ).start()

    def _see_off(self, kept: _Kept, directory: Path) -> None:
        """Wait for a keeper's end; finish its work if it could not."""
        returncode = None
        try:
            if kept.process is not None:
                returncode = kept.process.wait()
            else:
                _wait_for_end(kept)
            for path, card in kept_runs(self._settings.home):
                if path == directory:
                    self._finish_for(path, card, returncode)
                    break
            else:
                if returncode and kept.claim is not None:
                    # It ended before it could write its card: nothing has begun.
                    log.error("the keeper of run %s did not start: %s", kept.name, ending(returncode))
                    self._hand_back(kept.claim, "its keeper did not start")
            if returncode == 0 or returncode is None:
                log.info("run %s is over", kept.name)
        finally:
            with self._changed:
                if self._kept.get(kept.run_id) is kept:
                    del self._kept[kept.run_id]
                self._changed.notify_all()

    def _finish_for(self, directory: Path, card: KeeperCard, returncode: int | None) -> None:
        if returncode is not None and returncode < 0:
            log.warning("the keeper of run %s is gone: %s", card.run_name, ending(returncode))
        recover(
            directory,
            card,
            connect=self._link_of,
            stop=self._left,
            returncode=returncode,
            spool_limit_bytes=self._settings.spool_limit_mb << 20,
        )

    def _link_of(self, card: KeeperCard) -> Any:
        return run_link(self._settings, run_token=card.run_token, url=card.api_url, follow=card.follow)

    def _hand_back(self, claim: Claim, text: str) -> None:
        api = self._api.with_token(claim.run_token)
        try:
            api.hand_back_run(claim.run.id, HandBack(token=claim.lease.token, message=text))
        except (*FINAL, ServerFault, OSError) as error:
            # Not started within the submit deadline, it is offered again anyway.
            log.warning("run %s was not handed back: %s", claim.run.name, error)

    # -- leaving -----------------------------------------------------------------------------------

    def _say_goodbye(self) -> None:
        if self.record is None or self._error is not None:
            return
        try:
            self._api.stop_agent(self.record.id, AgentStopped(message="stopped"))
        except (ServerFault, OSError):
            log.info("the server does not answer; it will miss this agent by itself")

    def _let_runs_finish(self) -> None:
        if not self.running:
            return
        log.info("no new runs; %d still under way get %g s", len(self.running), self._settings.agent_grace_s)
        if self._wait_for_none(self._settings.agent_grace_s):
            return
        for kept in self._living():
            log.warning("run %s is stopped: the agent leaves", kept.name)
            kept.signal(signal.SIGTERM)
        if self._at_once.is_set():
            for kept in self._living():
                kept.signal(signal.SIGTERM)
        self._wait_for_none(3 * self._settings.kill_grace_s + LEAVE_LIMIT_S, even_at_once=True)

    def _living(self) -> list[_Kept]:
        with self._changed:
            return list(self._kept.values())

    def _wait_for_none(self, limit_s: float, *, even_at_once: bool = False) -> bool:
        end = time.monotonic() + limit_s
        with self._changed:
            while self._kept:
                left = end - time.monotonic()
                if left <= 0 or (self._at_once.is_set() and not even_at_once):
                    return False
                self._changed.wait(timeout=min(left, 0.5))
        return True


def _given(spare: Spare | None, order: Order) -> subprocess.Popen[bytes] | None:
    """Give the order to a keeper that waits; None: there is none, or none any more."""
    if spare is None:
        return None
    if spare.hand(order):
        return spare.process
    spare.clear()
    return None


def _started(order: Order, directory: Path) -> subprocess.Popen[bytes]:
    environ = {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "jupyter_flows.agent.keeper"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env=environ,
        cwd=directory,
    )
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(order))
    process.stdin.close()
    return process


def _wait_for_end(kept: _Kept) -> None:
    """Wait until a process that is not our child has ended."""
    if kept.started is None:
        return
    if hasattr(os, "pidfd_open"):
        import select

        try:
            fd = os.pidfd_open(kept.pid)
        except OSError:
            return
        try:
            if start_ticks(kept.pid) == kept.started:
                select.select([fd], [], [])
        finally:
            os.close(fd)
        return
    while start_ticks(kept.pid) == kept.started:
        time.sleep(0.5)


def installed_kernel_names() -> tuple[str, ...]:
    """Names of the kernels installed here, found without jupyter_client (an agent stays small)."""
    from importlib.util import find_spec

    from jupyter_core.paths import jupyter_path

    names = {
        spec.parent.name.lower()
        for root in jupyter_path("kernels")
        if Path(root).is_dir()
        for spec in Path(root).glob("*/kernel.json")
    }
    if find_spec("ipykernel") is not None:
        names.add("python3")
    return tuple(sorted(names))[:100]
