"""What of an earlier run stands, and what runs: after a failure, or because only a part is asked for. Pure.

A task stands if it ended well, its code is what it was, and so do all that it needs. Its outputs are taken
from the earlier notebook, its values from the book. Of each variable that a task needs there is one of three
things to say: it is stored; it is made again, by setup cells; or it cannot be restored, and then the task
that made it runs again.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from jupyter_flows.core.graph import FlowGraph
from jupyter_flows.core.near import listed, near_or_all
from jupyter_flows.core.task import Task
from jupyter_flows.errors import CannotResume, InvalidOption
from jupyter_flows.notebook.cell_task import CellTask
from jupyter_flows.runtime.book import Gift, newest_joint
from jupyter_flows.runtime.passing import Needs, is_kept, is_of_the_world, slugs_above

_CELL = re.compile(r"(?:cell[- _]?)?(\d{1,9})", re.IGNORECASE)


class Resumption(msgspec.Struct, frozen=True, kw_only=True):
    """What runs and what does not.

    Slugs of tasks, in the order of the notebook.
    """

    runs: tuple[str, ...]
    stands: tuple[str, ...]
    again: Mapping[str, str]
    """Tasks that ended well and run all the same, with the reason: a value of theirs cannot be restored."""
    left_out: tuple[str, ...] = ()
    """Tasks that were not asked for."""


def resume(
    graph: FlowGraph,
    needs: Mapping[str, Needs],
    gifts: Mapping[str, Gift],
    digests: Mapping[str, str],
    *,
    wanted: Collection[str] | None = None,
    is_forced: bool = False,
) -> Resumption:
    """Decide which tasks run.

    Parameters
    ----------
    graph, needs
        Of the notebook as it is now.
    gifts : mapping
        What tasks of the earlier run gave; empty: nothing is resumed.
    digests : mapping
        Of the code of each task as it is now, functions of setup cells included.
    wanted : collection of str, optional
        Slugs that run in any case, with what they need; None: all.
    is_forced : bool
        Take results of tasks whose code has changed.

    Raises
    ------
    CannotResume : code of tasks that would not run again has changed; they are named.
    """
    slugs = [graph.slugs[task] for task in graph.slugs if isinstance(task, CellTask)]
    above = {
        graph.slugs[task]: [
            graph.slugs[edge.upstream_task] for edge in graph.edges_to(task) if edge.kind != "order"
        ]
        for task in graph.slugs
    }
    changed = [
        slug
        for slug in slugs
        if slug in gifts and gifts[slug].code != digests[slug] and not needs[slug].is_replayed
    ]
    stands: set[str] = set()
    for slug in slugs:
        if slug in gifts and all(up in stands or needs[up].is_replayed for up in above[slug]):
            stands.add(slug)
    kept = [slug for slug in changed if slug in stands and (wanted is None or slug not in wanted)]
    if kept and not is_forced:
        has, theirs = (
            ("has", "its result as it is") if len(kept) == 1 else ("have", "their results as they are")
        )
        msg = (
            f"{listed(kept, most=5)} {has} changed since the run that is to go on; run without --resume, "
            f"or take {theirs} with --force"
        )
        raise CannotResume(msg)
    todo = set(slugs) - stands if wanted is None else set(wanted)
    again: dict[str, str] = {}
    work = sorted(todo, key=slugs.index)
    while work:
        slug = work.pop()
        for up in above[slug]:
            if up not in todo and up not in stands:
                todo.add(up)
                work.append(up)
        for other, why in (
            *_not_restorable(graph, needs, gifts, slug=slug, todo=todo, stands=stands),
            *_overwritten(graph, needs, slug=slug, stands=stands, is_again=slug in again),
            *_apart(needs, slug=slug, stands=stands),
        ):
            if other not in todo:
                again[other] = why
                todo.add(other)
                work.append(other)
    # What every kernel runs for itself is no task that stands.
    todo |= {slug for slug in slugs if needs[slug].is_replayed}
    return Resumption(
        runs=tuple(slug for slug in slugs if slug in todo),
        stands=tuple(slug for slug in slugs if slug in stands and slug not in todo),
        again=again,
        left_out=tuple(slug for slug in slugs if slug not in stands and slug not in todo),
    )


def _not_restorable(
    graph: FlowGraph,
    needs: Mapping[str, Needs],
    gifts: Mapping[str, Gift],
    *,
    slug: str,
    todo: Collection[str],
    stands: Collection[str],
) -> list[tuple[str, str]]:
    """Return the tasks that must run again because a task needs something of theirs that was not kept."""
    need = needs[slug]
    found: list[tuple[str, str]] = []
    for name, providers in need.names.items():
        for giver in reversed(providers):
            if giver in todo:
                break
            gift = gifts.get(giver)
            if giver not in stands or gift is None or needs[giver].is_replayed:
                continue
            place = gift.names.get(name)
            if place is None or place.kind == "absent":
                continue
            if place.kind == "lost":
                found.append((giver, f"`{name}` was not kept: {place.why}"))
            elif name in need.shared:
                joint = newest_joint(map(gifts.get, slugs_above(needs, need)))
                version = joint[1].versions.get(name) if joint is not None else None
                if version is None or version not in stands or needs[version].index < needs[giver].index:
                    found.append((giver, f"`{name}` shares memory with other variables"))
            elif place.kind != "stored":
                found.append((giver, f"`{name}` was not kept: {place.why}"))
            break
    for channel, providers in need.channels.items():
        standing = [giver for giver in providers if giver in stands and not needs[giver].is_replayed]
        if standing and providers[-1] == standing[-1] and channel not in gifts[standing[-1]].channels:
            found.append((standing[-1], f"{channel} was not kept"))
    for task, own in graph.slugs.items():
        if own != slug:
            continue
        for edge in graph.edges_to(task):
            up = graph.slugs[edge.upstream_task]
            lost = [name for name in edge.names if not is_kept(name) and not is_of_the_world(name)]
            if edge.kind == "channel" and lost and up in stands and not needs[up].is_replayed:
                found.append((up, f"{lost[0]} is not kept"))
    return found


def _overwritten(
    graph: FlowGraph, needs: Mapping[str, Needs], *, slug: str, stands: Collection[str], is_again: bool
) -> list[tuple[str, str]]:
    """Return the tasks that must run again because of what lies outside of all processes, as a file does.

    A task that runs must not find what one below it has written there already; and what is written again
    must be changed again by those that changed it since.
    """
    task = next(one for one, own in graph.slugs.items() if own == slug)
    makers: dict[str, list[str]] = {}
    for edge in graph.edges_to(task):
        maker = graph.slugs[edge.upstream_task]
        for name in edge.names if edge.kind == "channel" and maker in stands else ():
            if is_of_the_world(name):
                makers.setdefault(name, []).append(maker)
    found: list[tuple[str, str]] = []
    for edge in graph.edges_from(task):
        below = graph.slugs[edge.downstream_task]
        if edge.kind == "order" and below in stands:
            for name in edge.names:
                # What no task has made cannot be made again: a run from the start would not find it, either.
                if makers.get(name):
                    found += [(one, f"{name} was changed since by {below}") for one in (*makers[name], below)]
    if is_again:
        for name in _world_of(graph, task):
            found += [(one, f"{name} is changed again by {slug}") for one in makers.get(name, ())]
            found += [
                (own, f"{name} is changed again by {slug}")
                for other, own in graph.slugs.items()
                if own in stands and needs[own].index > needs[slug].index and name in _world_of(graph, other)
            ]
    return found


def _apart(needs: Mapping[str, Needs], *, slug: str, stands: Collection[str]) -> list[tuple[str, str]]:
    """Return the tasks below that handle the objects of one that runs: what they changed is a copy now."""
    need = needs[slug]
    if not need.is_pinned or need.is_replayed or not _handled(need):
        return []
    return [
        (other.slug, f"`{min(_handled(other))}` shares memory with what {slug} makes")
        for other in needs.values()
        if other.slug in stands and other.index > need.index and other.is_pinned and _handled(other)
    ]


def _handled(need: Needs) -> frozenset[str]:
    """Return the names of objects under several names that a task reads or writes."""
    return need.shared & (need.writes | set(need.names))


def _world_of(graph: FlowGraph, task: Task) -> set[str]:
    """Return what a task changes outside of all processes."""
    edges = [
        *(edge for edge in graph.edges_from(task) if edge.kind == "channel"),
        *(edge for edge in graph.edges_to(task) if edge.kind == "order"),
    ]
    return {name for edge in edges for name in edge.names if is_of_the_world(name)}


def no_task(graph: FlowGraph, name: str) -> str:
    """Return the sentence for somebody who names a task that is not there, but perhaps a cell."""
    number = _CELL.fullmatch(name)
    if number is None:
        return f"no task is called {name!r}; {near_or_all(name, (task.name for task in graph.slugs))}"
    for task in graph.slugs:
        if isinstance(task, CellTask) and int(number[1]) in task.members:
            return f"no task is called {name!r}; did you mean {task.name}, which is cell {number[1]}?"
    # cell-4 is no near name of cell-5: it is another cell.
    return f"no task is called {name!r}; there are {listed(task.name for task in graph.slugs) or 'none'}"


def chosen(graph: FlowGraph, *, only: Collection[str] = (), start: str | None = None) -> set[str] | None:
    """Return the slugs that ``--only`` and ``--from`` name; None: all.

    Raises
    ------
    InvalidOption : there is no such task; with the nearest name.
    """
    if not only and start is None:
        return None
    by_name: dict[str, Any] = {}
    for task, slug in graph.slugs.items():
        by_name.setdefault(task.name, task)
        by_name[slug] = task
    found: set[str] = set()
    for name in (*only, *([start] if start is not None else [])):
        if name not in by_name:
            raise InvalidOption(no_task(graph, name))
        found.add(graph.slugs[by_name[name]])
    if start is not None:
        below = [by_name[start]]
        while below:
            task = below.pop()
            for edge in graph.edges_from(task):
                slug = graph.slugs[edge.downstream_task]
                if edge.kind != "order" and slug not in found:
                    found.add(slug)
                    below.append(edge.downstream_task)
    return found
