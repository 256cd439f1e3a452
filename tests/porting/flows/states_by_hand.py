"""States that are made by hand: what they carry, what they are a kind of, in which colour they are shown."""

from prefect import Flow, task
from prefect.engine import signals, state
from prefect.engine.signals import signal_from_state


@task
def one():
    return 1


with Flow("states-by-hand") as flow:
    one()


def look(states):
    submitted = state.Submitted("an agent has it", state=state.Queued(state=state.Scheduled("due")))
    kinds = [
        state.Pending, state.Scheduled, state.Paused, state.Retrying, state.Running, state.Success, state.Cached,
        state.Mapped, state.Skipped, state.Failed, state.TimedOut, state.TriggerFailed, state.Cancelled,
    ]  # fmt: skip
    return {
        "context": state.Success("m", 3, context={"a": 1}).context,
        "none": state.Failed("m").context,
        "before": submitted.state.message,
        "is": [submitted.is_meta_state(), submitted.is_submitted(), state.Queued().is_scheduled()],
        "by place": state.Scheduled("later", None, None).start_time is not None,
        "colors": {kind.__name__: kind.color for kind in kinds},
        "below": sorted(state.Success.children(names_only=True)),
        "above": sorted(state.TimedOut.parents(names_only=True)),
        "signals": [signal_from_state(made) is kind for made, kind in (
            (state.Failed(), signals.FAIL), (state.Skipped(), signals.SKIP), (state.Success(), signals.SUCCESS),
        )],
    }  # fmt: skip
