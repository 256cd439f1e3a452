"""Outputs of a notebook under execution: each in its own cell, from however many kernels, within a limit.

nbclient's machinery knows display ids, ``clear_output`` and widgets; here it is made safe for several
kernels that write into one notebook: one lock, one table of display ids and widgets, one limit for the whole
notebook.
What a cell may not keep is counted and said in the cell.

Knows nothing of kernels' processes, states or disks.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from nbclient.client import NotebookClient

from jupyter_flows.runtime.cell_progress import Progress, ProgressReader
from jupyter_flows.runtime.kernel_guard import DROPPED_MIME
from jupyter_flows.runtime.kernel_messages import TOO_LARGE
from jupyter_flows.runtime.kernels import OUTPUT_LIMIT_BYTES

OUTPUT_LIMIT_COUNT = 20_000
"""Outputs that one executed notebook keeps: each costs memory and a browser's patience, however small."""

_OUTPUT_OVERHEAD_BYTES = 100


class NotebookOutputs:
    """What the kernels that run cells of one notebook share.

    Parameters
    ----------
    nb : NotebookNode
        The notebook; its list of cells must not change while cells run.
    lock : RLock, optional
        Held while cells are written; default: one of its own.
    on_change : callable, optional
        Called, under the lock, with the index of a cell that got an output.
    limit_bytes : int
        What all outputs together may have.

    Attributes
    ----------
    on_output : callable or None
        Called, under the lock, with each output as it arrives.
    on_progress : callable or None
        Called, under the lock, with a cell's index and its progress.
    measured : dict
        What was measured of cells (index -> name -> value), for their metadata.
    """

    def __init__(
        self,
        nb: Any,
        *,
        lock: threading.RLock | None = None,
        on_change: Callable[[int], None] = lambda _index: None,
        limit_bytes: int = OUTPUT_LIMIT_BYTES,
    ) -> None:
        self.nb = nb
        self.lock = lock or threading.RLock()
        self.on_change = on_change
        self.on_output: Callable[[Any], None] | None = None
        self.on_progress: Callable[[int, Progress], None] | None = None
        self.measured: dict[int, dict[str, Any]] = {}
        self.display_ids: dict[str, dict[int, list[int]]] = {}
        self.widget_state: dict[str, dict[str, Any]] = {}
        self.widget_buffers: dict[str, dict[tuple[str, ...], dict[str, str]]] = {}
        self._left_bytes = limit_bytes
        self._left_count = OUTPUT_LIMIT_COUNT
        self._used: dict[int, list[int]] = {}
        self._dropped: dict[int, int] = {}
        self._tails: dict[int, tuple[Any, list[str], int]] = {}

    # -- a cell's life -----------------------------------------------------------------------------

    def begin(self, index: int) -> Any:
        """Empty a cell before it runs (again); return it."""
        with self.lock:
            cell = self.nb.cells[index]
            self.cleared(index)
            cell.outputs = []
            cell.execution_count = None
            cell.metadata["execution"] = {}
            self._dropped.pop(index, None)
            for cells in self.display_ids.values():
                cells.pop(index, None)
            self.on_change(index)
            return cell

    def end(self, index: int) -> None:
        """Close a cell that ran: say in it how much of its output was dropped."""
        with self.lock:
            self.settle(index)
            dropped = self._dropped.pop(index, 0)
            if dropped:
                size = f"{dropped / 1_048_576:.1f} MB"
                text = f"… {size} of output dropped: the executed notebook is over its limit\n"
                self.nb.cells[index]["outputs"].append(_stream("stderr", text))
            self.on_change(index)

    def still(self, index: int) -> dict[str, Any]:
        """Return a copy of a cell that does not change; its texts and data are shared, not copied."""
        with self.lock:
            self.settle(index)
            cell = self.nb.cells[index]
            kept = dict(cell)
            kept["metadata"] = copy.deepcopy(cell["metadata"])
            if "outputs" in cell:
                kept["outputs"] = [dict(output) for output in cell["outputs"]]
            return kept

    def set_widgets_metadata(self) -> None:
        """Write the state of all widgets into the notebook, so that they are shown without a kernel."""
        with self.lock:
            states = {
                name: {
                    "model_name": state.get("_model_name"),
                    "model_module": state.get("_model_module"),
                    "model_module_version": state.get("_model_module_version"),
                    "state": state,
                    **(
                        {"buffers": list(self.widget_buffers[name].values())}
                        if self.widget_buffers.get(name)
                        else {}
                    ),
                }
                for name, state in self.widget_state.items()
                if "_model_name" in state
            }
            if states:
                self.nb.metadata["widgets"] = {
                    "application/vnd.jupyter.widget-state+json": {
                        "state": states,
                        "version_major": 2,
                        "version_minor": 0,
                    }
                }

    # -- the limit ---------------------------------------------------------------------------------

    def take(self, index: int, size_bytes: int, *, count: int = 1) -> bool:
        """Whether a cell may keep so much more; if not, it is counted."""
        if size_bytes > self._left_bytes or count > self._left_count:
            self.drop(index, size_bytes)
            return False
        self._left_bytes -= size_bytes
        self._left_count -= count
        used = self._used.setdefault(index, [0, 0])
        used[0] += size_bytes
        used[1] += count
        return True

    def drop(self, index: int, size_bytes: int) -> None:
        """Count what a cell does not keep."""
        self._dropped[index] = self._dropped.get(index, 0) + size_bytes

    def cleared(self, index: int) -> None:
        """Give back what a cell had: its outputs are gone."""
        self._tails.pop(index, None)
        size, count = self._used.pop(index, [0, 0])
        self._left_bytes += size
        self._left_count += count

    # -- text that comes in pieces -----------------------------------------------------------------

    def append_text(self, index: int, output: Any, text: str) -> None:
        """Append to a stream's output; many small pieces are joined now and then, not each time."""
        tail = self._tails.get(index)
        if tail is None or tail[0] is not output:
            self.settle(index)
            tail = (output, [], 0)
        pieces, size = tail[1], tail[2] + len(text)
        pieces.append(text)
        self._tails[index] = (output, pieces, size)
        if size > 65_536 and size * 4 > len(output["text"]):
            self.settle(index)

    def settle(self, index: int) -> None:
        """Join what came in pieces."""
        tail = self._tails.pop(index, None)
        if tail is not None:
            tail[0]["text"] += "".join(tail[1])


