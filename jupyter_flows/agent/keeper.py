"""The keeper: one small process a run, ``python -m jupyter_flows.agent.keeper``.

It holds the lease, renews it, spools and delivers what the run says, and stops the run when that is
asked. User code never shares a process with it, so a busy or broken run cannot silence it; and it has
its own session, so that an agent's death hurts no run.

Rules that must hold:

* *Start gate*: the run's process is started only after the server acknowledged the start with our
  fencing token. A run whose keeper died before that can be given to another agent without a thought.
* *Self-fencing*: a run that may be rerun is stopped when our lease can no longer be trusted, before
  anybody else may start it.
* *A spare crew is nobody's yet*: a keeper can wait for its order with a run's process ready
  (``agent/crew.py``); no user code is near it until the gate opened.
* *What is spooled is delivered*: by us, or by an agent that finds our directory later
  (``agent/leftovers.py``).

Imports neither the flow's code nor anything that could load it; no papermill, no nbformat.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from jupyter_flows.agent.children import (
    MARKER_NAME,
    marker,
    reap_adopted,
    signal_group,
    sweep,
)
from jupyter_flows.agent.crew import (
    CREW_GONE,
    Crew,
    SpareOrder,
    remove_crew_files,
    remove_sockets,
)
from jupyter_flows.agent.link import run_link
from jupyter_flows.agent.order import Order, environment_of_runs, run_variables, settings_from
from jupyter_flows.agent.policy import (
    HandedBack,
    Nothing,
    StopAsked,
    StopCause,
    final_item,
    ladder,
    open_tasks_ended,
    trusted_until,
)
from jupyter_flows.agent.run_directory import (
    CARD_NAME,
    KeeperCard,
    lock_directory,
    private,
    write_private,
)
from jupyter_flows.client.backoff import Backoff
from jupyter_flows.client.reporter import FINAL, Deliverer
from jupyter_flows.client.spool import Spool
from jupyter_flows.errors import FlowsError, LeaseLost, RunNotStarted, ServerFault
from jupyter_flows.run_configs.base import LaunchPlan, run_config_from_ref
from jupyter_flows.runtime.processes import adopt_orphans, start_ticks
from jupyter_flows.runtime.redact import message as safe_message
from jupyter_flows.schema.base import utc_now
from jupyter_flows.schema.runs import (
    FinishItem,
    HandBack,
    Heartbeat,
    Lease,
    LogItem,
    PipeItem,
    RunRecord,
    StartRun,
    StateRecord,
)
from jupyter_flows.settings import Settings

LONGEST_HEARTBEAT_S = 2.0
"""A cancel is learnt from the answer to a heartbeat, so a beat is never rarer than a person's patience."""
PIPE_DRAIN_S = 5.0
_decode_line = msgspec.json.Decoder(PipeItem)


class _Exited(msgspec.Struct, frozen=True):
    returncode: int


