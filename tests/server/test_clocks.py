"""Runs that clocks make have the clock's parameters and labels."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jupyter_flows import Flow, Parameter
from jupyter_flows.errors import InvalidSchedule
from jupyter_flows.registering import register
from jupyter_flows.schedules import Schedule, filters
from jupyter_flows.schedules.clocks import CronClock, IntervalClock


def test_each_clock_makes_its_own_runs(server):
    with Flow("regions") as flow:
        Parameter("region", default="nowhere")()
    flow.schedule = Schedule(
        [
            IntervalClock(timedelta(hours=1), parameter_defaults={"region": "north"}),
            CronClock("30 * * * *", parameter_defaults={"region": "south"}, labels=["big"]),
        ],
        not_filters=[filters.on_date(2, 29)],
    )
    receipt = register(flow, api=server.api, labels=["gpu"])
    assert receipt.schedule_text.startswith("every hour, not if on_date 2 29; ")
    runs = server.api.list_runs(flow="regions", state="Scheduled", limit=100).runs
    made = {
        (run.scheduled_at.minute, run.parameters["region"], "big" in run.labels, "gpu" in run.labels)
        for run in runs
    }
    assert {(0, "north", False, True), (30, "south", True, False)} == made


def test_a_required_parameter_must_come_from_every_clock(server):
    with Flow("needy") as flow:
        Parameter("day")()
    flow.schedule = Schedule(
        [CronClock("0 6 * * *", parameter_defaults={"day": "monday"}), CronClock("0 7 * * *")]
    )
    with pytest.raises(InvalidSchedule, match="its parameter 'day' has no default"):
        register(flow, api=server.api)
    flow.schedule = Schedule([CronClock("0 6 * * *", parameter_defaults={"day": "monday"})])
    assert register(flow, api=server.api).created


def test_a_filter_of_ones_own_is_refused_before_anything_is_written(server):
    with Flow("own") as flow:
        Parameter("x", default=1)()
    flow.schedule = Schedule([CronClock("0 6 * * *")], filters=[lambda at: at.day == 13])
    with pytest.raises(InvalidSchedule, match="which a server cannot keep"):
        register(flow, api=server.api)
    assert () == server.api.list_flows().flows