class CellOutputs(NotebookClient):
    """nbclient's output machinery for one kernel, over what all kernels of the notebook share."""

    def __init__(self, shared: NotebookOutputs, **options: Any) -> None:
        super().__init__(shared.nb, **options)
        self._shared = shared
        self._display_id_map = shared.display_ids
        self.widget_state = shared.widget_state
        self.widget_buffers = shared.widget_buffers
        self._progress = ProgressReader()

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Put a message where it belongs, under the notebook's lock."""
        with self._shared.lock:
            if TOO_LARGE in msg["content"]:
                self._shared.drop(cell_index, msg["content"][TOO_LARGE])
                return None
            found = self._progress.read(msg)
            if found is not None and self._shared.on_progress is not None:
                self._shared.on_progress(cell_index, found)
            try:
                return super().process_message(msg, cell, cell_index)
            finally:
                if msg["msg_type"] != "update_display_data":
                    self._shared.on_change(cell_index)

    def output(self, outs: Any, msg: Any, display_id: Any, cell_index: int) -> Any:
        """Put a message's output into its cell; what is over the limit is counted, not kept."""
        content, shared = msg["content"], self._shared
        kind = msg["msg_type"]
        if kind == "display_data" and DROPPED_MIME in content["data"]:
            shared.drop(cell_index, int(content["data"][DROPPED_MIME]["bytes"]))
            return None
        hooked = self.output_hook_stack[msg["parent_header"].get("msg_id")]
        joined = (
            kind == "stream"
            and outs
            and not hooked
            and not self.clear_before_next_output
            and outs[-1]["output_type"] == "stream"
            and outs[-1]["name"] == content["name"]
        )
        if self.clear_before_next_output:
            shared.cleared(cell_index)
        size = _size(content["text"]) if kind == "stream" else _size(content)
        if not shared.take(cell_index, size, count=0 if joined else 1):
            return None
        if joined:
            shared.append_text(cell_index, outs[-1], content["text"])
            out: Any = {"output_type": "stream", "name": content["name"], "text": content["text"]}
        else:
            shared.settle(cell_index)
            out = super().output(outs, msg, display_id, cell_index)
        if out is not None and shared.on_output is not None:
            shared.on_output(out)
        return out

    def clear_output(self, outs: Any, msg: dict[str, Any], cell_index: int) -> None:
        """Clear a cell's outputs, now or when the next one comes."""
        if not self.output_hook_stack[msg["parent_header"].get("msg_id")] and not msg["content"].get("wait"):
            self._shared.cleared(cell_index)
        super().clear_output(outs, msg, cell_index)

    def _update_display_id(self, display_id: str, msg: dict[str, Any]) -> None:
        """Show new data wherever a display is shown, in whichever cell."""
        places = self._display_id_map.get(display_id)
        if places is None:
            return
        content, cells = msg["content"], self.nb["cells"]
        size = _size(content["data"])
        for index, outputs in places.items():
            for place in outputs:
                output = cells[index]["outputs"][place]
                # One after the other may grow over the limit; what stands there then stays.
                if self._shared.take(index, size - _size(output["data"]), count=0):
                    output["data"] = _node(content["data"])
                    output["metadata"] = _node(content.get("metadata") or {})
            if outputs:
                self._shared.on_change(index)

    def handle_comm_msg(self, outs: list[Any], msg: dict[str, Any], cell_index: int) -> None:
        """Keep the state of widgets, as far as the limit allows."""
        size = sum(len(buffer) for buffer in msg.get("buffers", ())) * 4 // 3
        if size and not self._shared.take(cell_index, size, count=0):
            return
        super().handle_comm_msg(outs, msg, cell_index)

    def forget_cell(self) -> None:
        """Start afresh for the next cell."""
        self.clear_before_next_output = False


def _size(value: Any) -> int:
    """Bytes that a value has in the file."""
    if isinstance(value, str):
        try:
            return len(msgspec.json.encode(value))
        except (UnicodeEncodeError, ValueError):
            return len(value.encode("utf-8", "replace"))
    if isinstance(value, Mapping):
        return _OUTPUT_OVERHEAD_BYTES + sum(_size(each) for each in value.values())
    if isinstance(value, list | tuple):
        return sum(_size(each) for each in value)
    return 8


def _node(value: Any) -> Any:
    from nbformat import from_dict

    return from_dict(value)


def _stream(name: str, text: str) -> Any:
    return _node({"output_type": "stream", "name": name, "text": text})
