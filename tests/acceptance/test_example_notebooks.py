"""The example notebooks as files: clean, complete, and with data of known origin."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def cells_of(name: str) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads((NOTEBOOKS / name).read_text("utf-8"))["cells"]
    return cells


def code_of(name: str) -> list[str]:
    return ["".join(cell["source"]) for cell in cells_of(name) if cell["cell_type"] == "code"]


@pytest.mark.parametrize("name", ["quickstart.ipynb", "weather.ipynb"])
def test_is_clean(name: str) -> None:
    """No outputs, no execution counts, one id a cell."""
    cells = cells_of(name)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)
    assert len({cell["id"] for cell in cells}) == len(cells)


@pytest.mark.parametrize("name", ["quickstart.ipynb", "weather.ipynb"])
def test_loads_the_extension_first_and_names_its_flow_last(name: str) -> None:
    """A reader who runs all cells ends at the graph."""
    code = code_of(name)
    assert code[0] == "%load_ext jupyter_flows"
    assert code[-1] == f"%flow {name.removesuffix('.ipynb')}"


def test_quickstart_has_five_code_cells() -> None:
    """Short enough to be shown whole in the README."""
    assert len(code_of("quickstart.ipynb")) == 5


def test_quickstart_is_the_one_in_the_readme() -> None:
    """What the README shows is what runs."""
    readme = (NOTEBOOKS.parent / "README.md").read_text("utf-8")
    missing = [source for source in code_of("quickstart.ipynb") if source not in readme]
    assert missing == []


def test_weather_has_ten_tasks_or_more_of_different_names() -> None:
    """Big enough to have strands."""
    names = [match[1] for source in code_of("weather.ipynb") if (match := re.match(r"%%task (\w+)", source))]
    assert len(names) >= 10
    assert len(set(names)) == len(names)


def test_weather_has_one_parameters_cell_of_scalars() -> None:
    """Its names are what a scheduled run may set."""
    tagged = [cell for cell in cells_of("weather.ipynb") if "parameters" in cell["metadata"].get("tags", [])]
    values: dict[str, object] = {}
    exec("".join(tagged[0]["source"]), values)
    assert len(tagged) == 1
    assert {"city", "year_from", "year_to", "output_dir"} <= set(values)


def test_data_is_the_file_whose_origin_is_named() -> None:
    """The digest in data/README.md is the file's own."""
    readme = (NOTEBOOKS / "data" / "README.md").read_text("utf-8")
    data = (NOTEBOOKS / "data" / "weather.csv").read_bytes()
    assert hashlib.sha256(data).hexdigest() in readme
    assert len(data) < 400_000
