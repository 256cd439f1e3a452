"""When runs are due: one file a kind, each a pure ``after(t)``.

Examples
--------
>>> from datetime import datetime, UTC
>>> parse_schedule("every 10 minutes").after(datetime(2030, 1, 1, tzinfo=UTC)).minute
10
"""

from jupyter_flows.schedules import adjustments, clocks, filters
from jupyter_flows.schedules.dates import DatesSchedule
from jupyter_flows.schedules.parse import in_words, parse_schedule, schedule_from_ref
from jupyter_flows.schedules.schedules import CronSchedule, IntervalSchedule, RRuleSchedule, Schedule

__all__ = [
    "CronSchedule",
    "DatesSchedule",
    "IntervalSchedule",
    "RRuleSchedule",
    "Schedule",
    "adjustments",
    "clocks",
    "filters",
    "in_words",
    "parse_schedule",
    "schedule_from_ref",
]
