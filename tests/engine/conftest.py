"""Parts that every test of the engine uses: a clock that does not wait, a reporter that remembers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest


class FakeClock:
    """Time that passes only when somebody waits for it."""

    def __init__(self):
        self.time = datetime(2030, 1, 1, 12, tzinfo=UTC)
        self.waits = []

    def now(self):
        return self.time

    def wait(self, seconds):
        self.waits.append(seconds)
        self.time += timedelta(seconds=max(seconds, 0.001))


class Recorder:
    """A reporter that keeps what it hears."""

    def __init__(self):
        self.flow_states = []
        self.task_states = []
        self.logs = []

    def flow_run_state(self, state):
        self.flow_states.append(type(state).__name__)

    def task_run_state(self, *, slug, name, map_index, state, attempt):
        self.task_states.append((name, type(state).__name__, attempt))

    def log(self, *, level, logger, message, task, at):
        self.logs.append((level, message, task))


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def recorder():
    return Recorder()
