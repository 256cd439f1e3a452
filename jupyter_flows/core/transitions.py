"""The life of a flow run: ``(run, event) -> run | refusal``. Pure: no clock, no id, no I/O.

====================  =====================================================================================
from                  events -> to
====================  =====================================================================================
Scheduled             Claim -> Submitted; Pause -> Paused; Cancel -> Cancelled; Withdraw -> Skipped;
                      Succeed, Fail, Skip, Stop -> their ends, from the last holder if nobody claimed since
Submitted             Start -> Running; Beat; Fail -> Failed; Stop -> Cancelled; Cancel -> Cancelling;
                      HandBack, LoseLease -> Scheduled; TimeUp -> Failed
Running               Start (again: the same answer); Beat; Succeed -> Success; Fail -> Failed;
                      Skip -> Skipped; Stop -> Cancelled; Pause -> Paused; Cancel -> Cancelling;
                      HandBack -> Scheduled; LoseLease -> Failed, or Scheduled by ``on_lost="rerun"``;
                      TimeUp -> Failed
Paused                Resume -> Scheduled; Cancel -> Cancelled
Cancelling            Beat; Succeed -> Success ("cancel came too late"); Fail, Stop -> Cancelled;
                      Skip -> Skipped; Cancel (again); HandBack, LoseLease, TimeUp -> Cancelled
Failed                Retry -> Scheduled; and, if it failed because its lease was lost and the token is
                      still the newest: Beat -> Running, Succeed, Fail, Skip, Stop -> their ends
Cancelled             Retry -> Scheduled
Success, Skipped      (nothing)
====================  =====================================================================================

Rules over the table:

* A lease exists exactly in Submitted, Running and Cancelling. Claim gives it, with a token one higher
  than any before; every event of a holder carries its token and is refused if it is not the newest.
* A person's Retry raises the token at once, so an answer to the old question cannot arrive any more.
* *Late but current*: a lost holder whose token is still the newest may finish, since nobody else was
  started; the state's message tells it.
* A run that was claimed but never started is offered again without asking: its code did not begin.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

import msgspec

FlowRunState = Literal[
    "Scheduled",
    "Submitted",
    "Running",
    "Paused",
    "Cancelling",
    "Success",
    "Skipped",
    "Failed",
    "Cancelled",
]
STATES: tuple[FlowRunState, ...] = (
    "Scheduled",
    "Submitted",
    "Running",
    "Paused",
    "Cancelling",
    "Success",
    "Skipped",
    "Failed",
    "Cancelled",
)
LEASED: frozenset[str] = frozenset({"Submitted", "Running", "Cancelling"})
FINAL: frozenset[str] = frozenset({"Success", "Skipped", "Failed", "Cancelled"})


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What deciding needs to know of a run; ``lease_until`` is None without a lease."""

    state: FlowRunState
    message: str = ""
    token: int = 0
    attempt: int = 0
    attempt_started: bool = False
    agent: str | None = None
    lease_until: datetime | None = None
    claimed_at: datetime | None = None
    lost: bool = False
    lost_at: datetime | None = None
    on_lost: Literal["fail", "rerun"] = "fail"
    finished_tasks: tuple[str, ...] = ()
    """Names of tasks that had finished, told when the run is lost."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Durations that deciding uses."""

    lease_ttl: timedelta = timedelta(seconds=60)
    submit_deadline: timedelta = timedelta(seconds=120)


# -- events -----------------------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something asked of a run."""


class HolderEvent(Event, frozen=True, kw_only=True):
    """Something a holder says, under its fencing token."""

    token: int


class Claim(Event, frozen=True, kw_only=True):
    """An agent takes the run."""

    agent: str


class Start(HolderEvent, frozen=True, kw_only=True):
    """The start gate: user code will begin."""


class Beat(HolderEvent, frozen=True, kw_only=True):
    """The holder is alive."""


class Progress(HolderEvent, frozen=True, kw_only=True):
    """Task states and log lines; changes no state of the run."""


class Finish(HolderEvent, frozen=True, kw_only=True):
    """The run's code ended."""

    end: Literal["Success", "Failed", "Skipped", "Cancelled"]
    message: str = ""


class HandBack(HolderEvent, frozen=True, kw_only=True):
    """The holder gives the run back unfinished."""

    message: str = ""


class LoseLease(Event, frozen=True, kw_only=True):
    """The lease ended in silence."""


class TimeUp(Event, frozen=True, kw_only=True):
    """The run took longer than it may."""

    limit: str


class Cancel(Event, frozen=True, kw_only=True):
    """A person wants the run stopped."""

    message: str = ""


class Withdraw(Event, frozen=True, kw_only=True):
    """A scheduled run is not wanted any more (its flow was paused, its schedule changed)."""

    message: str


class Pause(Event, frozen=True, kw_only=True):
    """A person wants the run to wait."""