class Keeper:
    """Keeps one run from its start gate to the last delivered item.

    Parameters
    ----------
    order : Order
        The claim and how to run it.
    api : object
        The client of the server, with the run's own token.
    settings : Settings
        The agent's settings.
    crew : Crew, optional
        A run's process that waits already.
    """

    def __init__(self, order: Order, *, api: Any, settings: Settings, crew: Crew | None = None) -> None:
        self._order = order
        self._crew = crew
        self._claim = order.claim
        self._run = order.claim.run
        self._token = order.claim.lease.token
        self._api = api
        self._settings = settings
        self.directory = settings.home / "runs" / self._run.id
        self._marker = marker(self._run.id, self._token)
        self._markers = (self._marker, *([crew.marker] if crew is not None else []))
        self._events: queue.SimpleQueue[StopAsked | _Exited] = queue.SimpleQueue()
        self._lease: Lease = order.claim.lease
        self._trusted_until = 0.0
        self._asked: StopAsked | None = None
        self._reported: FinishItem | None = None
        self._pid = 0
        self._done = threading.Event()
        self._leaving = threading.Event()

    # -- the whole story ---------------------------------------------------------------------------

    def run(self) -> int:
        """Keep the run; return the exit code (0: all is delivered, 75: a later agent must deliver)."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = lock_directory(self.directory)
        if lock is None:
            return 0
        self._write_card()
        self._put_aside_earlier_attempt()
        if not self._start_gate():
            self._forget()
            return 0
        # A spool of an earlier token was delivered or refused; its numbers mean nothing under this one.
        self._spool = Spool(
            self.directory / f"spool-{self._token}",
            limit_bytes=self._settings.spool_limit_mb << 20,
            hold_finish=True,
        )
        self._deliverer = Deliverer(
            self._spool,
            self._api,
            run_id=self._run.id,
            token=self._token,
            on_answer=self._look_at,
            on_away=lambda error: self._say(f"server is away, keeping reports on disk: {error}"),
        )
        self._deliverer.start()
        heart = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        heart.start()
        try:
            returncode = self._execute()
        except FlowsError as error:
            self._reported = FinishItem(
                state=StateRecord(type="Failed", message=safe_message(str(error)), at=utc_now())
            )
            returncode = 0
        self._tidy()
        return self._conclude(returncode)

    def ask_stop(self, asked: StopAsked) -> None:
        """Have the run stopped; the first cause counts, a later one can only hurry it."""
        self._events.put(asked)

    # -- start gate --------------------------------------------------------------------------------

    def _start_gate(self) -> bool:
        """Whether the server acknowledged the start; False: the run is not ours (any more)."""
        back_off = Backoff(limit_s=5.0)
        give_up_at = time.monotonic() + self._settings.submit_deadline_s + self._claim.lease.ttl_s
        while True:
            if not self._events.empty():
                # Told to stop before anything began: somebody else may have the run at once.
                self._hand_back(HandedBack(message="its agent was stopped before the run began"))
                return False
            sent_at = time.monotonic()
            try:
                self._lease = self._api.start_run(self._run.id, StartRun(token=self._token))
            except FINAL as error:
                self._say(f"not started: {error}")
                return False
            except (ServerFault, OSError) as error:
                # By then the server, if it lives, has offered the run to somebody else.
                if time.monotonic() > give_up_at:
                    self._say(f"not started, the server did not answer: {error}")
                    return False
                time.sleep(back_off.next_delay_s())
                continue
            self._renewed(self._lease, sent_at)
            return True

    # -- the run's process -------------------------------------------------------------------------

    def _execute(self) -> int:
        """Start the process and watch it to its end; return how it ended."""
        plan = run_config_from_ref(self._claim.spec.run_config).plan(
            environ=self._environment(), run_directory=self.directory
        )
        claim_file = self.directory / "claim.json"
        write_private(claim_file, msgspec.json.encode(msgspec.structs.replace(self._claim, run_token="")))
        env = {
            **plan.env,
            **run_variables(self._settings),
            MARKER_NAME: self._marker,
            "JUPYTER_FLOWS_RUN_ID": self._run.id,
            "JUPYTER_FLOWS_CLAIM": str(claim_file),
        }
        crew = self._crew
        if crew is not None and crew.begin(plan, env=env, log=self.directory / "process.log"):
            returncode = self._carried_out(crew.process, crew.report_fd)
            if crew.has_begun() or self._asked is not None:
                return returncode
            self._say("the process that waited ended before it heard of the run; a fresh one is started")
        return self._carried_out(*self._start(plan, env))

    def _carried_out(self, process: subprocess.Popen[bytes], read_fd: int) -> int:
        """Watch a process to its end, and sweep up after it; return how it ended."""
        self._pid = process.pid
        reader = threading.Thread(target=self._read, args=(read_fd,), name="reports", daemon=True)
        reader.start()
        threading.Thread(
            target=lambda: self._events.put(_Exited(process.wait())), name="waiter", daemon=True
        ).start()
        returncode = self._watch()
        swept = sweep(*self._markers, own_children=True)
        reader.join(PIPE_DRAIN_S)
        if swept:
            self._log("INFO", f"stopped what the run left behind: {', '.join(swept)}")
        return returncode

    def _start(self, plan: LaunchPlan, env: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
        """Start a fresh process for the run; return it and the end of the pipe on which it reports."""
        read_fd, write_fd = os.pipe()
        try:
            with open(self.directory / "process.log", "ab", opener=private) as log:
                process = subprocess.Popen(  # noqa: S603 - argv from our own launcher, no shell
                    # -P: a json.py beside the user's notebook must not replace the library's.
                    [plan.argv[0], "-P", *plan.argv[1:]],
                    env={**env, "JUPYTER_FLOWS_REPORT_FD": str(write_fd)},
                    cwd=plan.cwd,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(write_fd,),
                    process_group=0,
                )
        except OSError as error:
            os.close(read_fd)
            msg = f"the run's process could not be started: {error}"
            raise RunNotStarted(msg) from error
        finally:
            os.close(write_fd)
        return process, read_fd

    def _watch(self) -> int:
        """Wait for the process; carry out what is asked meanwhile."""
        limit_s = self._limit_s()
        timeout_at = None if limit_s is None else time.monotonic() + limit_s
        steps = None
        next_step_at: float | None = None
        while True:
            now = time.monotonic()
            waits = [at - now for at in (timeout_at, next_step_at) if at is not None]
            event: StopAsked | _Exited | None
            try:
                event = self._events.get(timeout=max(0.0, min([*waits, 3600.0])))
            except queue.Empty:
                event = None
            if isinstance(event, _Exited):
                return event.returncode
            now = time.monotonic()
            if event is None and timeout_at is not None and now >= timeout_at:
                timeout_at = None
                event = StopAsked(cause="timeout")
            if isinstance(event, StopAsked) and (self._asked is None or event.at_once):
                self._asked = self._asked or event
                self._say(f"stopping the run: {event.cause} {event.message}")
                steps = ladder(event, grace_s=self._settings.kill_grace_s)
                next_step_at = now
            if steps is not None and next_step_at is not None and now >= next_step_at:
                step, wait_s = next(steps)
                signal_group(self._pid, step)
                next_step_at = now + wait_s

    def _environment(self) -> dict[str, str]:
        return environment_of_runs(self._order)

    def _limit_s(self) -> float | None:
        own = self._claim.spec.total_timeout_s
        limit_s = self._settings.total_timeout_s if own is None else own
        return limit_s if limit_s > 0 else None

    # -- what the run says -------------------------------------------------------------------------

    def _read(self, fd: int) -> None:
        with os.fdopen(fd, "rb") as stream:
            for line in stream:
                try:
                    item = _decode_line.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    # A process that dies may leave half a line; a foreign one may write into the pipe.
                    continue
                self._take(item)

    def _take(self, item: PipeItem) -> None:
        if isinstance(item, LogItem) and self._order.show_logs:
            self._say(f"{item.level} {item.message}")
        if isinstance(item, FinishItem):
            self._reported = item
            if self._asked is not None:
                # What a stopped process says of its end is weighed by final_item.
                return
        with contextlib.suppress(OSError):
            self._spool.append(item)

    def _log(self, level: str, text: str) -> None:
        self._take(
            LogItem(at=utc_now(), level=level, logger="jupyter_flows.keeper", message=safe_message(text))
        )

    # -- the lease ---------------------------------------------------------------------------------

    def _beat(self) -> None:
        while not self._done.is_set():
            sent_at = time.monotonic()
            wait_s = min(self._lease.heartbeat_s, LONGEST_HEARTBEAT_S)
            try:
                answer = self._api.heartbeat_run(self._run.id, Heartbeat(token=self._token))
            except FINAL as error:
                # A lease that merely ran out is renewed while nobody else was started; a refusal means that
                # the run is offered again, has ended, or is somebody else's.
                cause: StopCause = "fenced" if isinstance(error, LeaseLost) else "superseded"
                self.ask_stop(StopAsked(cause=cause, message=str(error)))
            except (ServerFault, OSError):
                wait_s = min(wait_s, 1.0)
                if self._claim.spec.on_lost == "rerun" and time.monotonic() >= self._trusted_until:
                    self.ask_stop(
                        StopAsked(cause="fenced", message="the server was out of reach for too long")
                    )
            else:
                self._renewed(answer.lease, sent_at)
                self._deliverer.nudge()
                if answer.cancel:
                    self.ask_stop(StopAsked(cause="cancel", message=answer.message))
            if self._deliverer.refused is not None:
                self.ask_stop(StopAsked(cause="superseded", message=str(self._deliverer.refused)))
            if self._pid:
                reap_adopted(but=self._pid)
            self._done.wait(wait_s)

    def _renewed(self, lease: Lease, sent_at: float) -> None:
        self._lease = lease
        self._trusted_until = trusted_until(lease, sent_at=sent_at, margin_s=lease.heartbeat_s)

    def _look_at(self, run: RunRecord) -> None:
        if run.state.type == "Cancelling":
            self.ask_stop(StopAsked(cause="cancel", message=run.state.message))

    # -- the end -----------------------------------------------------------------------------------

    def _conclude(self, returncode: int) -> int:
        end = final_item(
            reported=self._reported,
            returncode=returncode,
            asked=self._asked,
            on_lost=self._claim.spec.on_lost,
            limit_s=self._limit_s(),
            now=utc_now(),
        )
        if isinstance(end, FinishItem) and self._spool.finish is None:
            for item in open_tasks_ended(self._spool.states(), end.state, now=utc_now()):
                self._spool.append(item)
            self._spool.append(end)
        self._spool.release_finish()
        self._spool.flush()
        delivered = isinstance(end, Nothing) or self._deliver_rest()
        if delivered and isinstance(end, HandedBack):
            delivered = self._hand_back(end)
        self._done.set()
        self._deliverer.stop()
        if not delivered and self._deliverer.refused is None:
            self._spool.close()
            return 75
        if self._deliverer.refused is not None:
            self._say(f"the server did not take the end of the run: {self._deliverer.refused}")
        self._spool.remove()
        shutil.rmtree(self.directory / f"spool-{self._token}", ignore_errors=True)
        self._forget()
        return 0

    def _deliver_rest(self) -> bool:
        while not self._leaving.is_set():
            if self._deliverer.wait_delivered(timeout_s=0.5):
                return True
            if self._deliverer.refused is not None:
                return False
        return False

    def _hand_back(self, end: HandedBack) -> bool:
        back_off = Backoff()
        while not self._leaving.is_set():
            try:
                self._api.hand_back_run(
                    self._run.id, HandBack(token=self._token, message=safe_message(end.message))
                )
            except FINAL:
                return True
            except (ServerFault, OSError):
                self._leaving.wait(back_off.next_delay_s())
                continue
            return True
        return False

    def _tidy(self) -> None:
        """Remove what only a living run needs: its sockets, its copy of the code, its claim."""
        for name in ("kernel", "code"):
            shutil.rmtree(self.directory / name, ignore_errors=True)
        remove_sockets(self._run.id)
        if self._crew is not None:
            remove_crew_files(self._settings.home, self._crew.id)
        (self.directory / "claim.json").unlink(missing_ok=True)

    def _put_aside_earlier_attempt(self) -> None:
        """Keep what an earlier attempt of the run left, under its number."""
        for name in ("executed.ipynb", "traceback.txt", "process.log"):
            left = self.directory / name
            if left.exists():
                number = max(1, self._run.attempt - 1)
                left.replace(left.with_name(f"{left.stem}.attempt-{number}{left.suffix}"))

    # -- the card ----------------------------------------------------------------------------------

    def _write_card(self) -> None:
        card = KeeperCard(
            run_id=self._run.id,
            run_name=self._run.name,
            token=self._token,
            run_token=self._claim.run_token,
            api_url=self._order.api_url,
            follow=self._order.follow,
            pid=os.getpid(),
            started=start_ticks(os.getpid()) or "",
            on_lost=self._claim.spec.on_lost,
            marker=self._marker,
            crew=self._crew.id if self._crew is not None else "",
        )
        write_private(self.directory / CARD_NAME, msgspec.json.encode(card))

    def _forget(self) -> None:
        (self.directory / CARD_NAME).unlink(missing_ok=True)

    def _say(self, text: str) -> None:
        # The terminal of a dead agent is gone: then there is nobody to say it to.
        with contextlib.suppress(OSError, ValueError):
            print(f"[{self._run.name}] {text}", file=sys.stderr, flush=True)  # noqa: T201

    def on_signal(self, number: int) -> None:
        """Obey the agent: SIGTERM asks to stop the run, a second one at once.

        When the run is over and only delivery is left, the first one is enough to leave: the spool stays.
        """
        at_once = self._asked is not None
        self._events.put(
            StopAsked(
                cause="agent",
                message=f"the agent was stopped ({signal.Signals(number).name})",
                at_once=at_once,
            )
        )
        if self._tidied():
            self._leaving.set()

    def _tidied(self) -> bool:
        return self._pid != 0 and start_ticks(self._pid) is None


def main() -> int:
    """Read the order, keep the run; with ``--spare`` have a crew ready for it first."""
    os.umask(0o077)
    adopt_orphans()
    if sys.argv[1:] == ["--spare"]:
        return _with_crew()
    return _keep(sys.stdin.buffer.read())


def _with_crew() -> int:
    """Start a crew as the first line says, and wait for the order; the agent's death ends both."""
    stream = sys.stdin.fileno()
    wanted = msgspec.json.decode(_first_line(stream), type=SpareOrder)
    settings = settings_from(wanted.settings)
    crew = Crew(
        wanted, home=settings.home, environ={**environment_of_runs(wanted), **run_variables(settings)}
    )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: sys.exit(CREW_GONE))
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    data = b""
    try:
        crew.start()
        data = crew.wait_for_order(stream)
        words = "" if data else crew.last_words()
        if words:
            with contextlib.suppress(OSError, ValueError):
                print(f"[spare] it ended before a run came: {words}", file=sys.stderr, flush=True)  # noqa: T201
    finally:
        if not data:
            crew.dismiss()
    if not data:
        # What the agent writes from now on would be lost; it is told by our exit code.
        return CREW_GONE
    return _keep(data, crew=crew)


