"""A unit of work, and how it is put into a flow. Pure: knows nothing of how it is executed.

Behaviour follows Prefect 1: calling a task inside a flow makes a *copy* bound to the arguments;
constants stay on the flow; operators on tasks make tasks.
"""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import cache
from typing import Any, ClassVar, NamedTuple, Self, overload

from jupyter_flows.core.context import context
from jupyter_flows.core.current import current_flow, current_tags, current_unused
from jupyter_flows.core.task_options import (
    Duration,
    as_count,
    as_exceptions,
    as_handlers,
    as_option,
    as_tags,
    hints_of,
    results_of,
)
from jupyter_flows.core.triggers import Trigger, all_successful
from jupyter_flows.errors import InvalidTask

RESERVED_ARGUMENTS = frozenset({"upstream_tasks", "task_args", "flow", "mapped"})
LONGEST_NAME = 200


class _Logger:
    """``self.logger`` of a task: its run's logger. A subclass may set its own."""

    def __get__(self, task: object, kind: type | None = None) -> logging.Logger:
        found: logging.Logger = context.logger
        return found


class _SortedSet(NamedTuple):
    """How a set of words is pickled."""

    items: tuple[str, ...]


class Task:
    """A unit of work; subclass it and write ``run``, or decorate a function with :func:`task`.

    Parameters
    ----------
    name : str, optional
        Default: the class's name.
    slug : str, optional
        Unique name in the flow; default ``name-1``, ``name-2``, ...
    tags : iterable of str, optional
    max_retries : int, optional
        How often it is tried again after a failure; needs ``retry_delay``. Default 0.
    retry_delay : timedelta or seconds, optional
    retry_on : exception class or tuple of them, optional
        Only failures by these are tried again; default: all.
    timeout : timedelta or seconds, optional
        Longest time of one attempt.
    trigger : callable
        Of :mod:`jupyter_flows.triggers`.
    skip_on_upstream_skip : bool
        Whether a skipped upstream skips this task.
    log_stdout : bool
        Whether what it prints goes to the log too.
    nout : int, optional
        Number of results, so that they can be unpacked; default: as a return annotation ``tuple[A, B]`` says.
    cache_for : timedelta or seconds, optional
        How long a later run may take this one's result in place of calling the task.
    cache_validator : callable, optional
        Of :mod:`jupyter_flows.engine.cache_validators`: whether a kept result fits; default: while it is new.
    cache_key : str, optional
        Name under which tasks, also of other flows, share what they keep; default: their own.
    checkpoint : bool, optional
        False: the result is never written.
    result : Result, optional
        Of :mod:`jupyter_flows.engine.results`: where and how the result is written; default: the flow's.
    target : str or callable, optional
        Location of the result, as a template; where it exists, the task is not called.
    task_run_name : str or callable, optional
        Name of a run of the task, as a template of its arguments and the context.
    state_handlers : iterable of callable
        Each ``(task, old, new) -> state or None`` at every change of state.
    on_failure : callable, optional
        ``(task, state)`` when it failed.

    Raises
    ------
    InvalidTask : arguments that contradict each other, or a ``run`` that cannot be bound.

    Examples
    --------
    >>> class Add(Task):
    ...     def run(self, x, y):
    ...         return x + y
    >>> Add(name="plus").run(1, 2)
    3
    """

    role: str = "task"
    auto_generated: bool = False
    decides: bool = True
    """Whether the flow's final state may hang on it; not for what sets a resource up or cleans it up."""
    _signatures: ClassVar[dict[type, inspect.Signature]] = {}
    logger = _Logger()
    retry_delay = Duration()
    timeout = Duration()
    cache_for = Duration()

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Warn of tasks among the options: they are not computed when the task is made."""
        for given in (*args, *kwargs.values()):
            if isinstance(given, Task):
                text = (
                    f"a {cls.__name__} is made with task {given.name!r} as an option, which stays a task; "
                    "give it to the call instead, where it becomes its result"
                )
                warnings.warn(text, stacklevel=2)
        return super().__new__(cls)

    def __init__(  # noqa: PLR0917 - Prefect 1's signature, in its order
        self,
        name: str | None = None,
        slug: str | None = None,
        tags: Iterable[str] | None = None,
        max_retries: int | None = None,
        retry_delay: timedelta | float | None = None,
        retry_on: type[BaseException] | Iterable[type[BaseException]] | None = None,
        timeout: timedelta | float | None = None,
        trigger: Trigger | None = None,
        skip_on_upstream_skip: bool = True,  # noqa: FBT001, FBT002
        cache_for: timedelta | float | None = None,
        cache_validator: Callable[..., bool] | None = None,
        cache_key: str | None = None,
        checkpoint: bool | None = None,  # noqa: FBT001
        state_handlers: Iterable[Callable[..., Any]] | None = None,
        on_failure: Callable[..., Any] | None = None,
        log_stdout: bool = False,  # noqa: FBT001, FBT002
        result: Any = None,
        target: str | Callable[..., str] | None = None,
        task_run_name: str | Callable[..., str] | None = None,
        nout: int | None = None,
    ) -> None:
        self.name = name or type(self).__name__
        if not isinstance(self.name, str) or len(self.name) > LONGEST_NAME:
            msg = f"a task's name is a text of at most {LONGEST_NAME} characters, not {str(self.name)[:40]!r}"
            raise InvalidTask(msg)
        self.slug = slug
        self.tags = as_tags(tags, self.name) | current_tags.get()
        self.retry_delay = retry_delay
        self.max_retries = max_retries = as_count(max_retries, self.name, "max_retries") or 0
        self.retry_on = as_exceptions(retry_on, self.name)
        self.timeout = timeout
        if self.timeout is not None and not self.timeout:
            msg = f"task {self.name!r}: timeout is 0; give more than that, or none"
            raise InvalidTask(msg)
        if max_retries > 0 and self.retry_delay is None:
            msg = f"task {self.name!r}: max_retries={max_retries} needs a retry_delay"
            raise InvalidTask(msg)
        if max_retries == 0 and (self.retry_delay is not None or self.retry_on):
            what = "retry_on" if self.retry_delay is None else "retry_delay"
            msg = f"task {self.name!r}: {what} without max_retries does nothing; give max_retries"
            raise InvalidTask(msg)
        if trigger is not None and not callable(trigger):
            msg = f"task {self.name!r}: trigger is {trigger!r}; give a function of jupyter_flows.triggers"
            raise InvalidTask(msg)
        self.trigger: Trigger = trigger or all_successful
        self.skip_on_upstream_skip = skip_on_upstream_skip
        self.log_stdout = log_stdout
        self.cache_for = cache_for
        self.cache_validator = cache_validator
        self.cache_key = cache_key
        self.checkpoint = checkpoint
        self.result = result
        self.target = target
        self.task_run_name = task_run_name
        self._check_result()
        self.nout = results_of(self.run) if nout is None else as_count(nout, self.name, "nout")
        self.state_handlers = as_handlers(state_handlers, on_failure, f"task {self.name!r}")
        self._check_run()
        if (unused := current_unused.get()) is not None:
            unused[self] = None

    def _check_result(self) -> None:
        if self.cache_validator is not None and self.cache_for is None:
            text = f"task {self.name!r}: cache_validator without cache_for caches nothing; give cache_for"
            warnings.warn(text, stacklevel=4)
        if self.target is not None and getattr(self.result, "location", None) is not None:
            text = f"task {self.name!r}: target wins over the location of its result; leave one of them out"
            warnings.warn(text, stacklevel=4)
        if self.cache_validator is not None and not callable(self.cache_validator):
            msg = (
                f"task {self.name!r}: cache_validator is {self.cache_validator!r}; "
                "give a function of jupyter_flows.engine.cache_validators"
            )
            raise InvalidTask(msg)
        if self.result is not None and (isinstance(self.result, type) or not hasattr(self.result, "write")):
            msg = f"task {self.name!r}: result is {self.result!r}; give one of jupyter_flows.engine.results"
            raise InvalidTask(msg)
        for name in ("target", "task_run_name"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str) and not callable(value):
                msg = f"task {self.name!r}: {name} is {value!r}; give a template or a function"
                raise InvalidTask(msg)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work; subclasses write this."""
        del args, kwargs

    @property
    def signature(self) -> inspect.Signature:
        """What ``run`` takes."""
        found = Task._signatures.get(type(self))
        if found is None:
            found = Task._signatures[type(self)] = inspect.signature(type(self).run).replace(
                parameters=list(inspect.signature(type(self).run).parameters.values())[1:]
            )
        return found

    def _check_run(self) -> None:
        if type(self).run is Task.run and "run" not in self.__dict__:
            return  # a placeholder, or a body that is no function
        for parameter in self.signature.parameters.values():
            if parameter.kind is parameter.VAR_POSITIONAL:
                msg = f"task {self.name!r}: run may not take *{parameter.name}; arguments become named edges"
                raise InvalidTask(msg)
            if parameter.kind is parameter.POSITIONAL_ONLY:
                msg = f"task {self.name!r}: {parameter.name!r} of run is positional only; arguments are named"
                raise InvalidTask(msg)
            if parameter.name in RESERVED_ARGUMENTS:
                msg = f"task {self.name!r}: run may not take {parameter.name!r}; that name is reserved"
                raise InvalidTask(msg)

    def __repr__(self) -> str:
        return f"<Task: {self.name}>"

    def __getstate__(self) -> dict[str, Any]:
        # Sets have no order of their own: sorted, so that an unchanged flow has unchanged bytes. What is as
        # usual is left out: most of a task is, and a pickle of a thousand tasks is made half as fast with it.
        usual = _usual()
        return {
            name: _SortedSet(tuple(sorted(value))) if isinstance(value, frozenset) else value
            for name, value in self.__dict__.items()
            # Mostly it is the very same object: asked here, since a call for each attribute costs more.
            if value is not (common := usual.get(name, _UNUSUAL)) and not _same(value, common)
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in _usual().items():
            self.__dict__[name] = list(value) if isinstance(value, list) else value
        for name, value in state.items():
            self.__dict__[name] = frozenset(value.items) if isinstance(value, _SortedSet) else value

    # -- binding --------------------------------------------------------------------------------

    def copy(self, **task_args: Any) -> Task:
        """Return a copy with *task_args* set on it."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        if (unused := current_unused.get()) is not None:
            unused.pop(self, None)
        made.state_handlers = list(self.state_handlers)
        if made.slug is not None:
            made.slug = f"{made.slug}-copy"
        made.tags = self.tags | current_tags.get()
        for attribute, value in task_args.items():
            if not hasattr(made, attribute):
                msg = f"task {self.name!r} has no attribute {attribute!r} to set by task_args"
                raise InvalidTask(msg)
            setattr(made, attribute, as_option(attribute, value, self))
        return made

    def __call__(
        self,
        *args: Any,
        mapped: bool = False,
        upstream_tasks: Iterable[Any] | None = None,
        task_args: dict[str, Any] | None = None,
        flow: Any = None,
        **kwargs: Any,
    ) -> Task:
        """Put a copy of this task, bound to the arguments, into the flow of the ``with`` block."""
        flow = self._flow(flow)
        made = self.copy(**self._task_args(task_args))
        return made.bind(*args, mapped=mapped, upstream_tasks=upstream_tasks, flow=flow, **kwargs)

    def _task_args(self, task_args: dict[str, Any] | None) -> dict[str, Any]:
        if task_args is None or isinstance(task_args, dict):
            return task_args or {}
        msg = (
            f"task {self.name!r}: task_args is {task_args!r}; give a dictionary: task_args=dict(name='other')"
        )
        raise InvalidTask(msg)

    def map(
        self,
        *args: Any,
        upstream_tasks: Iterable[Any] | None = None,
        task_args: dict[str, Any] | None = None,
        flow: Any = None,
        **kwargs: Any,
    ) -> Task:
        """Put a copy of this task into the flow that runs once for each item of its arguments.

        Arguments are tasks or collections; :class:`~jupyter_flows.unmapped` ones go whole to every child,
        :class:`~jupyter_flows.flatten` takes out one level of nesting. There are as many children as the
        shortest has items. A mapped reader's child waits for its own partner only; any other reader gets
        the list of all results.

        Raises
        ------
        InvalidTask : an argument has no items.

        Examples
        --------
        >>> from jupyter_flows import Flow, task
        >>> with Flow("squares") as flow:
        ...     squares = task(lambda x: x * x).map([1, 2, 3])
        ...     total = task(lambda values: sum(values))(squares)
        >>> flow.run().result[total].result
        14
        """
        made = self.copy(**self._task_args(task_args))
        made.nout = None
        flow = self._flow(flow)
        return made.bind(*args, mapped=True, upstream_tasks=upstream_tasks, flow=flow, **kwargs)

    def bind(
        self,
        *args: Any,
        mapped: bool = False,
        upstream_tasks: Iterable[Any] | None = None,
        flow: Any = None,
        **kwargs: Any,
    ) -> Task:
        """Bind the arguments on this very task and put it into the flow; return it."""
        flow = self._flow(flow)
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            msg = f"task {self.name!r}: {error}; it takes {self.signature}"
            raise InvalidTask(msg) from None
        arguments = dict(bound.arguments)
        for parameter in self.signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments.update(arguments.pop(parameter.name, {}))
        flow.set_dependencies(self, upstream_tasks=upstream_tasks, keyword_tasks=arguments, mapped=mapped)
        return self

    def _flow(self, flow: Any) -> Any:
        found = current_flow.get() if flow is None else flow
        if found is not None and not hasattr(found, "set_dependencies"):
            msg = f"task {self.name!r}: flow is {found!r}, which is no flow"
            raise InvalidTask(msg)
        if found is None:
            msg = (
                f"task {self.name!r} was called outside a flow; use it inside 'with Flow(...)', "
                f"or call {self.name}.run(...) to run it as a plain function"
            )
            raise InvalidTask(msg)
        return found

    def set_upstream(
        self,
        task: Any,
        flow: Any = None,
        key: str | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> Task:
        """Make this task wait for *task* (its result becomes argument *key*); return this task."""
        flow = self._flow(flow)
        if key is None:
            flow.set_dependencies(self, upstream_tasks=[task], mapped=mapped)
        else:
            flow.set_dependencies(self, keyword_tasks={key: task}, mapped=mapped)
        return self

    def set_downstream(
        self,
        task: Task,
        flow: Any = None,
        key: str | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002 - Prefect 1's signature
    ) -> Task:
        """Make *task* wait for this one (whose result becomes its argument *key*); return this task."""
        task.set_upstream(self, flow, key, mapped)
        return self

    def set_dependencies(  # noqa: PLR0917 - Prefect 1's signature
        self,
        flow: Any = None,
        upstream_tasks: Iterable[Any] | None = None,
        downstream_tasks: Iterable[Task] | None = None,
        keyword_tasks: dict[str, Any] | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002
        validate: bool | None = None,  # noqa: FBT001
    ) -> Task:
        """Set several dependencies at once; return this task."""
        self._flow(flow).set_dependencies(
            self,
            upstream_tasks=upstream_tasks,
            downstream_tasks=downstream_tasks,
            keyword_tasks=keyword_tasks,
            mapped=mapped,
            validate=validate,
        )
        return self

    def inputs(self) -> dict[str, dict[str, Any]]:
        """Return ``{argument: {"type": annotation, "required": whether it has no default}}``.

        Examples
        --------
        >>> from jupyter_flows import task
        >>> task(lambda x, y=1: x + y, name="add").inputs()["y"]["required"]
        False
        """
        hints = hints_of(self.run)
        return {
            name: {"type": hints.get(name, Any), "required": parameter.default is parameter.empty}
            for name, parameter in self.signature.parameters.items()
            if parameter.kind is not parameter.VAR_KEYWORD
        }

    def outputs(self) -> Any:
        """Return what the return annotation says, else ``Any``."""
        return hints_of(self.run).get("return", Any)

    def pipe(self, other: Task, **kwargs: Any) -> Task:
        """Call *other* with this task as its first argument."""
        return other(self, **kwargs)

    # -- operators --------------------------------------------------------------------------------

    def __bool__(self) -> bool:
        # Silently true, it would make "if task:" take the branch in every run.
        msg = f"task {self.name!r} has no value while the flow is built; decide inside a task"
        raise InvalidTask(msg)

    def __format__(self, spec: str) -> str:
        if current_flow.get() is not None:
            # f"s3://{bucket}" would be "s3://<Parameter: bucket>" in every run.
            msg = f"task {self.name!r} has no value while the flow is built; make the text inside a task"
            raise InvalidTask(msg)
        return super().__format__(spec)

    def __iter__(self) -> Iterator[Task]:
        if self.nout is None:
            msg = f"task {self.name!r} cannot be unpacked; give it nout=N, the number of its results"
            raise InvalidTask(msg)
        return iter([self[index] for index in range(self.nout)])

    def __or__(self, other: Any) -> Any:
        """Make *other* wait for this task, as Prefect 1's pipe does; return *other*."""
        self.set_downstream(other)
        return other

    def __ror__(self, other: Any) -> Task:
        """Make this task wait for *other*; return this task."""
        return self.set_upstream(other)

    def _operation(self, name: str, left: Any, right: Any) -> Task:
        return operators()[name]().bind(left, right)

    def __getitem__(self, key: Any) -> Task:
        # The key is not part of the name: names go to the server, constants do not.
        return operators()["GetItem"](
            name=f"{self.name}[{key}]" if type(key) is int else f"{self.name}[...]"
        ).bind(self, key)

    def is_equal(self, other: Any) -> Task:
        """Return a task that is ``self == other``."""
        return self._operation("Equal", self, other)

    def is_not_equal(self, other: Any) -> Task:
        """Return a task that is ``self != other``."""
        return self._operation("NotEqual", self, other)

    def not_(self) -> Task:
        """Return a task that is ``not self``."""
        return operators()["Not"]().bind(self)

    def and_(self, other: Any) -> Task:
        """Return a task that is ``self and other``."""
        return self._operation("And", self, other)

    def or_(self, other: Any) -> Task:
        """Return a task that is ``self or other``."""
        return self._operation("Or", self, other)


def _arithmetic(name: str, *, reflected: bool) -> Callable[[Task, Any], Task]:
    def method(self: Task, other: Any) -> Task:
        return self._operation(name, other, self) if reflected else self._operation(name, self, other)

    return method


for _dunder, _name in {
    "add": "Add",
    "sub": "Sub",
    "mul": "Mul",
    "truediv": "Div",
    "floordiv": "FloorDiv",
    "mod": "Mod",
    "pow": "Pow",
    "matmul": "MatMul",
}.items():
    setattr(Task, f"__{_dunder}__", _arithmetic(_name, reflected=False))
    setattr(Task, f"__r{_dunder}__", _arithmetic(_name, reflected=True))
for _dunder, _name in {
    "and": "And", "lt": "LessThan", "le": "LessThanOrEqual", "gt": "GreaterThan", "ge": "GreaterThanOrEqual",
}.items():  # fmt: skip
    setattr(Task, f"__{_dunder}__", _arithmetic(_name, reflected=False))
setattr(Task, "__rand__", _arithmetic("And", reflected=True))  # noqa: B010 - as its siblings above


class FunctionTask(Task):
    """A task that is a function."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, **options: Any) -> None:
        if not callable(fn):
            msg = f"@task was put on {fn!r}, which is not a function"
            raise InvalidTask(msg)
        options["name"] = name or getattr(fn, "__name__", type(fn).__name__)
        self.run = fn  # type: ignore[method-assign]
        self.__doc__ = fn.__doc__
        try:
            self._signature = inspect.signature(fn)
        except ValueError as error:
            msg = f"task {options['name']!r}: {error}; wrap it in a function of its own"
            raise InvalidTask(msg) from error
        super().__init__(**options)

    @property
    def signature(self) -> inspect.Signature:
        """What the function takes."""
        return self._signature


@overload
def task(fn: Callable[..., Any]) -> FunctionTask: ...
@overload
def task(fn: None = None, **options: Any) -> Callable[[Callable[..., Any]], FunctionTask]: ...
def task(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Make a task of a function; ``@task`` or ``@task(max_retries=2, retry_delay=10)``.

    Examples
    --------
    >>> @task
    ... def double(x):
    ...     return 2 * x
    >>> double.run(4)
    8
    """
    if fn is None:
        return lambda function: FunctionTask(function, **options)
    return FunctionTask(fn, **options)


@cache
def _usual() -> dict[str, Any]:
    """Return the attributes that a task has unless it is told otherwise."""
    usual = vars(Task(name="usual"))
    return {name: value for name, value in usual.items() if name not in {"name", "tags"}} | {
        "tags": frozenset()
    }


def _same(value: Any, usual: Any) -> bool:
    """Whether a value is the usual one; users' own kinds of values are not asked."""
    return value is usual or (type(value) is type(usual) and type(value) in _COMPARED and value == usual)


_COMPARED = frozenset({bool, int, frozenset, list, tuple})
_UNUSUAL = object()


_operators: dict[str, type[Task]] = {}


def operators() -> dict[str, type[Task]]:
    """Return the operator tasks by name; filled by ``core.operators`` when it is imported."""
    if not _operators:
        from importlib import import_module

        import_module("jupyter_flows.core.operators")
    return _operators