class Resume(Event, frozen=True, kw_only=True):
    """A person lets a paused run go on."""


class Retry(Event, frozen=True, kw_only=True):
    """A person wants an ended run to run again."""

    message: str = ""


# -- answers ----------------------------------------------------------------------------------------

Effect = Literal["started", "ended", "offered", "recovered", "cancel_asked"]
"""What the caller carries out in the same transaction: clear the tasks of earlier attempts; close what is
unfinished; wake the agents; undo what losing the run had closed; tell the holder with its next beat."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The run afterwards. ``changed`` is false for a repeated request and for a mere beat."""

    run: Run
    changed: bool = True
    effects: tuple[Effect, ...] = ()


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """No, why, and a code: ``stale_lease``, ``lease_lost`` or ``refused``."""

    code: Literal["stale_lease", "lease_lost", "refused"]
    sentence: str


def decide(run: Run, event: Event, *, now: datetime, policy: Policy) -> Accepted | Refusal:
    """Return the run after *event*, or why not. The table above is this function.

    Examples
    --------
    >>> from datetime import datetime, UTC
    >>> noon = datetime(2030, 1, 1, 12, tzinfo=UTC)
    >>> answer = decide(Run(state="Scheduled"), Claim(agent="lab-3"), now=noon, policy=Policy())
    >>> answer.run.state, answer.run.token
    ('Submitted', 1)
    >>> decide(answer.run, Start(token=0), now=noon, policy=Policy()).code
    'stale_lease'
    """
    if isinstance(event, HolderEvent):
        if event.token != run.token:
            return _stale(run, event)
        return _from_holder(run, event, now=now, policy=policy)
    match event:
        case Claim():
            return _claim(run, event, now=now, policy=policy)
        case LoseLease() | TimeUp() if run.state not in LEASED:
            return _refused(run, "lose" if isinstance(event, LoseLease) else "time out")
        case LoseLease():
            return _lose(run, now=now)
        case TimeUp(limit=limit):
            if run.state == "Cancelling":
                return _end(run, "Cancelled", run.message)
            # The token grows: the holder, should it live, is fenced off and stops at its next beat.
            ended = _end(run, "Failed", f"the run took longer than its total timeout of {limit}")
            return msgspec.structs.replace(ended, run=msgspec.structs.replace(ended.run, token=run.token + 1))
        case Cancel(message=message):
            return _cancel(run, message)
        case Withdraw(message=message) if run.state == "Scheduled":
            return _end(run, "Skipped", message)
        case Pause() if run.state in {"Scheduled", "Running"}:
            return Accepted(run=_free(run, "Paused", "paused"))
        case Resume() if run.state == "Paused":
            return Accepted(run=_free(run, "Scheduled", "resumed"), effects=("offered",))
        case Retry(message=message) if run.state in {"Failed", "Cancelled"}:
            again = _free(run, "Scheduled", message or "retry asked")
            again = msgspec.structs.replace(again, token=run.token + 1, lost=False, lost_at=None, agent=None)
            return Accepted(run=again, effects=("offered",))
        case _:
            return _refused(run, type(event).__name__.lower())


def _claim(run: Run, event: Claim, *, now: datetime, policy: Policy) -> Accepted | Refusal:
    if run.state != "Scheduled":
        return _refused(run, "claim")
    claimed = msgspec.structs.replace(
        run,
        state="Submitted",
        message=f"claimed by {event.agent}",
        token=run.token + 1,
        attempt=run.attempt + 1 if run.attempt_started or run.attempt == 0 else run.attempt,
        attempt_started=False,
        agent=event.agent,
        claimed_at=now,
        lease_until=now + policy.submit_deadline,
        lost=False,
        lost_at=None,
    )
    return Accepted(run=claimed)


def _from_holder(run: Run, event: HolderEvent, *, now: datetime, policy: Policy) -> Accepted | Refusal:
    match event, run.state:
        case Start(), "Submitted":
            started = msgspec.structs.replace(
                run,
                state="Running",
                message=f"started by {run.agent}" if run.attempt < 2 else f"attempt {run.attempt} started",
                attempt_started=True,
                lease_until=now + policy.lease_ttl,
            )
            return Accepted(run=started, effects=("started",))
        case Start(), "Running":
            # The answer was lost: the same holder asks again.
            return Accepted(run=_renewed(run, now, policy), changed=False)
        case Beat(), "Submitted":
            # Alive but not started: the submit deadline stands.
            return Accepted(run=run, changed=False)
        case Beat(), "Running" | "Cancelling":
            return Accepted(run=_renewed(run, now, policy), changed=False)
        case Beat(), "Failed" if run.lost:
            back = msgspec.structs.replace(
                _renewed(run, now, policy),
                state="Running",
                message=_came_back(run, now),
                lost=False,
                lost_at=None,
            )
            return Accepted(run=back, effects=("recovered",))
        case Progress(), _ if run.state in LEASED or run.lost:
            return Accepted(run=run, changed=False)
        case Finish(), _:
            return _finish(run, event, now=now)
        case HandBack(message=message), "Submitted" | "Running":
            return Accepted(run=_free(run, "Scheduled", message or "handed back"), effects=("offered",))
        case HandBack(), "Cancelling":
            return _end(run, "Cancelled", run.message)
        case _:
            if run.lost:
                ended = f"the lease of {run.agent} ended at {_clock(run.lost_at)}"
                return Refusal(code="lease_lost", sentence=f"{ended}; the run is {run.state}")
            return _refused(run, {Start: "start", Beat: "renew"}.get(type(event), "report on"))


