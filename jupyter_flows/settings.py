"""What a user may configure, in one frozen record. Stands on nothing of ours.

A value comes from the environment (``JUPYTER_FLOWS_<NAME>``), else from ``<home>/settings.toml``,
else from the default written here. Nothing reads the environment for a setting anywhere else.
"""

from __future__ import annotations

import functools
import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from jupyter_flows.errors import InvalidSettings

PREFIX = "JUPYTER_FLOWS_"


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """All settings; each has one sentence.

    Examples
    --------
    >>> load_settings({"JUPYTER_FLOWS_HOME": "/tmp/f", "JUPYTER_FLOWS_LEASE_TTL_S": "30"}).lease_ttl_s
    30.0
    """

    home: Path
    """Directory of everything this machine keeps: database, tokens, storage, runs, logs."""
    api_url: str = ""
    """Server to use, e.g. ``http://host:8841``; empty: the one that ``<home>/server.json`` names."""
    api_token: str = ""
    """Token for that server; empty: the token files of ``<home>/tokens``."""
    host: str = "127.0.0.1"
    """Address the stand-alone server listens on."""
    port: int = 8841
    """Port the stand-alone server listens on."""
    behind_proxy: bool = False
    """Allow a non-loopback address without TLS because a proxy in front has it."""
    database_url: str = ""
    """SQLAlchemy address; empty: SQLite in ``<home>/flows.db``."""
    storage_dir: str = ""
    """Where Local and Notebook storage write; empty: ``<home>/storage``."""
    project: str = "default"
    """Project that flows are registered under."""
    heartbeat_s: float = 10.0
    """Seconds between two heartbeats of a run's keeper."""
    lease_ttl_s: float = 60.0
    """Seconds after which a silent run is given up."""
    submit_deadline_s: float = 120.0
    """Seconds a claimed run may take to start before it is offered again."""
    long_poll_s: float = 30.0
    """Seconds an agent's claim waits on the server."""
    kill_grace_s: float = 10.0
    """Seconds between SIGINT, SIGTERM and SIGKILL of a run."""
    agent_grace_s: float = 60.0
    """Seconds an agent that is told to stop lets its runs finish."""
    total_timeout_s: float = 86400.0
    """Longest time a run may take; 0: no limit."""
    scheduler_tick_s: float = 1.0
    """Longest time between two looks at the schedules."""
    spool_limit_mb: int = 256
    """Megabytes of undelivered states and logs kept per run while the server is away."""
    spares: int = 1
    """Run processes, each with a kernel, that an agent has ready for the next runs; 0: none."""
    spare_idle_s: float = 600.0
    """Seconds without a run after which an agent gives the memory of its spares back."""
    parallel: str = "off"
    """Whether headless runs of notebooks execute independent cells at once: ``off``, ``threads``,
    ``processes``; a notebook's own ``%flow --parallel`` counts first."""
    checkpoint_dir: str = ""
    """Where runs keep what their cells gave until they have succeeded; empty: in the run's own directory."""
    checkpoint_days: float = 7.0
    """Days after which what a failed run kept is removed; 0: runs keep nothing."""
    cache_mb: int = 5120
    """Megabytes of all kept results of cells (``--cache-for``); used longest ago goes first; 0: no limit."""
    environment_policy: str = "warn"
    """What a run does when its environment differs: ``refuse``, ``warn`` or ``ignore``."""
    trace: bool = True
    """Look at the variables around each cell that is run by hand, to find what source text cannot show."""
    log_level: str = "INFO"
    """Level of jupyter_flows' own log."""

    def __post_init__(self) -> None:
        if self.lease_ttl_s < 5 * self.heartbeat_s:
            msg = (
                f"lease_ttl_s ({self.lease_ttl_s:g}) must be at least 5 x heartbeat_s ({self.heartbeat_s:g})"
            )
            raise InvalidSettings(msg)
        if self.parallel not in {"off", "threads", "processes"}:
            msg = f"parallel is {self.parallel!r}; use off, threads or processes"
            raise InvalidSettings(msg)
        if self.cache_mb < 0:
            msg = f"cache_mb is {self.cache_mb}; use megabytes, or 0 for no limit"
            raise InvalidSettings(msg)
        if self.environment_policy not in {"refuse", "warn", "ignore"}:
            msg = f"environment_policy is {self.environment_policy!r}; use refuse, warn or ignore"
            raise InvalidSettings(msg)

    @property
    def storage_path(self) -> Path:
        """Directory that Local and Notebook storage write to."""
        return Path(self.storage_dir).expanduser() if self.storage_dir else self.home / "storage"

    @property
    def effective_database_url(self) -> str:
        """SQLAlchemy address with the default filled in."""
        return self.database_url or f"sqlite:///{self.home / 'flows.db'}"


def package_version() -> str:
    """Return this package's version; ``0`` in a checkout that was never installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("jupyter-flows")
    except PackageNotFoundError:
        return "0"


def load_settings(environ: dict[str, str] | None = None) -> Settings:
    """Read the settings afresh.

    Parameters
    ----------
    environ : mapping, optional
        Environment to read; default ``os.environ``.

    Raises
    ------
    InvalidSettings : a value does not convert, or a name in the file is unknown.
    """
    env = dict(os.environ) if environ is None else environ
    home = Path(env.get(PREFIX + "HOME") or "~/.jupyter_flows").expanduser().absolute()
    hints = _hints()
    values: dict[str, Any] = {}
    file = home / "settings.toml"
    if file.is_file():
        try:
            values = tomllib.loads(file.read_text("utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            msg = f"{file} is not valid TOML: {error}"
            raise InvalidSettings(msg) from error
        unknown = sorted(set(values) - set(hints))
        if unknown:
            msg = f"{file}: unknown setting {unknown[0]!r}; known are {', '.join(sorted(hints))}"
            raise InvalidSettings(msg)
    for field in fields(Settings):
        raw = env.get(PREFIX + field.name.upper())
        if raw is not None and raw != "":
            values[field.name] = raw
    values["home"] = home
    return Settings(**{name: _convert(name, value, hints[name]) for name, value in values.items()})


@functools.cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Settings)


def _convert(name: str, value: Any, kind: type) -> Any:
    try:
        if kind is bool:
            if isinstance(value, bool):
                return value
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[
                str(value).lower()
            ]
        if kind is Path:
            return Path(value).expanduser()
        return kind(value)
    except (ValueError, KeyError, TypeError) as error:
        msg = f"setting {name} is {value!r}, which is no {kind.__name__}; see {PREFIX}{name.upper()}"
        raise InvalidSettings(msg) from error
