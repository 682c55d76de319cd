"""Workers that are told to stop, or are killed, at any moment and under load."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..examples.processes import Process
from .conftest import MakeSite
from .running import Load, Site, repeated

#: Messages of a test, fewer than a channel holds; and after how many one more worker has to go.
COUNT, BETWEEN = 400, 100


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    return make_site()


@pytest.fixture
def load(site: Site) -> Iterator[Load]:
    load = Load(site, COUNT)
    yield load
    load.end()


def start_workers(site: Site, *threads: int) -> list[Process]:
    """All at once, so that it takes no longer than one."""
    workers = [site.start_worker(each, wait=False) for each in threads]
    for worker in workers:
        worker.wait_for_line("Listening on channels")
    return workers


def test_workers_that_are_told_to_stop_under_load_lose_nothing_and_end_well(
    site: Site, load: Load
) -> None:
    *leaving, last = start_workers(site, 1, 3, 1)
    for number, worker in enumerate(leaving, start=1):
        load.wait_for(number * BETWEEN)
        assert worker.terminate() == 0
    load.wait_for(COUNT)
    # This one is idle, or about to be.
    assert last.terminate() == 0
    load.wait_for_end()
    load.end()
    assert sorted(load.begun()) == sorted(load.results) == list(range(COUNT))


def test_a_worker_that_is_killed_loses_only_what_its_threads_have_in_hand(
    site: Site, load: Load
) -> None:
    in_hand = [1, 3]
    *victims, last = start_workers(site, *in_hand, 1)
    for number, worker in enumerate(victims, start=1):
        load.wait_for(number * BETWEEN)
        worker.kill()
    load.wait_for_end()
    assert last.terminate() == 0
    load.wait_for_end()
    load.end()
    assert repeated(load.begun()) == repeated(load.results) == []
    lost = set(range(COUNT)) - set(load.results)
    print(f"Killed workers of {in_hand} threads have lost {len(lost)} messages.")
    assert len(lost) <= sum(in_hand)


def test_a_worker_ends_well_while_redis_is_away(site: Site) -> None:
    worker = site.start_worker(threads=2)
    site.redis.stop()
    worker.wait_for_line("Receiving waits")
    assert worker.terminate() == 0
