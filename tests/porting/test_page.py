"""The porting page says what is so: import lines that work, flows that are there, every difference."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.porting.observe import load

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs" / "porting-from-prefect-1.md").read_text("utf-8")
IMPORTS = re.findall(r"^\| `prefect[\w.]*` \| `(jupyter_flows[\w.]*)` \| (.*) \|$", PAGE, flags=re.MULTILINE)
SAME, DIFFERENCES = PAGE.split("\n## The same\n")[1].split("\n## Differences\n")


@pytest.mark.parametrize(("place", "names"), IMPORTS, ids=[place for place, _ in IMPORTS])
def test_each_import_line_of_the_page_works(place: str, names: str) -> None:
    """What stands in the table can be imported from there."""
    module = import_module(place)
    wanted = re.findall(r"`(\w+)`", names)
    assert wanted
    assert [name for name in wanted if not hasattr(module, name)] == []


def test_each_difference_is_on_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flow that lists differences is linked where the page tells of differences."""
    monkeypatch.chdir(tmp_path)
    told = set(re.findall(r"flows/(\w+)\.py", DIFFERENCES))
    differing = {
        path.stem
        for path in (HERE / "flows").glob("*.py")
        if getattr(load(path, "jupyter_flows"), "DIFFERS", {})
    }
    assert differing - told == set()


def test_each_flow_is_on_the_page() -> None:
    """Whoever looks for an idiom finds its flow."""
    told = set(re.findall(r"flows/(\w+)\.py", PAGE))
    assert {path.stem for path in (HERE / "flows").glob("*.py")} == told
