"""Notebooks written and executed for real, with no server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# The grammar for checking IRIs costs 1.5 s at import, and nothing here checks IRIs.
sys.modules.setdefault("rfc3987_syntax", None)

import nbformat  # noqa: E402
import papermill  # noqa: E402
from papermill.engines import papermill_engines  # noqa: E402
from papermill.exceptions import PapermillExecutionError  # noqa: E402

from jupyter_flows.runtime.papermill_engine import FlowsEngine  # noqa: E402

papermill_engines.register("flows", FlowsEngine)


def write_notebook(path: Path, *sources: str, tags: dict[int, list[str]] | None = None) -> Path:
    """Write a notebook of code cells; *tags* by position."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nb = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    nb.cells = [
        nbformat.v4.new_code_cell(source, id=f"cell-{n}", metadata={"tags": (tags or {}).get(n, [])})
        for n, source in enumerate(sources)
    ]
    nbformat.write(nb, path)
    return path


class Executed:
    """An executed notebook, as the tests ask about it."""

    def __init__(self, path: Path, error: BaseException | None) -> None:
        self.error = error
        self.nb: Any = nbformat.read(path, as_version=4)
        nbformat.validate(self.nb)
        self.code = [cell for cell in self.nb.cells if cell.cell_type == "code"]

    @property
    def states(self) -> list[str | None]:
        """States of the code cells, in order."""
        return [cell.metadata.get("jupyter_flows", {}).get("state") for cell in self.code]

    def message(self, position: int) -> str:
        """Message of a cell's state."""
        return self.code[position].metadata["jupyter_flows"].get("message", "")

    def text(self, position: int) -> str:
        """What a cell printed or displayed, as text."""
        outputs = self.code[position].outputs
        return "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs
        )


@pytest.fixture
def papermill_run(tmp_path: Path) -> Callable[..., Executed]:
    """Execute sources with ``papermill --engine flows``, by its Python door."""

    def run(*sources: str, tags: dict[int, list[str]] | None = None, **options: Any) -> Executed:
        source = write_notebook(tmp_path / "in.ipynb", *sources, tags=tags)
        target = tmp_path / "out.ipynb"
        error = None
        try:
            papermill.execute_notebook(source, target, engine_name="flows", progress_bar=False, **options)
        except PapermillExecutionError as raised:
            error = raised
        return Executed(target, error)

    return run
