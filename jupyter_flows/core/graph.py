"""A named directed acyclic graph of tasks: add, ask, check, order. Pure: how it runs is the engine's.

Order of addition is kept everywhere: two tasks that do not depend on each other run in that order when
they run one by one, so that a flow of notebook cells runs as the notebook does.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextvars import Token
from difflib import get_close_matches
from itertools import pairwise
from typing import Any, Self

import msgspec

from jupyter_flows.core.context import context
from jupyter_flows.core.current import current_case, current_flow, current_resource, current_unused
from jupyter_flows.core.edge import Edge
from jupyter_flows.core.mapping import check_items, meant
from jupyter_flows.core.operators import Constant, collection, holds_task
from jupyter_flows.core.order import in_order
from jupyter_flows.core.parameter import Parameter
from jupyter_flows.core.task import Task
from jupyter_flows.core.task_options import as_handlers
from jupyter_flows.errors import InvalidFlow, InvalidParameters, InvalidTask


class FlowGraph:
    """Tasks and edges under a name.

    Parameters
    ----------
    name : str
    schedule, storage, run_config : optional
        What registering sends; see :mod:`jupyter_flows.schedules`, :mod:`~jupyter_flows.storage`,
        :mod:`~jupyter_flows.run_configs`.
    executor : optional
        How tasks are called; default one by one.
    tasks, edges, reference_tasks : iterables, optional
    state_handlers : iterable of callable
        Each ``(flow, old, new) -> state or None``.
    on_failure : callable, optional
        ``(flow, state)`` when a run failed.
    terminal_state_handler : callable, optional
        ``(flow, state, reference states) -> state or None``: may replace the final state.
    on_lost : {"fail", "rerun"}
        What the server does with a run whose agent vanished.

    Raises
    ------
    InvalidFlow : no name.
    """

    def __init__(  # noqa: PLR0917 - Prefect 1's signature, in its order
        self,
        name: str,
        schedule: Any = None,
        executor: Any = None,
        run_config: Any = None,
        storage: Any = None,
        tasks: Iterable[Task] | None = None,
        edges: Iterable[Edge] | None = None,
        reference_tasks: Iterable[Task] | None = None,
        state_handlers: Iterable[Callable[..., Any]] | None = None,
        on_failure: Callable[..., Any] | None = None,
        validate: bool | None = None,  # noqa: FBT001
        result: Any = None,
        terminal_state_handler: Callable[..., Any] | None = None,
        *,
        on_lost: str = "fail",
    ) -> None:
        if not name or not isinstance(name, str):
            msg = "a flow needs a name, e.g. Flow('etl')"
            raise InvalidFlow(msg)
        if on_lost not in {"fail", "rerun"}:
            msg = f"flow {name!r}: on_lost is {on_lost!r}; use 'fail' or 'rerun'"
            raise InvalidFlow(msg)
        self.name = name
        self.schedule = schedule
        self.executor = executor
        self.run_config = run_config
        self.storage = storage
        self.result = result
        self.on_lost = on_lost
        self.terminal_state_handler = terminal_state_handler
        self.project: str | None = None
        self.labels: tuple[str, ...] = ()
        self.declared: Any = None
        self.denied: tuple[Edge, ...] = ()
        self.parameter_specs: tuple[Any, ...] = ()
        self.constants: dict[Task, dict[str, Any]] = {}
        self.slugs: dict[Task, str] = {}
        self._taken: dict[str, Task] = {}
        self._numbers: dict[str, int] = {}
        self._edges: list[Edge] = []
        self._to: dict[Task, list[Edge]] = {}
        self._from: dict[Task, list[Edge]] = {}
        self._keyed: dict[tuple[Task, str], None] = {}  # a set would be pickled in an order of its own
        self._reference: tuple[Task, ...] | None = None
        self._tokens: list[Token[Any]] = []
        self.state_handlers = as_handlers(state_handlers, on_failure, f"flow {name!r}")
        if terminal_state_handler is not None and not callable(terminal_state_handler):
            msg = (
                f"flow {name!r}: terminal_state_handler is {terminal_state_handler!r}; "
                "give a function (flow, state, reference states)"
            )
            raise InvalidFlow(msg)
        for task in tasks or ():
            self.add_task(task)
        for edge in edges or ():
            if not isinstance(edge, Edge):
                msg = f"flow {name!r}: {edge!r} is no edge; give Edge(upstream task, downstream task, key)"
                raise InvalidFlow(msg)
            self._add_edge(edge)
        if reference_tasks is not None:
            self.set_reference_tasks(reference_tasks)
        if validate:
            self.validate()

    def __repr__(self) -> str:
        return f"<Flow: {self.name}, {len(self.tasks)} tasks>"

    def __iter__(self) -> Iterator[Task]:
        return iter(self.sorted_tasks())

    def __contains__(self, task: object) -> bool:
        return task in self.slugs

    @property
    def logger(self) -> logging.Logger:
        """The run's logger; outside of a run the one of all flows."""
        found: logging.Logger = context.logger
        return found

    def __enter__(self) -> Self:
        if not self._tokens and current_flow.get() is None:
            current_unused.set({})
        self._tokens.append(current_flow.set(self))
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        current_flow.reset(self._tokens.pop())
        if current_flow.get() is not None:
            return
        unused = current_unused.get() or ()
        current_unused.set(None)
        names = [repr(task.name) for task in unused if not isinstance(task, Constant)]
        if names and kind is None:
            text = (
                f"flow {self.name!r}: made in its 'with' block, but not in the flow: {', '.join(names)}; "
                "call them there, or make them outside of it"
            )
            warnings.warn(text, stacklevel=2)

    def __getstate__(self) -> dict[str, Any]:
        # What follows from the tasks and the edges is made again when it is loaded: it is half of the bytes.
        derived = {"_tokens", "_taken", "_to", "_from", "_keyed", "_edges"}
        state = {name: value for name, value in self.__dict__.items() if name not in derived}
        # A pickled flow is full of edges: as plain tuples they are written and read faster.
        return {**state, "_edges": [edge.values() for edge in self._edges]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._edges = [Edge(*values) for values in state["_edges"]]
        self._tokens = []
        self._taken = {slug: task for task, slug in self.slugs.items()}
        self._to = {task: [] for task in self.slugs}
        self._from = {task: [] for task in self.slugs}
        self._keyed = {(task, key): None for task, given in self.constants.items() for key in given}
        for edge in self._edges:
            self._to[edge.downstream_task].append(edge)
            self._from[edge.upstream_task].append(edge)
            if edge.key is not None:
                self._keyed[edge.downstream_task, edge.key] = None

    # -- building ---------------------------------------------------------------------------------

    def add_task(self, task: Task) -> Task:
        """Put a task into the flow; return it. Adding it again changes nothing."""
        if not isinstance(task, Task):
            msg = f"flow {self.name!r}: {task!r} is not a task; decorate the function with @task"
            raise InvalidFlow(msg)
        if task in self.slugs:
            return task
        slug = task.slug or self._new_slug(task)
        if slug in self._taken:
            what = "parameter" if slug == task.name else "task with the slug"
            msg = f"flow {self.name!r} already has a {what} {slug!r}; use that one, or another name"
            raise InvalidFlow(msg)
        self._taken[slug] = task
        self.slugs[task] = slug
        self._to[task] = []
        self._from[task] = []
        if (unused := current_unused.get()) is not None:
            unused.pop(task, None)
        if not isinstance(task, Constant | Parameter):
            for block in (current_case.get(), current_resource.get()):
                if block is not None:
                    block.add_task(task, self)
        return task

    def _new_slug(self, task: Task) -> str:
        prefix = "-".join([task.name, *sorted(task.tags)])
        number = self._numbers.get(prefix, 0)
        while True:
            number += 1
            if f"{prefix}-{number}" not in self._taken:
                break
        self._numbers[prefix] = number
        return f"{prefix}-{number}"

    def add_edge(  # noqa: PLR0917 - Prefect 1's signature
        self,
        upstream_task: Any,
        downstream_task: Task,
        key: str | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002
        flattened: bool = False,  # noqa: FBT001, FBT002
        validate: bool | None = None,  # noqa: FBT001
        *,
        kind: Any = "data",
        names: Iterable[str] = (),
        reason: str = "",
    ) -> Edge:
        """Make *downstream_task* wait for *upstream_task*, a task or a value; return the edge.

        With *validate* the flow is checked at once, else before it runs.
        """
        upstream_task = self.as_task(upstream_task)
        edge = Edge(upstream_task, downstream_task, key, mapped, flattened, kind, tuple(names), reason)
        self._add_edge(edge)
        if validate:
            self.validate()
        return edge

    def _add_edge(self, edge: Edge) -> Edge:
        self.add_task(edge.upstream_task)
        self.add_task(edge.downstream_task)
        if isinstance(edge.downstream_task, Parameter):
            msg = f"parameter {edge.downstream_task.name!r} cannot wait for task {edge.upstream_task.name!r}"
            raise InvalidFlow(msg)
        if edge.key is not None:
            self._feed(edge.downstream_task, edge.key)
        self._edges.append(edge)
        self._to[edge.downstream_task].append(edge)
        self._from[edge.upstream_task].append(edge)
        return edge

    def _feed(self, task: Task, key: str) -> None:
        if (task, key) in self._keyed:
            msg = f"argument {key!r} of task {task.name!r} is fed twice"
            raise InvalidFlow(msg)
        self._keyed[task, key] = None

    def chain(self, *tasks: Task, validate: bool | None = None) -> list[Edge]:
        """Make each task wait for the one before it."""
        edges = [self.add_edge(before, after) for before, after in pairwise(tasks)]
        if validate:
            self.validate()
        return edges

    def set_dependencies(  # noqa: PLR0917 - Prefect 1's signature
        self,
        task: Task,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[Task] | None = None,
        keyword_tasks: dict[str, Any] | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002
        validate: bool | None = None,  # noqa: FBT001
    ) -> None:
        """Set several dependencies of *task*; plain values become constants, collections become tasks.

        With *mapped*, the task runs once for each item of what is not ``unmapped``. With *validate* the flow
        is checked at once, else before it runs.
        """
        self.add_task(task)
        for what, given in (("upstream_tasks", upstream_tasks), ("downstream_tasks", downstream_tasks)):
            if isinstance(given, Task) or not isinstance(given, Iterable | None):
                msg = f"task {task.name!r}: {what} is {given!r}; give a list: {what}=[...]"
                raise InvalidTask(msg)
        for upstream in upstream_tasks or ():
            value, is_mapped, flattened = meant(upstream, is_mapped=mapped)
            self.add_edge(self.as_task(value), task, mapped=is_mapped, flattened=flattened)
        for downstream in downstream_tasks or ():
            value, is_mapped, flattened = meant(downstream, is_mapped=mapped)
            self.add_edge(task, self.as_task(value), mapped=is_mapped, flattened=flattened)
        for key, argument in (keyword_tasks or {}).items():
            value, is_mapped, flattened = meant(argument, is_mapped=mapped)
            if is_mapped or flattened or holds_task(value):
                if is_mapped and not holds_task(value):
                    check_items(value, key, task.name)
                self.add_edge(self.as_task(value), task, key, mapped=is_mapped, flattened=flattened)
            else:
                self._feed(task, key)
                self.constants.setdefault(task, {})[key] = value
        if validate:
            self.validate()

    def as_task(self, value: Any) -> Task:
        """Return *value* as a task of this flow: itself, a collection of tasks, or a constant."""
        if isinstance(value, Task):
            return value
        if holds_task(value):
            made, arguments = collection(value)
            self.set_dependencies(made, keyword_tasks=arguments)
            return made
        return Constant(value)

    # -- asking ---------------------------------------------------------------------------------------

    @property
    def tasks(self) -> list[Task]:
        """The tasks, in order of addition."""
        return list(self.slugs)

    @property
    def edges(self) -> list[Edge]:
        """The edges, in order of addition."""
        return list(self._edges)

    def edges_to(self, task: Task) -> list[Edge]:
        """The edges that end at *task*."""
        return list(self._to[task])

    def edges_from(self, task: Task) -> list[Edge]:
        """The edges that begin at *task*."""
        return list(self._from[task])

    def all_upstream_edges(self) -> dict[Task, list[Edge]]:
        """The edges that end at each task."""
        return {task: list(edges) for task, edges in self._to.items()}

    def all_downstream_edges(self) -> dict[Task, list[Edge]]:
        """The edges that begin at each task."""
        return {task: list(edges) for task, edges in self._from.items()}

    def upstream_tasks(self, task: Task) -> list[Task]:
        """The tasks that *task* waits for, each once."""
        return list(dict.fromkeys(edge.upstream_task for edge in self._to[task]))

    def downstream_tasks(self, task: Task) -> list[Task]:
        """The tasks that wait for *task*, each once."""
        return list(dict.fromkeys(edge.downstream_task for edge in self._from[task]))

    def root_tasks(self) -> list[Task]:
        """The tasks that wait for none."""
        return [task for task in self.slugs if not self._to[task]]

    def terminal_tasks(self) -> list[Task]:
        """The tasks that none needs; one that merely has to come later (kind ``order``) does not count."""
        return [task for task in self.slugs if all(edge.kind == "order" for edge in self._from[task])]

    def reference_tasks(self) -> list[Task]:
        """The tasks that decide the flow's final state; default: the terminal ones.

        What only prepares or cleans up (a resource's tasks) decides nothing: what comes before it does.
        """
        if self._reference:
            return list(self._reference)
        if all(task.decides for task in self.slugs):
            return self.terminal_tasks()
        return [
            task
            for task in self.slugs
            if task.decides
            and all(edge.kind == "order" or not edge.downstream_task.decides for edge in self._from[task])
        ]

    @property
    def has_own_reference_tasks(self) -> bool:
        """Whether the reference tasks were set, not derived."""
        return bool(self._reference)

    def set_reference_tasks(self, tasks: Iterable[Task]) -> None:
        """Let these tasks decide the final state; none restores the default."""
        if isinstance(tasks, Task) or not isinstance(tasks, Iterable):
            msg = f"flow {self.name!r}: reference tasks are a list of tasks, not {tasks!r}"
            raise InvalidFlow(msg)
        chosen = tuple(tasks)
        for task in chosen:
            if task not in self.slugs:
                msg = f"flow {self.name!r}: reference task {getattr(task, 'name', task)!r} is not in the flow"
                raise InvalidFlow(msg)
        self._reference = chosen or None

    def parameters(self) -> list[Any]:
        """The flow's :class:`~jupyter_flows.core.parameter.Parameter` tasks."""
        return [task for task in self.slugs if isinstance(task, Parameter)]

    def get_tasks(
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        task_type: type[Task] | None = None,
    ) -> list[Task]:
        """Return the tasks that match everything given."""
        wanted = set(tags or ())
        return [
            task
            for task, own in self.slugs.items()
            if (name is None or task.name == name)
            and (slug is None or own == slug)
            and wanted <= task.tags
            and (task_type is None or isinstance(task, task_type))
        ]

    def check_parameters(self, values: dict[str, Any]) -> None:
        """Refuse unknown and missing parameters.

        Raises
        ------
        InvalidParameters : which one, and which there are.
        """
        known = {task.name: task.required for task in self.parameters()}
        known.update({spec.name: spec.required for spec in self.parameter_specs})
        for name in values:
            if name not in known:
                near = get_close_matches(str(name), known, n=1)
                there_are = f"it has {', '.join(known)}" if known else "it has none"
                hint = f"did you mean {near[0]!r}?" if near else there_are
                msg = f"flow {self.name!r} has no parameter {name!r}; {hint}"
                raise InvalidParameters(msg)
        for name, required in known.items():
            if required and name not in values:
                msg = f"flow {self.name!r} needs a value for its parameter {name!r}, which has no default"
                raise InvalidParameters(msg)

    # -- order and checks ----------------------------------------------------------------------------------

    def sorted_tasks(self, root_tasks: Iterable[Task] | None = None) -> list[Task]:
        """Return the tasks so that each comes after those it waits for, else in order of addition.

        Parameters
        ----------
        root_tasks : iterable of Task, optional
            Only these, and what waits for them, directly or through others.

        Raises
        ------
        FlowCycle : the edges go round in a circle; its tasks are named.
        """
        if root_tasks is not None:
            found = dict.fromkeys(root_tasks)
            agenda = list(found)
            while agenda:
                new = [task for task in self.downstream_tasks(agenda.pop()) if task not in found]
                found.update(dict.fromkeys(new))
                agenda.extend(new)
            return [task for task in self.sorted_tasks() if task in found]
        return in_order(self.name, list(self.slugs), self._edges)

    def validate(self) -> None:
        """Refuse a flow that cannot run.

        Raises
        ------
        FlowCycle : the edges go round in a circle.
        InvalidFlow : an argument that a task does not take.
        """
        self.sorted_tasks()
        for edge in self._edges:
            if edge.key is None:
                continue
            if not _takes(edge.downstream_task, edge.key):
                takes = ", ".join(edge.downstream_task.signature.parameters) or "none"
                msg = f"task {edge.downstream_task.name!r} takes no argument {edge.key!r}; it takes {takes}"
                raise InvalidFlow(msg)

    def copy(self) -> Self:
        """Return a flow with the same tasks and edges, to which others can be added."""
        made = type(self).__new__(type(self))
        made.__dict__.update(
            self.__dict__,
            constants={task: dict(values) for task, values in self.constants.items()},
            slugs=dict(self.slugs),
            state_handlers=list(self.state_handlers),
            _edges=list(self._edges),
            _from={task: list(edges) for task, edges in self._from.items()},
            _keyed=dict(self._keyed),
            _numbers=dict(self._numbers),
            _taken=dict(self._taken),
            _to={task: list(edges) for task, edges in self._to.items()},
            _tokens=[],
        )
        return made

    def replace(
        self,
        old: Task,
        new: Task,
        validate: bool = True,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> None:
        """Put *new* where *old* was: its edges, its say in the final state, and those constants it takes.

        In Prefect 1 the constants were left behind.

        Raises
        ------
        InvalidFlow : *old* is not in the flow, or *new* is already; with *validate*, also if *new* does not
            take the arguments of *old*.

        Examples
        --------
        >>> from jupyter_flows import Flow, task
        >>> with Flow("one") as flow:
        ...     one = task(lambda: 1, name="one")()
        >>> two = task(lambda: 2, name="two")
        >>> flow.replace(one, two)
        >>> flow.run().result[two].result
        2
        """
        if old not in self.slugs:
            name = getattr(old, "name", old)
            msg = f"flow {self.name!r}: task {name!r} is not in the flow, so it cannot be replaced"
            raise InvalidFlow(msg)
        if new in self.slugs:
            msg = f"flow {self.name!r}: task {new.name!r} is in the flow already; give a copy of it"
            raise InvalidFlow(msg)
        edges, constants, reference = self._edges, self.constants, self._reference
        tasks = [new if task is old else task for task in self.slugs]
        kept = {task: slug for task, slug in self.slugs.items() if task is not old}
        self.slugs, self._taken, self._to, self._from = (
            {},
            {slug: task for task, slug in kept.items()},
            {},
            {},
        )
        self._edges, self._keyed, self.constants = [], {}, {}
        for task in tasks:
            # Slugs of the others stay what they are: runs know tasks by them.
            slug = kept.get(task) or task.slug or self._new_slug(task)
            self._taken[slug] = task
            self.slugs[task], self._to[task], self._from[task] = slug, [], []
        for edge in edges:
            up = new if edge.upstream_task is old else edge.upstream_task
            down = new if edge.downstream_task is old else edge.downstream_task
            self._add_edge(msgspec.structs.replace(edge, upstream_task=up, downstream_task=down))
        for task, values in constants.items():
            to = new if task is old else task
            taken = {key: value for key, value in values.items() if task is not old or _takes(new, key)}
            self.set_dependencies(to, keyword_tasks=taken)
        if reference is not None:
            self._reference = tuple(new if task is old else task for task in reference)
        if validate:
            self.validate()

    def update(
        self,
        flow: FlowGraph,
        merge_parameters: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
        validate: bool | None = None,  # noqa: FBT001
        merge_reference_tasks: bool = False,  # noqa: FBT001, FBT002
    ) -> None:
        """Add all tasks, edges and constants of *flow*.

        Parameters
        ----------
        flow : FlowGraph
        merge_parameters : bool
            Whether parameters of one name become one: the other flow's.
        validate : bool, optional
            Whether the result is validated at once.
        merge_reference_tasks : bool
            Whether the other flow's reference tasks decide too.

        Raises
        ------
        InvalidFlow : both have a parameter of one name, and they are not to be merged.
        """
        if not isinstance(flow, FlowGraph):
            msg = f"flow {self.name!r}: update takes another flow, not {flow!r}"
            raise InvalidFlow(msg)
        if merge_parameters:
            ours = {parameter.name: parameter for parameter in self.parameters()}
            for parameter in flow.parameters():
                if parameter.name in ours and ours[parameter.name] is not parameter:
                    self.replace(ours[parameter.name], parameter, validate=False)
        reference = self.reference_tasks() if merge_reference_tasks else []
        for task in flow.tasks:
            self.add_task(task)
        known = {(edge.upstream_task, edge.downstream_task, edge.key) for edge in self._edges}
        for edge in flow.edges:
            if (edge.upstream_task, edge.downstream_task, edge.key) not in known:
                self._add_edge(edge)
        for task, values in flow.constants.items():
            for key, value in values.items():
                if key not in self.constants.get(task, {}):
                    self._feed(task, key)
                    self.constants.setdefault(task, {})[key] = value
        if merge_reference_tasks:
            self.set_reference_tasks(dict.fromkeys([*reference, *flow.reference_tasks()]))
        if validate or merge_parameters:
            self.validate()


def _takes(task: Task, argument: str) -> bool:
    parameters = task.signature.parameters
    return argument in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
