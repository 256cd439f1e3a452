"""What the plan of a run tells its runner to do. Plain data."""

from __future__ import annotations

from datetime import datetime

import msgspec

from jupyter_flows.core.state import State


class StartTask(msgspec.Struct, frozen=True):
    """Call the task at *place*, as its *attempt*-th try; a person resumed it if *resume*."""

    place: int
    attempt: int
    resume: bool = False


class Propose(msgspec.Struct, frozen=True):
    """The task at *place* is about to go from *old* to *state*: ask its handlers, then tell ``entered``."""

    place: int
    old: State
    state: State


class LookUp(msgspec.Struct, frozen=True):
    """Look whether the result of the task at *place* is there already, then tell ``looked_up``."""

    place: int


class Settle(msgspec.Struct, frozen=True):
    """The task at *place* is in *state* now: report it."""

    place: int
    state: State


class WakeAt(msgspec.Struct, frozen=True):
    """Send ``time_reached`` at *at*: the task at *place* is due then."""

    place: int
    at: datetime


Instruction = StartTask | Propose | LookUp | Settle | WakeAt
