"""Why a run has not started, as sentences; server, receipt, CLI and JupyterLab all ask here. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from jupyter_flows.core.labels import matches, missing
from jupyter_flows.schema.agents import AgentRecord
from jupyter_flows.schema.flows import AgentMatch
from jupyter_flows.schema.runs import RunRecord

_MOST_NAMED = 4
"""A sentence that names more is not read, and would not fit its record."""
START_ONE = "start one with `jupyter flows agent start`"


def match_agents(labels: Iterable[str], agents: Iterable[AgentRecord]) -> tuple[AgentMatch, ...]:
    """Tell for each agent whether it would take a run with *labels* now, and if not, why not.

    Those that take it come first; then those that miss least.
    """
    asked = tuple(labels)
    found = [(match_agent(asked, agent), len(missing(asked, agent.labels)), agent.name) for agent in agents]
    found.sort(key=lambda entry: (not entry[0].takes, entry[1], entry[2]))
    return tuple(match for match, _, _ in found)


def match_agent(labels: Sequence[str], agent: AgentRecord) -> AgentMatch:
    """Tell whether *agent* would take a run with *labels* now.

    Examples
    --------
    >>> from datetime import datetime, UTC
    >>> at = datetime(2030, 1, 1, tzinfo=UTC)
    >>> lab = AgentRecord(id="0" * 32, name="lab-3", labels=("gpu",), started_at=at, last_seen_at=at)
    >>> match_agent(["gpu", "big"], lab).reason
    'does not offer big'
    """
    lacking = missing(labels, agent.labels)
    if lacking:
        reason = f"does not offer {_words(lacking)}"
    elif not matches(labels, agent.labels, exclusive=agent.exclusive):
        reason = "is exclusive: takes only runs that ask for one of its labels"
    elif not agent.alive:
        reason = f"has not been seen since {_at(agent.last_seen_at)}"
    elif agent.max_runs and agent.running >= agent.max_runs:
        reason = f"has {agent.running} runs, which is all it may have"
    else:
        return AgentMatch(agent=agent.name, takes=True)
    return AgentMatch(agent=agent.name, takes=False, reason=reason)


def why_waiting(
    run: RunRecord, agents: Iterable[AgentRecord], *, now: datetime, flow_paused: bool = False
) -> tuple[str, ...]:
    """Return why *run* has not started; nothing if it has, or has ended.

    Parameters
    ----------
    agents : all agents the server knows, gone ones included.
    flow_paused : whether its flow's schedules are paused.
    """
    if run.state.type == "Paused":
        return ("the run is paused; resume it",)
    if run.state.type == "Submitted":
        return (f"agent {run.agent} took it at {_at(run.state.at)} and is starting it",)
    if run.state.type != "Scheduled":
        return ()
    reasons: list[str] = []
    if run.scheduled_at > now:
        reasons.append(f"it is due at {_at(run.scheduled_at)}")
    if flow_paused and run.auto_scheduled:
        reasons.append(f"the schedule of {run.flow_name} is paused")
    reasons.extend(_no_agent(run.labels, tuple(agents)))
    if not reasons:
        reasons.append("an agent that takes it is waiting for runs: it starts in a moment")
    return tuple(reasons)


def _no_agent(labels: tuple[str, ...], agents: tuple[AgentRecord, ...]) -> list[str]:
    if not agents:
        return [f"no agent has ever asked for runs; {START_ONE}"]
    found = match_agents(labels, agents)
    if any(match.takes for match in found):
        return []
    fitting = [agent for agent in agents if matches(labels, agent.labels, exclusive=agent.exclusive)]
    living = [agent for agent in agents if agent.alive]
    if any(agent.alive for agent in fitting):
        names = _words(agent.name for agent in fitting if agent.alive)
        return [f"every agent that fits has all the runs it may have: {names}"]
    if fitting:
        last = max(fitting, key=lambda agent: agent.last_seen_at)
        return [
            f"agent {last.name}, which would take it, was last seen at {_at(last.last_seen_at)}; {START_ONE}"
        ]
    if not living:
        return [f"no agent is running; {_start_with(labels)}"]
    if not labels:
        return [f"it asks for no label, and every living agent is exclusive; {START_ONE}"]
    nearest = min(living, key=lambda agent: (len(missing(labels, agent.labels)), agent.name))
    lacking = missing(labels, nearest.labels)
    return [
        f"no living agent offers {_words(labels)}: the nearest, {nearest.name}, lacks {_words(lacking)}; "
        + _start_with(labels)
    ]


def _start_with(labels: Iterable[str]) -> str:
    options = "".join(f" -l {label}" for label in tuple(labels)[:_MOST_NAMED])
    return f"start one with `jupyter flows agent start{options}`"


def _words(names: Iterable[str]) -> str:
    every = tuple(names)
    shown = ", ".join(name[:60] for name in every[:_MOST_NAMED])
    return shown if len(every) <= _MOST_NAMED else f"{shown} and {len(every) - _MOST_NAMED} more"


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
