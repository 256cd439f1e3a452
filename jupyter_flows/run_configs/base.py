"""What every run config is: frozen data that travels as a reference, and a plan to launch a run.

A run config is written where the flow is registered and read by an agent, so it carries only scalars
and lists of them. Which kinds exist is decided by file name: ``run_configs/<kind>.py``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec

from jupyter_flows.errors import InvalidLabel, InvalidOption, UnknownKind
from jupyter_flows.schema.base import LABEL_PATTERN, OptionValue
from jupyter_flows.schema.refs import RunConfigRef

_KIND = re.compile(r"[a-z][a-z0-9_]{0,39}")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class LaunchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How the process of one run is started."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None = None


class RunConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the kinds.

    Parameters
    ----------
    env : mapping of str to str
        Variables added to the environment of the run.
    labels : iterable of str
        Labels that an agent must offer to take the run.
    """

    kind: ClassVar[str] = ""

    env: Mapping[str, str] = {}
    labels: Iterable[str] = ()

    def __post_init__(self) -> None:
        env = {str(name): str(value) for name, value in dict(self.env).items()}
        for name in env:
            if not _ENV_NAME.fullmatch(name):
                msg = f"run config: {name!r} is no name of an environment variable"
                raise InvalidOption(msg)
        if isinstance(self.labels, str):
            msg = f"run config: labels is one string, {self.labels!r}; give a list of labels"
            raise InvalidLabel(msg)
        labels = tuple(sorted(set(self.labels)))
        for label in labels:
            if not LABEL_PATTERN.fullmatch(label):
                msg = f"label {label!r} is not one word of letters, digits, '.', '_', ':' or '-'"
                raise InvalidLabel(msg)
        msgspec.structs.force_setattr(self, "env", env)
        msgspec.structs.force_setattr(self, "labels", labels)

    def to_ref(self) -> RunConfigRef:
        """Return the record that the server keeps; fields at their default are left out."""
        options: dict[str, OptionValue] = {}
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name == "env" and value:
                options["env"] = [f"{key}={value[key]}" for key in sorted(value)]
            elif name == "labels" and value:
                options["labels"] = list(value)
            elif name not in {"env", "labels"} and value is not None:
                options[name] = value
        return RunConfigRef(kind=self.kind, options=options)

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Build from a reference's options; unknown ones are refused by name."""
        fields: dict[str, Any] = dict(options)
        unknown = sorted(set(fields) - set(cls.__struct_fields__))
        if unknown:
            known = ", ".join(cls.__struct_fields__)
            msg = f"run config {cls.kind!r} has no option {unknown[0]!r}; it has {known}"
            raise InvalidOption(msg)
        if "env" in fields:
            fields["env"] = dict(str(pair).partition("=")[::2] for pair in fields["env"])
        return cls(**fields)

    def plan(self, *, environ: Mapping[str, str], run_directory: Path) -> LaunchPlan:
        """Return how the run's process is started on this machine.

        Parameters
        ----------
        environ : mapping
            Environment that the agent offers; the run config's own comes on top.
        run_directory : Path
            The run's directory; the process starts there unless the kind says otherwise.
        """
        return LaunchPlan(
            argv=(sys.executable, "-m", "jupyter_flows.runtime"),
            env={**environ, **self.env},
            cwd=str(run_directory),
        )


def run_config_from_ref(ref: RunConfigRef) -> RunConfig:
    """Return the run config that *ref* describes.

    Raises
    ------
    UnknownKind : nobody here knows the kind.
    InvalidOption : the kind has no such option.

    Examples
    --------
    >>> run_config_from_ref(RunConfigRef(kind="local", options={"working_dir": "/srv"}))
    LocalRun(env={}, labels=(), working_dir='/srv', kernel_name=None)
    """
    found: type[RunConfig] | None = None
    if _KIND.fullmatch(ref.kind) and ref.kind != "base":
        try:
            module = import_module(f"jupyter_flows.run_configs.{ref.kind}")
        except ModuleNotFoundError:
            module = None
        candidates = vars(module).values() if module else ()
        for value in candidates:
            if isinstance(value, type) and issubclass(value, RunConfig) and value.kind == ref.kind:
                found = value
    if found is None:
        msg = f"run config kind {ref.kind!r} is not known here; known are local and universal"
        raise UnknownKind(msg)
    return found.from_options(ref.options)
