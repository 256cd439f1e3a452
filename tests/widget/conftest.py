"""A shell that publishes displays to a list, as a kernel would to its front ends."""

from __future__ import annotations

from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell

from jupyter_flows import Flow, task
from jupyter_flows.notebook.build import build_flow
from jupyter_flows.notebook.read import CodeCell, NotebookCells


class Published(CapturingDisplayPublisher):
    """What was displayed, as ``(data, display_id, is an update)``."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[tuple[dict[str, Any], str | None, bool]] = []

    def publish(
        self,
        data: Any,
        metadata: Any = None,
        source: Any = None,
        *,
        transient: Any = None,
        update: bool = False,
    ) -> None:
        """Note it."""
        self.seen.append((data, (transient or {}).get("display_id"), update))


@pytest.fixture
def published():
    """What the shell of this test displays."""
    shell = InteractiveShell.instance()
    shell.display_pub = Published(parent=shell)
    yield shell.display_pub.seen
    InteractiveShell.clear_instance()


@pytest.fixture
def flow() -> Flow:
    """Three tasks in a row."""

    @task
    def load():
        return 1

    @task
    def clean(x):
        return x

    @task(max_retries=2, retry_delay=0)
    def save(x):
        return x

    with Flow("etl") as made:
        save(clean(load()))
    return made


def notebook_flow(*sources: str, name: str = "book") -> Flow:
    """The flow of a notebook."""
    cells = tuple(
        CodeCell(id=f"c{n}", index=n, position=n - 1, source=source) for n, source in enumerate(sources, 1)
    )
    made: Flow = build_flow(NotebookCells(path=f"{name}.ipynb", cells=cells), make=Flow)
    return made
