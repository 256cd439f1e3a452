"""What Prefect 1's users write when they call something is understood here: same module, same words, same order.

``signatures.json`` was written with Prefect 1.4.1 by ``signatures.py``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.porting.signatures import signatures

HERE = Path(__file__).parent
THEIRS: dict[str, Any] = json.loads((HERE / "signatures.json").read_text("utf-8"))
OURS = signatures("jupyter_flows")

LEFT_OUT: dict[str, str] = {
    "core.flow:Flow.run": "runner_cls",
    "core.task:Task.pipe": "_prefect_self _prefect_task",  # nobody gives these by name
    "engine.result:Result.write": "value_",  # by name neither
    "engine.results:AzureResult": "connection_string connection_string_secret",
    "engine.results:S3Result": "boto3_kwargs upload_options",
    "engine.state:Mapped": "n_map_states",
    "run_configs:UniversalRun": "env labels",  # by place; by name they are there
    "storage:Local": "directory validate path stored_as_script",  # by place; by name they are there
}
"""Arguments of Prefect 1 that are not here, by ``module:name``; on the porting page."""

NOT_BY_PLACE = "engine.state:"
"""Of states, message and result are given by place, everything else by name."""


def not_understood(theirs: list[list[str]] | None, ours: list[list[str]] | None) -> list[str]:
    """Return the arguments of *theirs* that cannot be given in the same way to *ours*."""
    if theirs is None or ours is None:
        return []
    kinds = {name: kind for name, kind in ours}
    takes_all = "VAR_KEYWORD" in kinds.values()
    takes_any_place = "VAR_POSITIONAL" in kinds.values()
    by_place = [name for name, kind in ours if kind in {"POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD"}]
    wrong = []
    for place, (name, kind) in enumerate(theirs):
        if kind.startswith("VAR") or name == "self":
            continue
        named = name in kinds and kinds[name] != "POSITIONAL_ONLY"
        placed = takes_any_place or (place < len(by_place) and by_place[place] == name)
        if not (named or takes_all) or (kind == "POSITIONAL_OR_KEYWORD" and not placed):
            wrong.append(name)
    return wrong


def test_nothing_is_missing() -> None:
    """Everything that was written down is here, and the other way round."""
    assert THEIRS.keys() == OURS.keys()


@pytest.mark.parametrize("what", THEIRS)
def test_a_call_for_prefect_1_is_understood(what: str) -> None:
    """Each argument can be given by its name and, where Prefect 1 let it, by its place."""
    theirs = THEIRS[what]
    if what.startswith(NOT_BY_PLACE) and "." not in what.removeprefix(NOT_BY_PLACE):
        # cached_inputs was deprecated by Prefect 1 itself.
        theirs = [*theirs[:2], *([name, "KEYWORD_ONLY"] for name, _ in theirs[2:] if name != "cached_inputs")]
    assert not_understood(theirs, OURS[what]) == LEFT_OUT.get(what, "").split()