def _finish(run: Run, event: Finish, *, now: datetime) -> Accepted | Refusal:
    match run.state, event.end:
        case "Running", end:
            return _end(run, end, event.message)
        case "Submitted", "Failed" | "Cancelled":
            return _end(run, event.end, event.message)
        case "Cancelling", "Success":
            return _end(run, "Success", "the cancel came too late: the run had succeeded")
        case "Cancelling", "Skipped":
            return _end(run, "Skipped", event.message)
        case "Cancelling", _:
            return _end(run, "Cancelled", event.message or run.message)
        case "Failed" | "Scheduled", end if run.lost and run.attempt_started:
            said = f"{event.message}; " if event.message else ""
            return _end(run, end, f"{said}{_came_back(run, now)}")
        case _:
            return _refused(run, "finish")


def _lose(run: Run, *, now: datetime) -> Accepted:
    if run.state == "Cancelling":
        message = f"cancelled; agent {run.agent} was not heard of any more"
        return _end(run, "Cancelled", message)
    lost = msgspec.structs.replace(run, lost=True, lost_at=now)
    if run.state == "Submitted":
        message = f"claimed by {run.agent}, not started; offered again"
        return Accepted(run=_free(lost, "Scheduled", message), effects=("offered",))
    if run.on_lost == "rerun":
        message = f"agent {run.agent} was not heard of any more; the flow asks for a rerun"
        return Accepted(run=_free(lost, "Scheduled", message), effects=("offered",))
    done = ", ".join(run.finished_tasks[:20]) + (", ..." if len(run.finished_tasks) > 20 else "")
    told = f"{done} had finished" if done else "no task had finished"
    heard = f" since {_clock(run.lease_until)}" if run.lease_until else ""
    message = f"agent {run.agent} has been silent{heard}; {told}"
    return _end(lost, "Failed", message)


def _cancel(run: Run, message: str) -> Accepted | Refusal:
    if run.state in {"Scheduled", "Paused"}:
        return _end(run, "Cancelled", message or "cancelled before it started")
    if run.state in {"Submitted", "Running"}:
        asked = msgspec.structs.replace(run, state="Cancelling", message=message or "cancel asked")
        return Accepted(run=asked, effects=("cancel_asked",))
    if run.state == "Cancelling":
        return Accepted(run=run, changed=False)
    return _refused(run, "cancel")


def _end(run: Run, state: FlowRunState, message: str) -> Accepted:
    keeps_lost = state == "Failed" and run.lost and run.state == "Running"
    ended = msgspec.structs.replace(
        run,
        state=state,
        message=message[:1000],
        lease_until=None,
        claimed_at=None,
        lost=keeps_lost,
        lost_at=run.lost_at if keeps_lost else None,
    )
    return Accepted(run=ended, effects=("ended",))


def _free(run: Run, state: FlowRunState, message: str) -> Run:
    """Return the run without a lease."""
    return msgspec.structs.replace(
        run, state=state, message=message[:1000], lease_until=None, claimed_at=None
    )


def _renewed(run: Run, now: datetime, policy: Policy) -> Run:
    return msgspec.structs.replace(run, lease_until=now + policy.lease_ttl)


def _came_back(run: Run, now: datetime) -> str:
    silent = now - run.lost_at if run.lost_at else timedelta()
    minutes = round(silent.total_seconds() / 60)
    after = f"{minutes} min" if minutes else f"{round(silent.total_seconds())} s"
    return f"agent {run.agent} came back {after} after it was given up"


def _stale(run: Run, event: HolderEvent) -> Refusal:
    if run.state in LEASED:
        given = f"lease {run.token} was given to agent {run.agent} at {_clock(run.claimed_at)}"
    else:
        given = f"the run is {run.state} under token {run.token}"
    return Refusal(code="stale_lease", sentence=f"token {event.token} is not the newest: {given}")


def _refused(run: Run, verb: str) -> Refusal:
    why = f" ({run.message})" if run.message and run.state in FINAL else ""
    return Refusal(code="refused", sentence=f"cannot {verb} a run that is {run.state}{why}")


def _clock(at: datetime | None) -> str:
    return f"{at:%H:%M:%S} UTC" if at else "some time"
