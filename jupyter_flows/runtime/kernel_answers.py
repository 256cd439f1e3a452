"""Whether a kernel can still answer what it was asked.

A process that lives need not answer: code in it can replace a part of the kernel (``get_ipython().run_cell``)
or close its sockets. Two signs tell it from a cell that takes long: the kernel said that it is idle again and
gave no reply, or it closed its end of the connection.

What no sign tells (a kernel that lost its way to speak, and keeps its sockets) is bounded by the time limits.
"""

from __future__ import annotations

from typing import Any

GRACE_S = 4.0
"""How long a reply may lag behind the sign that there will be none."""
NO_ANSWER = "killed: the kernel gave no answer; a cell has closed its sockets or replaced a part of it"


class Connection:
    """Whether the other end of a connected socket is open.

    Parameters
    ----------
    socket : zmq.Socket
        Connected, to a kernel that has answered.
    """

    def __init__(self, socket: Any) -> None:
        import zmq  # an agent, which has no kernels, imports this module too

        self._socket = socket
        self._events = socket.get_monitor_socket(zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED)
        self._is_open = True

    def is_open(self) -> bool:
        """Whether it is, by all that has happened until now."""
        while self._events.poll(0):
            from zmq import EVENT_CONNECTED
            from zmq.utils.monitor import recv_monitor_message

            self._is_open = recv_monitor_message(self._events)["event"] == EVENT_CONNECTED
        return self._is_open

    def close(self) -> None:
        """Listen no more; the socket itself stays."""
        if not self._socket.closed:
            self._socket.disable_monitor()
        self._events.close(linger=0)


class Unanswered:
    """For how long one request has been without a reply that can still come.

    Examples
    --------
    >>> request = Unanswered()
    >>> request.is_lost(10.0, can_come=True), request.is_lost(11.0, can_come=False)
    (False, False)
    >>> request.is_lost(11.0 + GRACE_S + 0.1, can_come=False)
    True
    """

    def __init__(self) -> None:
        self._since: float | None = None

    def is_lost(self, now: float, *, can_come: bool) -> bool:
        """Whether the reply could not come for longer than it may lag behind.

        Parameters
        ----------
        now : float
            ``time.monotonic``.
        can_come : bool
            No sign tells that it will not.
        """
        if can_come:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since > GRACE_S
