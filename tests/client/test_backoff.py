"""Delays grow to a bound and differ between clients."""

import random

from jupyter_flows.client.backoff import Backoff


def test_delays_grow_to_their_limit_and_begin_again():
    backoff = Backoff(random_source=random.Random(1))
    ceilings = [0.25 * 2**n for n in range(7)] + [30.0] * 20
    for ceiling in ceilings:
        assert 0 < backoff.next_delay_s() <= ceiling
    backoff.reset()
    assert backoff.next_delay_s() <= 0.25


def test_it_never_gives_up_nor_overflows():
    backoff = Backoff()
    assert all(0 < backoff.next_delay_s() <= 30 for _ in range(3000))


def test_many_clients_spread():
    delays = []
    for seed in range(200):
        backoff = Backoff(random_source=random.Random(seed))
        for _ in range(8):
            delay = backoff.next_delay_s()
        delays.append(delay)
    buckets = [sum(n <= delay < n + 5 for delay in delays) for n in range(0, 30, 5)]
    assert min(buckets) > 15
