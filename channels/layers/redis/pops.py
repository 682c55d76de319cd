"""Blocking pops of an event loop that survive the cancellation of those who wait for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from .entries import Entry

logger = logging.getLogger("django.channels")

Pop = Callable[[list[str], bool], Coroutine[Any, Any, list[Entry]]]


class Pops:
    """Runs pops; one whose receiver was cancelled is parked until it has ended.

    The next receiver of the same queues takes a parked pop over. If there is none, what the
    pop brings goes back to the front of its queue, in a thread, so that it also happens when
    the loop is about to end.
    """

    def __init__(self, pop: Pop, give_back: Callable[[list[Entry]], None]) -> None:
        self._pop = pop
        self._give_back = give_back
        self._parked: dict[frozenset[str], list[asyncio.Task[list[Entry]]]] = {}
        self._returning: set[asyncio.Future[None]] = set()

    async def take(self, owners: list[str], batch: bool = False) -> list[Entry]:
        """What a pop of ``owners`` brings; if this is cancelled, no message is lost."""
        queues = frozenset(owners)
        if self._parked or self._returning:
            await self._finish_others(queues)
        task = self._unpark(queues) or asyncio.ensure_future(self._pop(owners, batch))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._parked.setdefault(queues, []).append(task)
            task.add_done_callback(partial(self._end_parked, queues))
            raise

    async def finish(self) -> None:
        """Wait until nothing is parked, and everything given back."""
        while busy := self._busy_with(None):
            await asyncio.wait(busy)

    async def _finish_others(self, queues: frozenset[str]) -> None:
        """Wait for what might still change the front of ``queues``."""
        while busy := self._busy_with(queues):
            await asyncio.wait(busy)

    def _busy_with(self, queues: frozenset[str] | None) -> list[asyncio.Future[Any]]:
        """What is going on, apart from parked pops that do not matter for ``queues``."""
        busy: list[asyncio.Future[Any]] = list(self._returning)
        for names, tasks in self._parked.items():
            if queues is None or (names != queues and names & queues):
                busy += tasks
        return busy

    def _unpark(self, queues: frozenset[str]) -> asyncio.Task[list[Entry]] | None:
        parked = self._parked.get(queues)
        return parked.pop(0) if parked else None

    def _end_parked(self, queues: frozenset[str], task: asyncio.Task[list[Entry]]) -> None:
        parked = self._parked.get(queues, [])
        was_parked = task in parked
        if was_parked:
            parked.remove(task)
        if not parked:
            self._parked.pop(queues, None)
        if task.cancelled() or not was_parked:
            return
        if error := task.exception():
            logger.error("A receive that was cancelled failed", exc_info=error)
        elif entries := task.result():
            loop = asyncio.get_running_loop()
            returning = loop.run_in_executor(None, self._give_back, entries)
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)
