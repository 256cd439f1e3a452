"""What registering prints: what went to the server, what went to storage, who may run it, and when."""

from __future__ import annotations

import html
from pathlib import PurePath
from typing import Any

import msgspec

from jupyter_flows.schema.base import to_json, utc_now
from jupyter_flows.schema.flows import FlowSpec, RegisterResult
from jupyter_flows.schema.refs import RunConfigRef, StorageRef


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of registering a flow.

    Parameters
    ----------
    result : RegisterResult
        The server's answer.
    spec : FlowSpec
        What the server was sent, of which it keeps all.
    server : str
        Its address.
    metadata_bytes : int
        Size of everything that was sent.
    warnings : tuple of str
        What may go wrong elsewhere.
    schedule_text : str
        The schedule in words.
    """

    result: RegisterResult
    spec: FlowSpec
    server: str
    metadata_bytes: int
    warnings: tuple[str, ...] = ()
    schedule_text: str = ""

    @property
    def flow_name(self) -> str:
        """The flow's name."""
        return self.spec.name

    @property
    def version(self) -> int:
        """The version that is registered now."""
        return self.result.version.version

    @property
    def created(self) -> bool:
        """Whether this made a version; False: the flow had not changed."""
        return self.result.created

    def rows(self) -> list[tuple[str, str]]:
        """Return the receipt as pairs of what and a sentence."""
        spec = self.spec
        storage = spec.storage
        tasks = [task for task in spec.tasks if task.role not in {"setup", "parameters"}]
        kind = storage.kind
        if storage.options.get("stored_as_script"):
            kind += " (script)"
        elif storage.kind == "local":
            kind += " (pickle)"
        if self.created:
            count = self.result.moved_runs
            moved = f"; {count} scheduled run{'' if count == 1 else 's'} moved to it" if count else ""
            state = f"version {self.version}{moved}"
        else:
            state = f"version {self.version}, unchanged: nothing new was made"
        rows = [
            ("flow", f"{spec.name}  ({state})"),
            (
                "metadata",
                (
                    f"{_size(self.metadata_bytes)} to {self.server}\n"
                    f"{_count(len(tasks), 'task')}, {_count(len(spec.edges), 'edge')}, names, schedule, "
                    "labels, where the code is; no code, no outputs"
                ),
            ),
        ]
        if spec.parameters:
            sent = ", ".join(
                f"{item.name}={item.default!r}" if not item.required else item.name
                for item in spec.parameters
            )
            rows.append(("parameters", f"sent with their defaults: {sent}"))
        rows.append(
            (
                "code",
                (
                    f"{_size(storage.size_bytes)} to {kind} storage: {storage.location}\n"
                    f"sha256 {storage.sha256 or 'not pinned'}"
                ),
            )
        )
        rows.append(("runs in", _directory(storage, spec.run_config)))
        rows.append(("labels", ", ".join(spec.labels) or "none: any agent may take it"))
        rows.extend(("who runs it" if not index else "", text) for index, text in enumerate(self._agents()))
        if spec.fingerprint is not None:
            packages = ", ".join(
                f"{name} {version}" for name, version in spec.fingerprint.distributions.items()
            )
            kernel = f", kernel {spec.fingerprint.kernel}" if spec.fingerprint.kernel else ""
            rows.append(
                (
                    "environment",
                    f"Python {spec.fingerprint.python}{kernel}" + (f", {packages}" if packages else ""),
                )
            )
        rows.append(("schedule", self._schedule()))
        rows.extend(("warning", warning) for warning in self.warnings)
        return rows

    def _agents(self) -> list[str]:
        takers = [match.agent for match in self.result.agents if match.takes]
        if takers:
            lacking = [
                f"but {match.agent} {match.reason}"
                for match in self.result.agents
                if match.takes and match.reason
            ]
            return [f"{', '.join(takers)} would take it now", *lacking]
        reasons = [f"{match.agent}: {match.reason}" for match in self.result.agents]
        if reasons:
            return ["no agent would take it now", *reasons[:3]]
        return ["no agent is running; start one: jupyter flows agent start"]

    def _schedule(self) -> str:
        spec = self.spec
        if not spec.schedules:
            return f"on demand: jupyter flows run {spec.name}"
        text = self.schedule_text
        if self.result.paused:
            return f"{text}  (paused: jupyter flows resume {spec.name})"
        times = [_time(at) for at in self.result.next_runs[:3]]
        return text + (f"\nnext: {', '.join(times)}" if times else "")

    @property
    def text(self) -> str:
        """The receipt as plain text."""
        lines: list[str] = []
        for what, sentence in self.rows():
            first, *more = sentence.split("\n")
            lines.append(f"{what:<12} {first}".rstrip())
            lines.extend(f"{'':<12} {line}" for line in more)
        return "\n".join(lines)

    def to_json(self) -> bytes:
        """The receipt as JSON."""
        return to_json(self)

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        del include, exclude
        return {
            "text/plain": self.text,
            "text/html": self._html(),
            "application/vnd.jupyter-flows.receipt+json": {
                "text": self.text,
                "rows": [list(row) for row in self.rows()],
                "flow": self.flow_name,
                "version": self.version,
                "created": self.created,
            },
        }

    def _html(self) -> str:
        cell = 'style="text-align:left;vertical-align:top;padding:2px 12px 2px 0;'
        rows = "".join(
            f'<tr style="background:none"><th {cell}font-weight:600;white-space:nowrap">'
            f"{html.escape(what)}</th>"
            f'<td {cell}white-space:pre-wrap;overflow-wrap:anywhere">{html.escape(sentence)}</td></tr>'
            for what, sentence in self.rows()
        )
        return f'<table style="border:none;margin:4px 0">{rows}</table>'


def _directory(storage: StorageRef, config: RunConfigRef) -> str:
    own = "a directory of its own for each run"
    asked = config.options.get("working_dir")
    if asked:
        return str(asked)
    source = str(storage.options.get("source") or "")
    return f"{PurePath(source).parent}, where the agent has it; else {own}" if source else own


def _size(size_bytes: int) -> str:
    return f"{size_bytes} B" if size_bytes < 1000 else f"{size_bytes / 1000:.1f} kB"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _time(at: Any) -> str:
    local = at.astimezone()
    same_day = local.date() == utc_now().astimezone().date()
    return f"{local:%H:%M:%S %Z}" if same_day else f"{local:%Y-%m-%d %H:%M %Z}"
