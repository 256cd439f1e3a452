"""Bells: a commit in a worker thread wakes coroutines that wait in the event loop. Holds no thread."""

from __future__ import annotations

import asyncio
import threading


class Bell:
    """Rings; whoever waits wakes. Read :attr:`count` before looking, so that no ring is missed in between."""

    def __init__(self) -> None:
        self.count = 0
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = set()

    def ring(self) -> None:
        """Wake all that wait; from any thread."""
        with self._lock:
            self.count += 1
            waiting, self._waiting = self._waiting, set()
        for loop, future in waiting:
            if not loop.is_closed():
                loop.call_soon_threadsafe(_done, future)

    async def wait(self, seen: int, timeout_s: float) -> bool:
        """Wait until it has rung since *seen*; False if *timeout_s* passed first."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self.count != seen:
                return True
            self._waiting.add((loop, future))
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting.discard((loop, future))
        return True


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
