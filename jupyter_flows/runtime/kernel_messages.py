"""Messages of a kernel, read from its sockets in the caller's thread.

As ``jupyter_client.Session.recv`` gives them, but several times as fast: it spends most of its time on the
dates of the headers. What is larger than a notebook may be is not even decoded.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import zmq

from jupyter_flows.runtime.kernels import OUTPUT_LIMIT_BYTES

TOO_LARGE = "too_large"
"""The one key of the content of a message that was too large to decode: its size in bytes."""
_DELIMITER = b"<IDS|MSG>"
_TIMED = {"status", "execute_input", "execute_reply"}
"""Messages whose times go into the notebook."""


def waiting_messages(session: Any, socket: Any, *, most: int) -> Iterator[dict[str, Any]]:
    """Messages that are there already, but not so many that a flood keeps the caller from the clock."""
    for _ in range(most):
        try:
            frames = socket.recv_multipart(zmq.NOBLOCK)
        except zmq.Again:
            return
        message = _decoded(session, frames)
        if message is not None:
            yield message


def _decoded(session: Any, frames: list[bytes]) -> dict[str, Any] | None:
    """Return a message; None for one that was not signed with the kernel's key."""
    try:
        begin = frames.index(_DELIMITER) + 1
        signature, header, parent, metadata, content = frames[begin : begin + 5]
    except ValueError:
        return None
    if session.auth is not None and not hmac.compare_digest(
        signature, session.sign([header, parent, metadata, content])
    ):
        return None
    head = _from_json(header)
    if head["msg_type"] in _TIMED and isinstance(head.get("date"), str):
        head["date"] = datetime.fromisoformat(head["date"])
    large = len(content) > 2 * OUTPUT_LIMIT_BYTES
    message = {
        "header": head,
        "msg_id": head["msg_id"],
        "msg_type": head["msg_type"],
        "parent_header": _from_json(parent),
        "metadata": _from_json(metadata),
        "content": {TOO_LARGE: len(content)} if large else _from_json(content),
        "buffers": [memoryview(frame) for frame in frames[begin + 5 :]],
    }
    if not str(head.get("version", "5")).startswith("5"):
        from jupyter_client.adapter import adapt

        return adapt(message)
    return message


def _from_json(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Python's own reader takes what is not quite JSON: NaN, halves of surrogate pairs.
        return json.loads(data.decode("utf-8", "replace"))