def _first_line(stream: int) -> bytes:
    """Read a line and no more: what follows is waited for."""
    read = b""
    while not read.endswith(b"\n"):
        piece = os.read(stream, 1)
        if not piece:
            sys.exit(CREW_GONE)
        read += piece
    return read


def _keep(data: bytes, *, crew: Crew | None = None) -> int:
    try:
        order = msgspec.json.decode(data, type=Order)
    except msgspec.DecodeError:
        # The agent died while it wrote: nothing has begun, and nobody is told otherwise.
        if crew is not None:
            crew.dismiss()
        return CREW_GONE
    settings = settings_from(order.settings)
    api = run_link(settings, run_token=order.claim.run_token, url=order.api_url, follow=order.follow)
    if crew is not None:
        directory = settings.home / "runs" / order.claim.run.id
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chdir(directory)
    keeper = Keeper(order, api=api, settings=settings, crew=crew)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: keeper.on_signal(received))
    # Ctrl+C in the agent's terminal is the agent's business.
    # (a handler, not SIG_IGN: that would be inherited by the run, which must hear its interrupt)
    signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        return keeper.run()
    finally:
        if crew is not None:
            # A run that was not started leaves its crew, and nobody else knows of it.
            crew.dismiss()


if __name__ == "__main__":
    sys.exit(main())
