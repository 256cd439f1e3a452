"""How far a cell is, read from its messages: numbers, never what else a line says."""

from __future__ import annotations

import io
from typing import Any

import pytest

from jupyter_flows.runtime.cell_progress import PROGRESS_MIME, Progress, ProgressReader, bar_in


def _message(kind: str, **content: Any) -> dict[str, Any]:
    return {"msg_type": kind, "content": content}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\rload:  45%|####5     | 45/100 [00:04<00:05, 10.0it/s]", Progress(fraction=0.45, text="45/100")),
        (
            "\r  0%|          | 0/9 [00:00<?, ?it/s]\r 33%|###3      | 3/9 [00:01<00:02]",
            Progress(fraction=0.33, text="3/9"),
        ),
        (" 50%|█████     | 1.50M/3.00M [00:01<00:01, 1MB/s]", Progress(fraction=0.5, text="1.50M/3.00M")),
        ("45it [00:04, 10.0it/s]", Progress(fraction=None, text="45")),
        (
            "Anna Bell, 1970:  10%|#         | 1/10 [00:00<00:01, iban=DE99]",
            Progress(fraction=0.1, text="1/10"),
        ),
        ("50%|x| DE99/anna", None),
        ("with it [we] went 45% of the way", None),
    ],
)
def test_bars_of_tqdm_are_read_by_their_numbers(text: str, expected: Progress | None) -> None:
    assert expected == bar_in(text)


def test_what_tqdm_writes_is_read() -> None:
    """Not only what we think it writes."""
    tqdm = pytest.importorskip("tqdm", reason="tqdm is no dependency").tqdm
    for total, expected in (
        (4, Progress(fraction=0.5, text="2/4")),
        (None, Progress(fraction=None, text="2")),
    ):
        written = io.StringIO()
        bar = tqdm(total=total, desc="rows of anna", file=written, mininterval=0)
        bar.update(2)
        bar.set_postfix(name="anna")
        bar.refresh()
        assert expected == bar_in(written.getvalue())
        bar.close()


def test_widgets_and_our_own_displays_are_read() -> None:
    reader = ProgressReader()
    state = {"_model_name": "FloatProgressModel", "min": 0, "max": 8, "value": 0}
    assert Progress(fraction=0.0, text="0/8") == reader.read(
        _message("comm_open", comm_id="a", data={"state": state})
    )
    assert Progress(fraction=0.75, text="6/8") == reader.read(
        _message("comm_msg", comm_id="a", data={"state": {"value": 6}})
    )
    assert reader.read(_message("comm_msg", comm_id="b", data={"state": {"value": 6}})) is None
    for kind in ("display_data", "update_display_data"):
        own = {PROGRESS_MIME: {"fraction": 0.5, "text": "load: 1/2"}}
        assert Progress(fraction=0.5, text="load: 1/2") == reader.read(_message(kind, data=own))
    for odd in (float("nan"), "half", [1]):
        assert reader.read(_message("display_data", data={PROGRESS_MIME: {"fraction": odd}})) is None
