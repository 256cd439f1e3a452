"""How long to wait before asking again: growing, bounded, and never in step with others. No clock."""

from __future__ import annotations

import random


class Backoff:
    """Delays of 0.25 s, doubling to 30 s, each shortened at random so that many clients spread out.

    Examples
    --------
    >>> backoff = Backoff(random_source=random.Random(1))
    >>> 0 < backoff.next_delay_s() <= 0.25
    True
    >>> [backoff.next_delay_s() <= 30 for _ in range(20)] == [True] * 20
    True
    """

    def __init__(
        self,
        *,
        first_s: float = 0.25,
        limit_s: float = 30.0,
        random_source: random.Random | None = None,
    ) -> None:
        self._first_s = first_s
        self._limit_s = limit_s
        self._random = random_source or random.Random()  # noqa: S311 - spreads load, guards nothing
        self.failures = 0

    def next_delay_s(self) -> float:
        """Return the next delay; call once after each failure."""
        ceiling: float = min(self._limit_s, self._first_s * 2 ** min(self.failures, 30))
        self.failures += 1
        return ceiling * (1.0 - self._random.random())

    def reset(self) -> None:
        """Begin again; call after a success."""
        self.failures = 0
