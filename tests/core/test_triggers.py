"""Triggers over every combination of upstream states."""

from __future__ import annotations

import pytest

from jupyter_flows.core.signals import PAUSE, SKIP, TRIGGERFAIL
from jupyter_flows.core.state import Failed, Mapped, Skipped, Success, TriggerFailed
from jupyter_flows.triggers import (
    all_failed,
    all_finished,
    all_successful,
    any_failed,
    any_successful,
    manual_only,
    not_all_skipped,
    some_failed,
    some_successful,
)

NONE, GOOD, BAD, MIXED, SKIPPED, HALF = "none", "good", "bad", "mixed", "skipped", "half skipped"
STATES = {
    NONE: [],
    GOOD: [Success(), Success()],
    BAD: [Failed(), TriggerFailed()],
    MIXED: [Success(), Failed()],
    SKIPPED: [Skipped(), Skipped()],
    HALF: [Skipped(), Success()],
}
RUNS = {
    all_successful: {NONE, GOOD, SKIPPED, HALF},
    all_failed: {NONE, BAD},
    all_finished: {NONE, GOOD, BAD, MIXED, SKIPPED, HALF},
    any_successful: {NONE, GOOD, MIXED, SKIPPED, HALF},
    any_failed: {NONE, BAD, MIXED},
    not_all_skipped: {GOOD, HALF},
}


@pytest.mark.parametrize("states", STATES)
@pytest.mark.parametrize("trigger", RUNS, ids=lambda trigger: trigger.__name__)
def test_a_trigger_lets_run_what_it_says(trigger, states):
    upstream_states = dict(enumerate(STATES[states]))
    if states in RUNS[trigger]:
        assert trigger(upstream_states) is True
    else:
        refusal = SKIP if trigger is not_all_skipped and states in {NONE, SKIPPED} else TRIGGERFAIL
        with pytest.raises(refusal, match=f"trigger {trigger.__name__}: "):
            trigger(upstream_states)


def test_a_refusal_names_the_first_and_counts_the_rest():
    with pytest.raises(
        TRIGGERFAIL, match="trigger all_successful: upstream task load ended Failed, and 1 more"
    ):
        all_successful({"load": Failed(), "other": TriggerFailed()})


@pytest.mark.parametrize(
    ("trigger", "runs"),
    [
        (some_failed(at_least=1), True),
        (some_failed(at_least=3), False),
        (some_failed(at_most=1), False),
        (some_failed(at_least=0.5), True),
        (some_failed(at_least=0.6), False),
        (some_successful(at_least=0.25, at_most=2), True),
        (some_successful(at_most=0.25), False),
    ],
)
def test_counts_and_shares(trigger, runs):
    upstream_states = dict(enumerate([Success(), Failed(), Success(), Failed()]))
    if runs:
        assert trigger(upstream_states) is True
    else:
        with pytest.raises(TRIGGERFAIL, match="2 of 4 upstream tasks"):
            trigger(upstream_states)


def test_manual_only_waits():
    with pytest.raises(PAUSE):
        manual_only({})


@pytest.mark.parametrize("trigger", [any_failed, any_successful, some_failed(1), some_successful(1)])
def test_an_empty_map_is_an_upstream_of_which_nothing_failed_and_nothing_succeeded(trigger):
    with pytest.raises(TRIGGERFAIL):
        trigger({"load": Mapped(map_states=[])})
